//! Frameworks that know no partitions can only be told that a task is lost. How many agents' tasks
//! that befalls in which time may be limited (`agent_removal_rate_limit`), apart from how fast agents
//! are marked unreachable, which all others learn at once. Until an agent's turn comes, its tasks of
//! such frameworks are put aside; if it comes back before that, they have never been lost.

use super::accounting::Shelf;
use super::events::{self, Verdict};
use super::removal_rate::turn;
use super::tasks::Task;
use super::{MasterCore, Out, Timer, states};
use crate::base::ids::{AgentId, FrameworkId, TaskId};
use crate::base::resources::Resources;
use crate::machine::Cx;
use crate::mesos::{make, v1};
use std::sync::Arc;
use v1::task_status::{Reason, Source};

/// Whether the framework was not told yet that its task, put aside, cannot be reached.
fn is_untold(record: &v1::Task) -> bool {
    let state = states::of(record.state);
    state != v1::TaskState::TaskUnreachable && !make::is_terminal(state)
}

impl MasterCore {
    /// An agent is about to be taken out of the tables: what may not be told lost yet is put aside.
    pub(super) fn put_aside(&mut self, cx: &Cx<'_>, id: &AgentId) {
        let Some(interval) = self.options.agent_removal_interval else { return };
        let Some(agent) = self.agents.registered.get(id) else { return };
        let is_old = |framework: &FrameworkId, task: &TaskId| {
            let framework = self.frameworks.registered.get(framework);
            framework.is_some_and(|f| {
                !f.partition_aware() && f.tasks.get(task).is_some_and(Task::is_live)
            })
        };
        let old: Vec<(FrameworkId, TaskId)> =
            agent.tasks.iter().filter(|(f, t)| is_old(f, t)).cloned().collect();
        if old.is_empty() {
            return;
        }
        self.metrics.add("slave_shutdowns_scheduled");
        let Some(at) = turn(&mut self.agents.next_removal, interval, cx.now) else {
            return self.metrics.add("slave_shutdowns_completed");
        };
        for (framework, task) in old {
            self.shelve_task(&framework, &task, Shelf::Unreachable, cx.now);
        }
        self.timers.set(Timer::Lost(id.clone()), at);
    }

    /// The agent's turn has come.
    pub(super) fn lost_due(&mut self, cx: &Cx<'_>, id: &AgentId, out: &mut Out) {
        self.metrics.add("slave_shutdowns_completed");
        self.tell_lost(cx, id, "is unreachable", out);
    }

    /// The agent is back before its turn, or gone for good.
    pub(super) fn forget_turn(&mut self, id: &AgentId) {
        let timer = Timer::Lost(id.clone());
        if self.timers.at(&timer).is_some() {
            self.timers.cancel(&timer);
            self.metrics.add("slave_shutdowns_canceled");
        }
    }

    /// Tells what was put aside: these tasks are lost.
    pub(super) fn tell_lost(&mut self, cx: &Cx<'_>, id: &AgentId, why: &str, out: &mut Out) {
        let message = format!("Agent {} {why}", self.agents.hostname(id));
        for (framework_id, record) in self.unreachable_tasks(id) {
            if !is_untold(&record) {
                continue;
            }
            let Some(framework) = self.frameworks.change(&framework_id) else { continue };
            // It may have learned of partitions meanwhile.
            let state = states::told(v1::TaskState::TaskUnreachable, framework.partition_aware());
            let verdict = Verdict { state, reason: Reason::AgentRemoved, message: &message };
            let mut status =
                verdict.status(record.task_id.clone(), Some(record.agent_id.clone()), cx.wall);
            status.executor_id = record.executor_id.clone();
            status.unreachable_time =
                self.agents.unreachable.get(id.as_str()).map(super::reconcile::time_info);
            let mut task = Task { record, agent: id.clone(), resources: Resources::new() };
            let before = task.state();
            task.take(&status, state);
            self.streams.task_updated(&framework_id, &status, before, task.state());
            framework.unreachable.remove(&task.record.task_id.value);
            let max = self.options.max_unreachable_tasks_per_framework;
            framework.unreachable.add(task.record.clone(), max);
            self.marks.task(&framework_id, &TaskId::from(&task.record.task_id));
            self.metrics.task(state, Source::Master, Some(verdict.reason));
            self.send(&framework_id, events::update(status), out);
        }
    }

    /// Whether a task that comes back with its agent was never told to be away.
    pub(super) fn was_put_aside(&self, framework: &FrameworkId, task: &Task) -> bool {
        let framework = self.frameworks.registered.get(framework);
        let record: Option<&Arc<v1::Task>> =
            framework.and_then(|f| f.unreachable.get(&task.record.task_id.value));
        record.is_some_and(|record| is_untold(record))
    }
}
