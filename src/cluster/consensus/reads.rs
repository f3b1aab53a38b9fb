//! Reads that share their question to the majority: whoever asks while one is under way shares the next one, so that any
//! number of readers cost one round at a time.

use super::registry::Registry;
use super::types::Raft;
use crate::base::error::{Code, Error, Result};
use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many readers may wait.
pub const READERS_MAX: usize = 4096;

/// The way to ask. The task behind it ends when this is dropped.
pub(super) struct Reads {
    asks: mpsc::Sender<oneshot::Sender<Result<u64>>>,
    timeout: Duration,
}

impl Reads {
    /// Starts the task that asks.
    pub(super) fn start(raft: Raft, timeout: Duration) -> Self {
        let (asks, mut waiting) = mpsc::channel::<oneshot::Sender<Result<u64>>>(READERS_MAX);
        tokio::spawn(async move {
            while let Some(first) = waiting.recv().await {
                // All that asked before this round began may have its answer.
                let mut readers = vec![first];
                while let Ok(reader) = waiting.try_recv() {
                    readers.push(reader);
                }
                let answer = ask(&raft, timeout).await;
                for reader in readers {
                    // Who has gone needs none.
                    let _ = reader.send(answer.clone());
                }
            }
        });
        Self { asks, timeout }
    }
}

async fn ask(raft: &Raft, timeout: Duration) -> Result<u64> {
    let confirmed = raft.ensure_linearizable(ReadPolicy::ReadIndex);
    match tokio::time::timeout(timeout, confirmed).await {
        Ok(Ok(id)) => Ok(id.index()),
        Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
            Err(super::propose::elsewhere(forward).into())
        }
        Ok(Err(e)) => Err(Error::new(Code::Unavailable, e.to_string())),
        Err(_) => Err(Error::new(Code::Timeout, "no quorum confirmed the leader in time")),
    }
}

impl Registry {
    /// Asks a quorum whether this node still leads, and waits until all that was acknowledged
    /// before is applied here: reads after it see that. Answers with the log index they reflect at
    /// the least. Readers that come together share a question.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when this node does not lead or finds no quorum, [`Code::Timeout`],
    /// [`Code::Overloaded`] with [`READERS_MAX`] waiting.
    pub async fn read_index(&self) -> Result<u64> {
        let reads = self.reads();
        let (reader, answer) = oneshot::channel();
        reads.asks.try_send(reader).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => {
                Error::new(Code::Overloaded, format!("{READERS_MAX} reads are waiting"))
            }
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        // The round under way and the next.
        match tokio::time::timeout(reads.timeout * 2, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(Error::new(Code::Timeout, "no quorum confirmed the leader in time")),
        }
    }
}

fn stopped() -> Error {
    Error::new(Code::Unavailable, "the registry has stopped")
}
