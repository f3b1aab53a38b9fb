//! Calls that reserve resources of an agent and make volumes of them, and take that back: 202 when the agent was told.

use super::super::{Api, Refusal, write::answer};
use super::missing;
use crate::base::ids::AgentId;
use crate::master::core::io::Input;
use crate::mesos::v1::AgentId as WireId;
use crate::mesos::v1::master::Call;
use crate::mesos::v1::offer::Operation;
use crate::mesos::v1::offer::operation::{Create, Destroy, Reserve, Type, Unreserve};
use axum::response::Response as HttpResponse;

/// An operation of one of the four kinds, without its content.
pub(in crate::master::api) fn of(kind: Type) -> Operation {
    Operation { r#type: Some(kind as i32), ..Operation::default() }
}

/// Has the operation done on an agent.
pub(in crate::master::api) async fn operate(
    api: &Api,
    agent: &str,
    operation: Operation,
    principal: Option<String>,
) -> Result<HttpResponse, Refusal> {
    let (agent_id, operation) = (AgentId::from(agent), Box::new(operation));
    let request = |request| Input::OperateAgent { request, agent_id, operation, principal };
    answer(api.master()?.request(request).await?)
}

/// RESERVE_RESOURCES, UNRESERVE_RESOURCES, CREATE_VOLUMES, DESTROY_VOLUMES.
pub(super) async fn call(
    api: &Api,
    call: Call,
    principal: Option<String>,
) -> Result<HttpResponse, Refusal> {
    let (agent, operation) = read(call)?;
    operate(api, &agent.value, operation, principal).await
}

fn read(call: Call) -> Result<(WireId, Operation), Refusal> {
    use crate::mesos::v1::master::call::Type as Asked;
    Ok(match call.r#type() {
        Asked::ReserveResources => {
            let asked = call.reserve_resources.ok_or_else(|| missing("reserve_resources"))?;
            let reserve = Some(Reserve { source: asked.source, resources: asked.resources });
            (asked.agent_id, Operation { reserve, ..of(Type::Reserve) })
        }
        Asked::UnreserveResources => {
            let asked = call.unreserve_resources.ok_or_else(|| missing("unreserve_resources"))?;
            let unreserve = Some(Unreserve { resources: asked.resources });
            (asked.agent_id, Operation { unreserve, ..of(Type::Unreserve) })
        }
        Asked::CreateVolumes => {
            let asked = call.create_volumes.ok_or_else(|| missing("create_volumes"))?;
            let create = Some(Create { volumes: asked.volumes });
            (asked.agent_id, Operation { create, ..of(Type::Create) })
        }
        _ => {
            let asked = call.destroy_volumes.ok_or_else(|| missing("destroy_volumes"))?;
            let destroy = Some(Destroy { volumes: asked.volumes });
            (asked.agent_id, Operation { destroy, ..of(Type::Destroy) })
        }
    })
}
