//! What is replicated: batches of changes under an epoch, and the entry that begins an epoch.

use crate::base::kv;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A leader's incarnation: the log index of the entry that began it. A newer one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One part of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Sets a key.
    Put {
        /// The key.
        key: String,
        /// The value; begins with a schema number of its writer.
        #[serde(with = "super::record::bytes")]
        value: Vec<u8>,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key.
        key: String,
    },
    /// Refuses the whole batch unless the key has this version before the batch.
    Check {
        /// The key.
        key: String,
        /// The log index of the key's last write; none: the key must not exist.
        version: Option<u64>,
    },
}

impl Op {
    /// A put.
    pub fn put(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Op {
        Op::Put { key: key.into(), value: value.into() }
    }

    /// A delete.
    pub fn delete(key: impl Into<String>) -> Op {
        Op::Delete { key: key.into() }
    }

    /// A check.
    pub fn check(key: impl Into<String>, version: Option<u64>) -> Op {
        Op::Check { key: key.into(), version }
    }

    /// The key it is about.
    pub fn key(&self) -> &str {
        match self {
            Op::Put { key, .. } | Op::Delete { key } | Op::Check { key, .. } => key,
        }
    }

    /// Roughly how many bytes it takes in the log.
    pub(super) fn bytes(&self) -> usize {
        let value = if let Op::Put { value, .. } = self { value.len() } else { 0 };
        self.key().len() + value + 8
    }
}

impl From<kv::Op> for Op {
    fn from(op: kv::Op) -> Op {
        match op {
            kv::Op::Put { key, value } => Op::Put { key, value },
            kv::Op::Delete { key } => Op::Delete { key },
        }
    }
}

/// Changes that are applied whole or not at all.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    pub epoch: u64,
    pub ops: Vec<Op>,
}

/// What a log entry of ours says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Command {
    /// A new incarnation of the leader: this entry's index is the epoch from here on.
    Begin,
    /// Changes, if the epoch is still the newest.
    Batch(Arc<Batch>),
}

impl Command {
    /// Roughly how many bytes it takes in the log.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Command::Begin => 8,
            Command::Batch(batch) => batch.ops.iter().map(Op::bytes).sum::<usize>() + 16,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Begin => f.write_str("begin"),
            Command::Batch(b) => write!(f, "{} changes under epoch {}", b.ops.len(), b.epoch),
        }
    }
}

/// What became of a command when it was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It took effect.
    Applied,
    /// Its epoch is not the newest.
    Fenced { current: u64 },
    /// A check failed.
    Conflict { key: String, actual: Option<u64> },
}
