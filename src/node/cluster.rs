//! The node in its cluster: who it is, its link to the others, the log, gossip, and who leads.
//!
//! A node that was told to join asks a member to let it in; one that was told nothing founds a cluster of its own, or goes
//! on in the one it is in. Everything that lasts is written before it is used.

use super::settings::Options;
use crate::base::error::{Code, Error, Result};
use crate::base::version::MESOLITH_VERSION;
use crate::cluster::consensus::{self, Registry, Start};
use crate::cluster::gossip::{self, Courier, Facts, Gossip, GossipOptions};
use crate::cluster::identity::{
    Authority, Certificate, ClusterId, Credentials, Folder, NodeId, Revoked, Roles, wall_now,
};
use crate::cluster::link::join::{Patience, Progress, join};
use crate::cluster::link::local::Switchboard;
use crate::cluster::link::{
    Answering, Doors, FaceName, FaceService, GossipFrame, JoinFacts, Link, LinkOptions, Listening,
    Renewed, VERSIONS, renewal,
};
use crate::cluster::membership::{Order, Policy, Versions};
use crate::cluster::roster::steer::Steering;
use crate::cluster::roster::{Founding, NodeRecord, Place, Porter, Seat, revoked_in};
use crate::store::DataDir;
use crate::telemetry::Metrics;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How many frames of gossip may wait to be taken.
const GOSSIP_MAX: usize = 256;
/// How often is looked for the address of a leader that is not known yet.
const ADDRESS_EVERY: Duration = Duration::from_millis(100);
/// How often is looked whether nodes were removed.
const REMOVED_EVERY: Duration = Duration::from_secs(2);
/// How long connections of other nodes may take to end when the node stops.
const LINK_STOP: Duration = Duration::from_millis(500);

/// The node's part in its cluster.
pub struct Cluster {
    /// Ways to other nodes.
    pub link: Link,
    /// The log.
    pub registry: Registry,
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
    workers: Vec<JoinHandle<()>>,
    listening: Option<Listening>,
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
        let seeds = options.join.clone();
        let ip = own_ip(options.cluster_ip, options.ip, seeds.first());
        let address = SocketAddr::new(ip, port);
        let known = folder.load()?;
        if let (Some(known), false) = (&known, seeds.is_empty()) {
            say(&format!("this node is in cluster {} already", known.certificate.cluster));
        }
        let (credentials, members) = match known {
            Some(known) => (known, Vec::new()),
            None if seeds.is_empty() => (found(&folder)?, Vec::new()),
            None => enter_by(&folder, options, &seeds, address, say).await?,
        };
        let certificate = credentials.certificate.clone();
        let start = match folder.founding()? {
            Some(_) => Start::Found { cluster: certificate.cluster.0 },
            None => Start::Join { cluster: certificate.cluster.0 },
        };
        let metrics = Metrics::new();
        let revoked = Revoked::default();
        let (credentials, current) = watch::channel(Arc::new(credentials));
        let link_options =
            LinkOptions { metrics: metrics.clone(), ..LinkOptions::new(address.to_string()) };
        let link = Link::new(current, revoked.clone(), link_options)?;
        let registry = Registry::open_as(
            dir,
            certificate.node.0,
            consensus::Options {
                start,
                address: address.to_string(),
                transport: Some(Arc::new(link.clone())),
                ..consensus::Options::default()
            },
        )
        .await?;
        let versions = Versions { oldest: VERSIONS.oldest.into(), newest: VERSIONS.newest.into() };
        let gossip = Gossip::start(
            GossipOptions {
                seeds: members,
                facts: facts(options, faces, versions),
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
        let company = Company {
            gossip: gossip.clone(),
            policy: Policy { voters_max: options.voters_max, ..Policy::default() },
            versions,
            seat: watch::Sender::new(None),
            steering: watch::Sender::default(),
            founder: Some((folder.clone(), first_record(&certificate, options, address))),
        };
        let workers = vec![
            tokio::spawn(take_gossip(inbound, gossip.clone())),
            tokio::spawn(follow_leader(registry.clone(), gossip.clone(), place)),
            tokio::spawn(follow_members(registry.clone(), gossip.clone())),
            tokio::spawn(follow_removals(registry.clone(), gossip.clone(), revoked)),
        ];
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
            workers,
            listening: None,
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
            raft: Some(self.registry.inbox()),
            gossip: Some(self.frames.clone()),
            agents: Some(Arc::new(switchboard)),
            admission: Some(Arc::new(porter)),
            faces,
        };
        self.listening = Some(self.link.listen(listener, doors)?);
        let (link, leader) = (self.link.clone(), self.leader.clone());
        let credentials = self.credentials.clone();
        let ask =
            move || renew(link.clone(), leader.clone(), seat.clone(), credentials.subscribe());
        let keep = renewal::keep(self.folder.clone(), self.credentials.clone(), ask, stop);
        self.workers.push(tokio::spawn(keep));
        Ok(())
    }

    /// Leaves the others alone: no more is taken in or sent.
    pub async fn stop(&self) {
        self.gossip.stop().await;
        if let Some(listening) = &self.listening {
            listening.stop(LINK_STOP).await;
        }
        self.link.close();
        self.workers.iter().for_each(JoinHandle::abort);
    }
}

/// Founds a cluster: the authority is kept here until the registry has it.
fn found(folder: &Folder) -> Result<Credentials> {
    let authority = match folder.founding()? {
        Some(authority) => authority,
        None => {
            let authority = Authority::create(ClusterId::random()?, wall_now())?;
            folder.keep_founding(&authority)?;
            authority
        }
    };
    let certificate = authority.sign(&folder.key().public(), Roles::FULL, wall_now())?;
    folder.store(&certificate, &crate::cluster::identity::Authorities::of(&authority))
}

async fn enter_by(
    folder: &Folder,
    options: &Options,
    seeds: &[String],
    address: SocketAddr,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(Credentials, Vec<String>)> {
    let Some(token) = &options.token else {
        return Err(Error::new(Code::Invalid, "joining needs a token (--token)")
            .hint("`mesolith token create` on a member of the cluster makes one"));
    };
    let facts = JoinFacts {
        address: address.to_string(),
        hostname: options.hostname.clone(),
        zone: Some(options.zone.clone()).filter(|zone| !zone.is_empty()),
        roles: Roles::FULL,
        program: MESOLITH_VERSION.into(),
        wire: VERSIONS,
    };
    let patience = Patience { own: vec![address], ..Patience::default() };
    let joined = join(seeds, token, folder.key(), &facts, &patience, |progress| match progress {
        Progress::Asks(seed) => say(&format!("joining by {seed}")),
        Progress::Failed(seed, trouble) => say(&format!("{seed}: {trouble}")),
        Progress::Waits(pause) => say(&format!("no member let this node in; again in {pause:.0?}")),
    })
    .await?;
    say(&format!("joined cluster {}", joined.cluster));
    let credentials = folder.store(&joined.certificate, &joined.authorities)?;
    let members = joined.members.into_iter().map(|member| member.address).collect();
    Ok((credentials, members))
}

fn first_record(certificate: &Certificate, options: &Options, address: SocketAddr) -> NodeRecord {
    NodeRecord {
        node: certificate.node,
        roles: certificate.roles,
        address: address.to_string(),
        hostname: options.hostname.clone(),
        zone: options.zone.clone(),
        joined: wall_now(),
        token: None,
        order: Order::None,
        leaving: false,
    }
}

fn facts(
    options: &Options,
    faces: BTreeMap<gossip::Role, SocketAddr>,
    versions: Versions,
) -> Facts {
    Facts {
        version: MESOLITH_VERSION.into(),
        wire: Some((versions.oldest, versions.newest)),
        roles: faces.keys().copied().collect(),
        zone: options.zone.clone(),
        hostname: options.hostname.clone(),
        leader: None,
        faces: faces.into_iter().map(|(role, at)| (role, at.to_string())).collect(),
        candidate: true,
        leaving: false,
        load: None,
    }
}

/// The address that others reach this machine at: what was told, the user ports', the one that leads towards a seed, or the
/// machine's first.
fn own_ip(cluster: IpAddr, user: IpAddr, seed: Option<&String>) -> IpAddr {
    let is_usable = |ip: &IpAddr| !ip.is_unspecified();
    if is_usable(&cluster) {
        return cluster;
    }
    if is_usable(&user) && !user.is_loopback() {
        return user;
    }
    let towards = |to: SocketAddr| {
        // Connecting a datagram socket sends nothing: it looks up the way.
        let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|at| at.ip()).filter(is_usable)
    };
    let seed = seed.and_then(|seed| seed.to_socket_addrs().ok()?.find_map(towards));
    // An address of documentation: whatever goes by the default way.
    let outside = || towards(SocketAddr::from(([192, 0, 2, 1], 9)));
    seed.or_else(outside).or_else(first_ip).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn first_ip() -> Option<IpAddr> {
    let all = nix::ifaddrs::getifaddrs().ok()?;
    let addresses = all.filter_map(|interface| {
        let ip = interface.address?.as_sockaddr_in()?.ip();
        (!ip.is_loopback()).then_some(IpAddr::V4(ip))
    });
    addresses.into_iter().next()
}

/// Gossip's frames go over the link.
struct OverLink(Link);

impl Courier for OverLink {
    fn send(&self, to: SocketAddr, frame: Bytes) -> gossip::Sending {
        let peer = self.0.peer(&to.to_string(), None);
        Box::pin(async move { peer.gossip(frame).await })
    }
}

async fn take_gossip(mut frames: mpsc::Receiver<GossipFrame>, gossip: Gossip) {
    let inbox = gossip.inbox();
    while let Some(frame) = frames.recv().await {
        inbox.put(Some(frame.from.0), frame.bytes);
    }
}

/// Who leads and where, from the log's own word.
async fn follow_leader(registry: Registry, gossip: Gossip, place: watch::Sender<Option<Place>>) {
    let mut leadership = registry.leadership();
    let mut members = gossip.members();
    loop {
        let now = *leadership.borrow_and_update();
        let known = members.borrow_and_update().clone();
        let found = now.leader.and_then(|node| {
            // A node that has just joined hears from the leader before it has the list of members.
            let member = registry.members().get(&node).map(|member| member.address.clone());
            let seen = || known.nodes.get(&node).map(|seen| seen.address.to_string());
            Some(Place { node: NodeId(node), address: member.or_else(seen)? })
        });
        let lacks_address = found.is_none() && now.leader.is_some();
        place.send_if_modified(|before| {
            let other = *before != found;
            *before = found.clone();
            other
        });
        let told = gossip.facts(|facts| {
            let epoch = registry.epoch().0;
            facts.leader = now.leader.filter(|_| now.is_me).map(|node| (node, epoch));
        });
        if let Err(e) = told {
            tracing::warn!("gossip does not carry who leads: {e}");
        }
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() { return },
            changed = members.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(ADDRESS_EVERY), if lacks_address => {}
        }
    }
}

/// The members of the log are whom gossip goes back to after a division.
async fn follow_members(registry: Registry, gossip: Gossip) {
    let mut members = gossip.members();
    loop {
        members.borrow_and_update();
        let me = registry.node_id();
        let others = registry.members().into_iter().filter(|(node, _)| *node != me);
        let seeds: Vec<String> = others.map(|(_, member)| member.address).collect();
        if !seeds.is_empty() {
            gossip.seeds(seeds);
        }
        if members.changed().await.is_err() {
            return;
        }
    }
}

/// Removed nodes are shut out.
async fn follow_removals(registry: Registry, gossip: Gossip, revoked: Revoked) {
    let mut members = gossip.members();
    loop {
        // A node alone has nobody to shut out.
        if members.wait_for(|members| members.nodes.len() > 1).await.is_err() {
            return;
        }
        match revoked_in(&registry) {
            Ok(nodes) => revoked.set(nodes.into_iter().collect()),
            Err(e) => tracing::warn!("the list of removed nodes cannot be read: {e}"),
        }
        tokio::time::sleep(REMOVED_EVERY).await;
    }
}

fn renew(
    link: Link,
    leader: watch::Receiver<Option<Place>>,
    seat: watch::Receiver<Option<Seat>>,
    credentials: watch::Receiver<Arc<Credentials>>,
) -> Answering<Result<Renewed>> {
    Box::pin(async move {
        let seat = seat.borrow().clone();
        if let Some(seat) = seat {
            let own = credentials.borrow().clone();
            let member = crate::cluster::identity::Member {
                node: own.certificate.node,
                cluster: own.certificate.cluster,
                roles: own.certificate.roles,
                key: own.key.public(),
            };
            return seat.renew(&member, wall_now());
        }
        let place = leader.borrow().clone();
        let none = || Error::new(Code::Unavailable, "nobody leads at present");
        let place = place.ok_or_else(none)?;
        link.peer(&place.address, Some(place.node)).renew().await
    })
}
