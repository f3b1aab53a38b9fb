//! The way to one other node: a connection for each kind of traffic, made when it is needed and again when it is lost.

use super::door::Door;
use super::fate::{Fate, probe};
use super::frames::{Body, read_whole, whole};
use super::handle::Link;
use super::watched::{Ending, Heard, Watched};
use super::wire::{Hello, TALK_BYTES_MAX, from_json, read_error, to_json};
use crate::base::error::{Code, Error, Result};
use crate::cluster::consensus;
use crate::cluster::identity::{
    Credentials, Distrust, Member, NodeId, Usage, random, tls, wall_now,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsConnector;

/// How much may be under way in one direction of a stream, and of a connection, before it is taken, in bytes.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;
pub(super) const CONNECTION_WINDOW: u32 = 4 << 20;
/// The same for an answer to a user, who may be slow or stop to read.
const PROXIED_WINDOW: u32 = 256 << 10;
/// How large a piece on the wire is.
pub(super) const PIECE_BYTES: u32 = 64 << 10;
/// How many requests may be under way on one connection.
pub(super) const REQUESTS_MAX: u32 = 1024;
/// How many requests of users may be under way to one node; each may be a stream that lasts.
const PROXIED_MAX: usize = 512;
/// How often a connection asks whether the other side is there, and for how long it waits.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_WAIT: Duration = Duration::from_secs(5);
/// How long unacknowledged bytes may be under way.
pub(super) const STALL: Duration = Duration::from_secs(15);
/// From how long a silence on a connection is more than a slow answer, when another one gets answers.
const STUCK_AFTER: Duration = Duration::from_millis(300);
/// How long a node that lives may take to say so.
const SIGN_MAX: Duration = Duration::from_secs(2);
/// The first pause before connecting again; doubles up to the lane's longest.
const PAUSE_MIN: Duration = Duration::from_millis(25);

/// Kinds of traffic. Each has a connection of its own: what is urgent never waits behind what is large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A leader's signs of life, and nothing else.
    Heartbeat,
    /// Log entries, votes.
    Log,
    /// Whole states.
    Snapshot,
    /// Gossip.
    Gossip,
    /// An agent's stream with its master.
    Agent,
    /// Requests of users; joins and renewals.
    Proxy,
}

const LANES: usize = 6;

impl Lane {
    fn index(self) -> usize {
        match self {
            Self::Heartbeat => 0,
            Self::Log => 1,
            Self::Snapshot => 2,
            Self::Gossip => 3,
            Self::Agent => 4,
            Self::Proxy => 5,
        }
    }

    /// The longest pause between attempts to connect.
    fn pause_max(self) -> Duration {
        match self {
            Self::Heartbeat => Duration::from_millis(200),
            Self::Log | Self::Snapshot => Duration::from_millis(500),
            Self::Agent | Self::Proxy => Duration::from_millis(250),
            Self::Gossip => Duration::from_secs(2),
        }
    }

    /// How long a connect may take at the most. During a cut attempts are lost; the next one after it must not be far.
    fn connect_max(self) -> Duration {
        match self {
            Self::Heartbeat | Self::Log | Self::Snapshot => Duration::from_millis(700),
            _ => Duration::MAX,
        }
    }

    /// How much may be under way to this node, in a stream and in all, in bytes.
    fn windows(self) -> (u32, u32) {
        match self {
            // What users do not read must not hold up what others do: there is room for all of them at once.
            Self::Proxy => (PROXIED_WINDOW, PROXIED_WINDOW * PROXIED_MAX as u32),
            _ => (STREAM_WINDOW, CONNECTION_WINDOW),
        }
    }

    /// After how long without a byte, while an answer is waited for, a connection is given up: after a cut the kernel of
    /// an old one waits for many seconds before it sends again, a new one does not.
    fn stale_after(self) -> Duration {
        match self {
            Self::Heartbeat => Duration::from_millis(600),
            Self::Log => Duration::from_secs(1),
            _ => Duration::from_secs(10),
        }
    }
}

impl From<consensus::Lane> for Lane {
    fn from(lane: consensus::Lane) -> Lane {
        match lane {
            consensus::Lane::Heartbeat => Lane::Heartbeat,
            consensus::Lane::Log => Lane::Log,
            consensus::Lane::Snapshot => Lane::Snapshot,
        }
    }
}

/// A connection that is up.
#[derive(Clone)]
struct Conn {
    send: SendRequest<Body>,
    /// What it was made with: others since then make a new one.
    with: Arc<Credentials>,
    member: Member,
    hello: Hello,
    heard: Arc<Heard>,
}

type Connecting = Shared<BoxFuture<'static, Result<Conn>>>;

#[derive(Default)]
enum Slot {
    #[default]
    Idle,
    Connecting(Connecting),
    Up(Conn),
    Failed {
        again: Instant,
        pause: Duration,
        why: Error,
    },
}

/// What is kept of the way to a node.
pub(super) struct PeerState {
    address: String,
    meant: Option<NodeId>,
    met: OnceLock<NodeId>,
    lanes: [Mutex<Slot>; LANES],
    proxied: Arc<Semaphore>,
}

impl PeerState {
    pub(super) fn new(address: &str, meant: Option<NodeId>) -> Self {
        Self {
            address: address.to_owned(),
            meant,
            met: OnceLock::new(),
            lanes: Default::default(),
            proxied: Arc::new(Semaphore::new(PROXIED_MAX)),
        }
    }

    pub(super) fn meant(&self) -> Option<NodeId> {
        self.meant
    }

    /// Who is there, or should be.
    pub(super) fn met(&self) -> Option<NodeId> {
        self.met.get().copied().or(self.meant)
    }

    fn slot(&self, lane: Lane) -> MutexGuard<'_, Slot> {
        self.lanes[lane.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_up(&self) -> bool {
        self.lanes.iter().any(|slot| {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            matches!(&*slot, Slot::Up(conn) if !conn.send.is_closed())
        })
    }

    /// The node answers on a fresh connection: older ones on which nothing comes, though an answer is waited for, are of a
    /// time before a cut. What is under way on them fails now instead of much later.
    fn refresh(&self, fresh: Lane) {
        for (at, slot) in self.lanes.iter().enumerate().filter(|(at, _)| *at != fresh.index()) {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let old = match &*slot {
                Slot::Up(conn) => {
                    conn.heard.silent_since().is_some_and(|since| since.elapsed() > STUCK_AFTER)
                }
                _ => false,
            };
            // A snapshot or a user's stream may well be silent for a while.
            let short = at == Lane::Log.index() || at == Lane::Heartbeat.index();
            if old && short {
                if let Slot::Up(conn) = &*slot {
                    conn.heard.given_up.cancel();
                }
                *slot = Slot::Idle;
            }
        }
    }

    pub(super) fn encourage(&self) {
        for slot in &self.lanes {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(*slot, Slot::Failed { .. }) {
                *slot = Slot::Idle;
            }
        }
    }

    pub(super) fn forsake(&self) {
        for slot in &self.lanes {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Idle;
        }
    }
}

/// The way to another node.
#[derive(Clone)]
pub struct Peer {
    pub(super) link: Link,
    pub(super) state: Arc<PeerState>,
}

impl Peer {
    /// Where it is.
    pub fn address(&self) -> &str {
        &self.state.address
    }

    /// What has become of it. Nothing before it was met, when any node was meant.
    pub fn fate(&self) -> Option<watch::Receiver<Fate>> {
        self.state.met().map(|node| self.link.fate(node))
    }

    /// Asks with a fresh connect what is there: `Connected` when something listens, `Refused`, or `Silent`.
    pub async fn probe(&self) -> Fate {
        probe(&self.state.address).await
    }

    /// Connects for that kind of traffic if need be, so that what comes does not wait for it.
    ///
    /// # Errors
    /// As [`Peer::hello`].
    pub async fn ready(&self, lane: Lane) -> Result<()> {
        self.conn(lane).await.map(drop)
    }

    /// Who is there; connects if need be.
    ///
    /// # Errors
    /// Why it cannot be reached, is not believed, or speaks other versions.
    pub async fn hello(&self) -> Result<Hello> {
        Ok(self.conn(Lane::Proxy).await?.hello)
    }

    /// Asks for a sign of life, on the connection that users' requests take. One on which nothing comes is given up with all
    /// that is under way on it, and the node counts as silent.
    ///
    /// # Errors
    /// `Code::Timeout` when nothing came for [`SIGN_MAX`]; else as [`Peer::hello`].
    pub async fn sign(&self) -> Result<()> {
        let asked = Instant::now();
        let hello = post(Door::Hello, whole(to_json(&self.link.hello())?))?;
        let sent = self.send_within(Lane::Proxy, hello, SIGN_MAX / 2);
        match tokio::time::timeout(SIGN_MAX, sent).await {
            Ok(answer) => answer.map(drop),
            // A long answer to somebody else may be in the way of this one.
            Err(_) if self.heard_since(Lane::Proxy, asked) => Ok(()),
            Err(_) => Err(Error::new(
                Code::Timeout,
                format!("nothing has come from {} for {SIGN_MAX:?}", self.state.address),
            )),
        }
    }

    /// Whether a byte has come on a connection since then.
    fn heard_since(&self, lane: Lane, then: Instant) -> bool {
        matches!(&*self.state.slot(lane), Slot::Up(conn) if conn.heard.last() > then)
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &self,
        lane: Lane,
        request: Request<Body>,
    ) -> Result<Response<Incoming>> {
        self.send_within(lane, request, lane.stale_after()).await
    }

    async fn send_within(
        &self,
        lane: Lane,
        request: Request<Body>,
        stale_after: Duration,
    ) -> Result<Response<Incoming>> {
        let conn = self.conn(lane).await?;
        conn.heard.asked();
        let mut watching = Watching { peer: self, lane, stale_after, conn: Some(&conn) };
        let mut send = conn.send.clone();
        let answer = match send.ready().await {
            Ok(()) => send.send_request(request).await,
            Err(e) => Err(e),
        };
        watching.conn = None;
        match answer {
            Ok(answer) => {
                conn.heard.answered();
                if let Some(node) = self.state.met() {
                    self.link.0.fates.heard(node);
                }
                Ok(answer)
            }
            Err(e) => Err(self.lost(&conn, &e)),
        }
    }

    /// The way for a request of a user, one of a limited number; it is held until the answer's body has ended.
    pub(super) fn passage(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        Arc::clone(&self.state.proxied).try_acquire_owned().map_err(|_| {
            self.link.0.counts.overloaded.inc();
            let cause = format!("too many requests are under way to {}", self.state.address);
            Error::new(Code::Overloaded, cause)
        })
    }

    /// Asks at a door: the body of the answer.
    ///
    /// # Errors
    /// Why the node cannot be reached; what it answered with otherwise.
    pub(super) async fn ask(
        &self,
        lane: Lane,
        door: Door,
        body: Body,
        max: usize,
    ) -> Result<Bytes> {
        let answer = self.send(lane, post(door, body)?).await?;
        let status = answer.status();
        if status.is_success() {
            return read_whole(answer.into_body(), max).await;
        }
        let body = read_whole(answer.into_body(), TALK_BYTES_MAX).await?;
        Err(read_error(status.as_u16(), &body))
    }

    fn lost(&self, conn: &Conn, e: &hyper::Error) -> Error {
        let why = match conn.heard.ending() {
            Some(Ending::Abrupt(why, _)) => why,
            Some(Ending::Orderly) => "it closed the connection".into(),
            None => e.to_string(),
        };
        unreachable(&self.state.address, &why)
    }

    /// The connection for a lane.
    async fn conn(&self, lane: Lane) -> Result<Conn> {
        let connecting = {
            let mut slot = self.state.slot(lane);
            let connecting = match &*slot {
                Slot::Up(conn) if self.is_good(conn) => return Ok(conn.clone()),
                Slot::Connecting(connecting) => connecting.clone(),
                Slot::Failed { again, why, .. } if Instant::now() < *again => {
                    return Err(why.clone());
                }
                _ => self.connect(lane, &slot),
            };
            *slot = Slot::Connecting(connecting.clone());
            connecting
        };
        connecting.await
    }

    fn is_good(&self, conn: &Conn) -> bool {
        !conn.send.is_closed() && Arc::ptr_eq(&conn.with, &self.link.0.credentials.borrow())
    }

    /// Starts to connect: in a task of its own, since who asks may give up much earlier.
    fn connect(&self, lane: Lane, slot: &Slot) -> Connecting {
        let pause = match slot {
            Slot::Failed { pause, .. } => (*pause * 2).min(lane.pause_max()),
            _ => PAUSE_MIN,
        };
        let peer = self.clone();
        let task = tokio::spawn(async move {
            let made = dial(&peer.link, &peer.state.address, peer.state.meant, lane).await;
            let counts = &peer.link.0.counts;
            counts.dials.inc();
            let mut slot = peer.state.slot(lane);
            match &made {
                Ok(conn) => {
                    drop(slot);
                    peer.state.refresh(lane);
                    slot = peer.state.slot(lane);
                    // The first one who is met there; others would be known by their own id.
                    let _ = peer.state.met.set(conn.member.node);
                    *slot = Slot::Up(conn.clone());
                }
                Err(why) => {
                    counts.dials_failed.inc();
                    *slot = Slot::Failed {
                        again: Instant::now() + jittered(pause),
                        pause,
                        why: why.clone(),
                    };
                }
            }
            made
        });
        let ended = |_| Error::new(Code::Unavailable, "the node is stopping");
        async move { task.await.map_err(ended)? }.boxed().shared()
    }
}

/// Sees a request that nobody waits for any more.
struct Watching<'a> {
    peer: &'a Peer,
    lane: Lane,
    stale_after: Duration,
    conn: Option<&'a Conn>,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let Some(conn) = self.conn else { return };
        let Some(since) = conn.heard.silent_since() else { return };
        if since.elapsed() < self.stale_after {
            return;
        }
        let peer = self.peer;
        peer.link.0.fates.silent(conn.member.node, since);
        let mut slot = peer.state.slot(self.lane);
        if matches!(&*slot, Slot::Up(up) if Arc::ptr_eq(&up.heard, &conn.heard)) {
            peer.link.0.counts.stale.inc();
            conn.heard.given_up.cancel();
            *slot = Slot::Idle;
        }
    }
}

/// A request at a door.
pub(super) fn post(door: Door, body: Body) -> Result<Request<Body>> {
    let failed = |e: hyper::http::Error| Error::new(Code::Internal, e.to_string());
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(door.path()).map_err(failed)?;
    let octets = HeaderValue::from_static("application/octet-stream");
    request.headers_mut().insert(CONTENT_TYPE, octets);
    Ok(request)
}

/// A path with what HTTP/2 wants before it.
pub(super) fn uri(path_and_query: &str) -> std::result::Result<Uri, hyper::http::Error> {
    Uri::builder().scheme("https").authority("mesolith").path_and_query(path_and_query).build()
}

/// A quarter more or less, so that nodes do not come all at once.
fn jittered(pause: Duration) -> Duration {
    let [byte] = random().unwrap_or([128]);
    pause * (192 + u32::from(byte) / 2) / 256
}

fn unreachable(address: &str, why: &str) -> Error {
    Error::new(Code::Unavailable, format!("{address} cannot be reached: {why}"))
}

/// Small writes leave at once; a peer that is gone without a word is found out.
pub(super) fn tune(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(STALL))?;
    socket.set_tcp_user_timeout(Some(STALL))
}

/// Connects, proves who this is, and learns who is there.
async fn dial(link: &Link, address: &str, meant: Option<NodeId>, lane: Lane) -> Result<Conn> {
    let limits = link.0.options.limits;
    let connect = limits.connect.min(lane.connect_max());
    let now = Instant::now();
    let connected = tokio::time::timeout(connect, TcpStream::connect(address)).await;
    let socket = match connected {
        Ok(Ok(socket)) => socket,
        Ok(Err(e)) => {
            match (meant, e.kind()) {
                (Some(node), std::io::ErrorKind::ConnectionRefused) => link.0.fates.refused(node),
                (Some(node), _) => link.0.fates.silent(node, now),
                (None, _) => {}
            }
            return Err(unreachable(address, &e.to_string()));
        }
        Err(_) => {
            if let Some(node) = meant {
                link.0.fates.silent(node, now);
            }
            return Err(unreachable(address, &format!("no answer in {connect:?}")));
        }
    };
    if let Err(e) = tune(&socket) {
        tracing::debug!("{address}: cannot set the socket's options: {e}");
    }
    match tokio::time::timeout(limits.handshake, greet(link, address, meant, lane, socket)).await {
        Ok(conn) => conn,
        Err(_) => {
            if let Some(node) = meant {
                link.0.fates.silent(node, now);
            }
            Err(unreachable(address, &format!("no handshake in {:?}", limits.handshake)))
        }
    }
}

async fn greet(
    link: &Link,
    address: &str,
    meant: Option<NodeId>,
    lane: Lane,
    socket: TcpStream,
) -> Result<Conn> {
    let tls = link.tls()?;
    let name = tls::name(link.0.cluster, meant)?;
    let stream = TlsConnector::from(Arc::clone(&tls.client)).connect(name, socket).await;
    let stream = stream.map_err(|e| handshake(address, &e))?;
    let member = {
        let (_, session) = stream.get_ref();
        let spoken = session.alpn_protocol() == Some(tls::ALPN);
        let member =
            tls::member(session.peer_certificates(), &link.trust(), Usage::Server, wall_now());
        member.filter(|_| spoken)
    };
    let member = member.ok_or_else(|| unreachable(address, "it does not speak the link"))?;
    let heard = Heard::new();
    let (stream_window, connection_window) = lane.windows();
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&heard)));
    let (mut send, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(stream_window)
        .initial_connection_window_size(connection_window)
        .max_frame_size(PIECE_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WAIT)
        .keep_alive_while_idle(true)
        .handshake::<_, Body>(io)
        .await
        .map_err(|e| unreachable(address, &e.to_string()))?;
    let up = link.0.fates.connected(member.node);
    let watched = Arc::clone(&heard);
    let gone = link.clone();
    let node = member.node;
    tokio::spawn(async move {
        let mut revoked = gone.0.revoked.changes();
        let removed = async {
            // The set lives as long as the link does.
            let _ = revoked.wait_for(|nodes| nodes.contains(&node)).await;
        };
        tokio::select! {
            ended = connection => {
                if let Err(e) = ended {
                    tracing::debug!("the connection with node {node} ended: {e}");
                }
                if let Some(Ending::Abrupt(why, _)) = watched.ending() {
                    // It comes from a member: its certificate was good when the handshake was made.
                    if why == tls::REMOVED {
                        gone.0.removed.send_replace(true);
                    }
                    up.reset();
                }
            }
            () = removed => gone.0.counts.distrusted.inc(),
            () = watched.given_up.cancelled() => {}
        }
    });
    let hello = post(Door::Hello, whole(to_json(&link.hello())?))?;
    let asked = async {
        send.ready().await?;
        send.send_request(hello).await
    };
    let answer = asked.await.map_err(|e| match heard.ending() {
        Some(Ending::Abrupt(why, _)) => unreachable(address, &why),
        _ => unreachable(address, &e.to_string()),
    })?;
    let status = answer.status();
    let body = read_whole(answer.into_body(), TALK_BYTES_MAX).await?;
    if !status.is_success() {
        return Err(read_error(status.as_u16(), &body).context(address));
    }
    let hello: Hello = from_json("a node's hello", &body)?;
    link.judge(&hello, member.node).map_err(|e| e.context(address))?;
    link.0.fates.listens(member.node, &hello.address);
    Ok(Conn { send, with: tls.of, member, hello, heard })
}

/// What a failed handshake means.
fn handshake(address: &str, e: &std::io::Error) -> Error {
    let tls = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    if let Some(why) = tls.and_then(tls::refused) {
        return Error::new(Code::Forbidden, format!("{address} refuses: {why}"));
    }
    match tls.and_then(tls::distrust) {
        Some(why @ (Distrust::OtherNode { .. } | Distrust::Foreign | Distrust::Malformed)) => {
            Error::new(Code::Forbidden, format!("{address} is not believed: {why}"))
        }
        Some(why) => Error::new(Code::Forbidden, format!("{address} is not believed: {why}"))
            .hint("check the clocks of both nodes"),
        None => unreachable(address, &e.to_string()),
    }
}
