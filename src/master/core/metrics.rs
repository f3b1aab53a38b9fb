//! Counters under the original's names, without the `master/` in front.

use super::frameworks::Framework;
use crate::mesos::v1;
use std::collections::BTreeMap;
use v1::task_status::{Reason, Source};

/// What this incarnation has counted.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    fixed: BTreeMap<&'static str, u64>,
    /// `task_<state>/source_<source>/reason_<reason>`, made on first use: at most states × sources
    /// × reasons.
    tasks: BTreeMap<String, u64>,
}

/// Shown as 0 before anything happened: readers compute rates from them.
const KNOWN: &[&str] = &[
    "dropped_messages",
    "invalid_executor_to_framework_messages",
    "invalid_framework_to_executor_messages",
    "invalid_status_update_acknowledgements",
    "invalid_status_updates",
    "messages_deactivate_framework",
    "messages_decline_offers",
    "messages_drain_agent",
    "messages_executor_to_framework",
    "messages_exited_executor",
    "messages_framework_to_executor",
    "messages_kill_task",
    "messages_launch_tasks",
    "messages_operation_status_update_acknowledgement",
    "messages_reconcile_operations",
    "messages_reconcile_tasks",
    "messages_register_framework",
    "messages_register_slave",
    "messages_reregister_framework",
    "messages_reregister_slave",
    "messages_resource_request",
    "messages_revive_offers",
    "messages_status_update",
    "messages_status_update_acknowledgement",
    "messages_suppress_offers",
    "messages_unregister_framework",
    "messages_unregister_slave",
    "operations/error",
    "operations/finished",
    "recovery_slave_removals",
    "slave_registrations",
    "slave_removals",
    "slave_removals/reason_gone",
    "slave_removals/reason_registered",
    "slave_removals/reason_unhealthy",
    "slave_removals/reason_unregistered",
    "slave_reregistrations",
    "slave_shutdowns_canceled",
    "slave_shutdowns_completed",
    "slave_shutdowns_scheduled",
    "slave_unreachable_canceled",
    "slave_unreachable_completed",
    "slave_unreachable_scheduled",
    "tasks_dropped",
    "tasks_error",
    "tasks_failed",
    "tasks_finished",
    "tasks_gone",
    "tasks_gone_by_operator",
    "tasks_killed",
    "tasks_lost",
    "valid_executor_to_framework_messages",
    "valid_framework_to_executor_messages",
    "valid_status_update_acknowledgements",
    "valid_status_updates",
];

impl Metrics {
    /// One more.
    pub fn add(&mut self, name: &'static str) {
        *self.fixed.entry(name).or_default() += 1;
    }

    /// So many so far.
    pub fn get(&self, name: &str) -> u64 {
        self.fixed.get(name).copied().unwrap_or_default()
    }

    /// A task came to a final state, or one that is counted like it.
    pub fn task(&mut self, state: v1::TaskState, source: Source, reason: Option<Reason>) {
        use v1::TaskState as S;
        match state {
            S::TaskFinished => self.add("tasks_finished"),
            S::TaskFailed => self.add("tasks_failed"),
            S::TaskKilled => self.add("tasks_killed"),
            S::TaskLost => self.add("tasks_lost"),
            S::TaskError => self.add("tasks_error"),
            S::TaskDropped => self.add("tasks_dropped"),
            S::TaskGone => self.add("tasks_gone"),
            S::TaskGoneByOperator => self.add("tasks_gone_by_operator"),
            _ => {}
        }
        let Some(reason) = reason else { return };
        let name =
            format!("{}/{}/{}", state.as_str_name(), source.as_str_name(), reason.as_str_name());
        // The metrics keep the old word for an agent.
        let name = name.to_ascii_lowercase().replace("_agent", "_slave");
        *self.tasks.entry(name).or_default() += 1;
    }

    /// All, with the known ones at 0 when nothing happened.
    pub fn all(&self) -> BTreeMap<String, u64> {
        let mut all: BTreeMap<String, u64> = KNOWN.iter().map(|k| ((*k).to_string(), 0)).collect();
        all.extend(self.fixed.iter().map(|(k, v)| ((*k).to_string(), *v)));
        all.extend(self.tasks.iter().map(|(k, v)| (k.clone(), *v)));
        all
    }
}

/// How many tasks are in each state that may change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gauges([usize; 5]);

/// Their names, in the same order.
const GAUGES: [&str; 5] =
    ["tasks_staging", "tasks_starting", "tasks_running", "tasks_killing", "tasks_unreachable"];

impl Gauges {
    /// Counts the tasks of one framework.
    pub fn of(framework: &Framework) -> Self {
        use v1::TaskState as S;
        let mut counts = [0, 0, 0, 0, framework.unreachable.iter().count()];
        for task in framework.tasks.values() {
            match task.state() {
                S::TaskStaging => counts[0] += 1,
                S::TaskStarting => counts[1] += 1,
                S::TaskRunning => counts[2] += 1,
                S::TaskKilling => counts[3] += 1,
                _ => {}
            }
        }
        Self(counts)
    }

    pub fn add(&mut self, other: Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    pub fn named(self) -> impl Iterator<Item = (&'static str, usize)> {
        GAUGES.into_iter().zip(self.0)
    }
}
