//! MARK_AGENT_GONE: an operator says that an agent will never come back. It is told to end, its
//! tasks are over, and it is not let in any more.

use super::accounting::Shelf;
use super::drain::not_found;
use super::events::{self, Verdict};
use super::io::{Answer, RequestId};
use super::tasks::Task;
use super::{MasterCore, Out, Timer, answer, refuse, registry, to_link};
use crate::base::ids::{AgentId, FrameworkId, TaskId};
use crate::base::resources::Resources;
use crate::machine::Cx;
use crate::mesos::internal::{MasterMessage, ShutdownAgent};
use crate::mesos::v1;
use std::sync::Arc;
use v1::task_status::{Reason, Source};

impl MasterCore {
    /// One that is gone already stays so.
    pub(super) fn mark_agent_gone(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        id: &AgentId,
        out: &mut Out,
    ) {
        if self.agents.gone.get(id.as_str()).is_none() {
            if !self.agents.is_known(id) {
                return refuse(request, 404, not_found(id), out);
            }
            self.mark_gone(cx, id, out);
        }
        answer(request, Answer::Done, out);
    }

    /// The registry first; then the agent, its tasks, and a FAILURE event for every framework.
    pub(super) fn mark_gone(&mut self, cx: &mut Cx<'_>, id: &AgentId, out: &mut Out) {
        let hostname = self.agents.hostname(id);
        self.metrics.add("slave_removals");
        self.metrics.add("slave_removals/reason_gone");
        self.timers.cancel(&Timer::Remove(id.clone()));
        self.forget_turn(id);
        let was_awaited = self.agents.recovered.remove(id).is_some();
        if was_awaited {
            self.streams.agent_removed(id);
        }
        if was_awaited || self.agents.registered.contains_key(id) {
            out.write(registry::dismiss(id));
        }
        let was_unreachable = self.agents.unreachable.remove(id.as_str());
        if was_unreachable {
            out.write(registry::reachable(id));
        }
        self.forget_deactivated(id, out);
        out.write(registry::gone(id, cx.wall, &hostname));
        self.agents.gone.add(id.clone(), cx.wall, hostname.clone());
        self.agents.mark(id);
        let message = format!("Agent {hostname} has been marked gone");
        let verdict = Verdict {
            state: v1::TaskState::TaskGoneByOperator,
            reason: Reason::AgentRemovedByOperator,
            message: &message,
        };
        if was_unreachable {
            self.unreachable_are_over(cx, id, &verdict, out);
        }
        let Some(agent) = self.agents.registered.get(id) else {
            return self.tell_agent_lost(id, out);
        };
        if let Some(link) = agent.link {
            let shutdown = Some(ShutdownAgent { message: "Agent has been marked gone".into() });
            to_link(link, MasterMessage { shutdown, ..self.message() }, out);
        }
        self.take_agent_out(cx, id, &verdict, Shelf::Completed, out);
    }

    /// Tasks that were unreachable with the agent are over. Frameworks that know no partitions have
    /// been told so when it was lost, unless it was not its turn yet.
    fn unreachable_are_over(
        &mut self,
        cx: &Cx<'_>,
        id: &AgentId,
        verdict: &Verdict<'_>,
        out: &mut Out,
    ) {
        for (framework_id, record) in self.unreachable_tasks(id) {
            let Some(framework) = self.frameworks.change(&framework_id) else { continue };
            framework.unreachable.remove(&record.task_id.value);
            let verdict = verdict.told(framework.partition_aware());
            let max = self.options.max_completed_tasks_per_framework;
            let mut task = Task { record, agent: id.clone(), resources: Resources::new() };
            let status = verdict.status(task.record.task_id.clone(), Some(id.into()), cx.wall);
            let before = task.state();
            let ends_now = task.take(&status, verdict.state);
            self.streams.task_updated(&framework_id, &status, before, task.state());
            framework.completed.add(task.record.clone(), max);
            self.marks.task(&framework_id, &TaskId::from(&task.record.task_id));
            if ends_now {
                self.metrics.task(verdict.state, Source::Master, Some(verdict.reason));
                self.send(&framework_id, events::update(status), out);
            }
        }
    }

    /// The tasks that became unreachable with an agent.
    pub(super) fn unreachable_tasks(&self, id: &AgentId) -> Vec<(FrameworkId, Arc<v1::Task>)> {
        let of_agent = |task: &&Arc<v1::Task>| task.agent_id.value == id.as_str();
        let mut all = Vec::new();
        for (framework_id, framework) in &self.frameworks.registered {
            let tasks = framework.unreachable.iter().filter(of_agent);
            all.extend(tasks.map(|task| (framework_id.clone(), task.clone())));
        }
        all
    }
}
