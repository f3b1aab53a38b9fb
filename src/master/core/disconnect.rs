//! What happens when a session or a link ends.

use super::accounting::Shelf;
use super::events::{self, Verdict};
use super::io::{Act, LinkId, SessionId};
use super::{MasterCore, Out, Timer, registry};
use crate::base::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::machine::Cx;
use crate::mesos::{make, v1};
use std::sync::Arc;
use v1::task_status::{Reason, Source};

impl MasterCore {
    /// The framework gets no offers and may come back until its failover timeout is over.
    pub(super) fn session_closed(&mut self, cx: &mut Cx<'_>, session: &SessionId, out: &mut Out) {
        let Some(id) = self.frameworks.sessions.remove(session) else { return };
        self.timers.cancel(&Timer::Heartbeat(session.clone()));
        self.return_framework_offers(&id, cx.now);
        self.forget_inverse(&id);
        self.allocator.deactivate_framework(&id);
        let Some(framework) = self.frameworks.change(&id) else { return };
        framework.session = None;
        let timeout = framework.failover_timeout();
        if timeout.is_zero() {
            return self.remove_framework(cx, &id, out);
        }
        framework.failover_deadline = Some(cx.wall + timeout);
        out.write(registry::framework(&id, &framework.to_record()));
        self.tell_framework_updated(&id);
        self.timers.set(Timer::Failover(id), cx.now + timeout);
    }

    pub(super) fn failover_timed_out(&mut self, cx: &mut Cx<'_>, id: &FrameworkId, out: &mut Out) {
        if self.frameworks.registered.get(id).is_some_and(|f| f.session.is_none()) {
            self.remove_framework(cx, id, out);
        }
    }

    pub(super) fn heartbeat(&mut self, cx: &mut Cx<'_>, session: SessionId, out: &mut Out) {
        if self.frameworks.sessions.contains_key(&session) {
            let event = Arc::new(events::heartbeat());
            out.act_now(Act::Event { session: session.clone(), event });
            self.timers.set(Timer::Heartbeat(session), cx.now + self.options.heartbeat_interval);
        }
    }

    /// The agent is not offered until it registers again; what it runs is left alone meanwhile,
    /// except for frameworks whose tasks do not survive an agent's restart.
    pub(super) fn link_closed(&mut self, cx: &mut Cx<'_>, link: LinkId, out: &mut Out) {
        let Some(id) = self.agents.links.remove(&link) else { return };
        let Some(agent) = self.agents.change(&id) else { return };
        agent.link = None;
        let heard = agent.heard;
        self.timers.cancel(&Timer::Ping(id.clone()));
        // It has the time of an agent without a link from here on.
        self.keep(&id);
        let until = match self.options.agent_loss_timeout {
            Some(silence) => heard + silence,
            None => cx.now + self.options.agent_reregister_timeout,
        };
        self.timers.set(Timer::Reregister(id.clone()), until);
        self.allocator.deactivate_agent(&id);
        self.rescind_agent(&id, cx.now, out);
        self.end_unrecoverable(cx, &id, out);
    }

    /// Tasks and executors of frameworks without checkpointing end with the agent's process.
    fn end_unrecoverable(&mut self, cx: &mut Cx<'_>, id: &AgentId, out: &mut Out) {
        let Some(agent) = self.agents.registered.get(id) else { return };
        let hostname = agent.info.hostname.clone();
        let ends = |framework: &FrameworkId| {
            let framework = self.frameworks.registered.get(framework);
            framework.is_some_and(|f| !f.info.checkpoint())
        };
        let tasks: Vec<(FrameworkId, TaskId)> =
            agent.tasks.iter().filter(|(framework, _)| ends(framework)).cloned().collect();
        let executors: Vec<(FrameworkId, ExecutorId)> =
            agent.executors.iter().filter(|(framework, _)| ends(framework)).cloned().collect();
        let message = format!("Agent {hostname} disconnected");
        let verdict = Verdict {
            state: v1::TaskState::TaskGone,
            reason: Reason::AgentDisconnected,
            message: &message,
        };
        for (framework, task) in tasks {
            self.end_task(cx, &framework, &task, &verdict, Shelf::Completed, out);
        }
        for (framework, executor) in executors {
            self.drop_executor(&framework, id, &executor, cx.now);
            self.send(&framework, events::failure(id, Some(&executor), None), out);
        }
    }

    /// The master's own word that a task has left: told to the framework unless it had ended
    /// before, and shelved.
    pub(super) fn end_task(
        &mut self,
        cx: &mut Cx<'_>,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        verdict: &Verdict<'_>,
        shelf: Shelf,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.registered.get(framework_id) else { return };
        let Some(task) = framework.tasks.get(task_id) else { return };
        if !task.is_live() {
            return self.shelve_task(framework_id, task_id, Shelf::Completed, cx.now);
        }
        let verdict = verdict.told(framework.partition_aware());
        let state = verdict.state;
        let agent = Some(v1::AgentId::from(&task.agent));
        let mut status = verdict.status(task.record.task_id.clone(), agent, cx.wall);
        status.executor_id = task.record.executor_id.clone();
        if shelf == Shelf::Unreachable {
            status.unreachable_time = Some(super::reconcile::time_info(cx.wall));
        }
        if !make::is_terminal(state) {
            self.metrics.task(state, Source::Master, Some(verdict.reason));
        }
        self.take_status(cx, framework_id, task_id, &status, state);
        self.shelve_task(framework_id, task_id, shelf, cx.now);
        self.send(framework_id, events::update(status), out);
    }
}
