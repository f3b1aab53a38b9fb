//! What will happen when: the world's only queue.

use super::session::Asked;
use crate::agent::core::io::{Act as AgentAct, Exit, Input as AgentInput};
use crate::base::ids::ContainerId;
use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::master::core::io::{Answer, Input as MasterInput, SessionId};
use crate::mesos::internal::{AgentMessage, MasterMessage};
use crate::mesos::v1::scheduler::{Call, Event};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One thing that happens.
pub(super) enum What {
    /// A master takes its mail.
    MasterTurn(u64),
    /// An agent takes its mail.
    AgentTurn { node: usize, proc: u64 },
    /// A message reaches a master.
    ToMaster { link: u64, message: Box<AgentMessage> },
    /// A message reaches an agent; the epoch is that of who sent it.
    ToAgent { link: u64, epoch: u64, message: Box<MasterMessage> },
    /// A master learns that a link is gone.
    LinkEndAtMaster(u64),
    /// An agent learns that a link is gone.
    LinkEndAtAgent(u64),
    /// An agent looks for a master.
    Connect { node: usize, proc: u64 },
    /// A call reaches a master.
    Call { session: SessionId, input: Box<MasterInput> },
    /// An answer reaches a framework.
    Answered { asked: Box<Asked>, answer: Answer },
    /// An event reaches a framework.
    Told { session: SessionId, event: Arc<Event> },
    /// A framework learns that its session is gone.
    SessionEndAtScheduler(SessionId),
    /// A master learns that a session is gone.
    SessionEndAtMaster(SessionId),
    /// A batch reaches the log.
    Propose { proc: u64, epoch: u64, batch: Vec<Op> },
    /// A master learns that its oldest batch is committed.
    Committed(u64),
    /// A master learns that it leads no more, or not what became of a batch.
    Depose(u64),
    /// A new epoch begins.
    Elect,
    /// The master of an epoch is ready.
    Lead { epoch: u64 },
    /// An agent's oldest batch is synced.
    Synced { node: usize, proc: u64 },
    /// An agent's process starts.
    AgentUp(usize),
    /// Something is done with a container, and answered at a time.
    Contain { node: usize, proc: u64, act: Box<AgentAct>, answer_at: Mono },
    /// An agent's shell tells its core something.
    AgentInput { node: usize, proc: u64, input: Box<AgentInput> },
    /// A container's command ends.
    Exit { node: usize, container: ContainerId, exit: Exit },
    /// A framework looks at where it stands.
    Tick(usize),
    /// A framework's process starts again.
    SchedulerUp(usize),
    /// A framework acknowledges at last, or lets go of an offer.
    Later { scheduler: usize, call: Box<Call> },
    /// Marathon takes its mail.
    MarathonTurn(u64),
    /// Marathon's oldest batch reaches its store.
    MarathonSynced(u64),
    /// Marathon's process starts.
    MarathonUp,
    /// Marathon's shell and its clients look at where they stand.
    MarathonTick,
    /// Chronos takes its mail.
    ChronosTurn(u64),
    /// Chronos's oldest batch reaches its store.
    ChronosSynced(u64),
    /// Chronos's process starts.
    ChronosUp,
    /// Chronos's shell and its clients look at where they stand.
    ChronosTick,
    /// All nodes of the cluster look at their clocks.
    Beat,
    /// A leader has something new for its followers.
    Replicate(usize),
    /// A node's process starts again.
    HostUp(usize),
    /// A node that has left goes off.
    HostGone(usize),
    /// Something breaks.
    Fault,
    /// All faults end.
    Heal,
    /// Is everything as it should be yet?
    Look,
}

/// Events by time, then by the order of asking.
#[derive(Default)]
pub(super) struct Queue {
    due: BTreeMap<(Mono, u64), What>,
    asked: u64,
}

impl Queue {
    pub fn push(&mut self, at: Mono, what: What) {
        self.asked += 1;
        self.due.insert((at, self.asked), what);
    }

    pub fn pop(&mut self) -> Option<(Mono, What)> {
        self.due.pop_first().map(|((at, _), what)| (at, what))
    }
}
