//! What the leader sees when it decides.

use crate::base::time::Mono;
use std::collections::{BTreeMap, BTreeSet};

/// A node: its raft id, which is bound to its key.
pub type Node = u64;

/// Everything a decision rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// This leader.
    pub me: Node,
    /// The versions that this leader speaks.
    pub versions: Versions,
    /// The members of the log.
    pub members: BTreeMap<Node, Member>,
    /// The voters to be, where a change of voters was begun and not ended (by an earlier leader).
    pub joint: Option<BTreeSet<Node>>,
    /// Whether a step is being carried out.
    pub changing: bool,
    /// The nodes that gossip knows.
    pub candidates: BTreeMap<Node, Candidate>,
}

/// A member of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where the log says it is reached.
    pub address: String,
    /// Whether it votes (before the change, while one is under way).
    pub votes: bool,
    /// How many entries it lacks; not known before it first answered.
    pub behind: Option<u64>,
    /// When it last answered this leader.
    pub heard: Option<Mono>,
}

/// A node that gossip knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it says it is reached.
    pub address: String,
    /// Its failure domain; empty: none was named.
    pub zone: String,
    /// Whether it runs a master, so that it can have the log.
    pub master: bool,
    /// The versions it speaks.
    pub versions: Versions,
    /// Whether gossip hears it.
    pub life: Life,
    /// It is about to leave for good.
    pub leaving: bool,
    /// What the operator said about it.
    pub order: Order,
}

/// Whether gossip hears a node, and since when that is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does.
    Alive {
        /// Since when.
        since: Mono,
    },
    /// It does not.
    Dead {
        /// Since when.
        since: Mono,
    },
}

/// What the operator said about a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Nothing: the policy decides.
    #[default]
    None,
    /// It shall vote while it is healthy, before others.
    Promote,
    /// It shall vote, and keep its vote whatever happens to it.
    Pin,
    /// It shall not vote.
    Demote,
}

/// The versions of the wire that a node speaks, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub oldest: u32,
    /// The newest.
    pub newest: u32,
}

impl Versions {
    /// Whether two nodes have a version in common.
    pub fn meet(self, other: Versions) -> bool {
        self.oldest <= other.newest && other.oldest <= self.newest
    }
}

impl View {
    /// Those who vote (before the change, while one is under way).
    pub fn voters(&self) -> BTreeSet<Node> {
        self.members.iter().filter(|(_, m)| m.votes).map(|(n, _)| *n).collect()
    }
}
