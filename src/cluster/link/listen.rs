//! The listening side: who comes in, how many, for how long. What is not a member stays few, is given little time, and
//! costs nothing that grows.

use super::door::Door;
use super::door::{may, roles_may};
use super::doors::Doors;
use super::fate::Up;
use super::frames::Body;
use super::handle::Link;
use super::peer::{CONNECTION_WINDOW, PIECE_BYTES, REQUESTS_MAX, STREAM_WINDOW, tune};
use super::places::{Place, Places};
use super::serve;
use super::watched::{Ending, Heard, Watched};
use super::wire::Hello;
use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::{Member, NodeId, Usage, tls, wall_now};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long to wait before accepting again when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How large a request's head may be, in bytes: a user's, passed on, with what it may have on the user ports.
const HEAD_BYTES_MAX: u32 = 64 << 10;
/// How much of answers may wait for the network on one stream, in bytes.
const SEND_BYTES_MAX: usize = 1 << 20;
/// How many large messages of one connection are read at a time.
const LARGE_MAX: usize = 8;
/// How often a member that says nothing is asked whether it is there, and for how long that is waited for.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_WAIT: Duration = Duration::from_secs(5);
/// What somebody without a certificate gets: one request is all there is to ask.
const STRANGER_REQUESTS_MAX: u32 = 2;
const STRANGER_WINDOW: u32 = 64 << 10;
const STRANGER_HEAD_BYTES_MAX: u32 = 4 << 10;
const STRANGER_SEND_BYTES_MAX: usize = 64 << 10;

/// The listening side of a link. It goes on when this is dropped.
pub struct Listening {
    address: SocketAddr,
    stop: CancellationToken,
    kill: CancellationToken,
    tasks: TaskTracker,
}

impl Listening {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new connections, requests under way may end until the deadline.
    pub async fn stop(&self, deadline: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_err() {
            self.kill.cancel();
            self.tasks.wait().await;
        }
    }
}

/// What all connections share.
struct Shared {
    link: Link,
    doors: Doors,
    strangers: Places<IpAddr>,
    members: Places<NodeId>,
    stop: CancellationToken,
    kill: CancellationToken,
}

/// One connection, as its requests see it.
pub(super) struct Session {
    pub link: Link,
    pub doors: Doors,
    /// Who it is; nobody: a stranger.
    pub who: Option<Member>,
    pub from: SocketAddr,
    /// What it said of itself.
    pub hello: OnceLock<Hello>,
    /// Bounds what is read into memory.
    pub large: Semaphore,
    up: Mutex<Option<Up>>,
}

impl Session {
    /// Whether a door is open for who is there.
    pub(super) fn may(&self, door: Door) -> bool {
        match &self.who {
            None => may(None, door),
            Some(member) => {
                roles_may(member.roles, door) && !self.link.0.revoked.contains(member.node)
            }
        }
    }

    /// The member has said hello: its connection is one.
    pub(super) fn greeted(&self, hello: Hello) {
        let Some(member) = &self.who else { return };
        self.link.0.fates.listens(member.node, &hello.address);
        let mut up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        if up.is_none() {
            *up = Some(self.link.0.fates.connected(member.node));
        }
        self.link.encourage(member.node);
        // Said twice, the first counts.
        let _ = self.hello.set(hello);
    }

    fn up(&self) -> Option<Up> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Link {
    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Code::System`] when the listener has no address.
    pub fn listen(&self, listener: TcpListener, doors: Doors) -> Result<Listening> {
        let address = listener
            .local_addr()
            .map_err(|e| Error::new(Code::System, format!("the listener has no address: {e}")))?;
        let limits = self.0.options.limits;
        let listening = Listening {
            address,
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let shared = Arc::new(Shared {
            link: self.clone(),
            doors,
            strangers: Places::new(limits.strangers, limits.strangers),
            members: Places::new(limits.members, limits.per_member),
            stop: listening.stop.clone(),
            kill: listening.kill.clone(),
        });
        listening.tasks.spawn(accept(shared, listener, listening.tasks.clone()));
        Ok(listening)
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let counts = &shared.link.0.counts;
        match accepted {
            Ok((socket, from)) => {
                counts.accepted.inc();
                let (place, evicted) = shared.strangers.take(from.ip().to_canonical());
                if evicted {
                    counts.strangers_evicted.inc();
                }
                counts.strangers.set(shared.strangers.held() as f64);
                let shared = Arc::clone(&shared);
                tasks.spawn(async move {
                    welcome(&shared, socket, from, place).await;
                    let counts = &shared.link.0.counts;
                    counts.strangers.set(shared.strangers.held() as f64);
                    counts.members.set(shared.members.held() as f64);
                });
            }
            Err(e) => {
                tracing::warn!("could not accept a connection from another node: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection: everybody begins as a stranger.
async fn welcome(shared: &Arc<Shared>, socket: TcpStream, from: SocketAddr, place: Place<IpAddr>) {
    let link = &shared.link;
    if let Err(e) = tune(&socket) {
        tracing::debug!("{from}: cannot set the socket's options: {e}");
    }
    let limits = link.0.options.limits;
    let stream = tokio::select! {
        () = place.lost.cancelled() => return,
        () = shared.stop.cancelled() => return,
        stream = tokio::time::timeout(limits.handshake, shake(link, socket)) => stream,
    };
    let stream = match stream {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => {
            link.0.counts.handshakes_failed.inc();
            tracing::debug!("{from}: {e}");
            return;
        }
        Err(_) => {
            link.0.counts.handshakes_failed.inc();
            return;
        }
    };
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(|all| all.first()).map(|leaf| leaf.to_vec());
    let who = tls::member(session.peer_certificates(), &link.trust(), Usage::Client, wall_now());
    if session.alpn_protocol() != Some(tls::ALPN) || (shown.is_some() && who.is_none()) {
        link.0.counts.handshakes_failed.inc();
        return;
    }
    let session = Arc::new(Session {
        link: link.clone(),
        doors: shared.doors.clone(),
        who: who.clone(),
        from,
        hello: OnceLock::new(),
        large: Semaphore::new(LARGE_MAX),
        up: Mutex::default(),
    });
    match (who, shown) {
        (Some(member), Some(leaf)) => {
            drop(place);
            let (place, evicted) = shared.members.take(member.node);
            let counts = &link.0.counts;
            if evicted {
                counts.members_evicted.inc();
            }
            counts.members.set(shared.members.held() as f64);
            host(shared, stream, session, &leaf, &place).await;
        }
        _ => {
            let stay = tokio::time::timeout(limits.stranger_stay, guest(shared, stream, session));
            tokio::select! {
                () = place.lost.cancelled() => {}
                // It has had its time.
                _ = stay => {}
            }
        }
    }
}

async fn shake(link: &Link, socket: TcpStream) -> Result<TlsStream<TcpStream>> {
    let acceptor = TlsAcceptor::from(link.tls()?.server);
    let failed = |e| Error::new(Code::Forbidden, format!("the handshake failed: {e}"));
    acceptor.accept(socket).await.map_err(failed)
}

async fn answer(
    session: Arc<Session>,
    request: Request<Incoming>,
) -> std::result::Result<Response<Body>, Infallible> {
    Ok(serve::serve(&session, request).await)
}

/// Serves somebody without a certificate.
async fn guest(shared: &Shared, stream: TlsStream<TcpStream>, session: Arc<Session>) {
    let io = TokioIo::new(stream);
    let connection = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STRANGER_REQUESTS_MAX)
        .initial_stream_window_size(STRANGER_WINDOW)
        .initial_connection_window_size(STRANGER_WINDOW)
        .max_header_list_size(STRANGER_HEAD_BYTES_MAX)
        .max_send_buf_size(STRANGER_SEND_BYTES_MAX)
        .serve_connection(io, service_fn(move |r| answer(Arc::clone(&session), r)));
    tokio::select! {
        () = shared.stop.cancelled() => {}
        ended = connection => if let Err(e) = ended {
            tracing::debug!("a stranger's connection ended: {e}");
        },
    }
}

/// Serves a member, for as long as its certificate is good.
async fn host(
    shared: &Shared,
    stream: TlsStream<TcpStream>,
    session: Arc<Session>,
    leaf: &[u8],
    place: &Place<NodeId>,
) {
    let heard = Heard::new();
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&heard)));
    let serving = Arc::clone(&session);
    let connection = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(REQUESTS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(PIECE_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WAIT)
        .serve_connection(io, service_fn(move |r| answer(Arc::clone(&serving), r)));
    let mut connection = std::pin::pin!(connection);
    let link = &shared.link;
    let mut revoked = link.0.revoked.changes();
    let mut credentials = link.0.credentials.clone();
    let mut again = tokio::time::interval(link.0.options.limits.recheck);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(e) = ended {
                    tracing::debug!("{}: connection ended: {e}", session.from);
                }
                if let (Some(Ending::Abrupt(..)), Some(up)) = (heard.ending(), session.up()) {
                    up.reset();
                }
                break;
            }
            () = place.lost.cancelled() => break,
            () = shared.kill.cancelled() => break,
            () = shared.stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            Ok(()) = revoked.changed() => {}
            Ok(()) = credentials.changed() => {}
            _ = again.tick() => {}
        }
        if let Err(why) = link.trust().check(leaf, Usage::Client, wall_now()) {
            link.0.counts.distrusted.inc();
            tracing::info!("{}: the connection of a node is closed: {why}", session.from);
            break;
        }
    }
    // In order, or by this node's doing: that says nothing bad of the other one.
    drop(session.up());
}
