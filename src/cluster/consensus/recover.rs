//! What is left to do when most voters are gone for good: one survivor goes on alone with what it has. The node does not
//! run meanwhile.
//!
//! This gives up what the protocol promises: entries that only lost voters had are lost, and lost voters that come back
//! would go on without this one. So it is for people to decide, and they are shown what each survivor holds first.

use super::record::{self, EntryRecord, IdRecord, VoteRecord};
use super::snapshot;
use super::types::{Entry, LogId, Membership, Vote, log_id};
use crate::base::error::{Code, Error, Result};
use crate::store::tables::meta;
use crate::store::writer::Mode;
use crate::store::{DataDir, RaftStore};
use openraft::EntryPayload;
use openraft::impls::{BasicNode, leader_id_std::LeaderId};
use std::collections::{BTreeMap, BTreeSet};

/// How many bytes of entries are looked through at once.
const READ_BYTES_MAX: usize = 1 << 20;

/// What a node's part of the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The node.
    pub node: u64,
    /// Its cluster.
    pub cluster: u64,
    /// The newest term it knows of.
    pub term: u64,
    /// Term and index of its last entry: of two survivors, the greater has all that the other has and was acknowledged.
    pub last: Option<(u64, u64)>,
    /// The index of the last entry that it knows to be agreed on.
    pub applied: Option<u64>,
    /// Who votes, as its newest entry about that says; both sets, while they were changing.
    pub voters: BTreeSet<u64>,
    /// Where all members were.
    pub members: BTreeMap<u64, String>,
    /// The cluster's own records, by key.
    pub records: Vec<(String, Vec<u8>)>,
}

/// Shows what a directory holds; `prefix` is what the keys of the records begin with.
///
/// # Errors
/// [`Code::NotFound`] where there is no log, [`Code::Corrupt`], what the database failed with.
pub fn held(dir: &DataDir, prefix: &str) -> Result<Held> {
    let store = opened(dir)?;
    let held = held_on(&store, prefix)?;
    store.close();
    Ok(held)
}

/// The same of an open database.
///
/// # Errors
/// As [`held`].
pub fn held_on(store: &RaftStore, prefix: &str) -> Result<Held> {
    read(store, prefix).map(|(held, _)| held)
}

fn opened(dir: &DataDir) -> Result<RaftStore> {
    if !dir.has_log() {
        let cause = format!("no part of a cluster's log is in {}", dir.path().display());
        return Err(Error::new(Code::NotFound, cause));
    }
    RaftStore::open(dir)
}

fn read(store: &RaftStore, prefix: &str) -> Result<(Held, Membership)> {
    let view = store.view()?;
    let id = |name: &'static str| -> Result<u64> {
        let none = || Error::new(Code::NotFound, "nothing was ever written to this log");
        record::decode(name, &view.meta(name)?.ok_or_else(none)?)
    };
    let (node, cluster) = (id(meta::NODE)?, id(meta::CLUSTER)?);
    let vote: Option<Vote> = match view.meta(meta::VOTE)? {
        Some(bytes) => Some(record::decode::<VoteRecord>("the vote", &bytes)?.into()),
        None => None,
    };
    let (applied, stored) = snapshot::applied(&view)?;
    let mut members = stored.membership().clone();
    let mut last = applied;
    if let Some(bytes) = view.meta(meta::PURGED)? {
        last = last.max(Some(record::decode::<IdRecord>("the purged id", &bytes)?.into()));
    }
    let mut from = 0;
    loop {
        let rows = view.log(from, u64::MAX, READ_BYTES_MAX)?;
        let Some((index, _)) = rows.last() else { break };
        from = index + 1;
        for (index, bytes) in &rows {
            let what = format!("log entry {index}");
            let entry = record::decode::<EntryRecord>(&what, bytes)?.into_entry()?;
            last = last.max(Some(entry.log_id));
            // Members count from when they are written on, not from when they are agreed on.
            if let EntryPayload::Membership(newer) = entry.payload
                && stored.log_id().is_none_or(|id| id < entry.log_id)
            {
                members = newer;
            }
        }
    }
    let rows = view.rows(prefix, None, usize::MAX, usize::MAX)?.rows;
    let held = Held {
        node,
        cluster,
        term: vote.map_or(0, |vote| vote.leader_id.term).max(last.map_or(0, term)),
        last: last.map(|id| (term(id), id.index)),
        applied: applied.map(|id| id.index),
        voters: members.voter_ids().collect(),
        members: members.nodes().map(|(node, at)| (*node, at.addr.clone())).collect(),
        records: rows.into_iter().map(|row| (row.key, row.value)).collect(),
    };
    Ok((held, members))
}

fn term(id: LogId) -> u64 {
    id.leader_id.term
}

/// Makes the node of a directory the only voter, in a term that nobody has seen. All it holds is kept.
///
/// # Errors
/// As [`held`]; [`Code::Conflict`] when it is the only voter already.
pub async fn go_on_alone(dir: &DataDir) -> Result<()> {
    let store = opened(dir)?;
    go_on_alone_on(&store).await?;
    store.close();
    Ok(())
}

/// The same in an open database.
///
/// # Errors
/// As [`go_on_alone`].
pub async fn go_on_alone_on(store: &RaftStore) -> Result<()> {
    let (held, members) = read(store, "\u{10ffff}")?;
    if held.voters == BTreeSet::from([held.node]) {
        let cause = "this node is the only voter: nothing is lost that it would need";
        return Err(Error::new(Code::Conflict, cause).hint("start it: `mesolith up`"));
    }
    let me =
        members.get_node(&held.node).cloned().unwrap_or_else(|| BasicNode { addr: String::new() });
    let alone =
        Membership::new(vec![BTreeSet::from([held.node])], BTreeMap::from([(held.node, me)]))
            .map_err(|e| {
                Error::new(Code::Internal, format!("a membership of one is wrong: {e}"))
            })?;
    let next = held.term + 1;
    let index = held.last.map_or(0, |(_, index)| index + 1);
    let entry = Entry { log_id: log_id(next, index), payload: EntryPayload::Membership(alone) };
    let leader_id = LeaderId { term: next, voted_for: held.node };
    let vote = record::encode(&VoteRecord::from(Vote { leader_id, committed: true }))?;
    let bytes = record::encode(&EntryRecord::from(&entry))?;
    let written = store.write(Mode::Synced, move |t| {
        t.log_put(index, &bytes)?;
        t.meta_put(meta::VOTE, &vote)
    });
    written.await
}
