//! The door: what the rest of the program sees of the replicated registry.

use super::command::{Command, Epoch, Op};
use super::leadership::{self, Leadership};
use super::log::Log;
use super::network::Factory;
use super::options::{Options, Start};
use super::propose::{self, Committed, ProposeError, Proposer};
use super::reads::Reads;
use super::record;
use super::serve::Inbox;
use super::state::State;
use super::types::{LogId, Membership, Raft, Term};
use crate::base::error::{Code, Error, Result};
use crate::store::raft::{RaftView, Row};
use crate::store::tables::meta;
use crate::store::writer::Mode;
use crate::store::{DataDir, RaftStore};
use openraft::SnapshotPolicy;
use openraft::async_runtime::WatchReceiver as _;
use openraft::impls::BasicNode;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// A leader that no majority has answered for so many of the longest election time-outs leads no more: by then there may be
/// another.
const UNANSWERED_MAX: u32 = 2;
/// How long a whole state may take to another node.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(300);
/// How many purgeable entries are purged together.
const PURGE_BATCH: u64 = 256;

/// How the registry of this node is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This node's id.
    pub node: u64,
    /// The cluster's id.
    pub cluster: u64,
    /// The current term.
    pub term: u64,
    /// The newest applied epoch; 0 before the first.
    pub epoch: Epoch,
    /// The index of the last log entry here.
    pub last_log: Option<u64>,
    /// The index of the last applied entry.
    pub applied: Option<u64>,
    /// The index of the last entry in the last snapshot.
    pub snapshot: Option<u64>,
    /// The index of the last purged entry.
    pub purged: Option<u64>,
    /// The size of the database file, in bytes.
    pub database_bytes: u64,
    /// Commits of the database with a sync, and without.
    pub commits: (u64, u64),
    /// Proposals under way.
    pub pending: usize,
    /// Proposals refused because too many were under way.
    pub overloaded: u64,
    /// Proposals whose outcome was not known in time.
    pub unknown: u64,
    /// Why it has stopped, if it has.
    pub failure: Option<String>,
}

/// How many messages may wait in each of openraft's queues.
const QUEUE_MAX: u64 = 1024;

/// The replicated registry; clones are the same one.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    raft: Raft,
    store: Arc<RaftStore>,
    proposer: Proposer,
    reads: Reads,
    leadership: watch::Receiver<Leadership>,
    epoch: Arc<AtomicU64>,
    node: u64,
    cluster: u64,
    timeout: Duration,
}

impl Registry {
    /// Opens the registry of a data directory, on the current tokio runtime. A fresh one is
    /// bootstrapped as `options.start` says; a node that is the only voter leads when this returns.
    ///
    /// # Errors
    /// [`Code::Corrupt`], with the way out, when `raft.redb` is not a whole database of this
    /// directory; [`Code::Conflict`] when it belongs to another cluster than the one to join.
    pub async fn open(dir: &DataDir, options: Options) -> Result<Self> {
        Self::open_as(dir, dir.node_id(), options).await
    }

    /// The same as the node with this id: what a node's key says.
    ///
    /// # Errors
    /// As [`Registry::open`]; [`Code::Conflict`] also when the database is another node's.
    pub async fn open_as(dir: &DataDir, node: u64, options: Options) -> Result<Self> {
        let store = RaftStore::open(dir)?;
        let view = store.view()?;
        // Before the node's id was written into the database it was the directory's.
        if node != dir.node_id()
            && view.meta(meta::NODE)?.is_none()
            && view.meta(meta::CLUSTER)?.is_some()
        {
            return Err(foreign(dir.node_id(), node));
        }
        drop(view);
        Self::open_on(store, node, options).await
    }

    /// The same on an open database, as the node with this id.
    ///
    /// # Errors
    /// As [`Registry::open_as`].
    pub async fn open_on(store: RaftStore, node: u64, options: Options) -> Result<Self> {
        // Whatever the protocol starts, it starts where it was started itself.
        let runtime = options.runtime.clone().unwrap_or_else(Handle::current);
        let opened = runtime.spawn(Self::open_here(store, node, options)).await;
        opened.map_err(|e| Error::new(Code::Internal, e.to_string()))?
    }

    async fn open_here(store: RaftStore, node: u64, options: Options) -> Result<Self> {
        let store = Arc::new(store);
        own(&store, node).await?;
        let cluster = cluster_id(&store, options.start).await?;
        let epoch = Arc::new(AtomicU64::new(0));
        let state = State::open(store.clone(), epoch.clone())?;
        let log = Log::open(store.clone())?;
        let factory = Factory { cluster, transport: options.transport.clone() };
        let config = Arc::new(config(&options)?);
        let raft = Raft::new(node, config, factory, log, state).await.map_err(cannot_start)?;
        let leadership = leadership::follow(&raft, options.pace.election_max * UNANSWERED_MAX);
        let registry = Self(Arc::new(Inner {
            proposer: Proposer::start(raft.clone(), options.timeout),
            reads: Reads::start(raft.clone(), options.timeout),
            raft,
            store,
            leadership,
            epoch,
            node,
            cluster,
            timeout: options.timeout,
        }));
        registry.start(&options).await?;
        Ok(registry)
    }

    /// Makes a fresh node the first voter, and an only voter the leader without waiting for an
    /// election time-out.
    async fn start(&self, options: &Options) -> Result<()> {
        let raft = self.raft();
        if raft.is_initialized().await.map_err(cannot_start)? {
            // Metrics may lag behind what was read from the disk.
            let voters = raft.with_raft_state(|state| {
                state.membership_state.effective().voter_ids().collect::<Vec<_>>()
            });
            if voters.await.map_err(cannot_start)? != [self.0.node] {
                return Ok(());
            }
            raft.trigger().elect(false).await.map_err(cannot_start)?;
        } else if !matches!(options.start, Start::Join { .. }) {
            // This asks for the first election, too.
            let me = BasicNode { addr: options.address.clone() };
            raft.initialize(BTreeMap::from([(self.0.node, me)])).await.map_err(cannot_start)?;
        } else {
            return Ok(());
        }
        let mut leadership = self.leadership();
        let leads = leadership.wait_for(|now| now.is_me);
        match tokio::time::timeout(self.0.timeout, leads).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::new(Code::Unavailable, "the only voter could not become the leader")),
        }
    }

    pub(super) fn raft(&self) -> &Raft {
        &self.0.raft
    }

    pub(super) fn reads(&self) -> &Reads {
        &self.0.reads
    }

    pub(super) fn membership(&self) -> Membership {
        self.raft().server_metrics().borrow_watched().membership_config.membership().clone()
    }

    fn address_of(&self, node: Option<u64>) -> Option<(u64, String)> {
        let node = node?;
        let address = self.membership().get_node(&node).map(|n| n.addr.clone());
        Some((node, address.unwrap_or_default()))
    }

    /// This node's id.
    pub fn node_id(&self) -> u64 {
        self.0.node
    }

    /// The cluster's id, random, made when it was bootstrapped.
    pub fn cluster_id(&self) -> u64 {
        self.0.cluster
    }

    /// Who leads; the receiver sees every change of leader and term.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.clone()
    }

    /// Begins an incarnation of this leader: commits the entry that says so. From then on only
    /// batches with the epoch answered here are applied, until the next one begins.
    ///
    /// # Errors
    /// [`ProposeError::Unavailable`] when this node does not lead, [`ProposeError::Unknown`], or
    /// [`ProposeError::Overloaded`].
    pub async fn begin(&self) -> std::result::Result<Epoch, ProposeError> {
        let now = *self.0.leadership.borrow();
        if !now.is_me {
            return Err(ProposeError::Unavailable { leader: self.address_of(now.leader) });
        }
        // Under the leadership seen here, or not at all: should it be lost and won again meanwhile,
        // who waits for that leadership begins anew.
        let begin = || self.0.proposer.propose(Command::Begin, Some(Term::from(now.term)));
        let begun = match begin().await {
            // One that has just been elected takes nothing before a majority has answered it for the first time.
            Err(ProposeError::Unavailable { leader: None }) if self.read_index().await.is_ok() => {
                begin().await?
            }
            begun => begun?,
        };
        Ok(Epoch(begun.index))
    }

    /// The newest epoch that was applied here; 0 before the first.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.0.epoch.load(Ordering::Acquire))
    }

    /// Proposes a batch. It takes its place among the proposals when this is called, so batches of
    /// one caller are applied in the order of the calls, however many are under way; the future
    /// resolves when the batch is committed and applied, or will not be.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub fn propose(
        &self,
        epoch: Epoch,
        ops: Vec<Op>,
    ) -> impl Future<Output = std::result::Result<Committed, ProposeError>> + Send + use<> {
        let current = self.epoch();
        let sent = if epoch < current {
            // Epochs only grow: the log would refuse it as well.
            Err(ProposeError::Fenced { current })
        } else {
            propose::batch(epoch, ops).map(|command| self.0.proposer.propose(command, None))
        };
        async move { sent?.await }
    }

    /// A consistent view of the whole state as of now; keep it for a short time.
    ///
    /// # Errors
    /// What the database failed with; so it is for the other reads.
    pub fn view(&self) -> Result<RaftView> {
        self.0.store.view()
    }

    /// The value and the version of a key.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>> {
        self.view()?.get(key)
    }

    /// All keys that begin with `prefix`, in order, from one view.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn scan(&self, prefix: &str) -> Result<Vec<Row>> {
        Ok(self.view()?.rows(prefix, None, usize::MAX, usize::MAX)?.rows)
    }

    /// Takes a snapshot now, so that older log entries can be purged.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the registry has stopped.
    pub async fn snapshot_now(&self) -> Result<()> {
        self.raft().trigger().snapshot().await.map_err(stopped)
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let metrics = self.raft().metrics().borrow_watched().clone();
        let index = |id: Option<LogId>| id.map(|id| id.index);
        let counters = self.0.store.counters();
        Status {
            node: self.0.node,
            cluster: self.0.cluster,
            term: metrics.current_term,
            epoch: self.epoch(),
            last_log: metrics.last_log_index,
            applied: index(metrics.last_applied),
            snapshot: index(metrics.snapshot),
            purged: index(metrics.purged),
            database_bytes: self.0.store.size(),
            commits: (
                counters.synced.load(Ordering::Relaxed),
                counters.behind.load(Ordering::Relaxed),
            ),
            pending: self.0.proposer.pending(),
            overloaded: self.0.proposer.overloaded(),
            unknown: self.0.proposer.unknown(),
            failure: metrics.running_state.err().map(|e| e.to_string()),
        }
    }

    /// What takes the requests of other nodes; give it to the transport's receiving side.
    pub fn inbox(&self) -> Inbox {
        Inbox { raft: self.raft().clone(), cluster: self.0.cluster, node: self.0.node }
    }

    /// Stops: what is under way is answered or unknown, the database is written and closed.
    ///
    /// # Errors
    /// [`Code::Internal`] when a task had ended by a panic.
    pub async fn shutdown(&self) -> Result<()> {
        let stopped = self.raft().shutdown().await;
        let store = self.0.store.clone();
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        stopped.map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        closed.map_err(|e| Error::new(Code::Internal, e.to_string()))
    }
}

fn config(options: &Options) -> Result<openraft::Config> {
    let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let config = openraft::Config {
        cluster_name: "mesolith".into(),
        heartbeat_interval: millis(options.pace.heartbeat),
        election_timeout_min: millis(options.pace.election_min),
        election_timeout_max: millis(options.pace.election_max),
        install_snapshot_timeout: millis(SNAPSHOT_TIMEOUT),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_entries),
        max_in_snapshot_log_to_keep: options.log_keep,
        purge_batch_size: PURGE_BATCH.min(options.snapshot_entries),
        enable_pre_vote: Some(true),
        // A restarted leader asks again: whoever was elected meanwhile leads.
        enable_leader_restore: Some(false),
        // Its queues are allocated whole at start: the defaults cost 25 MiB. What waits beyond these waits in ours.
        api_channel_size: Some(QUEUE_MAX),
        notification_channel_size: Some(QUEUE_MAX),
        state_machine_channel_size: Some(QUEUE_MAX),
        ..openraft::Config::default()
    };
    config.validate().map_err(|e| Error::new(Code::Invalid, e.to_string()))
}

/// Makes sure that the database is this node's: one that votes under another id could vote twice in a term.
async fn own(store: &RaftStore, node: u64) -> Result<()> {
    let view = store.view()?;
    if let Some(bytes) = view.meta(meta::NODE)? {
        let is: u64 = record::decode("the node's id", &bytes)?;
        return if is == node { Ok(()) } else { Err(foreign(is, node)) };
    }
    drop(view);
    let bytes = record::encode(&node)?;
    store.write(Mode::Synced, move |t| t.meta_put(meta::NODE, &bytes)).await
}

fn foreign(is: u64, node: u64) -> Error {
    let cause = format!("the registry's database is of node {is:016x}, this is node {node:016x}");
    Error::new(Code::Conflict, cause).hint(
        "restore the data directory as a whole, or start with an empty one: the node is then another one",
    )
}

/// The cluster this database belongs to; a fresh one is marked with it.
async fn cluster_id(store: &RaftStore, start: Start) -> Result<u64> {
    let stored = match store.view()?.meta(meta::CLUSTER)? {
        Some(bytes) => Some(record::decode::<u64>("the cluster's id", &bytes)?),
        None => None,
    };
    let cluster = match (stored, start) {
        (Some(stored), Start::Join { cluster } | Start::Found { cluster }) if stored != cluster => {
            return Err(Error::new(
                Code::Conflict,
                format!("this node belongs to cluster {stored:016x}, not to {cluster:016x}"),
            )
            .hint("to join another cluster, start with an empty data directory"));
        }
        (Some(stored), _) => return Ok(stored),
        (None, Start::Join { cluster } | Start::Found { cluster }) => cluster,
        (None, Start::Bootstrap) => {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes)
                .map_err(|e| Error::new(Code::System, format!("no randomness: {e}")))?;
            u64::from_le_bytes(bytes)
        }
    };
    let bytes = record::encode(&cluster)?;
    store.write(Mode::Synced, move |t| t.meta_put(meta::CLUSTER, &bytes)).await?;
    Ok(cluster)
}

fn cannot_start(e: impl std::fmt::Display) -> Error {
    Error::new(Code::Unavailable, format!("the registry cannot start: {e}"))
}

fn stopped(e: impl std::fmt::Display) -> Error {
    Error::new(Code::Unavailable, format!("the registry has stopped: {e}"))
}
