//! A model of what makes nodes one cluster: the network between them, a log on each one's disk, elections, gossip; and on
//! the node that leads the real membership core, whose steps change the voters of that log.
//!
//! It stands in for openraft, the link and gossip, which have tests of their own, and knows no cores but membership: what
//! happens to them is told to the world as [`Effect`]s. One state machine for all nodes; nothing crosses from one to
//! another but where the network joins them.

mod commit;
mod drive;
mod elect;
mod gossip;
mod net;
mod rest;
mod steer;
mod stores;
mod tree;
mod trouble;

use super::Mutation;
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::cluster::membership::{Memory, Policy, Step};
use gossip::{Facts, Rumor};
use net::Net;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
pub(super) use stores::Home;
pub(in crate::sim) use tree::Owner;
use tree::{Config, EntryId, Record, Tree};

/// A node: its place among the machines of the world. For the membership core it is one more.
pub(super) type Number = usize;

/// How many nodes there are at most that have not left.
const NODES_MAX: usize = 7;
/// How many there are in one world, with those that have left.
const NODES_EVER: usize = 11;

/// Between two beats of all nodes' clocks.
pub(super) const BEAT: Duration = Duration::from_millis(100);

/// What happens to the rest of the world.
pub(super) enum Effect {
    /// A line for the trace.
    Note(String),
    /// A node was elected; its log, from the newest entry to the first.
    Leads { node: Number, log: Vec<EntryId> },
    /// An epoch has begun.
    Begun { node: Number, epoch: u64 },
    /// A node has learned that it leads no more.
    Lost { node: Number, epoch: u64 },
    /// A leader holds an entry for committed.
    Decided { node: Number, index: u64, entry: EntryId },
    /// Rows change, in the order of the log; whoever asked for it is told, or not.
    Apply { owner: Owner, entry: EntryId, ops: Arc<Vec<Op>>, told: bool },
    /// So many voters there are from now on.
    Voters { voters: usize, most: usize },
    /// A change of voters is begun by a leader that was just answered by those.
    Stepped {
        node: Number,
        before: Vec<BTreeSet<Number>>,
        after: BTreeSet<Number>,
        sure: BTreeSet<Number>,
    },
    /// A node was taken into the cluster.
    Joined(Number),
    /// There is something new to tell the followers of this leader.
    Replicate(Number),
}

/// One node.
pub(super) struct Host {
    pub up: bool,
    /// Its process is stopped until then; its containers run on.
    pub stopped_until: Mono,
    /// It has left for good, and is off.
    pub departed: bool,
    /// When it asks to join.
    joins_at: Mono,
    zone: u64,
    /// Whether it runs a master, when it leads.
    master: bool,
    moves: u64,
    /// What the operator wants of it.
    wish: Record,
    /// The end of its log; none before it was given one.
    tip: Option<EntryId>,
    /// It votes for nobody of this term or an older one any more.
    promised: u64,
    /// When a leader was last heard.
    heard: Mono,
    /// How long it waits for one.
    patience: Duration,
    reign: Option<Reign>,
    rumors: BTreeMap<Number, Rumor>,
    pulse: u64,
}

/// What a member answered its leader last.
#[derive(Clone, Copy)]
struct Answer {
    heard: Mono,
    matched: u64,
}

/// What a node has only while it leads.
struct Reign {
    term: u64,
    since: Mono,
    /// Once its first entry is committed.
    epoch: Option<u64>,
    answers: BTreeMap<Number, Answer>,
    memory: Memory,
    wake: Option<Mono>,
    looked: Mono,
    doing: Option<Doing>,
}

/// A step that is being carried out.
struct Doing {
    step: Step,
    /// What must be committed for it to go on.
    entry: EntryId,
    since: Mono,
}

impl Host {
    fn new(number: Number, joins_at: Mono, rng: &mut Rng) -> Self {
        Self {
            up: true,
            stopped_until: Mono(0),
            departed: false,
            joins_at,
            zone: rng.below(3),
            master: number == 0 || !rng.chance(1, 8),
            moves: 0,
            wish: Record::default(),
            tip: None,
            promised: 0,
            heard: Mono(0),
            patience: Duration::ZERO,
            reign: None,
            rumors: BTreeMap::new(),
            pulse: 0,
        }
    }

    fn facts(&self, number: Number) -> Facts {
        Facts {
            address: format!("n{number}:{}", 5052 + self.moves),
            zone: format!("z{}", self.zone),
            leaving: self.wish.leaving,
        }
    }
}

/// All nodes.
pub(super) struct Cluster {
    pub hosts: Vec<Host>,
    tree: Tree,
    net: Net,
    /// The newest entry that is committed, and the epoch as of it.
    committed: EntryId,
    epoch: u64,
    /// The cluster's own records, as committed.
    book: BTreeMap<Number, Record>,
    policy: Policy,
    mutation: Option<Mutation>,
    pub calm: bool,
    beats: u64,
    out: Vec<Effect>,
    /// Steps of membership that were carried out.
    pub steps: u64,
}

impl Cluster {
    /// A cluster of one, which the others join by and by.
    pub fn new(
        nodes: usize,
        join_within: Duration,
        mutation: Option<Mutation>,
        rng: &mut Rng,
    ) -> Self {
        let voters_max = [1, 3, 5, 5, 7].get(rng.below(5) as usize).copied().unwrap_or(5);
        let mut hosts = Vec::new();
        for n in 0..nodes {
            let joins_at = if n == 0 { Mono(0) } else { Mono(1) + rng.up_to(join_within) };
            hosts.push(Host::new(n, joins_at, rng));
        }
        let mut members = BTreeMap::new();
        if let Some(first) = hosts.first_mut() {
            first.tip = Some(0);
            members.insert(0, first.facts(0).address);
        }
        let voters = BTreeSet::from([0]);
        Self {
            hosts,
            tree: Tree::new(Config { members, voters, joint: None }),
            net: Net::default(),
            committed: 0,
            epoch: 0,
            book: BTreeMap::new(),
            policy: Policy { voters_max, ..Policy::default() },
            mutation,
            calm: false,
            beats: 0,
            out: Vec::new(),
            steps: 0,
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether a node's process runs.
    pub fn runs(&self, n: Number, now: Mono) -> bool {
        self.hosts.get(n).is_some_and(|h| h.up && !h.departed && now >= h.stopped_until)
    }

    /// Until when a node's process is stopped, if it is.
    pub fn stopped(&self, n: Number, now: Mono) -> Option<Mono> {
        let host = self.hosts.get(n).filter(|h| h.up && now < h.stopped_until);
        host.map(|h| h.stopped_until)
    }

    /// Whether a connection between two nodes can be: their kernels answer, if not their processes.
    pub fn joined(&self, a: Number, b: Number) -> bool {
        let up = |n: Number| self.hosts.get(n).is_some_and(|h| h.up && !h.departed);
        up(a) && up(b) && (a == b || self.net.joins(a, b))
    }

    /// Whether one gets an answer of another.
    fn reach(&self, a: Number, b: Number, now: Mono) -> bool {
        self.runs(a, now) && self.runs(b, now) && self.net.joins(a, b)
    }

    /// Whether a node belongs to the cluster, and its agent may run.
    pub fn belongs(&self, n: Number) -> bool {
        self.book.contains_key(&n) && self.hosts.get(n).is_some_and(|h| h.up && !h.departed)
    }

    /// Whether a node has left.
    pub fn departed(&self, n: Number) -> bool {
        self.hosts.get(n).is_some_and(|h| h.departed)
    }

    /// Whether a node is leaving and its master's part is over, so that its agent may go.
    pub fn may_go(&self, n: Number) -> bool {
        let out = !self.tree.get(self.committed).config.members.contains_key(&n);
        out && self.book.get(&n).is_some_and(|record| record.leaving)
    }

    /// Whether a node was asked to leave.
    pub fn leaves(&self, n: Number) -> bool {
        self.hosts.get(n).is_some_and(|h| h.wish.leaving)
    }

    /// Who leads under this epoch, and knows it.
    pub fn leader_of(&self, epoch: u64) -> Option<Number> {
        let leads = |h: &Host| h.reign.as_ref().is_some_and(|r| r.epoch == Some(epoch));
        self.hosts.iter().position(leads)
    }

    /// The configuration by which a node acts: the newest of its log, committed or not.
    fn config(&self, n: Number) -> Option<Arc<Config>> {
        let tip = self.hosts.get(n).and_then(|h| h.tip)?;
        Some(Arc::clone(&self.tree.get(tip).config))
    }

    /// Takes what has happened.
    pub fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.out)
    }

    fn note(&mut self, line: String) {
        self.out.push(Effect::Note(line));
    }
}
