//! What can be chosen about the registry of a node.

use super::network::Transport;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How a node without a history starts. One that has a history goes on with it, whatever is said
/// here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As the first and only voter of a new cluster.
    Bootstrap,
    /// The same, of a new cluster whose id was chosen before.
    Found {
        /// The cluster's id.
        cluster: u64,
    },
    /// Empty, waiting to be added to the cluster with this id.
    Join {
        /// The cluster's id: see `Registry::cluster_id`.
        cluster: u64,
    },
}

/// How fast failures of a leader are noticed. A node that is the only member does not tick,
/// whatever is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often a leader tells the others that it is there. An answer that takes longer counts as none, so it must be more
    /// than the way to a majority and back takes: else nobody leads for long, however long the time-out is.
    pub heartbeat: Duration,
    /// The shortest time without a heartbeat before an election.
    pub election_min: Duration,
    /// The longest; also how long followers refuse to elect another leader. Close to the shortest
    /// is better.
    pub election_max: Duration,
}

impl Pace {
    /// The shortest time-out that may be chosen: less than disks and a busy machine may take.
    pub const ELECTION_SHORTEST: Duration = Duration::from_millis(100);
    /// The longest.
    pub const ELECTION_LONGEST: Duration = Duration::from_secs(60);

    /// A leader is heard at least so often, whatever the time-out is: changes of voters rest on answers that are half a second
    /// old at the most (`membership::Policy::sure`), and an answer may be so old as it took and a heartbeat more.
    const HEARTBEAT_LONGEST: Duration = Duration::from_millis(250);

    /// With followers that refuse to elect another leader for that long, and elect one within twice the time. Nodes may be
    /// a quarter of it apart, there and back, up to a quarter of a second.
    pub fn within(election: Duration) -> Self {
        Self {
            heartbeat: (election / 4).min(Self::HEARTBEAT_LONGEST),
            election_min: election * 3 / 4,
            election_max: election,
        }
    }
}

impl Default for Pace {
    /// Half a second of silence at the least, 0.6 s at the most, before another leads: more than busy machines and disks
    /// make of a living leader.
    fn default() -> Self {
        Self::within(Duration::from_millis(300))
    }
}

/// The options of a registry.
#[derive(Clone)]
pub struct Options {
    /// How to start without a history.
    pub start: Start,
    /// Where other nodes reach this one (`host:port`); empty when there are none.
    pub address: String,
    /// How to reach other nodes; none: there are none.
    pub transport: Option<Arc<dyn Transport>>,
    /// How fast failures are noticed.
    pub pace: Pace,
    /// Where the protocol runs; nothing: where the registry is opened.
    pub runtime: Option<Handle>,
    /// How long a proposal or a read may take; after that the outcome is unknown.
    pub timeout: Duration,
    /// After how many entries a snapshot is taken, so that older entries can be purged.
    pub snapshot_entries: u64,
    /// How many entries before a snapshot are kept, for followers that are a little behind.
    pub log_keep: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start: Start::Bootstrap,
            address: String::new(),
            transport: None,
            pace: Pace::default(),
            runtime: None,
            timeout: Duration::from_secs(5),
            snapshot_entries: 10_000,
            log_keep: 2_000,
        }
    }
}
