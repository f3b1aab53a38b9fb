//! What a node keeps on its own disk: two databases in one data directory, each with one writer
//! thread.
//!
//! - `raft.redb`: the replicated log, the vote, the replicated key-value state ([`raft`]).
//! - `agent.redb`: the agent's checkpoints ([`agent`]).
//!
//! This room owns redb: nobody else names it. It knows bytes, keys and durability, not what they
//! mean; the raft protocol is in `cluster/consensus`, the meaning of keys in the cores.
//!
//! The rules:
//! - An answer that says "written" comes after the sync. Everything that waits when a sync is over
//!   shares the next one (group commit, [`writer`]).
//! - After the first failed write a database takes no more: what is on the disk is then unknown
//!   until it is opened again, so each later write is refused with the same cause.
//! - Opening never starts empty by accident: a directory that was initialised knows which databases
//!   it has ([`dir`]), and one that is missing, empty, cut, foreign or of a newer format stops the
//!   start with a way out.

pub mod agent;
pub mod crash;
pub mod dir;
mod open;
pub mod raft;
pub mod tables;
#[cfg(test)]
mod tests;
pub mod writer;

pub use agent::AgentStore;
pub use dir::DataDir;
pub use raft::RaftStore;

use crate::base::error::{Code, Error};

/// A failure of the database as an error of ours.
pub(crate) fn failed(e: impl Into<redb::Error>) -> Error {
    match e.into() {
        redb::Error::Corrupted(why) => Error::new(Code::Corrupt, why),
        redb::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => {
            Error::new(Code::System, "the disk is full")
                .hint("free space on the disk of the data directory, then restart this node")
        }
        redb::Error::Io(io) => Error::new(Code::System, format!("the disk failed: {io}"))
            .hint("check the disk of the data directory, then restart this node"),
        other => Error::new(Code::System, other.to_string()),
    }
}
