//! Every table of every database, and the forms of what is in them.

use crate::base::error::{Code, Error, Result};
use redb::TableDefinition;

/// The format of the database files: which tables there are and what their keys mean. Raised when
/// an older program could not even open the file; records have schema numbers of their own.
pub const FORMAT: u32 = 1;

/// In both files: what the file is and whose. Keys: `format` (u32, little-endian), `owner` (text).
pub(super) const FILE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("file");

/// `raft.redb`: log index → log record.
pub(super) const RAFT_LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");
/// `raft.redb`: the named single records of [`meta`].
pub(super) const RAFT_META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// `raft.redb`: the replicated key-value state, in the form of [`kv_encode`].
pub(super) const RAFT_KV: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("kv");

/// `agent.redb`: the agent's checkpoints; values begin with a schema number that their writer
/// checks.
pub(super) const AGENT: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("agent");

/// The single records of `raft.redb`.
pub mod meta {
    /// The vote: term, candidate, whether a quorum granted it.
    pub const VOTE: &str = "vote";
    /// The id of the last log entry that was purged.
    pub const PURGED: &str = "purged";
    /// The id of the last entry applied to the key-value state.
    pub const APPLIED: &str = "applied";
    /// The last applied membership and the id of its entry.
    pub const MEMBERSHIP: &str = "membership";
    /// The log index of the newest incarnation's first entry.
    pub const EPOCH: &str = "epoch";
    /// The random id of the cluster, made when it was bootstrapped.
    pub const CLUSTER: &str = "cluster";
    /// The id of the node whose votes and log these are.
    pub const NODE: &str = "node";
}

/// The schema of key-value records that this program writes.
const KV_SCHEMA: u8 = 1;
/// Bytes in front of the value: schema, version.
const KV_HEAD: usize = 9;

/// A key-value record: schema (1 byte), version (the log index of the write, 8 bytes
/// little-endian), value.
pub fn kv_encode(version: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(KV_HEAD + value.len());
    out.push(KV_SCHEMA);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(value);
    out
}

/// The version and the value of a key-value record.
///
/// # Errors
/// [`Code::Corrupt`] for a schema this program does not know, or a record that is too short.
pub fn kv_decode<'a>(key: &str, record: &'a [u8]) -> Result<(u64, &'a [u8])> {
    let Some((head, value)) = record.split_first_chunk::<KV_HEAD>() else {
        return Err(Error::new(Code::Corrupt, format!("the record of key {key:?} is cut")));
    };
    let [schema, version @ ..] = *head;
    if schema != KV_SCHEMA {
        return Err(newer(&format!("the record of key {key:?}"), schema, KV_SCHEMA));
    }
    Ok((u64::from_le_bytes(version), value))
}

/// The error for a record whose schema is unknown.
pub fn newer(what: &str, found: u8, known: u8) -> Error {
    Error::new(Code::Corrupt, format!("{what} has schema {found}; this program reads {known}"))
        .hint("start the version of mesolith that wrote it, or a newer one")
}
