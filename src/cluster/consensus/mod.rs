//! The replicated registry: one key-value space that all masters have, changed through one door.
//!
//! [`Registry`] is the door: [`Registry::begin`] makes this leader's incarnation known and answers
//! with its epoch, [`Registry::propose`] changes keys under an epoch, [`Registry::read_index`]
//! makes the reads after it linearizable. Behind it are openraft (owned by this room: nobody else
//! names it) and `store::RaftStore`.
//!
//! - One command is a batch of puts, deletes and version checks, applied whole or not at all. Keys
//!   and values have no meaning here, so two versions of the program cannot apply a log
//!   differently.
//! - Safety rests on the epoch: a batch whose epoch is not the newest is refused when it is
//!   *applied*, on every node alike. No lease and no clock is trusted.
//! - A leader whose process is gone, by the word of the kernel ([`Word`]), is replaced without waiting for a time-out
//!   ([`Registry::hasten`]); each voter goes by what it has seen itself.
//! - A single voter runs the same protocol, from the first write on; it has nobody to send
//!   heartbeats to and does not tick, so an idle one does not wake the CPU.
//! - How bytes get to other nodes is a [`Transport`]; [`memory`] is one for tests.

mod cache;
mod command;
mod core;
mod hasten;
mod leadership;
mod log;
mod members;
pub mod memory;
mod namespace;
mod network;
mod options;
mod propose;
mod reads;
mod record;
pub mod recover;
mod registry;
mod serve;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod types;
mod wire;

pub use self::core::hasten::Word;
pub use command::{Epoch, Op};
pub use leadership::Leadership;
pub use members::{Member, Progress};
pub use namespace::{Namespace, Stored, rows as namespace_rows};
pub use network::{Lane, Peer, Sending, Transport};
pub use options::{Options, Pace, Start};
pub use propose::{Committed, PROPOSAL_BYTES_MAX, PROPOSALS_MAX, ProposeError};
pub use registry::{Registry, Status};
pub use serve::Inbox;
pub use snapshot::Chunks;
