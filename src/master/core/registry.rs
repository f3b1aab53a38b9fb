//! The registry: what the master remembers across a change of leader. Keys, records, and nothing
//! else.

use super::agents::Deactivated;
use super::view::Drain;
use crate::base::error::Result;
use crate::base::ids::{AgentId, FrameworkId};
use crate::base::kv::Op;
use crate::base::time::Wall;
use crate::master::core::io::NodeId;
use crate::mesos::internal::{
    AdmittedAgent, DeactivatedAgent, DrainRecord, FrameworkRecord, GoneAgent, MaintenanceRecord,
    UnreachableAgent,
};
use crate::mesos::{stored, v1};

const AGENTS: &str = "agents/";
const UNREACHABLE: &str = "unreachable/";
const GONE: &str = "gone/";
const DEACTIVATED: &str = "deactivated/";
const FRAMEWORKS: &str = "frameworks/";
const MAINTENANCE: &str = "maintenance/";
const SCHEDULE: &str = "maintenance/schedule";

/// Every key of the master's core begins with one of these.
pub const PREFIXES: [&str; 6] = [AGENTS, UNREACHABLE, GONE, DEACTIVATED, FRAMEWORKS, MAINTENANCE];

/// One record, read.
pub(super) enum Record {
    Agent(AgentId, AdmittedAgent),
    Unreachable(AgentId, UnreachableAgent),
    Gone(AgentId, GoneAgent),
    Deactivated(AgentId, Deactivated),
    Framework(FrameworkId, FrameworkRecord),
    Maintenance(MaintenanceRecord),
    /// Of another room.
    Other,
}

/// Reads one key and its value.
pub(super) fn read(key: &str, value: &[u8]) -> Result<Record> {
    Ok(if let Some(id) = key.strip_prefix(AGENTS) {
        Record::Agent(id.into(), stored::decode(key, value)?)
    } else if let Some(id) = key.strip_prefix(UNREACHABLE) {
        Record::Unreachable(id.into(), stored::decode(key, value)?)
    } else if let Some(id) = key.strip_prefix(GONE) {
        Record::Gone(id.into(), stored::decode(key, value)?)
    } else if let Some(id) = key.strip_prefix(DEACTIVATED) {
        Record::Deactivated(id.into(), read_deactivated(stored::decode(key, value)?))
    } else if let Some(id) = key.strip_prefix(FRAMEWORKS) {
        Record::Framework(id.into(), stored::decode(key, value)?)
    } else if key == SCHEDULE {
        Record::Maintenance(stored::decode(key, value)?)
    } else {
        Record::Other
    })
}

/// The agent is a member of the cluster, on that node. (Rows of before agents had nodes name none.)
pub(super) fn admit(id: &AgentId, info: &v1::AgentInfo, node: Option<NodeId>, at: Wall) -> Op {
    let (agent_info, admitted_time) = (info.clone(), at.0);
    let record = AdmittedAgent { agent_info, admitted_time, node: node.map(|node| node.0) };
    Op::put(format!("{AGENTS}{id}"), stored::encode(&record))
}

/// The agent is no member any more.
pub(super) fn dismiss(id: &AgentId) -> Op {
    Op::delete(format!("{AGENTS}{id}"))
}

/// The agent cannot be reached; it is still that node's.
pub(super) fn unreachable(id: &AgentId, node: Option<NodeId>, since: Wall, hostname: &str) -> Op {
    let hostname = Some(hostname.to_string());
    let record = UnreachableAgent { since: since.0, hostname, node: node.map(|node| node.0) };
    Op::put(format!("{UNREACHABLE}{id}"), stored::encode(&record))
}

/// The agent is not counted as unreachable any more.
pub(super) fn reachable(id: &AgentId) -> Op {
    Op::delete(format!("{UNREACHABLE}{id}"))
}

/// The agent is out of service.
pub(super) fn deactivated(id: &AgentId, how: &Deactivated) -> Op {
    let drain = how.drain.as_ref().map(|d| DrainRecord { info: d.info, since: d.since.0 });
    let record = DeactivatedAgent { since: how.since.0, drain };
    Op::put(format!("{DEACTIVATED}{id}"), stored::encode(&record))
}

fn read_deactivated(record: DeactivatedAgent) -> Deactivated {
    let drain = record.drain.map(|d| Drain { info: d.info, since: Wall(d.since) });
    Deactivated { since: Wall(record.since), drain }
}

/// The agent is in service again, or is no more.
pub(super) fn activated(id: &AgentId) -> Op {
    Op::delete(format!("{DEACTIVATED}{id}"))
}

/// The agent will never come back.
pub(super) fn gone(id: &AgentId, since: Wall, hostname: &str) -> Op {
    let record = GoneAgent { since: since.0, hostname: Some(hostname.into()) };
    Op::put(format!("{GONE}{id}"), stored::encode(&record))
}

/// Forgets that the agent is gone.
pub(super) fn forget_gone(id: &AgentId) -> Op {
    Op::delete(format!("{GONE}{id}"))
}

/// What is known of the framework.
pub(super) fn framework(id: &FrameworkId, record: &FrameworkRecord) -> Op {
    Op::put(format!("{FRAMEWORKS}{id}"), stored::encode(record))
}

/// Forgets the framework.
pub(super) fn forget_framework(id: &FrameworkId) -> Op {
    Op::delete(format!("{FRAMEWORKS}{id}"))
}

/// Which machines are away when, and which are down; nothing of it when there is none.
pub(super) fn maintenance(record: Option<&MaintenanceRecord>) -> Op {
    match record {
        Some(record) => Op::put(SCHEDULE, stored::encode(record)),
        None => Op::delete(SCHEDULE),
    }
}
