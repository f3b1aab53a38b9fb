//! Operators' streams: all that happens to tasks, agents and frameworks, in the order in which it happens.
//!
//! Events are noted where the tables change and told once a batch, after its writes. A new stream begins with the
//! picture as it is after a batch, so that what it is told next is what happened since, all of it and nothing twice.
//! Nothing is noted while nobody listens; no history is kept: who was away begins with a new picture.

use super::agents::{Agent, Deactivated};
use super::frameworks::Framework;
use super::io::{Act, StreamId};
use super::picture::seen_agent;
use super::view::{AgentView, FrameworkView};
use super::{MasterCore, Out, Timer};
use crate::base::ids::{AgentId, FrameworkId};
use crate::machine::Cx;
use crate::mesos::v1;
use std::collections::VecDeque;
use std::sync::Arc;
use v1::task_status::Reason;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A task was launched, or came back with its agent.
    TaskAdded(Arc<v1::Task>),
    /// A task is in another state, or one of its checks says otherwise than before.
    TaskUpdated {
        /// Whose it is.
        framework_id: FrameworkId,
        /// What was told of it; its state may be an earlier one.
        status: Arc<v1::TaskStatus>,
        /// The newest state.
        state: v1::TaskState,
    },
    /// An agent is registered.
    AgentAdded(Arc<AgentView>),
    /// One is so no more, or was awaited in vain.
    AgentRemoved(AgentId),
    /// A framework has subscribed, or is known through an agent.
    FrameworkAdded(Arc<FrameworkView>),
    /// It was changed, has come back or has lost its connection.
    FrameworkUpdated(Arc<FrameworkView>),
    /// It has ended.
    FrameworkRemoved(Arc<v1::FrameworkInfo>),
}

/// Who listens, and what happened in this batch.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Oldest first.
    open: VecDeque<StreamId>,
    /// To begin when the batch is over.
    joining: Vec<StreamId>,
    happened: Vec<Event>,
}

impl Streams {
    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    fn are_heard(&self) -> bool {
        !self.open.is_empty()
    }

    fn note(&mut self, event: impl FnOnce() -> Event) {
        if self.are_heard() {
            self.happened.push(event());
        }
    }

    pub fn task_added(&mut self, task: &Arc<v1::Task>) {
        self.note(|| Event::TaskAdded(task.clone()));
    }

    /// `status` was taken into a task that was in the state `before` and is in `state` now.
    pub fn task_updated(
        &mut self,
        framework: &FrameworkId,
        status: &v1::TaskStatus,
        before: v1::TaskState,
        state: v1::TaskState,
    ) {
        if before != state || tells_of_a_check(status) {
            self.note(|| Event::TaskUpdated {
                framework_id: framework.clone(),
                status: Arc::new(status.clone()),
                state,
            });
        }
    }

    /// Where the next event will be told, for one that comes before those noted meanwhile.
    pub fn place(&self) -> usize {
        self.happened.len()
    }

    /// An agent is registered since the events were at `place`: it comes before its tasks.
    pub fn agent_added(&mut self, place: usize, agent: &Agent, deactivated: Option<&Deactivated>) {
        if self.are_heard() {
            let place = place.min(self.happened.len());
            self.happened.insert(place, Event::AgentAdded(seen_agent(agent, deactivated)));
        }
    }

    pub fn agent_removed(&mut self, agent: &AgentId) {
        self.note(|| Event::AgentRemoved(agent.clone()));
    }

    pub fn framework_removed(&mut self, framework: &Framework) {
        self.note(|| Event::FrameworkRemoved(framework.info.clone()));
    }
}

fn tells_of_a_check(status: &v1::TaskStatus) -> bool {
    let reason = status.reason.map(|_| status.reason());
    matches!(reason, Some(Reason::TaskCheckStatusUpdated | Reason::TaskHealthCheckStatusUpdated))
}

impl MasterCore {
    /// An operator listens from the end of this batch on.
    pub(super) fn open_stream(&mut self, stream: StreamId) {
        self.streams.joining.push(stream);
    }

    /// Nobody reads it any more.
    pub(super) fn stream_closed(&mut self, stream: StreamId) {
        self.timers.cancel(&Timer::StreamHeartbeat(stream));
        self.streams.open.retain(|open| *open != stream);
        self.streams.joining.retain(|joining| *joining != stream);
    }

    pub(super) fn stream_heartbeat(&mut self, cx: &Cx<'_>, stream: StreamId, out: &mut Out) {
        out.act_now(Act::StreamHeartbeat { stream });
        let next = cx.now + self.options.heartbeat_interval;
        self.timers.set(Timer::StreamHeartbeat(stream), next);
    }

    pub(super) fn tell_framework_added(&mut self, id: &FrameworkId) {
        self.tell_framework(id, Event::FrameworkAdded);
    }

    pub(super) fn tell_framework_updated(&mut self, id: &FrameworkId) {
        self.tell_framework(id, Event::FrameworkUpdated);
    }

    fn tell_framework(&mut self, id: &FrameworkId, event: fn(Arc<FrameworkView>) -> Event) {
        if !self.streams.are_heard() {
            return;
        }
        let Some(framework) = self.frameworks.registered.get(id) else { return };
        let view = self.seen(framework, None).view.clone();
        self.streams.happened.push(event(view));
    }

    pub(super) fn tell_agent_added(&mut self, place: usize, id: &AgentId) {
        if let Some(agent) = self.agents.registered.get(id) {
            self.streams.agent_added(place, agent, self.agents.deactivated.get(id));
        }
    }

    /// Tells what happened in this batch, and begins new streams: SUBSCRIBED, then a HEARTBEAT. Beyond the limit the
    /// oldest one ends for each.
    pub(super) fn tell_streams(&mut self, cx: &Cx<'_>, out: &mut Out) {
        let happened = std::mem::take(&mut self.streams.happened);
        if !happened.is_empty() {
            out.act(Act::Happened(happened));
        }
        if self.streams.joining.is_empty() {
            return;
        }
        let view = Arc::new(self.view());
        let heartbeat = self.options.heartbeat_interval;
        for stream in std::mem::take(&mut self.streams.joining) {
            self.streams.open.push_back(stream);
            out.act(Act::StreamOpened { stream, view: view.clone(), heartbeat });
            out.act(Act::StreamHeartbeat { stream });
            self.timers.set(Timer::StreamHeartbeat(stream), cx.now + heartbeat);
            if self.streams.open.len() > self.options.max_operator_streams
                && let Some(oldest) = self.streams.open.pop_front()
            {
                self.timers.cancel(&Timer::StreamHeartbeat(oldest));
                out.act(Act::CloseStream { stream: oldest });
            }
        }
    }
}
