//! RECONCILE: what the master knows of tasks, told without a uuid.

use super::events::{self, Verdict};
use super::{MasterCore, Out, RECONCILE_TASKS_MAX, states};
use crate::base::ids::FrameworkId;
use crate::base::time::Wall;
use crate::machine::Cx;
use crate::mesos::v1;
use crate::mesos::v1::scheduler::call::reconcile;
use v1::TaskState as S;
use v1::task_status::Reason;

impl MasterCore {
    /// An empty list asks for every task that the framework has and that is not completed; those on unreachable agents
    /// are not among them.
    pub(super) fn reconcile(
        &mut self,
        cx: &mut Cx<'_>,
        framework_id: &FrameworkId,
        tasks: &[reconcile::Task],
        out: &mut Out,
    ) {
        self.metrics.add("messages_reconcile_tasks");
        if tasks.is_empty() {
            let Some(framework) = self.frameworks.registered.get(framework_id) else { return };
            for task in framework.tasks.values() {
                let status = latest(&task.record, task.told_state(), cx.wall);
                self.send(framework_id, events::update(status), out);
            }
            return;
        }
        if tasks.len() > RECONCILE_TASKS_MAX {
            self.metrics.add("reconcile_over_limit");
        }
        for task in tasks.iter().take(RECONCILE_TASKS_MAX) {
            self.reconcile_one(cx, framework_id, &task.task_id, task.agent_id.as_ref(), out);
        }
    }

    /// One task, in the original's order of rules. No answer while its agent may still come back with it.
    pub(super) fn reconcile_one(
        &self,
        cx: &Cx<'_>,
        framework_id: &FrameworkId,
        task_id: &v1::TaskId,
        agent_id: Option<&v1::AgentId>,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.registered.get(framework_id) else { return };
        if let Some(task) = framework.tasks.get(task_id.value.as_str()) {
            let status = latest(&task.record, task.told_state(), cx.wall);
            return self.send(framework_id, events::update(status), out);
        }
        // A scheduler that lost the agent's id is helped by the record of the task.
        let agent_id = agent_id
            .or_else(|| framework.unreachable.get(&task_id.value).map(|task| &task.agent_id));
        let id = agent_id.map(|id| id.value.as_str());
        let is_awaited = match id {
            Some(id) => self.agents.recovered.contains_key(id),
            None => !self.agents.recovered.is_empty(),
        };
        if is_awaited {
            return;
        }
        let unreachable = id.and_then(|id| self.agents.unreachable.get(id));
        let (state, message) = if id.is_some_and(|id| self.agents.get(id).is_some()) {
            (S::TaskGone, "Reconciliation: Task is unknown to the agent")
        } else if unreachable.is_some() {
            (S::TaskUnreachable, "Reconciliation: Task is unreachable")
        } else if id.is_some_and(|id| self.agents.gone.get(id).is_some()) {
            (S::TaskGoneByOperator, "Reconciliation: Task is gone")
        } else {
            (S::TaskUnknown, "Reconciliation: Task is unknown")
        };
        let state = states::told(state, framework.partition_aware());
        let verdict = Verdict { state, reason: Reason::Reconciliation, message };
        let mut status = verdict.status(task_id.clone(), agent_id.cloned(), cx.wall);
        status.unreachable_time = unreachable.map(time_info);
        self.send(framework_id, events::update(status), out);
    }
}

/// The newest forwarded state of a task, with what else was last known of it.
fn latest(task: &v1::Task, state: S, at: Wall) -> v1::TaskStatus {
    let verdict = Verdict {
        state,
        reason: Reason::Reconciliation,
        message: "Reconciliation: Latest task state",
    };
    known(task, &verdict, at)
}

/// A verdict with health, check and container of the last status that told them.
pub(super) fn known(task: &v1::Task, verdict: &Verdict<'_>, at: Wall) -> v1::TaskStatus {
    let mut status = verdict.status(task.task_id.clone(), Some(task.agent_id.clone()), at);
    status.executor_id = task.executor_id.clone();
    if let Some(last) = task.statuses.last() {
        status.healthy = last.healthy;
        status.check_status = last.check_status;
        status.container_status = last.container_status.clone();
        status.labels = last.labels.clone();
    }
    status
}

pub(super) fn time_info(at: Wall) -> v1::TimeInfo {
    v1::TimeInfo { nanoseconds: i64::try_from(at.0).unwrap_or(i64::MAX) }
}
