//! Makes the events that schedulers are sent, and the statuses the master gives tasks itself.

use super::states;
use crate::base::ids::{AgentId, ExecutorId, FrameworkId, OfferId};
use crate::base::time::Wall;
use crate::mesos::v1;
use crate::mesos::v1::scheduler::{Event, event};
use std::time::Duration;
use v1::task_status::{Reason, Source};

fn event(kind: event::Type) -> Event {
    Event { r#type: Some(kind as i32), ..Event::default() }
}

pub(super) fn subscribed(id: &FrameworkId, heartbeat: Duration, master: v1::MasterInfo) -> Event {
    let subscribed = event::Subscribed {
        framework_id: id.into(),
        heartbeat_interval_seconds: Some(heartbeat.as_secs_f64()),
        master_info: Some(master),
    };
    Event { subscribed: Some(subscribed), ..event(event::Type::Subscribed) }
}

pub(super) fn heartbeat() -> Event {
    event(event::Type::Heartbeat)
}

pub(super) fn error(message: impl Into<String>) -> Event {
    let error = event::Error { message: message.into() };
    Event { error: Some(error), ..event(event::Type::Error) }
}

pub(super) fn offers(offers: Vec<v1::Offer>) -> Event {
    Event { offers: Some(event::Offers { offers }), ..event(event::Type::Offers) }
}

pub(super) fn rescind(id: &OfferId) -> Event {
    let rescind = event::Rescind { offer_id: id.into() };
    Event { rescind: Some(rescind), ..event(event::Type::Rescind) }
}

pub(super) fn update(status: v1::TaskStatus) -> Event {
    Event { update: Some(event::Update { status }), ..event(event::Type::Update) }
}

pub(super) fn operation(status: v1::OperationStatus) -> Event {
    let update = event::UpdateOperationStatus { status };
    Event { update_operation_status: Some(update), ..event(event::Type::UpdateOperationStatus) }
}

pub(super) fn message(agent: &AgentId, executor: v1::ExecutorId, data: Vec<u8>) -> Event {
    let message = event::Message { agent_id: agent.into(), executor_id: executor, data };
    Event { message: Some(message), ..event(event::Type::Message) }
}

/// An agent was lost (`agent` alone), or an executor ended (all three; no status when nobody could
/// collect it).
pub(super) fn failure(
    agent: &AgentId,
    executor: Option<&ExecutorId>,
    status: Option<i32>,
) -> Event {
    let failure = event::Failure {
        agent_id: Some(agent.into()),
        executor_id: executor.map(Into::into),
        status,
    };
    Event { failure: Some(failure), ..event(event::Type::Failure) }
}

/// What the master itself says of a task. Without a uuid: such a status must not be acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Verdict<'a> {
    pub state: v1::TaskState,
    pub reason: Reason,
    pub message: &'a str,
}

impl Verdict<'_> {
    /// As the framework may be told it: who does not know a state does not know its reason.
    pub fn told(&self, partition_aware: bool) -> Self {
        let state = states::told(self.state, partition_aware);
        let reason = match (self.reason, state) {
            (Reason::AgentRemovedByOperator, v1::TaskState::TaskLost) => Reason::AgentRemoved,
            (reason, _) => reason,
        };
        Self { state, reason, message: self.message }
    }

    pub fn status(&self, task: v1::TaskId, agent: Option<v1::AgentId>, at: Wall) -> v1::TaskStatus {
        v1::TaskStatus {
            task_id: task,
            state: self.state as i32,
            message: Some(self.message.to_string()),
            source: Some(Source::Master as i32),
            reason: Some(self.reason as i32),
            agent_id: agent,
            timestamp: Some(at.secs()),
            ..v1::TaskStatus::default()
        }
    }
}
