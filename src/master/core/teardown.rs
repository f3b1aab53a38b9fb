//! The end of a framework: by its own TEARDOWN, by an operator, by its failover timeout.

use super::accounting::Shelf;
use super::events::Verdict;
use super::frameworks::Completed;
use super::io::{Act, Answer, RequestId};
use super::{MasterCore, Out, REMOVED_FRAMEWORKS_MAX, Timer, answer, refuse, registry};
use crate::base::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::machine::Cx;
use crate::mesos::internal::{MasterMessage, ShutdownFramework};
use crate::mesos::v1;
use v1::task_status::Reason;

impl MasterCore {
    pub(super) fn teardown_call(&mut self, cx: &mut Cx<'_>, id: &FrameworkId, out: &mut Out) {
        self.metrics.add("messages_unregister_framework");
        self.remove_framework(cx, id, out);
    }

    pub(super) fn operator_teardown(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        id: &FrameworkId,
        out: &mut Out,
    ) {
        if !self.frameworks.registered.contains_key(id) {
            return refuse(request, 400, "No framework found with specified ID", out);
        }
        self.remove_framework(cx, id, out);
        answer(request, Answer::Done, out);
    }

    /// Ends a framework for ever: its id is refused from now on, its tasks and executors are shut
    /// down.
    pub(super) fn remove_framework(&mut self, cx: &mut Cx<'_>, id: &FrameworkId, out: &mut Out) {
        let Some(framework) = self.frameworks.change(id) else { return };
        let mut record = framework.to_record();
        record.failover_deadline = None;
        record.unregistered_time = Some(cx.wall.0);
        out.write(registry::framework(id, &record));
        let session = framework.session.take();
        let agents = framework.agents();
        for agent in &agents {
            let shutdown = ShutdownFramework { framework_id: id.into() };
            let message = MasterMessage { shutdown_framework: Some(shutdown), ..self.message() };
            self.to_agent(agent, message, out);
        }
        self.return_framework_offers(id, cx.now);
        self.forget_inverse(id);
        self.end_framework_tasks(cx, id, out);
        self.allocator.remove_framework(id);
        self.timers.cancel(&Timer::Failover(id.clone()));
        if let Some(session) = session {
            self.frameworks.sessions.remove(&session);
            self.timers.cancel(&Timer::Heartbeat(session.clone()));
            out.act(Act::CloseSession { session });
        }
        let max = REMOVED_FRAMEWORKS_MAX;
        for forgotten in self.frameworks.remember_removed(id.clone(), cx.wall, max) {
            out.write(registry::forget_framework(&forgotten));
        }
        if let Some(mut framework) = self.frameworks.registered.remove(id) {
            framework.seen.take();
            self.streams.framework_removed(&framework);
            let completed = Completed { framework, unregistered: cx.wall };
            self.frameworks.show_completed(completed, self.options.max_completed_frameworks);
        }
    }

    /// Tasks become TASK_KILLED, which nobody is told: the framework has no session any more.
    fn end_framework_tasks(&mut self, cx: &mut Cx<'_>, id: &FrameworkId, out: &mut Out) {
        let Some(framework) = self.frameworks.registered.get(id) else { return };
        let tasks: Vec<TaskId> = framework.tasks.keys().cloned().collect();
        let executors: Vec<(AgentId, ExecutorId)> = framework.executors.keys().cloned().collect();
        let verdict = Verdict {
            state: v1::TaskState::TaskKilled,
            reason: Reason::FrameworkRemoved,
            message: "Framework removed",
        };
        for task in tasks {
            self.end_task(cx, id, &task, &verdict, Shelf::Completed, out);
        }
        for (agent, executor) in executors {
            self.drop_executor(id, &agent, &executor, cx.now);
        }
    }
}
