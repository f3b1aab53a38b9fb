//! The stored forms of the protocol's records: ours, so that a new version of the library does not
//! change files.
//!
//! A record is a schema number (one byte) and a postcard message. Log entries travel between nodes
//! in the same form.

use super::command::Command;
use super::types::{Entry, LogId, Membership, StoredMembership, Vote, log_id};
use crate::base::error::{Code, Error, Result};
use crate::store::tables::newer;
use openraft::EntryPayload;
use openraft::impls::{BasicNode, leader_id_std::LeaderId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The schema that this program writes.
pub(super) const SCHEMA: u8 = 1;

/// A record with its schema number.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>> {
    postcard::to_extend(record, vec![SCHEMA])
        .map_err(|e| Error::new(Code::Internal, format!("a record has no stored form: {e}")))
}

/// Reads a record; `what` is named in errors.
pub(super) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&SCHEMA, body)) => postcard::from_bytes(body)
            .map_err(|e| Error::new(Code::Corrupt, format!("{what} cannot be read: {e}"))),
        Some((&schema, _)) => Err(newer(what, schema, SCHEMA)),
        None => Err(Error::new(Code::Corrupt, format!("{what} is empty"))),
    }
}

/// The id of a log entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IdRecord {
    term: u64,
    index: u64,
}

impl From<LogId> for IdRecord {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, index: id.index }
    }
}

impl From<IdRecord> for LogId {
    fn from(id: IdRecord) -> Self {
        log_id(id.term, id.index)
    }
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VoteRecord {
    term: u64,
    node: u64,
    committed: bool,
}

impl From<Vote> for VoteRecord {
    fn from(vote: Vote) -> Self {
        let LeaderId { term, voted_for } = vote.leader_id;
        Self { term, node: voted_for, committed: vote.committed }
    }
}

impl From<VoteRecord> for Vote {
    fn from(vote: VoteRecord) -> Self {
        let leader_id = LeaderId { term: vote.term, voted_for: vote.node };
        Vote { leader_id, committed: vote.committed }
    }
}

/// Who votes and who listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MembersRecord {
    /// One set of voters; two while they are changing.
    voters: Vec<Vec<u64>>,
    /// All members' addresses.
    nodes: Vec<(u64, String)>,
}

impl From<&Membership> for MembersRecord {
    fn from(members: &Membership) -> Self {
        let voters = members.get_joint_config().iter().map(|set| set.iter().copied().collect());
        let nodes = members.nodes().map(|(id, node)| (*id, node.addr.clone()));
        Self { voters: voters.collect(), nodes: nodes.collect() }
    }
}

impl MembersRecord {
    fn into_membership(self) -> Result<Membership> {
        let voters: Vec<BTreeSet<u64>> =
            self.voters.into_iter().map(|set| set.into_iter().collect()).collect();
        let nodes: BTreeMap<u64, BasicNode> =
            self.nodes.into_iter().map(|(id, addr)| (id, BasicNode { addr })).collect();
        if voters.is_empty() && nodes.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(voters, nodes)
            .map_err(|e| Error::new(Code::Corrupt, format!("a stored membership is wrong: {e}")))
    }
}

/// A membership with the id of its entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredMembersRecord {
    id: Option<IdRecord>,
    members: MembersRecord,
}

impl From<&StoredMembership> for StoredMembersRecord {
    fn from(stored: &StoredMembership) -> Self {
        Self { id: (*stored.log_id()).map(Into::into), members: stored.membership().into() }
    }
}

impl StoredMembersRecord {
    pub(super) fn into_stored(self) -> Result<StoredMembership> {
        Ok(StoredMembership::new(self.id.map(Into::into), self.members.into_membership()?))
    }
}

/// A log entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntryRecord {
    id: IdRecord,
    payload: PayloadRecord,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum PayloadRecord {
    /// What a new leader writes to commit what its predecessors left.
    Blank,
    Members(MembersRecord),
    Command(Command),
}

impl From<&Entry> for EntryRecord {
    fn from(entry: &Entry) -> Self {
        let payload = match &entry.payload {
            EntryPayload::Blank => PayloadRecord::Blank,
            EntryPayload::Membership(members) => PayloadRecord::Members(members.into()),
            EntryPayload::Normal(command) => PayloadRecord::Command(command.clone()),
        };
        Self { id: entry.log_id.into(), payload }
    }
}

impl EntryRecord {
    pub(super) fn into_entry(self) -> Result<Entry> {
        let payload = match self.payload {
            PayloadRecord::Blank => EntryPayload::Blank,
            PayloadRecord::Members(members) => EntryPayload::Membership(members.into_membership()?),
            PayloadRecord::Command(command) => EntryPayload::Normal(command),
        };
        Ok(Entry { log_id: self.id.into(), payload })
    }
}

/// Byte strings as one piece, not as a list of numbers.
pub(super) mod bytes {
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};
    use std::fmt;

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Vec<u8>, E> {
                Ok(v.to_vec())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut out = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    out.push(byte);
                }
                Ok(out)
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}
