//! Connections between nodes.
//!
//! As masters and agents see them, a [`Connection`] carries messages both ways, in order, at most once, until one side
//! drops it. Bounded: a side that does not read in time loses the connection, never memory. [`local`] joins a master and an
//! agent of one process; what the messages mean is known to `master` and `agent`.
//!
//! Over the network there is one port, TLS 1.3 with certificates of the cluster's own authority on both sides, and HTTP/2
//! within it: requests, streams and users' requests that are passed on need no protocol of our own.
//!
//! - [`Link`] is this node's: [`Link::listen`] takes others in, [`Link::peer`] is the way to one, [`Link::fate`] tells what has
//!   become of it. It is the log's `Transport`.
//! - [`Doors`] is what others may ask for, [`may`] which role may ask for what. A certificate of an agent cannot vote.
//! - Each kind of traffic ([`Lane`]) has a connection of its own: a leader's signs of life wait behind nothing.
//! - [`join`] lets a node in that has a token: the one door without a certificate.
//! - A connection begins with a [`Hello`] of each side, which says the versions it speaks.

mod agents;
mod counts;
mod door;
mod doors;
mod fate;
mod forward;
mod frames;
mod handle;
pub mod join;
mod listen;
pub mod local;
mod peer;
mod places;
pub mod renewal;
mod serve;
mod watched;
mod ways;
mod wire;

pub use agents::AGENT_MESSAGE_BYTES_MAX;
pub use door::{Door, may, roles_may};
pub use doors::{
    Admission, AgentDoor, Answering, Doors, FaceService, GossipFrame, Leader, Standings, Via, face,
};
pub use fate::Fate;
pub use frames::{Body, BoxError};
pub use handle::{Limits, Link, LinkOptions};
pub use listen::Listening;
pub use peer::{Lane, Peer};
pub use serve::GOSSIP_BYTES_MAX;
pub use wire::{
    CLOCK_SKEW_MAX, FaceName, Hello, JoinFacts, JoinRefusal, JoinRequest, Joined, MemberAddress,
    PassedOn, Renewed, Standing, VERSIONS, Versions, Why, read_join, read_renewed, write_join,
    write_renewed,
};

use crate::base::error::{Code, Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// How many messages may wait in one direction of a connection.
pub const MESSAGES_MAX: usize = 64 * 1024;

/// The sending half.
pub struct Sender<T> {
    queue: mpsc::Sender<T>,
    overflows: Arc<AtomicU64>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), overflows: Arc::clone(&self.overflows) }
    }
}

impl<T> Sender<T> {
    /// Sends without waiting.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the other side is gone, [`Code::Overloaded`] when it does not read: in both cases the
    /// connection is of no more use and should be dropped.
    pub fn send(&self, message: T) -> Result<()> {
        self.queue.try_send(message).map_err(|e| match e {
            mpsc::error::TrySendError::Closed(_) => {
                Error::new(Code::Unavailable, "the other side has closed the connection")
            }
            mpsc::error::TrySendError::Full(_) => {
                self.overflows.fetch_add(1, Ordering::Relaxed);
                Error::new(Code::Overloaded, "the other side does not read its messages")
            }
        })
    }

    /// How often this direction was full.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }
}

/// One end of a connection: sends `O`, receives `I`. Dropping both halves closes it.
pub struct Connection<O, I> {
    /// Towards the other side.
    pub sender: Sender<O>,
    /// From the other side; `None` from it means closed.
    pub receiver: mpsc::Receiver<I>,
}

/// The two ends of a new connection.
pub fn pair<A, B>() -> (Connection<A, B>, Connection<B, A>) {
    let (a_out, b_in) = mpsc::channel(MESSAGES_MAX);
    let (b_out, a_in) = mpsc::channel(MESSAGES_MAX);
    (
        Connection { sender: Sender { queue: a_out, overflows: Arc::default() }, receiver: a_in },
        Connection { sender: Sender { queue: b_out, overflows: Arc::default() }, receiver: b_in },
    )
}
