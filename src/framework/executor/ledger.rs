//! What an executor must tell its agent again after a reconnection: tasks and updates not acknowledged.

use crate::base::error::{Code, Error, Result};
use crate::mesos::v1::executor::{call, event};
use crate::mesos::v1::{TaskId, TaskInfo};
use std::collections::BTreeMap;
use tokio::sync::watch;

/// How many updates, and how many tasks, are kept for an agent that does not acknowledge.
pub const UNACKNOWLEDGED_MAX: usize = 4096;

/// See the module's head.
pub(super) struct Ledger {
    /// Tasks of which no update was acknowledged yet.
    tasks: BTreeMap<String, TaskInfo>,
    /// In the order they were made.
    updates: Vec<call::Update>,
    /// How many of `updates`, from the front, the open subscription was told.
    told: usize,
    count: watch::Sender<usize>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { tasks: BTreeMap::new(), updates: Vec::new(), told: 0, count: watch::Sender::new(0) }
    }
}

impl Ledger {
    /// A task came. Beyond the limit it is not kept: the agent then reports it as dropped should it restart.
    pub(super) fn launched(&mut self, task: TaskInfo) {
        if self.tasks.len() < UNACKNOWLEDGED_MAX {
            self.tasks.insert(task.task_id.value.clone(), task);
        } else {
            tracing::warn!(task = task.task_id.value, "too many unacknowledged tasks to keep one");
        }
    }

    /// An update was made.
    pub(super) fn updated(&mut self, update: call::Update) -> Result<()> {
        if self.updates.len() >= UNACKNOWLEDGED_MAX {
            let cause =
                format!("{UNACKNOWLEDGED_MAX} updates wait for the agent's acknowledgement");
            return Err(Error::new(Code::Overloaded, cause));
        }
        self.updates.push(update);
        self.count.send_replace(self.updates.len());
        Ok(())
    }

    /// An update was acknowledged: its task is known to the agent, too.
    pub(super) fn acknowledged(&mut self, acknowledged: &event::Acknowledged) {
        self.forget(&acknowledged.uuid);
        let TaskId { value } = &acknowledged.task_id;
        self.tasks.remove(value);
    }

    /// An update will never be acknowledged.
    pub(super) fn forget(&mut self, uuid: &[u8]) {
        let is = |u: &call::Update| u.status.uuid.as_deref() == Some(uuid);
        self.told -= self.updates.iter().take(self.told).filter(|u| is(u)).count();
        self.updates.retain(|u| !is(u));
        self.count.send_replace(self.updates.len());
    }

    /// Updates made since the SUBSCRIBE, which the agent was not told; they count as told then.
    pub(super) fn untold(&mut self) -> Vec<call::Update> {
        let untold = self.updates.split_off(self.told.min(self.updates.len()));
        self.updates.extend_from_slice(&untold);
        self.told = self.updates.len();
        untold
    }

    /// How many updates wait, as it changes.
    pub(super) fn watch(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// What a SUBSCRIBE tells.
    pub(super) fn subscribe(&mut self) -> call::Subscribe {
        self.told = self.updates.len();
        call::Subscribe {
            unacknowledged_tasks: self.tasks.values().cloned().collect(),
            unacknowledged_updates: self.updates.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos::v1::TaskStatus;

    fn id(text: &str) -> TaskId {
        TaskId { value: text.into() }
    }

    fn update(task: &str, uuid: u8) -> call::Update {
        let status = TaskStatus { task_id: id(task), uuid: Some(vec![uuid]), ..Default::default() };
        call::Update { status }
    }

    #[test]
    fn keeps_tasks_and_updates_until_they_are_acknowledged() {
        let mut ledger = Ledger::default();
        ledger.launched(TaskInfo { task_id: id("a"), ..Default::default() });
        ledger.launched(TaskInfo { task_id: id("b"), ..Default::default() });
        ledger.updated(update("a", 1)).unwrap();
        ledger.updated(update("a", 2)).unwrap();
        assert_eq!(ledger.subscribe().unacknowledged_tasks.len(), 2);
        ledger.acknowledged(&event::Acknowledged { task_id: id("a"), uuid: vec![1] });
        ledger.updated(update("b", 3)).unwrap();
        assert_eq!(ledger.untold(), [update("b", 3)]);
        assert!(ledger.untold().is_empty());
        ledger.forget(&[3]);
        let subscribe = ledger.subscribe();
        assert_eq!(subscribe.unacknowledged_tasks[0].task_id, id("b"));
        assert_eq!(subscribe.unacknowledged_updates, [update("a", 2)]);
        assert_eq!(*ledger.watch().borrow(), 1);
    }

    #[test]
    fn refuses_updates_beyond_the_limit() {
        let mut ledger = Ledger::default();
        for _ in 0..UNACKNOWLEDGED_MAX {
            ledger.updated(update("a", 1)).unwrap();
        }
        assert_eq!(ledger.updated(update("a", 2)).unwrap_err().code, Code::Overloaded);
    }
}
