//! The one form of durable change that cores ask for: puts and deletes in a key-value space.
//!
//! The master's core writes to the replicated registry, the agent's to its own database; what keys and values mean
//! is known to the core alone.

/// One durable change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets the value of a key.
    Put {
        /// Path-like, e.g. `agents/<id>`.
        key: String,
        /// Begins with a schema number: see `mesos::stored`.
        value: Vec<u8>,
    },
    /// Removes a key; no error if it is not there.
    Delete {
        /// The key.
        key: String,
    },
}

impl Op {
    /// A put.
    pub fn put(key: impl Into<String>, value: Vec<u8>) -> Op {
        Op::Put { key: key.into(), value }
    }

    /// A delete.
    pub fn delete(key: impl Into<String>) -> Op {
        Op::Delete { key: key.into() }
    }
}
