//! The registry: what the master remembers across a change of leader. Keys, records, and nothing
//! else.

use crate::base::error::Result;
use crate::base::ids::{AgentId, FrameworkId};
use crate::base::kv::Op;
use crate::base::time::Wall;
use crate::master::core::io::NodeId;
use crate::mesos::internal::{AdmittedAgent, FrameworkRecord, GoneAgent, UnreachableAgent};
use crate::mesos::{stored, v1};

const AGENTS: &str = "agents/";
const UNREACHABLE: &str = "unreachable/";
const GONE: &str = "gone/";
const FRAMEWORKS: &str = "frameworks/";

/// Every key of the master's core begins with one of these.
pub const PREFIXES: [&str; 4] = [AGENTS, UNREACHABLE, GONE, FRAMEWORKS];

/// One record, read.
pub(super) enum Record {
    Agent(AgentId, AdmittedAgent),
    Unreachable(AgentId, UnreachableAgent),
    Gone(AgentId, Wall),
    Framework(FrameworkId, FrameworkRecord),
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
        Record::Gone(id.into(), Wall(stored::decode::<GoneAgent>(key, value)?.since))
    } else if let Some(id) = key.strip_prefix(FRAMEWORKS) {
        Record::Framework(id.into(), stored::decode(key, value)?)
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
pub(super) fn unreachable(id: &AgentId, node: Option<NodeId>, since: Wall) -> Op {
    let record = UnreachableAgent { since: since.0, node: node.map(|node| node.0) };
    Op::put(format!("{UNREACHABLE}{id}"), stored::encode(&record))
}

/// The agent is not counted as unreachable any more.
pub(super) fn reachable(id: &AgentId) -> Op {
    Op::delete(format!("{UNREACHABLE}{id}"))
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
