//! All entries that any node's log ever had: a tree, of which each log is a branch. Where two nodes disagree, branches part.

use super::Number;
use crate::base::kv::Op;
use crate::cluster::membership::Order;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where an entry is in the tree.
pub(super) type EntryId = usize;

/// Who takes part in the log, as an entry says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// Where each member is.
    pub members: BTreeMap<Number, String>,
    pub voters: BTreeSet<Number>,
    /// The voters to be, while that is under way.
    pub joint: Option<BTreeSet<Number>>,
}

impl Config {
    /// The sets of which each must agree by a majority.
    pub fn sets(&self) -> impl Iterator<Item = &BTreeSet<Number>> {
        std::iter::once(&self.voters).chain(&self.joint)
    }

    pub fn votes(&self, node: Number) -> bool {
        self.sets().any(|set| set.contains(&node))
    }

    /// Whether these are a majority of each set.
    pub fn majority(&self, has: impl Fn(Number) -> bool) -> bool {
        self.sets().all(|set| set.iter().filter(|n| has(**n)).count() * 2 > set.len())
    }
}

/// What the cluster's records say of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub leaving: bool,
    pub order: Order,
}

/// Whose rows a batch changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Owner {
    /// The master's, by its process.
    Master { proc: u64 },
    /// Marathon's; the last of those that are answered together.
    Marathon { proc: u64, last: bool },
    /// Chronos's, decided then on its clock.
    Chronos { proc: u64, decided: i64 },
}

/// What an entry does.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    /// The first of all.
    Founding,
    /// A leader's first: its index is the epoch.
    Begin { by: Number },
    /// Rows change, if the epoch is the newest.
    Batch { owner: Owner, epoch: u64, ops: Arc<Vec<Op>> },
    /// Other members, or other voters.
    Config,
    /// The records of nodes change.
    Book { node: Number, record: Option<Record> },
}

pub(super) struct Entry {
    pub term: u64,
    pub index: u64,
    pub parent: Option<EntryId>,
    /// As of this entry.
    pub config: Arc<Config>,
    pub what: Payload,
    /// Some leader holds it for committed.
    pub committed: bool,
}

pub(super) struct Tree(Vec<Entry>);

impl Tree {
    /// Of a cluster of one.
    pub fn new(config: Config) -> Self {
        Self(vec![Entry {
            term: 0,
            index: 0,
            parent: None,
            config: Arc::new(config),
            what: Payload::Founding,
            committed: true,
        }])
    }

    /// The entry; the first of all for a number that was never given.
    pub fn get(&self, id: EntryId) -> &Entry {
        self.0.get(id).unwrap_or(&self.0[0])
    }

    pub fn commit(&mut self, id: EntryId) {
        if let Some(entry) = self.0.get_mut(id) {
            entry.committed = true;
        }
    }

    /// Adds an entry behind another.
    pub fn add(
        &mut self,
        behind: EntryId,
        term: u64,
        what: Payload,
        config: Option<Config>,
    ) -> EntryId {
        let parent = self.get(behind);
        let index = parent.index + 1;
        let config = config.map_or_else(|| Arc::clone(&parent.config), Arc::new);
        let entry = Entry { term, index, parent: Some(behind), config, what, committed: false };
        self.0.push(entry);
        self.0.len() - 1
    }

    /// The entry of that index on the branch that ends there, or its end if it is shorter.
    pub fn at(&self, end: EntryId, index: u64) -> EntryId {
        let mut id = end;
        while self.get(id).index > index {
            id = self.get(id).parent.unwrap_or(0);
        }
        id
    }

    /// The last entry that two branches have in common.
    pub fn common(&self, a: EntryId, b: EntryId) -> EntryId {
        let least = self.get(a).index.min(self.get(b).index);
        let (mut a, mut b) = (self.at(a, least), self.at(b, least));
        while a != b {
            a = self.get(a).parent.unwrap_or(0);
            b = self.get(b).parent.unwrap_or(0);
        }
        a
    }

    /// A branch, from its end back to the first entry.
    pub fn branch(&self, end: EntryId) -> Vec<EntryId> {
        let mut all = vec![end];
        let mut id = end;
        while let Some(parent) = self.get(id).parent {
            all.push(parent);
            id = parent;
        }
        all
    }

    /// What of a branch is not committed yet, oldest first.
    pub fn open(&self, end: EntryId) -> Vec<EntryId> {
        let mut all = Vec::new();
        let mut id = end;
        while !self.get(id).committed {
            all.push(id);
            id = self.get(id).parent.unwrap_or(0);
        }
        all.reverse();
        all
    }

    /// How new a log is that ends there, as voters compare it.
    pub fn age(&self, end: Option<EntryId>) -> Option<(u64, u64)> {
        end.map(|id| (self.get(id).term, self.get(id).index))
    }
}
