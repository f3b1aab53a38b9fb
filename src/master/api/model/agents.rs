//! Agents: `/slaves`, and the agent lists of `/state`.

use super::Flat;
use crate::base::resources::Resources;
use crate::master::core::view::{AgentView, View};
use crate::mesos::convert::{Format, attributes_from_v1, resources_to_v1};
use crate::mesos::v0::{attributes_object, resources_object};
use crate::mesos::v1;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An agent in the older form.
#[derive(Serialize)]
pub(in crate::master::api) struct AgentJson<'a> {
    id: &'a str,
    hostname: &'a str,
    port: i32,
    attributes: Flat,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a v1::DomainInfo>,
    pid: String,
    registered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    resources: Flat,
    used_resources: Flat,
    offered_resources: Flat,
    reserved_resources: BTreeMap<String, Flat>,
    unreserved_resources: Flat,
    active: bool,
    deactivated: bool,
    version: &'a str,
    capabilities: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_info: Option<&'a v1::DrainInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_drain_start_time_seconds: Option<f64>,
}

/// What `/slaves` adds.
#[derive(Serialize)]
struct FullAgentJson<'a> {
    #[serde(flatten)]
    agent: AgentJson<'a>,
    reserved_resources_full: BTreeMap<String, Vec<v1::Resource>>,
    unreserved_resources_full: Vec<v1::Resource>,
    used_resources_full: Vec<v1::Resource>,
    offered_resources_full: Vec<v1::Resource>,
}

/// An agent the registry knows that has not come back.
#[derive(Serialize)]
pub(in crate::master::api) struct RecoveredJson<'a> {
    id: &'a str,
    hostname: &'a str,
    port: i32,
    attributes: Flat,
}

fn id(info: &v1::AgentInfo) -> &str {
    info.id.as_ref().map_or("", |id| id.value.as_str())
}

fn attributes(info: &v1::AgentInfo) -> Flat {
    // Attributes were checked when the agent was admitted.
    attributes_object(&attributes_from_v1(&info.attributes).unwrap_or_default())
}

/// The address of the agent's process, as `slave(1)@ip:port`.
pub(in crate::master::api) fn pid(info: &v1::AgentInfo) -> String {
    format!("slave(1)@{}:{}", info.hostname, info.port())
}

impl<'a> AgentJson<'a> {
    pub(in crate::master::api) fn of(a: &'a AgentView) -> Self {
        let reserved = a.total.reservations();
        Self {
            id: id(&a.info),
            hostname: &a.info.hostname,
            port: a.info.port(),
            attributes: attributes(&a.info),
            domain: a.info.domain.as_ref(),
            pid: pid(&a.info),
            registered_time: a.registered_time.secs(),
            reregistered_time: a.reregistered_time.map(|t| t.secs()),
            resources: resources_object(&a.total),
            used_resources: resources_object(&a.used),
            offered_resources: resources_object(&a.offered),
            reserved_resources: reserved
                .iter()
                .map(|(role, r)| (role.to_string(), resources_object(r)))
                .collect(),
            unreserved_resources: resources_object(&a.total.unreserved()),
            active: a.active,
            deactivated: a.deactivated,
            version: &a.version,
            capabilities: &a.capabilities,
            drain_info: a.drain.as_ref().map(|d| &d.info),
            estimated_drain_start_time_seconds: a.drain.as_ref().map(|d| d.since.secs()),
        }
    }
}

pub(in crate::master::api) fn recovered(info: &v1::AgentInfo) -> RecoveredJson<'_> {
    RecoveredJson {
        id: id(info),
        hostname: &info.hostname,
        port: info.port(),
        attributes: attributes(info),
    }
}

fn full(a: &AgentView) -> FullAgentJson<'_> {
    let proto = |r: &Resources| resources_to_v1(r, Format::ENDPOINT);
    let reserved = a.total.reservations();
    FullAgentJson {
        agent: AgentJson::of(a),
        reserved_resources_full: reserved.iter().map(|(k, r)| (k.to_string(), proto(r))).collect(),
        unreserved_resources_full: proto(&a.total.unreserved()),
        used_resources_full: proto(&a.used),
        offered_resources_full: proto(&a.offered),
    }
}

/// `/slaves`.
#[derive(Serialize)]
pub struct AgentsJson<'a> {
    slaves: Vec<FullAgentJson<'a>>,
    recovered_slaves: Vec<RecoveredJson<'a>>,
}

/// All agents, or the one with this id.
pub fn agents<'a>(view: &'a View, agent_id: Option<&str>) -> AgentsJson<'a> {
    let wanted = |info: &v1::AgentInfo| agent_id.is_none_or(|want| want == id(info));
    let registered = view.agents.iter().filter(|a| wanted(&a.info));
    let back: Vec<&Arc<v1::AgentInfo>> =
        view.recovered_agents.iter().filter(|a| wanted(a)).collect();
    AgentsJson {
        slaves: registered.map(|a| full(a)).collect(),
        recovered_slaves: back.into_iter().map(|a| recovered(a)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Wall;
    use serde_json::json;

    fn agent(active: bool) -> Arc<AgentView> {
        let info = v1::AgentInfo {
            hostname: "node1".into(),
            id: Some(v1::AgentId { value: "S0".into() }),
            ..Default::default()
        };
        Arc::new(AgentView {
            info: Arc::new(info),
            connected: active,
            active,
            deactivated: false,
            drain: None,
            version: "1.12.0".into(),
            capabilities: Vec::new(),
            registered_time: Wall::default(),
            reregistered_time: None,
            total: Resources::default(),
            used: Resources::default(),
            offered: Resources::default(),
        })
    }

    // covers: MES-0007
    #[test]
    fn without_agents_both_lists_are_there_and_empty() {
        let page = serde_json::to_value(agents(&View::default(), None)).unwrap();
        assert_eq!(page, json!({"slaves": [], "recovered_slaves": []}));
    }

    // covers: MES-0021
    #[test]
    fn an_agent_is_shown_as_active_or_not() {
        for active in [true, false] {
            let view = View { agents: vec![agent(active)], ..View::default() };
            let page = serde_json::to_value(agents(&view, None)).unwrap();
            assert_eq!(page["slaves"][0]["active"], active);
        }
    }
}
