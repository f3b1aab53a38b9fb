//! The link of a node: who it is there, whom it believes, what it counts; the ways to other nodes start here.

use super::counts::Counts;
use super::fate::{Fate, Fates};
use super::peer::{Peer, PeerState};
use super::wire::{Hello, VERSIONS, Versions};
use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::{ClusterId, Credentials, NodeId, Revoked, Trust, tls, wall_now};
use crate::telemetry::Metrics;
use rustls::{ClientConfig, ServerConfig};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How many ways to other nodes are kept.
const PEERS_MAX: usize = 1024;
/// Of how many nodes is kept where they say that they are.
const ADDRESSES_MAX: usize = 1024;

/// How much the link takes on, and how patient it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time of who has shown no certificate.
    pub strangers: usize,
    /// Connections at a time of members.
    pub members: usize,
    /// Connections at a time of one member.
    pub per_member: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long somebody without a certificate may stay.
    pub stranger_stay: Duration,
    /// How long a connect may take.
    pub connect: Duration,
    /// How often certificates of members that stay connected are looked at again.
    pub recheck: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            strangers: 256,
            members: 4096,
            per_member: 32,
            handshake: Duration::from_secs(5),
            stranger_stay: Duration::from_secs(30),
            connect: Duration::from_secs(2),
            recheck: Duration::from_secs(60),
        }
    }
}

/// What a link is told at its making.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Where others reach this node, `host:port`; empty when it does not listen.
    pub address: String,
    /// The program's version.
    pub program: String,
    /// The versions of the link that are spoken.
    pub wire: Versions,
    /// How much it takes on.
    pub limits: Limits,
    /// Where it counts.
    pub metrics: Metrics,
}

impl LinkOptions {
    /// The usual ones, for a node at that address.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            program: crate::base::version::MESOLITH_VERSION.into(),
            wire: VERSIONS,
            limits: Limits::default(),
            metrics: Metrics::new(),
        }
    }
}

/// The link of this node to others; clones are the same one.
#[derive(Clone)]
pub struct Link(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub node: NodeId,
    pub cluster: ClusterId,
    pub credentials: watch::Receiver<Arc<Credentials>>,
    pub revoked: Revoked,
    pub options: LinkOptions,
    pub counts: Counts,
    pub fates: Fates,
    tls: Mutex<Tls>,
    peers: Mutex<BTreeMap<Whom, Arc<PeerState>>>,
    addresses: watch::Sender<BTreeMap<NodeId, String>>,
    pub removed: watch::Sender<bool>,
}

/// A peer: where, and who is meant.
type Whom = (String, Option<NodeId>);

/// TLS of one set of credentials.
#[derive(Clone)]
pub(super) struct Tls {
    pub of: Arc<Credentials>,
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
}

impl Tls {
    fn of(credentials: Arc<Credentials>, revoked: &Revoked) -> Result<Self> {
        let server = Arc::new(tls::server(&credentials, revoked)?);
        let client = Arc::new(tls::client(&credentials, revoked)?);
        Ok(Self { of: credentials, server, client })
    }
}

impl Link {
    /// A link with these credentials; whenever they change, new connections are made with the new ones.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when key and certificate do not belong together.
    pub fn new(
        credentials: watch::Receiver<Arc<Credentials>>,
        revoked: Revoked,
        options: LinkOptions,
    ) -> Result<Self> {
        let now = credentials.borrow().clone();
        let (node, cluster) = (now.certificate.node, now.certificate.cluster);
        if now.authorities.cluster() != cluster {
            return Err(Error::new(Code::Corrupt, "the certificate is of another cluster"));
        }
        Ok(Self(Arc::new(Inner {
            node,
            cluster,
            credentials,
            counts: Counts::new(&options.metrics),
            options,
            fates: Fates::default(),
            tls: Mutex::new(Tls::of(now, &revoked)?),
            revoked,
            peers: Mutex::default(),
            addresses: watch::Sender::default(),
            removed: watch::Sender::new(false),
        })))
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// Its cluster.
    pub fn cluster(&self) -> ClusterId {
        self.0.cluster
    }

    /// Where others reach it.
    pub fn address(&self) -> &str {
        &self.0.options.address
    }

    /// Whether a member of the cluster has told this node that it was removed.
    pub fn removed(&self) -> watch::Receiver<bool> {
        self.0.removed.subscribe()
    }

    /// What has become of a node, told as soon as its connections tell.
    pub fn fate(&self, node: NodeId) -> watch::Receiver<Fate> {
        self.0.fates.watch(node)
    }

    /// The way to whoever listens at an address; with an id, to that node only.
    pub fn peer(&self, address: &str, node: Option<NodeId>) -> Peer {
        let whom = (address.to_owned(), node);
        let mut peers = self.peers();
        if let Some(state) = peers.get(&whom) {
            return Peer { link: self.clone(), state: Arc::clone(state) };
        }
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, state| Arc::strong_count(state) > 1 || state.is_up());
        }
        let state = Arc::new(PeerState::new(address, node));
        // With no room left it is a way like another, used once.
        if peers.len() < PEERS_MAX {
            peers.insert(whom, Arc::clone(&state));
        }
        if let Some(node) = node {
            self.0.fates.listens(node, address);
        }
        Peer { link: self.clone(), state }
    }

    /// Where nodes say that they are: newer than what the log has of a node that came back under another address. Whoever
    /// answers there shows by its certificate that it is that node.
    pub fn locate(&self, nodes: impl IntoIterator<Item = (NodeId, String)>) {
        let nodes: BTreeMap<NodeId, String> = nodes.into_iter().take(ADDRESSES_MAX).collect();
        for (node, address) in &nodes {
            self.0.fates.listens(*node, address);
        }
        self.0.addresses.send_if_modified(|before| {
            let other = *before != nodes;
            *before = nodes;
            other
        });
    }

    /// Where a node is, as far as it said so; else where it was.
    pub fn where_is(&self, node: NodeId, was: &str) -> String {
        self.0.addresses.borrow().get(&node).cloned().unwrap_or_else(|| was.to_owned())
    }

    /// Changes whenever [`Self::where_is`] may answer otherwise than before.
    pub fn located(&self) -> watch::Receiver<BTreeMap<NodeId, String>> {
        self.0.addresses.subscribe()
    }

    /// Gives up all ways to others, in order.
    pub fn close(&self) {
        let all = std::mem::take(&mut *self.peers());
        all.values().for_each(|state| state.forsake());
    }

    /// A node was heard: ways to it that wait before they try again need not.
    pub(super) fn encourage(&self, node: NodeId) {
        for state in self.peers().values().filter(|state| state.meant() == Some(node)) {
            state.encourage();
        }
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<Whom, Arc<PeerState>>> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// TLS with the present credentials.
    pub(super) fn tls(&self) -> Result<Tls> {
        let now = self.0.credentials.borrow().clone();
        let mut tls = self.0.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&tls.of, &now) {
            *tls = Tls::of(now, &self.0.revoked)?;
        }
        Ok(tls.clone())
    }

    /// Whom it believes now.
    pub(super) fn trust(&self) -> Trust {
        let authorities = self.0.credentials.borrow().authorities.clone();
        Trust { authorities, revoked: self.0.revoked.clone() }
    }

    /// What it says of itself.
    pub(super) fn hello(&self) -> Hello {
        let options = &self.0.options;
        Hello {
            node: self.0.node,
            cluster: self.0.cluster,
            wire: options.wire,
            program: options.program.clone(),
            clock: wall_now(),
            address: options.address.clone(),
        }
    }

    /// Judges what another node says of itself: the version of the link to speak with it.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when it is not who its certificate says, [`Code::Invalid`] when versions are too far apart.
    pub(super) fn judge(&self, hello: &Hello, is: NodeId) -> Result<u16> {
        if hello.node != is || hello.cluster != self.0.cluster {
            let cause =
                format!("node {is} says that it is node {} of {}", hello.node, hello.cluster);
            return Err(Error::new(Code::Forbidden, cause));
        }
        let now = wall_now();
        let skew = (hello.clock - now).max(now - hello.clock);
        if skew > super::wire::CLOCK_SKEW_MAX {
            // A member's clock may be set wrong later on; nothing that is safe rests on it, so it is told, not refused.
            self.0.counts.clock_skews.inc();
            tracing::warn!("the clock of node {is} differs by {skew:.0?}");
        }
        let spoken = self.0.options.wire;
        hello.wire.common(spoken).ok_or_else(|| {
            let cause = format!(
                "versions are too far apart: node {is} ({}) speaks link {}, this one {spoken}",
                hello.program, hello.wire
            );
            Error::new(Code::Invalid, cause)
                .hint("upgrade one version at a time: neighbours understand each other")
        })
    }
}
