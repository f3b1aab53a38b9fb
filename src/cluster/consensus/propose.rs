//! Proposing: a bounded, ordered way from any number of callers into the log.

use super::command::{Answer, Batch, Command, Epoch, Op};
use super::types::{Raft, Term, Types};
use crate::base::error::{Code, Error, Retry};
use openraft::OptionalSend;
use openraft::errors::{ClientWriteError, ForwardToLeader};
use openraft::raft::ClientWriteResult;
use openraft::raft::responder::Responder;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// How many proposals may be under way.
pub const PROPOSALS_MAX: usize = 8192;
/// How many bytes of proposals may be under way.
pub const PROPOSAL_BYTES_MAX: usize = 64 << 20;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// The largest batch, in bytes of keys and values.
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// Where a batch is in the log. It is on a majority's disks and applied here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The log index, which is the version of every key the batch has put.
    pub index: u64,
}

/// Why a proposal was not (or may not have been) applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposeError {
    /// A check failed; nothing was applied.
    Conflict {
        /// The key.
        key: String,
        /// The version it has; none: it does not exist.
        actual: Option<u64>,
    },
    /// Another incarnation leads; nothing was applied, and nothing under this epoch ever will be.
    Fenced {
        /// The newest epoch.
        current: Epoch,
    },
    /// It took too long, or leadership was lost meanwhile: it may be applied, now or later, or
    /// never.
    Unknown,
    /// This node does not lead or has stopped; nothing was applied.
    Unavailable {
        /// The leader and its address, if known.
        leader: Option<(u64, String)>,
    },
    /// Too much is under way; nothing was applied.
    Overloaded,
    /// The batch can never be applied: it or a key is too long.
    Invalid(String),
}

impl fmt::Display for ProposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { key, actual: Some(version) } => {
                write!(f, "key {key:?} has been changed: its version is {version}")
            }
            Self::Conflict { key, actual: None } => write!(f, "key {key:?} does not exist"),
            Self::Fenced { current } => write!(f, "a newer leader has taken over, epoch {current}"),
            Self::Unknown => f.write_str("the write was not confirmed in time"),
            Self::Unavailable { leader: Some((node, address)) } => {
                write!(f, "the leader is node {node:016x} at {address}")
            }
            Self::Unavailable { leader: None } => f.write_str("there is no leader at present"),
            Self::Overloaded => f.write_str("too many writes are under way"),
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ProposeError {}

impl From<ProposeError> for Error {
    fn from(e: ProposeError) -> Error {
        let (code, retry) = match &e {
            ProposeError::Conflict { .. } => (Code::Conflict, Retry::Never),
            ProposeError::Fenced { .. } => (Code::Unavailable, Retry::OtherNode),
            ProposeError::Unknown => (Code::Timeout, Retry::Unknown),
            ProposeError::Unavailable { leader: Some(_) } => (Code::Unavailable, Retry::OtherNode),
            ProposeError::Unavailable { leader: None } => (Code::Unavailable, Retry::Later),
            ProposeError::Overloaded => (Code::Overloaded, Retry::Later),
            ProposeError::Invalid(_) => (Code::Invalid, Retry::Never),
        };
        Error { retry, ..Error::new(code, e.to_string()) }
    }
}

/// The answer's way back through openraft. It also holds the proposal's share of the limits until
/// then.
pub(super) struct Reply<T> {
    tx: oneshot::Sender<T>,
    _share: Option<Share>,
}

/// A proposal's share of [`PROPOSALS_MAX`] and [`PROPOSAL_BYTES_MAX`].
struct Share {
    _one: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl<T: OptionalSend + 'static> Responder<Types, T> for Reply<T> {
    fn on_complete(self, result: T) {
        // Who has stopped waiting was told that the outcome is unknown.
        let _ = self.tx.send(result);
    }
}

struct Proposal {
    command: Command,
    /// Only under this leadership, if given.
    leader: Option<Term>,
    reply: Reply<ClientWriteResult<Types>>,
}

/// Takes proposals in order and hands them to the protocol.
pub(super) struct Proposer {
    queue: mpsc::Sender<Proposal>,
    room: Arc<Semaphore>,
    room_bytes: Arc<Semaphore>,
    timeout: Duration,
    overloaded: AtomicU64,
    unknown: Arc<AtomicU64>,
}

impl Proposer {
    /// Starts the task that hands proposals on; it ends when the proposer is dropped.
    pub(super) fn start(raft: Raft, timeout: Duration) -> Self {
        let (queue, mut proposals) = mpsc::channel::<Proposal>(PROPOSALS_MAX);
        tokio::spawn(async move {
            while let Some(Proposal { command, leader, reply }) = proposals.recv().await {
                let mut write = raft.write(command).responder(reply);
                if let Some(leader) = leader {
                    write = write.with_leader(leader);
                }
                // When the protocol has ended, the reply is dropped, and the caller sees that.
                let _ = write.await;
            }
        });
        Self {
            queue,
            room: Arc::new(Semaphore::new(PROPOSALS_MAX)),
            room_bytes: Arc::new(Semaphore::new(PROPOSAL_BYTES_MAX)),
            timeout,
            overloaded: AtomicU64::new(0),
            unknown: Arc::default(),
        }
    }

    /// Proposals under way.
    pub(super) fn pending(&self) -> usize {
        PROPOSALS_MAX - self.room.available_permits()
    }

    /// Proposals refused because too many were under way.
    pub(super) fn overloaded(&self) -> u64 {
        self.overloaded.load(Ordering::Relaxed)
    }

    /// Proposals whose outcome was not known in time.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Puts a command into the queue, now; the future waits for its answer.
    pub(super) fn propose(
        &self,
        command: Command,
        leader: Option<Term>,
    ) -> impl Future<Output = Result<Committed, ProposeError>> + Send + use<> {
        let sent = self.send(command, leader);
        let (timeout, unknown) = (self.timeout, self.unknown.clone());
        async move {
            let answer = sent?;
            let outcome = match tokio::time::timeout(timeout, answer).await {
                Ok(Ok(answer)) => judge(answer),
                // Dropped unanswered (the protocol ended under it), or too late.
                Ok(Err(_)) | Err(_) => Err(ProposeError::Unknown),
            };
            if outcome == Err(ProposeError::Unknown) {
                unknown.fetch_add(1, Ordering::Relaxed);
            }
            outcome
        }
    }

    fn send(
        &self,
        command: Command,
        leader: Option<Term>,
    ) -> Result<oneshot::Receiver<ClientWriteResult<Types>>, ProposeError> {
        let overloaded = || {
            self.overloaded.fetch_add(1, Ordering::Relaxed);
            ProposeError::Overloaded
        };
        let bytes = u32::try_from(command.bytes()).map_err(|_| too_large())?;
        let one = self.room.clone().try_acquire_owned().map_err(|_| overloaded())?;
        let bytes = self.room_bytes.clone().try_acquire_many_owned(bytes);
        let share = Share { _one: one, _bytes: bytes.map_err(|_| overloaded())? };
        let (tx, answer) = oneshot::channel();
        let reply = Reply { tx, _share: Some(share) };
        match self.queue.try_send(Proposal { command, leader, reply }) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Full(_)) => Err(overloaded()),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                Err(ProposeError::Unavailable { leader: None })
            }
        }
    }
}

/// What an answer of the protocol means to the proposer.
fn judge(answer: ClientWriteResult<Types>) -> Result<Committed, ProposeError> {
    match answer {
        Ok(answer) => match answer.data {
            Answer::Applied => Ok(Committed { index: answer.log_id.index }),
            Answer::Fenced { current } => Err(ProposeError::Fenced { current: Epoch(current) }),
            Answer::Conflict { key, actual } => Err(ProposeError::Conflict { key, actual }),
        },
        Err(ClientWriteError::ForwardToLeader(forward)) => Err(elsewhere(forward)),
        // It was in this node's log, and another leader may have committed it before it was dropped
        // here.
        Err(ClientWriteError::LogEntryDiscarded(_)) => Err(ProposeError::Unknown),
        Err(
            ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_),
        ) => Err(ProposeError::Unavailable { leader: None }),
    }
}

/// The leader is another node, or nobody knows.
pub(super) fn elsewhere(forward: ForwardToLeader<Types>) -> ProposeError {
    let address = forward.leader_node.map(|node| node.addr).unwrap_or_default();
    ProposeError::Unavailable { leader: forward.leader_id.map(|node| (node, address)) }
}

fn too_large() -> ProposeError {
    ProposeError::Invalid(format!("a write may have {BATCH_BYTES_MAX} bytes at the most"))
}

/// Makes a command of a batch, if its sizes are within the limits.
pub(super) fn batch(epoch: Epoch, ops: Vec<Op>) -> Result<Command, ProposeError> {
    let mut bytes = 0usize;
    for op in &ops {
        let key = op.key().len();
        if key == 0 || key > KEY_BYTES_MAX {
            return Err(ProposeError::Invalid(format!(
                "a key must have 1 to {KEY_BYTES_MAX} bytes, this one has {key}"
            )));
        }
        bytes = bytes.saturating_add(op.bytes());
    }
    if bytes > BATCH_BYTES_MAX {
        return Err(too_large());
    }
    Ok(Command::Batch(Arc::new(Batch { epoch: epoch.0, ops })))
}
