//! The node in its cluster: who it is, its link to the others, the log, gossip, and who leads.
//!
//! A node that may lead has the log; another one knows who leads from gossip, and asks the leader which nodes were removed.
//! Everything that lasts is written before it is used.

mod address;
mod entry;
mod follow;
mod twin;
mod waits;

use super::apart::Apart;
use super::hasten;
use super::settings::Options;
use crate::base::error::{Code, Error, Result};
use crate::cluster::consensus::{self, Pace, Registry, Start};
use crate::cluster::gossip::{self, Courier, Gossip, GossipOptions};
use crate::cluster::identity::{
    Certificate, Credentials, Folder, NodeId, OpenDoor, Revoked, wall_now,
};
use crate::cluster::link::local::Switchboard;
use crate::cluster::link::{
    Doors, FaceName, FaceService, GossipFrame, Link, LinkOptions, Listening, renewal,
};
use crate::cluster::membership::{Policy, Versions};
use crate::cluster::roster::steer::Steering;
use crate::cluster::roster::{Founding, NodeRecord, Place, Porter, Seat};
use crate::store::DataDir;
use crate::telemetry::Metrics;
pub use address::hostname;
use bytes::Bytes;
pub use follow::Gone;
use follow::Watching;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
pub use twin::removed;

/// How many frames of gossip may wait to be taken.
const GOSSIP_MAX: usize = 256;
/// How long connections of other nodes may take to end when the node stops.
const LINK_STOP: Duration = Duration::from_millis(500);

/// The node's part in its cluster.
pub struct Cluster {
    /// Ways to other nodes.
    pub link: Link,
    /// The log; nothing on a node that cannot lead.
    pub registry: Option<Registry>,
    /// Who is there.
    pub gossip: Gossip,
    /// Who leads.
    pub leader: watch::Receiver<Option<Place>>,
    /// What leading needs.
    pub company: Company,
    /// Where other nodes reach this one.
    pub address: SocketAddr,
    credentials: watch::Sender<Arc<Credentials>>,
    folder: Folder,
    frames: mpsc::Sender<GossipFrame>,
    gone: watch::Sender<Option<Gone>>,
    workers: Vec<JoinHandle<()>>,
    listening: Option<Listening>,
    apart: Apart,
}

/// What leading needs of the cluster.
#[derive(Clone)]
pub struct Company {
    /// Who is there.
    pub gossip: Gossip,
    /// How votes are given.
    pub policy: Policy,
    /// The versions of the link that are spoken.
    pub versions: Versions,
    /// Holds the leader's hold on the book while this node leads.
    pub seat: watch::Sender<Option<Seat>>,
    /// What was decided about votes.
    pub steering: watch::Sender<Arc<Steering>>,
    /// The nodes that leave and that nothing is left on, as the leader sees it.
    pub cleared: watch::Sender<BTreeSet<NodeId>>,
    /// Who is let in without a token of the book's.
    pub open: Option<OpenDoor>,
    founder: Option<(Folder, NodeRecord)>,
}

impl Company {
    /// What is to be put into a registry that has no authority.
    ///
    /// # Errors
    /// What the folder failed with.
    pub fn founding(&self) -> Result<Option<Founding>> {
        let Some((folder, first)) = &self.founder else { return Ok(None) };
        let authority = folder.founding()?;
        Ok(authority.map(|authority| Founding { authority, first: first.clone() }))
    }

    /// The registry has it.
    ///
    /// # Errors
    /// What the folder failed with.
    pub fn founded(&self) -> Result<()> {
        match &self.founder {
            Some((folder, _)) => folder.founded(),
            None => Ok(()),
        }
    }
}

/// What a node is told before it has anything.
pub struct Entry<'a> {
    /// Settings.
    pub options: &'a Options,
    /// Where everything is kept.
    pub dir: &'a DataDir,
    /// Where other nodes connect to.
    pub listener: &'a TcpListener,
    /// Where the user ports are.
    pub faces: BTreeMap<gossip::Role, SocketAddr>,
    /// Where progress is told.
    pub say: &'a (dyn Fn(&str) + Sync),
}

impl Cluster {
    /// Enters: with what the node has, by joining, or by founding.
    ///
    /// # Errors
    /// Why it was not let in; what the identity's folder or the database failed with.
    pub async fn enter(entry: Entry<'_>) -> Result<Self> {
        let Entry { options, dir, listener, faces, say } = entry;
        let failed = |e| Error::new(Code::System, format!("the cluster port has no address: {e}"));
        let port = listener.local_addr().map_err(failed)?.port();
        let folder = Folder::open(dir.path())?;
        let towards = options.join.iter().chain(&options.ensemble.seeds).next();
        let ip = address::own_ip(options.cluster_ip, options.ip, towards);
        let address = SocketAddr::new(ip, port);
        let entered = entry::enter(&folder, options, address, say).await?;
        let certificate = entered.credentials.certificate.clone();
        let apart = Apart::start()?;
        let metrics = Metrics::new();
        let revoked = Revoked::default();
        let (credentials, current) = watch::channel(Arc::new(entered.credentials));
        let link_options = LinkOptions {
            metrics: metrics.clone(),
            wire: options.wire,
            ..LinkOptions::new(address.to_string())
        };
        let link = Link::new(current, revoked.clone(), link_options)?;
        if entered.again {
            twin::none(&link, &entered.others, address, say).await?;
        }
        let registry = match options.roles.master {
            true => {
                let plan = LogPlan {
                    pace: Pace::within(options.election_timeout),
                    runtime: apart.handle(),
                };
                Some(open_log(dir, &folder, &certificate, &link, plan).await?)
            }
            false => {
                has_no_log(dir)?;
                None
            }
        };
        let wire = options.wire;
        let versions = Versions { oldest: wire.oldest.into(), newest: wire.newest.into() };
        let gossip = Gossip::start(
            GossipOptions {
                seeds: entered.others.clone(),
                facts: entry::facts(options, faces, versions),
                metrics: metrics.clone(),
                ..GossipOptions::new(
                    certificate.cluster.0,
                    certificate.node.0,
                    wall_now().0 / 1_000_000,
                    address,
                )
            },
            Arc::new(OverLink(link.clone())),
        )?;
        let (place, leader) = watch::channel(None);
        let (frames, inbound) = mpsc::channel(GOSSIP_MAX);
        let record = entry::first_record(&certificate, options, address);
        let company = Company {
            gossip: gossip.clone(),
            policy: Policy { voters_max: options.voters_max, ..Policy::default() },
            versions,
            seat: watch::Sender::new(None),
            steering: watch::Sender::default(),
            cleared: watch::Sender::default(),
            open: options.open,
            founder: registry.is_some().then(|| (folder.clone(), record)),
        };
        let watching = Watching {
            link: link.clone(),
            gossip: gossip.clone(),
            seat: company.seat.subscribe(),
            folder: folder.clone(),
        };
        let gone = watch::Sender::new(None);
        let standing = follow::standing(
            registry.clone(),
            watching.clone(),
            leader.clone(),
            revoked,
            gone.clone(),
        );
        let mut workers = vec![
            tokio::spawn(follow::take_gossip(inbound, gossip.clone())),
            tokio::spawn(follow::members(registry.clone(), watching.clone(), entered.others)),
            tokio::spawn(standing),
            match registry.clone() {
                Some(registry) => tokio::spawn(follow::leader(registry, watching, place)),
                None => tokio::spawn(follow::hint(gossip.clone(), place)),
            },
        ];
        if let Some(registry) = registry.clone() {
            let hastened = hasten::follow(link.clone(), registry);
            workers.push(apart.handle().spawn(hastened));
        }
        Ok(Self {
            link,
            registry,
            gossip,
            leader,
            company,
            address,
            credentials,
            folder,
            frames,
            gone,
            workers,
            listening: None,
            apart,
        })
    }

    /// Lets other nodes in; agents reach the master by `switchboard`.
    ///
    /// # Errors
    /// [`Code::System`] when the listener cannot be used.
    pub fn listen(
        &mut self,
        listener: TcpListener,
        switchboard: Switchboard,
        faces: BTreeMap<FaceName, FaceService>,
        stop: watch::Receiver<bool>,
    ) -> Result<()> {
        let seat = self.company.seat.subscribe();
        let porter = Porter::new(self.link.node(), seat.clone(), self.leader.clone());
        let doors = Doors {
            raft: self.registry.as_ref().map(Registry::inbox),
            gossip: Some(self.frames.clone()),
            agents: Some(Arc::new(switchboard)),
            admission: Some(Arc::new(porter)),
            standings: self.registry.clone().map(|registry| {
                let company = &self.company;
                let (seat, cleared) = (company.seat.subscribe(), company.cleared.subscribe());
                follow::standings(registry, self.gossip.clone(), seat, cleared)
            }),
            faces,
            io: Some(tokio::runtime::Handle::current()),
        };
        self.listening = Some(self.listen_apart(listener, doors)?);
        let (link, leader) = (self.link.clone(), self.leader.clone());
        let credentials = self.credentials.clone();
        let ask = move || {
            follow::renew(link.clone(), leader.clone(), seat.clone(), credentials.subscribe())
        };
        let keep = renewal::keep(self.folder.clone(), self.credentials.clone(), ask, stop);
        self.workers.push(tokio::spawn(keep));
        Ok(())
    }

    /// What comes in is taken by the thread of the cluster from the first byte on.
    fn listen_apart(&self, listener: TcpListener, doors: Doors) -> Result<Listening> {
        let failed = |e| Error::new(Code::System, format!("the cluster port cannot be used: {e}"));
        let listener = listener.into_std().map_err(failed)?;
        let apart = self.apart.handle();
        let _there = apart.enter();
        self.link.listen(TcpListener::from_std(listener).map_err(failed)?, doors)
    }

    /// Completes when this node's part in the cluster is over.
    pub async fn gone(&self) -> Gone {
        let mut gone = self.gone.subscribe();
        loop {
            if let Some(gone) = *gone.borrow_and_update() {
                return gone;
            }
            // The sender is kept here.
            if gone.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Leaves the others alone: no more is taken in or sent; then the log is closed.
    ///
    /// # Errors
    /// As [`Registry::shutdown`].
    pub async fn stop(&self) -> Result<()> {
        self.gossip.stop().await;
        if let Some(listening) = &self.listening {
            listening.stop(LINK_STOP).await;
        }
        self.link.close();
        self.workers.iter().for_each(JoinHandle::abort);
        match &self.registry {
            Some(registry) => registry.shutdown().await,
            None => Ok(()),
        }
    }
}

/// How the log runs.
struct LogPlan {
    pace: Pace,
    runtime: Handle,
}

async fn open_log(
    dir: &DataDir,
    folder: &Folder,
    certificate: &Certificate,
    link: &Link,
    plan: LogPlan,
) -> Result<Registry> {
    let cluster = certificate.cluster.0;
    let start = match folder.founding()? {
        Some(_) => Start::Found { cluster },
        None => Start::Join { cluster },
    };
    let options = consensus::Options {
        start,
        address: link.address().to_string(),
        transport: Some(Arc::new(link.clone())),
        pace: plan.pace,
        runtime: Some(plan.runtime),
        ..consensus::Options::default()
    };
    Registry::open_as(dir, certificate.node.0, options).await
}

/// A node that voted and now would not is a voter that is lost.
fn has_no_log(dir: &DataDir) -> Result<()> {
    if !dir.has_log() {
        return Ok(());
    }
    let cause = "this node was a master: its part of the log is in the data directory";
    Err(Error::new(Code::Conflict, cause).hint(
        "let it leave the cluster (`mesolith leave`) and join again with an empty data directory",
    ))
}

/// Gossip's frames go over the link.
struct OverLink(Link);

impl Courier for OverLink {
    fn send(&self, to: SocketAddr, frame: Bytes) -> gossip::Sending {
        let peer = self.0.peer(&to.to_string(), None);
        Box::pin(async move { peer.gossip(frame).await })
    }
}
