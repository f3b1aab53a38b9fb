//! What an agent reports when it comes back, held against what this master knows.

use super::events::Verdict;
use super::frameworks::Executor;
use super::tasks::Task;
use super::{MasterCore, states};
use crate::base::ids::{AgentId, FrameworkId};
use crate::base::resources::Resources;
use crate::base::time::Wall;
use crate::mesos::internal::{ReconcileTasks, RegisterAgent};
use crate::mesos::{convert, make, v1};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use v1::task_status::Reason;

/// What an agent reports that this master takes over.
#[derive(Default)]
pub(super) struct Account {
    pub tasks: Vec<(FrameworkId, Task)>,
    pub executors: Vec<(FrameworkId, Executor)>,
    /// Frameworks that ended meanwhile, or that the agent told nothing about: to be shut down there.
    pub unwanted: BTreeSet<FrameworkId>,
    /// Tasks that their framework was told had ended.
    pub ended: Vec<(FrameworkId, v1::TaskId)>,
}

impl Account {
    /// What each framework uses there.
    pub fn used(&self) -> Vec<(FrameworkId, Resources)> {
        let mut used: BTreeMap<&FrameworkId, Resources> = BTreeMap::new();
        for (framework, task) in self.tasks.iter().filter(|(_, task)| task.is_live()) {
            *used.entry(framework).or_default() += &task.resources;
        }
        for (framework, executor) in &self.executors {
            *used.entry(framework).or_default() += &executor.resources;
        }
        used.into_iter().map(|(framework, used)| (framework.clone(), used)).collect()
    }
}

impl MasterCore {
    /// Sorts what an agent reports into what is taken over and what must end.
    pub(super) fn read_account(&self, id: &AgentId, register: &RegisterAgent) -> Account {
        let mut account = Account::default();
        for task in &register.tasks {
            let framework_id = FrameworkId::from(&task.framework_id);
            let Some(framework) = self.frameworks.registered.get(&framework_id) else {
                account.unwanted.insert(framework_id);
                continue;
            };
            let state = states::of(task.state);
            let had_ended = framework.completed.get(&task.task_id.value).is_some_and(|old| {
                old.agent_id.value == id.as_str() && make::is_terminal(states::of(old.state))
            });
            let is_live = !make::is_terminal(state);
            if had_ended && !framework.tasks.contains_key(task.task_id.value.as_str()) {
                if is_live {
                    account.ended.push((framework_id, task.task_id.clone()));
                }
                continue;
            }
            // What the agent runs was valid when it was launched; a resource that cannot be read counts as none.
            let resources = convert::resources_from_v1(&task.resources).unwrap_or_default();
            let mut record = task.clone();
            record.agent_id = id.into();
            let task = Task { record: Arc::new(record), agent: id.clone(), resources };
            account.tasks.push((framework_id, task));
        }
        for info in &register.executors {
            let Some(framework_id) = info.framework_id.as_ref().map(FrameworkId::from) else {
                continue;
            };
            if self.frameworks.registered.contains_key(&framework_id) {
                let resources = convert::resources_from_v1(&info.resources).unwrap_or_default();
                let executor = Executor { info: Arc::new(info.clone()), resources };
                account.executors.push((framework_id, executor));
            } else {
                account.unwanted.insert(framework_id);
            }
        }
        account
    }

    /// Tasks this master knows of that the agent does not list: the agent is told, and reports them lost.
    pub(super) fn unlisted_tasks(
        &self,
        id: &AgentId,
        register: &RegisterAgent,
    ) -> Vec<ReconcileTasks> {
        let listed: BTreeSet<(&str, &str)> = register
            .tasks
            .iter()
            .map(|t| (t.framework_id.value.as_str(), t.task_id.value.as_str()))
            .collect();
        let mut missing: BTreeMap<&FrameworkId, Vec<v1::TaskStatus>> = BTreeMap::new();
        let tasks = self.agents.get(id.as_str()).map(|agent| agent.tasks.iter());
        for (framework_id, task_id) in tasks.into_iter().flatten() {
            if listed.contains(&(framework_id.as_str(), task_id.as_str())) {
                continue;
            }
            let Some(framework) = self.frameworks.registered.get(framework_id) else { continue };
            let Some(task) = framework.tasks.get(task_id) else { continue };
            let verdict = Verdict {
                state: task.state(),
                reason: Reason::Reconciliation,
                message: "Reconciliation: task unknown to the agent",
            };
            let agent = Some(id.into());
            let mut status = verdict.status(task.record.task_id.clone(), agent, Wall(0));
            status.executor_id = task.record.executor_id.clone();
            missing.entry(framework_id).or_default().push(status);
        }
        let reconcile = |(id, statuses): (&FrameworkId, Vec<v1::TaskStatus>)| ReconcileTasks {
            framework_id: id.into(),
            statuses,
        };
        missing.into_iter().map(reconcile).collect()
    }
}
