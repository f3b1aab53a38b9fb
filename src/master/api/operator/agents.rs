//! Calls about agents: what they are, and taking them out of service and back.

use super::super::model::agents::pid;
use super::super::{Api, Refusal, write::answer};
use super::{missing, of, time};
use crate::base::ids::AgentId;
use crate::master::core::io::Input;
use crate::master::core::view::{AgentView, View};
use crate::mesos::convert::{Format, resources_to_v1};
use crate::mesos::v1::agent_info::{Capability, capability};
use crate::mesos::v1::master::response::{self, Type, get_agents::Agent};
use crate::mesos::v1::master::{Call, Response};
use crate::mesos::v1::{DrainConfig, Duration, DurationInfo};
use axum::response::Response as HttpResponse;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// All agents.
pub(super) fn get(view: &View) -> Response {
    Response { get_agents: Some(list(view)), ..of(Type::GetAgents) }
}

/// The same as part of GET_STATE.
pub(super) fn list(view: &View) -> response::GetAgents {
    response::GetAgents {
        agents: view.agents.iter().map(|a| agent(a)).collect(),
        recovered_agents: view.recovered_agents.iter().map(|a| (**a).clone()).collect(),
    }
}

pub(super) fn agent(a: &AgentView) -> Agent {
    // Names that this version does not know are left out.
    let capability = |name: &String| {
        capability::Type::from_str_name(name).map(|t| Capability { r#type: Some(t as i32) })
    };
    Agent {
        agent_info: (*a.info).clone(),
        active: a.active,
        deactivated: Some(a.deactivated),
        version: a.version.clone(),
        pid: Some(pid(&a.info)),
        registered_time: Some(time(a.registered_time)),
        reregistered_time: a.reregistered_time.map(time),
        total_resources: resources_to_v1(&a.total, Format::Post),
        allocated_resources: resources_to_v1(&a.used, Format::Post),
        offered_resources: resources_to_v1(&a.offered, Format::Post),
        capabilities: a.capabilities.iter().filter_map(capability).collect(),
        resource_providers: Vec::new(),
        drain_info: a.drain.as_ref().map(|d| d.info),
        estimated_drain_start_time: a.drain.as_ref().map(|d| time(d.since)),
    }
}

pub(super) async fn drain(api: &Api, call: Call) -> Result<HttpResponse, Refusal> {
    let drain = call.drain_agent.ok_or_else(|| missing("drain_agent"))?;
    let max_grace_period = drain.max_grace_period.as_ref().map(nanoseconds).transpose()?;
    let config = DrainConfig {
        max_grace_period: max_grace_period.map(|nanoseconds| DurationInfo { nanoseconds }),
        mark_gone: Some(drain.mark_gone()),
    };
    let agent_id = AgentId::from(&drain.agent_id);
    let request = |request| Input::DrainAgent { request, agent_id, config };
    answer(api.master()?.request(request).await?)
}

/// A span of time, not negative.
fn nanoseconds(span: &Duration) -> Result<i64, Refusal> {
    let seconds = span.seconds().checked_mul(NANOS_PER_SECOND);
    let nanos = seconds.and_then(|s| s.checked_add(span.nanos().into()));
    nanos.filter(|n| *n >= 0).ok_or_else(|| {
        let text = "Failed to validate master::Call: \
                    Expecting 'drain_agent.max_grace_period' to be a span of time, not negative";
        Refusal::bad_request(text)
    })
}

pub(super) async fn deactivate(api: &Api, call: Call) -> Result<HttpResponse, Refusal> {
    let wanted = call.deactivate_agent.ok_or_else(|| missing("deactivate_agent"))?;
    let agent_id = AgentId::from(&wanted.agent_id);
    let request = |request| Input::DeactivateAgent { request, agent_id };
    answer(api.master()?.request(request).await?)
}

pub(super) async fn reactivate(api: &Api, call: Call) -> Result<HttpResponse, Refusal> {
    let wanted = call.reactivate_agent.ok_or_else(|| missing("reactivate_agent"))?;
    let agent_id = AgentId::from(&wanted.agent_id);
    let request = |request| Input::ReactivateAgent { request, agent_id };
    answer(api.master()?.request(request).await?)
}

pub(super) async fn gone(api: &Api, call: Call) -> Result<HttpResponse, Refusal> {
    let wanted = call.mark_agent_gone.ok_or_else(|| missing("mark_agent_gone"))?;
    let agent_id = AgentId::from(&wanted.agent_id);
    let request = |request| Input::MarkAgentGone { request, agent_id };
    answer(api.master()?.request(request).await?)
}
