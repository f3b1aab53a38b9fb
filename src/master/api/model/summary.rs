//! `/state-summary`: agents and frameworks with their tasks counted, not listed.

use super::agents::AgentJson;
use super::frameworks::FrameworkHead;
use super::tasks::of_framework;
use crate::master::api::identity::Identity;
use crate::master::core::view::{FrameworkView, View};
use crate::mesos::v1::{Task, TaskState};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The states that are counted, under their own names.
const COUNTED: &[TaskState] = &[
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskFinished,
    TaskState::TaskKilled,
    TaskState::TaskFailed,
    TaskState::TaskLost,
    TaskState::TaskError,
    TaskState::TaskUnreachable,
];

/// Tasks by state, and what they connect.
struct Counts<'a> {
    by_state: BTreeMap<&'static str, u64>,
    others: BTreeSet<&'a str>,
}

impl Default for Counts<'_> {
    fn default() -> Self {
        let by_state = COUNTED.iter().map(|s| (s.as_str_name(), 0)).collect();
        Self { by_state, others: BTreeSet::new() }
    }
}

impl<'a> Counts<'a> {
    fn add(&mut self, task: &'a Task, other: &'a str) {
        if let Some(n) = self.by_state.get_mut(task.state().as_str_name()) {
            *n += 1;
        }
        self.others.insert(other);
    }
}

#[derive(Serialize)]
struct AgentSummary<'a> {
    #[serde(flatten)]
    agent: AgentJson<'a>,
    #[serde(flatten)]
    counts: BTreeMap<&'static str, u64>,
    framework_ids: BTreeSet<&'a str>,
}

#[derive(Serialize)]
struct FrameworkSummary<'a> {
    #[serde(flatten)]
    head: FrameworkHead<'a>,
    #[serde(flatten)]
    counts: BTreeMap<&'static str, u64>,
    slave_ids: BTreeSet<&'a str>,
}

/// `/state-summary`.
#[derive(Serialize)]
pub struct SummaryJson<'a> {
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    slaves: Vec<AgentSummary<'a>>,
    frameworks: Vec<FrameworkSummary<'a>>,
}

/// The summary of `view`: of registered frameworks only.
pub fn summary<'a>(view: &'a View, identity: &'a Identity) -> SummaryJson<'a> {
    let mut of_agents: BTreeMap<&str, Counts<'a>> = BTreeMap::new();
    let mut frameworks = Vec::new();
    for framework in &view.frameworks {
        let framework: &'a FrameworkView = framework;
        let mut counts = Counts::default();
        for task in of_framework(framework) {
            counts.add(task, &task.agent_id.value);
            let agent = of_agents.entry(&task.agent_id.value).or_default();
            agent.add(task, &task.framework_id.value);
        }
        frameworks.push(FrameworkSummary {
            head: FrameworkHead::of(framework),
            counts: counts.by_state,
            slave_ids: counts.others,
        });
    }
    let slaves = view.agents.iter().map(|agent| {
        let id = agent.info.id.as_ref().map_or("", |id| id.value.as_str());
        let counts = of_agents.remove(id).unwrap_or_default();
        AgentSummary {
            agent: AgentJson::of(agent),
            counts: counts.by_state,
            framework_ids: counts.others,
        }
    });
    SummaryJson {
        hostname: &identity.hostname,
        cluster: identity.cluster.as_deref(),
        slaves: slaves.collect(),
        frameworks,
    }
}
