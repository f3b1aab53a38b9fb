//! The record of one task, and histories of tasks.

use super::states;
use crate::base::ids::{AgentId, TaskId};
use crate::base::resources::Resources;
use crate::mesos::make;
use crate::mesos::v1;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many statuses of one task are kept; the oldest are forgotten.
const STATUSES_PER_TASK_MAX: usize = 64;

/// A task that has not been acknowledged as ended.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// As the read endpoints show it; `state` is the newest known one, `status_update_state` the newest forwarded.
    pub record: Arc<v1::Task>,
    /// Where it runs.
    pub agent: AgentId,
    /// What it uses, allocated to its role.
    pub resources: Resources,
}

impl Task {
    /// The newest known state.
    pub fn state(&self) -> v1::TaskState {
        states::of(self.record.state)
    }

    /// Whether its resources are still in use.
    pub fn is_live(&self) -> bool {
        !make::is_terminal(self.state())
    }

    /// The state the framework was last told, or the newest if it was told none.
    pub fn told_state(&self) -> v1::TaskState {
        states::of(self.record.status_update_state.unwrap_or(self.record.state))
    }

    /// Takes a status into the record: the newest state (never leaving a final one), what was forwarded, and the
    /// history, where a status replaces the one before it with the same state. Tells whether the task ended now.
    pub fn take(&mut self, status: &v1::TaskStatus, latest: v1::TaskState) -> bool {
        let was_live = self.is_live();
        let record = Arc::make_mut(&mut self.record);
        if was_live {
            record.state = latest as i32;
        }
        record.status_update_state = Some(status.state);
        record.status_update_uuid = status.uuid.clone();
        if record.statuses.last().is_some_and(|last| last.state == status.state) {
            record.statuses.pop();
        }
        // Data is for the framework alone and may be large.
        record.statuses.push(v1::TaskStatus { data: None, ..status.clone() });
        if record.statuses.len() > STATUSES_PER_TASK_MAX {
            record.statuses.remove(0);
        }
        was_live && make::is_terminal(latest)
    }
}

/// The task record a launch makes, before anything was heard of the task.
pub(super) fn staged(
    info: &v1::TaskInfo,
    framework: &v1::FrameworkInfo,
    framework_id: v1::FrameworkId,
) -> v1::Task {
    let of_command = |c: &Option<v1::CommandInfo>| c.as_ref().and_then(|c| c.user.clone());
    let of_executor = || info.executor.as_ref().and_then(|e| of_command(&e.command));
    v1::Task {
        name: info.name.clone(),
        task_id: info.task_id.clone(),
        framework_id,
        executor_id: info.executor.as_ref().map(|e| e.executor_id.clone()),
        agent_id: info.agent_id.clone(),
        state: v1::TaskState::TaskStaging as i32,
        resources: info.resources.clone(),
        labels: info.labels.clone(),
        discovery: info.discovery.clone(),
        container: info.container.clone(),
        health_check: info.health_check.clone(),
        kill_policy: info.kill_policy,
        user: of_command(&info.command).or_else(of_executor).or(Some(framework.user.clone())),
        limits: info.limits.clone(),
        ..v1::Task::default()
    }
}

/// The newest tasks of a kind, at most so many; an id may come again.
#[derive(Debug, Default)]
pub(super) struct History {
    by_age: BTreeMap<u64, Arc<v1::Task>>,
    by_id: BTreeMap<TaskId, u64>,
    added: u64,
}

impl History {
    /// Adds one; the oldest beyond `max` are forgotten.
    pub fn add(&mut self, task: Arc<v1::Task>, max: usize) {
        self.added += 1;
        self.by_id.insert(TaskId::from(task.task_id.value.as_str()), self.added);
        self.by_age.insert(self.added, task);
        while self.by_age.len() > max {
            let Some((age, task)) = self.by_age.pop_first() else { return };
            if self.by_id.get(task.task_id.value.as_str()) == Some(&age) {
                self.by_id.remove(task.task_id.value.as_str());
            }
        }
    }

    /// The newest with that id.
    pub fn get(&self, id: &str) -> Option<&Arc<v1::Task>> {
        self.by_age.get(self.by_id.get(id)?)
    }

    /// Takes the newest with that id out.
    pub fn remove(&mut self, id: &str) -> Option<Arc<v1::Task>> {
        let age = self.by_id.remove(id)?;
        self.by_age.remove(&age)
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<v1::Task>> {
        self.by_age.values()
    }
}
