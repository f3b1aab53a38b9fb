//! What happens to the master's core, and what it asks its shell to do.

use super::changes::Changes;
use super::streams::Event;
use super::view::View;
use crate::base::ids::{AgentId, FrameworkId, TaskId};
use crate::mesos::internal::{AgentMessage, MasterMessage};
use crate::mesos::v1::{self, scheduler};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One connection with an agent; a number never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A node of the cluster, as its certificate names it. It proves whose an agent is ([`binding`](super::binding)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One waiting request of a client; a number never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One subscription of a framework: the `Mesos-Stream-Id`, made by the shell, never used twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Arc<str>);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One operator's stream of events; a number never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// What may happen to the master.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message of an agent. The first on a link is `register`; any other before it is dropped.
    FromAgent {
        /// The connection it came on.
        link: LinkId,
        /// The node at its other end; always the same one on a link.
        node: NodeId,
        /// The message.
        message: Box<AgentMessage>,
    },
    /// The connection with an agent has ended.
    LinkClosed {
        /// Which.
        link: LinkId,
    },
    /// A SUBSCRIBE call. Answered with [`Answer::Accepted`] before the first event, or refused.
    Subscribe {
        /// To be answered.
        request: RequestId,
        /// The new session, if it is accepted.
        session: SessionId,
        /// `call.type` is SUBSCRIBE.
        call: Box<scheduler::Call>,
        /// Who is calling, when authenticated.
        principal: Option<String>,
    },
    /// Any other scheduler call.
    Call {
        /// To be answered.
        request: RequestId,
        /// The `Mesos-Stream-Id` that came with it.
        session: Option<SessionId>,
        /// The call.
        call: Box<scheduler::Call>,
        /// Who is calling, when authenticated.
        principal: Option<String>,
    },
    /// The reader of a session's events is gone, or too slow.
    SessionClosed {
        /// Which.
        session: SessionId,
    },
    /// An operator ends a framework.
    Teardown {
        /// To be answered.
        request: RequestId,
        /// Which.
        framework_id: FrameworkId,
    },
    /// An operator kills a task; its framework learns of it by the task's updates.
    KillTask {
        /// To be answered.
        request: RequestId,
        /// Of which framework.
        framework_id: FrameworkId,
        /// Which task.
        task_id: TaskId,
        /// Between TERM and KILL, instead of the task's own.
        grace: Option<Duration>,
    },
    /// An operator has an agent's tasks ended, and no new ones put there.
    DrainAgent {
        /// To be answered.
        request: RequestId,
        /// Which.
        agent_id: AgentId,
        /// How long tasks may take, and whether the agent is gone afterwards.
        config: v1::DrainConfig,
    },
    /// An operator has no new tasks put on an agent.
    DeactivateAgent {
        /// To be answered.
        request: RequestId,
        /// Which.
        agent_id: AgentId,
    },
    /// An operator takes that back, or the end of a drain.
    ReactivateAgent {
        /// To be answered.
        request: RequestId,
        /// Which.
        agent_id: AgentId,
    },
    /// These agents' nodes are to leave, and no others.
    AskBack {
        /// All of them.
        agents: BTreeSet<AgentId>,
    },
    /// An operator reserves resources of an agent or makes volumes of them, or takes that back.
    OperateAgent {
        /// To be answered.
        request: RequestId,
        /// Which.
        agent_id: AgentId,
        /// RESERVE, UNRESERVE, CREATE or DESTROY.
        operation: Box<v1::offer::Operation>,
        /// Who is calling, when authenticated.
        principal: Option<String>,
    },
    /// An operator says when which machines will be away, in place of what was said before.
    UpdateSchedule {
        /// To be answered.
        request: RequestId,
        /// All of it.
        schedule: Box<v1::maintenance::Schedule>,
    },
    /// An operator takes machines down that are in the schedule.
    MachinesDown {
        /// To be answered.
        request: RequestId,
        /// Which.
        machines: Vec<v1::MachineId>,
    },
    /// An operator takes that back; they are in the schedule no more.
    MachinesUp {
        /// To be answered.
        request: RequestId,
        /// Which.
        machines: Vec<v1::MachineId>,
    },
    /// An operator says that an agent will never come back.
    MarkAgentGone {
        /// To be answered.
        request: RequestId,
        /// Which.
        agent_id: AgentId,
    },
    /// An operator wants to be told all that happens. Answered by [`Act::StreamOpened`].
    OpenStream {
        /// The new stream.
        stream: StreamId,
    },
    /// The reader of an operator's stream is gone, or too slow.
    StreamClosed {
        /// Which.
        stream: StreamId,
    },
}

/// What the master asks its shell to do.
#[derive(Clone, Debug)]
pub enum Act {
    /// Send to an agent. A link that is closed meanwhile drops it.
    ToAgent {
        /// The connection.
        link: LinkId,
        /// Carries the epoch.
        message: Box<MasterMessage>,
    },
    /// End the connection with an agent.
    CloseLink {
        /// Which.
        link: LinkId,
    },
    /// Cut the connection with somebody who is not who it says: nothing more is taken from it.
    RefuseLink {
        /// Which.
        link: LinkId,
        /// The node at its other end.
        node: NodeId,
        /// Why, for the log.
        why: String,
    },
    /// Send to a scheduler.
    Event {
        /// Its session.
        session: SessionId,
        /// The event.
        event: Arc<scheduler::Event>,
    },
    /// End a session after what was sent before.
    CloseSession {
        /// Which.
        session: SessionId,
    },
    /// Answer a client.
    Answer {
        /// The request.
        request: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// Tell those who watch what changed.
    Changed(Arc<Changes>),
    /// Begin an operator's stream with a picture.
    StreamOpened {
        /// Which.
        stream: StreamId,
        /// As it is now: what happened before is in it, what happens later is told.
        view: Arc<View>,
        /// From one HEARTBEAT to the next.
        heartbeat: Duration,
    },
    /// Send a HEARTBEAT to an operator's stream, unless it has not begun.
    StreamHeartbeat {
        /// Which.
        stream: StreamId,
    },
    /// Tell all operators' streams that have begun what happened, in this order.
    Happened(Vec<Event>),
    /// End an operator's stream after what was sent before.
    CloseStream {
        /// Which.
        stream: StreamId,
    },
}

/// The answer to a client, in HTTP's terms; the in-process port reads them the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 202, or for SUBSCRIBE: the stream is open.
    Accepted,
    /// 200 with an empty body.
    Done,
    /// Refused; nothing was changed.
    Refused {
        /// 400, 403, 404, 409, 501 or 503.
        status: u16,
        /// The body, in the original's words.
        text: String,
    },
}
