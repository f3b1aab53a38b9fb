//! Connections between nodes, as masters and agents see them: a [`Connection`] carries messages both ways, in order,
//! at most once, until one side drops it. Bounded: a side that does not read in time loses the connection, never memory.
//!
//! [`local`] joins a master and an agent of one process. What the messages mean is known to `master` and `agent`.

pub mod local;

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
