//! `/state`: the whole cluster in one document.

use super::agents::{AgentJson, RecoveredJson, recovered};
use super::frameworks::FrameworkJson;
use crate::base::version;
use crate::master::api::identity::Identity;
use crate::master::core::view::View;
use serde::Serialize;
use std::collections::BTreeMap;

/// `/state`.
#[derive(Serialize)]
pub struct StateJson<'a> {
    version: &'static str,
    mesolith_version: &'static str,
    build_date: &'static str,
    build_time: f64,
    build_user: &'static str,
    start_time: f64,
    elected_time: f64,
    id: &'a str,
    pid: String,
    hostname: &'a str,
    capabilities: &'static [&'static str],
    activated_slaves: f64,
    deactivated_slaves: f64,
    unreachable_slaves: f64,
    leader: String,
    leader_info: LeaderJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_dir: Option<&'a str>,
    flags: &'a BTreeMap<String, String>,
    slaves: Vec<AgentJson<'a>>,
    recovered_slaves: Vec<RecoveredJson<'a>>,
    frameworks: Vec<FrameworkJson<'a>>,
    completed_frameworks: Vec<FrameworkJson<'a>>,
    orphan_tasks: [(); 0],
    unregistered_frameworks: [(); 0],
}

/// Who leads.
#[derive(Serialize)]
pub struct LeaderJson<'a> {
    id: &'a str,
    pid: String,
    port: u16,
    hostname: &'a str,
}

/// What this master can do, by the original's names.
pub const CAPABILITIES: &[&str] = &["AGENT_UPDATE", "AGENT_DRAINING"];

/// The state of the cluster as `view` has it.
pub fn state<'a>(view: &'a View, identity: &'a Identity) -> StateJson<'a> {
    let active = view.agents.iter().filter(|a| a.active).count();
    StateJson {
        version: version::MESOS_VERSION,
        mesolith_version: version::MESOLITH_VERSION,
        build_date: version::BUILD_DATE,
        build_time: version::build_time(),
        build_user: version::BUILD_USER,
        start_time: identity.start_time.secs(),
        elected_time: view.elected_time.secs(),
        id: &view.master_id,
        pid: identity.pid(),
        hostname: &identity.hostname,
        capabilities: CAPABILITIES,
        activated_slaves: active as f64,
        deactivated_slaves: (view.agents.len() - active) as f64,
        unreachable_slaves: view.unreachable_agents.len() as f64,
        leader: identity.pid(),
        leader_info: LeaderJson {
            id: &view.master_id,
            pid: identity.pid(),
            port: identity.port,
            hostname: &identity.hostname,
        },
        cluster: identity.cluster.as_deref(),
        log_dir: identity.log_dir.as_deref(),
        flags: &identity.flags,
        slaves: view.agents.iter().map(|a| AgentJson::of(a)).collect(),
        recovered_slaves: view.recovered_agents.iter().map(|a| recovered(a)).collect(),
        frameworks: view.frameworks.iter().map(|f| FrameworkJson::of(f)).collect(),
        completed_frameworks: view
            .completed_frameworks
            .iter()
            .map(|f| FrameworkJson::of(f))
            .collect(),
        orphan_tasks: [],
        unregistered_frameworks: [],
    }
}
