//! Nodes telling each other of themselves: addresses, roles, versions, who leads, and who gives no sign of life.
//!
//! [`Gossip`] runs the protocol (the crate `chitchat`, which this room owns) over a [`Courier`], so that it rides the
//! link between nodes and needs no port, no key and no datagrams of its own. What it tells may be stale: it is never the
//! ground of a decision that must be safe.
//!
//! - Frames are judged before the library sees them (`socket`, `frame`); garbage, other clusters', and frames in
//!   another's name are dropped and counted.
//! - A task of the library that has died (it stops itself on some inputs) is started again as a new generation, and
//!   counted. What other nodes had said is learned again from those that were known.
//! - At most [`NODES_MAX`] nodes gossip; a further one is told that there is no room ([`Members::refused`]).
//! - A node that knows nobody else does not gossip, and costs nothing by it (`alone`).
//! - Nothing here waits for a peer: sending is apart from gossiping (`courier`), names are resolved aside (`seeds`).
//!
//! It does not decide who votes (`membership`) and does not carry anything else.

mod alone;
mod book;
mod counts;
mod courier;
mod facts;
mod frame;
mod keeper;
pub mod memory;
mod roster;
mod seeds;
mod socket;
#[cfg(test)]
mod tests;

pub use book::{DEAD_MAX, Member};
pub use courier::{Courier, Sending};
pub use facts::{Facts, ROLES, Role, VALUE_BYTES_MAX};
pub use frame::FRAME_BYTES_MAX;
pub use roster::NODES_MAX;
pub use seeds::SEEDS_MAX;
pub use socket::{INBOX_MAX, Inbox};

use crate::base::error::{Code, Error, Result};
use crate::telemetry::Metrics;
use counts::Counts;
use courier::Outbox;
use frame::node_of;
use keeper::{Command, Ends, Keeper};
use roster::Roster;
use socket::Sockets;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How many orders may wait for the task that keeps gossip running.
const COMMANDS_MAX: usize = 16;

/// How to gossip.
#[derive(Clone, Debug)]
pub struct GossipOptions {
    /// The cluster's id.
    pub cluster: u64,
    /// This node's id.
    pub node: u64,
    /// Which start of this node it is: greater than that of each start before (the time in ms will do).
    pub generation: u64,
    /// Where other nodes reach this one.
    pub advertise: SocketAddr,
    /// How often a node talks to three others.
    pub interval: Duration,
    /// How long a node may give no sign of life before it may be taken for dead.
    pub silence: Duration,
    /// How many nodes may gossip: [`NODES_MAX`], or another number to measure what it would cost.
    pub nodes_max: usize,
    /// Addresses, `host:port`, of nodes to begin with; names are resolved again from time to time.
    pub seeds: Vec<String>,
    /// What this node says of itself.
    pub facts: Facts,
    /// Where to count.
    pub metrics: Metrics,
}

impl GossipOptions {
    /// With the usual pace.
    ///
    /// At a quarter of a second a change is seen by all of 50 nodes within about a second, and the dead are noticed in 2
    /// to 3 s, which is what may pass between a death and its notice elsewhere (`tests/benches/gossip.rs` prints what it costs).
    pub fn new(cluster: u64, node: u64, generation: u64, advertise: SocketAddr) -> Self {
        Self {
            cluster,
            node,
            generation,
            advertise,
            interval: Duration::from_millis(250),
            silence: Duration::from_secs(2),
            nodes_max: NODES_MAX,
            seeds: Vec::new(),
            facts: Facts::default(),
            metrics: Metrics::new(),
        }
    }
}

/// All nodes that gossip knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// By id, this node included.
    pub nodes: BTreeMap<u64, Member>,
    /// Why this node is not let in, where that is so.
    pub refused: Option<Refusal>,
}

/// Why a node does not take part in gossip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who said so.
    pub by: u64,
    /// Why.
    pub reason: String,
}

impl Refusal {
    fn no_room(by: u64) -> Self {
        let by_name = frame::name_of(by);
        let reason = format!(
            "{NODES_MAX} nodes gossip already, node {by_name} knows no room for another; \
             this one is known to those that it is connected with"
        );
        Self { by, reason }
    }
}

/// A node's part in gossip; clones are the same one. Ends with [`Gossip::stop`], or with the last clone.
#[derive(Clone)]
pub struct Gossip(Arc<Inner>);

struct Inner {
    inbox: Inbox,
    roster: Roster,
    facts: watch::Sender<Facts>,
    seeds: watch::Sender<Vec<String>>,
    members: watch::Receiver<Arc<Members>>,
    commands: mpsc::Sender<Command>,
    stop: watch::Sender<bool>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Gossip {
    /// Begins, on the current tokio runtime; needs nobody to be there.
    ///
    /// # Errors
    /// [`Code::Invalid`] for an interval of 0, and as [`Facts::check`].
    pub fn start(options: GossipOptions, courier: Arc<dyn Courier>) -> Result<Self> {
        if options.interval.is_zero() {
            return Err(Error::new(Code::Invalid, "the interval of gossip must not be 0"));
        }
        options.facts.check()?;
        let counts = Counts::new(&options.metrics);
        let inbox = Inbox::new(&counts);
        let roster = Roster::new(options.nodes_max);
        let (refused, is_refused) = watch::channel(None);
        let sockets = Sockets {
            cluster: options.cluster,
            node: options.node,
            address: options.advertise,
            inbox: inbox.clone(),
            outbox: Outbox::start(courier, &counts),
            roster: roster.clone(),
            refused,
            counts: counts.clone(),
        };
        let (facts, told) = watch::channel(options.facts.clone());
        let (seeds, named) = watch::channel(options.seeds.clone());
        let (published, members) = watch::channel(Arc::default());
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        let (stop, stopped) = watch::channel(false);
        let ends = Ends {
            seeds: seeds::resolve(named),
            facts: told,
            refused: is_refused,
            members: published,
            commands: orders,
            stop: stopped,
        };
        let keeper = Keeper::new(options, sockets, ends);
        let keeper = Mutex::new(Some(tokio::spawn(keeper.run())));
        Ok(Self(Arc::new(Inner { inbox, roster, facts, seeds, members, commands, stop, keeper })))
    }

    /// Where the link puts the frames of other nodes.
    pub fn inbox(&self) -> Inbox {
        self.0.inbox.clone()
    }

    /// Changes what this node says of itself; others are told at once.
    ///
    /// # Errors
    /// As [`Facts::check`]; then nothing has changed.
    pub fn facts(&self, change: impl FnOnce(&mut Facts)) -> Result<()> {
        let mut facts = self.0.facts.borrow().clone();
        change(&mut facts);
        facts.check()?;
        self.0.facts.send_if_modified(|now| {
            let other = *now != facts;
            *now = facts;
            other
        });
        Ok(())
    }

    /// Who is there, and every change of it.
    pub fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.0.members.clone()
    }

    /// Other nodes to begin with, and to come back to after a division (the members of the log, say). At most
    /// [`SEEDS_MAX`] of them are used.
    pub fn seeds(&self, seeds: Vec<String>) {
        self.0.seeds.send_if_modified(|now| {
            let other = *now != seeds;
            *now = seeds;
            other
        });
    }

    /// Whether a node that wants to join could gossip.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when as many as may gossip are there.
    pub fn room_for(&self, node: u64) -> Result<()> {
        if self.0.roster.has_room(node) {
            return Ok(());
        }
        Err(Error::new(Code::Overloaded, format!("{NODES_MAX} nodes gossip already"))
            .hint("let the node be an agent only, which needs no gossip"))
    }

    /// Forgets a node that is dead; answers whether it was. (One that is alive is seen again at once.)
    pub async fn forget(&self, node: u64) -> bool {
        let (answer, forgotten) = oneshot::channel();
        if self.0.commands.send(Command::Forget { node, answer }).await.is_err() {
            return false;
        }
        forgotten.await.unwrap_or(false)
    }

    /// Ends. Others notice by its silence.
    pub async fn stop(&self) {
        self.0.stop.send_replace(true);
        let keeper = self.0.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            // Its end is what is waited for, however it comes.
            let _ = keeper.await;
        }
    }

    /// Ends the library's task as if it had failed.
    #[cfg(test)]
    async fn kill(&self) {
        let _ = self.0.commands.send(Command::Kill).await;
    }
}
