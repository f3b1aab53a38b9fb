//! The server: accepts connections within limits, serves a [`Face`] on each, and stops within a
//! deadline.

use super::body::{BODY_BYTES_MAX, BodyLimit, too_large};
use super::compress;
use super::connection::{Held, Phase, Watched};
use super::face::Face;
use super::guard::HostPolicy;
use super::leader;
use super::negotiate::accepts_gzip;
use super::path::Routes;
use super::reply::{self, Refusal};
use crate::base::error::{Code, Error, Result};
use crate::telemetry::{Counter, Gauge, Metrics, Timer};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

/// How large a request head may be, and how much of an answer is gathered before it is written, in
/// bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How many header lines a request may have.
const HEADERS_MAX: usize = 100;

/// How long to wait before accepting again when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// After how long a silent peer is asked whether it is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// How much a server takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones are closed at once.
    pub connections: usize,
    /// Connections at a time from one address that is not this machine's own.
    pub connections_per_peer: usize,
    /// Bytes of a request body, as sent and as inflated.
    pub body_bytes: usize,
    /// From the first byte of a request head to its last.
    pub head_timeout: Duration,
    /// Between requests on a connection that is kept open.
    pub idle_timeout: Duration,
    /// While the other side takes nothing of an answer, or acknowledges nothing.
    pub stall_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_peer: 1024,
            body_bytes: BODY_BYTES_MAX,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            stall_timeout: Duration::from_secs(60),
        }
    }
}

/// Who is at the other end of the connection. A request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A server yet to be started.
#[derive(Debug)]
pub struct Server {
    name: String,
    face: Face,
    limits: Limits,
    hosts: HostPolicy,
    metrics: Metrics,
}

impl Server {
    /// A server of that face with default limits. The name is for its metrics:
    /// `http/<name>/requests`.
    pub fn new(name: &str, face: Face) -> Self {
        Self {
            name: name.to_owned(),
            face,
            limits: Limits::default(),
            hosts: HostPolicy::new(),
            metrics: Metrics::new(),
        }
    }

    /// Other limits than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Its own names, and the origins it trusts.
    pub fn hosts(mut self, hosts: HostPolicy) -> Self {
        self.hosts = hosts;
        self
    }

    /// Where it counts.
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.metrics = metrics.clone();
        self
    }

    /// Serves on that listener until stopped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Code::System`] when the listener has no address.
    pub fn start(self, listener: TcpListener) -> Result<Running> {
        let address = listener
            .local_addr()
            .map_err(|e| Error::new(Code::System, format!("the listener has no address: {e}")))?;
        let shared = Arc::new(self.into_shared(address.ip().is_loopback()));
        let running = Running {
            address,
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        running.tasks.spawn(accept(shared, listener, running.clone()));
        Ok(running)
    }

    /// What answers as the port will, for requests that other nodes pass on.
    pub fn inside(&self) -> Inside {
        let server = Self {
            name: self.name.clone(),
            face: self.face.clone(),
            limits: self.limits,
            hosts: self.hosts.clone(),
            metrics: self.metrics.clone(),
        };
        Inside(Arc::new(server.into_shared(false)))
    }

    fn into_shared(self, loopback: bool) -> Shared {
        let (router, routes) = self.face.into_parts();
        Shared {
            router: router.layer(DefaultBodyLimit::max(self.limits.body_bytes)),
            routes,
            limits: self.limits,
            hosts: self.hosts,
            loopback,
            counts: Counts::new(&self.metrics, &self.name),
            peers: Mutex::default(),
        }
    }
}

/// Answers requests that another node has passed on as the port answers its own: same endpoints, realms, limits and
/// counts. Host and origin were checked where the user asked; the user is who that node says (`X-Forwarded-For`), so
/// nobody but nodes of the cluster may be let in here.
#[derive(Clone, Debug)]
pub struct Inside(Arc<Shared>);

impl<B> Service<hyper::Request<B>> for Inside
where
    B: hyper::body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: hyper::Request<B>) -> Self::Future {
        let shared = self.0.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().remove::<Peer>();
        if let Some(client) = leader::client(request.headers()) {
            request.extensions_mut().insert(Peer(SocketAddr::new(client, 0)));
        }
        Box::pin(async move { Ok(answer(&shared, request, Entrance::Inside).await) })
    }
}

/// A server that runs. It goes on when this is dropped.
#[derive(Clone, Debug)]
pub struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    kill: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets running requests end, and cuts what is still there (streams, above
    /// all) at the deadline.
    pub async fn stop(&self, deadline: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_err() {
            self.kill.cancel();
            self.tasks.wait().await;
        }
    }
}

#[derive(Debug)]
struct Counts {
    requests: Counter,
    /// From a request's head to its answer's.
    took: Timer,
    /// By the hundreds of the status, from 1xx on.
    responses: [Counter; 5],
    connections: Gauge,
    refused: Counter,
}

impl Counts {
    fn new(metrics: &Metrics, server: &str) -> Self {
        let name = |what: &str| format!("http/{server}/{what}");
        Self {
            requests: metrics.counter(&name("requests")),
            took: metrics.timer(&name("request")),
            responses: [1, 2, 3, 4, 5]
                .map(|hundred| metrics.counter(&name(&format!("responses_{hundred}xx")))),
            connections: metrics.gauge(&name("connections")),
            refused: metrics.counter(&name("connections_refused")),
        }
    }

    fn answered(&self, status: StatusCode) {
        let hundred = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.responses.get(hundred) {
            counter.inc();
        }
    }
}

#[derive(Debug)]
struct Shared {
    router: Router,
    routes: Routes,
    limits: Limits,
    hosts: HostPolicy,
    loopback: bool,
    counts: Counts,
    /// Connections by address.
    peers: Mutex<BTreeMap<IpAddr, usize>>,
}

/// One connection's place among the allowed ones.
struct Place {
    shared: Arc<Shared>,
    peer: IpAddr,
}

impl Place {
    fn take(shared: &Arc<Shared>, peer: IpAddr) -> Option<Self> {
        let mut peers = shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let here = peers.get(&peer).copied().unwrap_or(0);
        let full = peers.values().sum::<usize>() >= shared.limits.connections;
        if full || (!peer.is_loopback() && here >= shared.limits.connections_per_peer) {
            shared.counts.refused.inc();
            return None;
        }
        peers.insert(peer, here + 1);
        shared.counts.connections.add(1.0);
        Some(Self { shared: shared.clone(), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = peers.get_mut(&self.peer) {
            *here -= 1;
            if *here == 0 {
                peers.remove(&self.peer);
            }
        }
        self.shared.counts.connections.add(-1.0);
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, running: Running) {
    loop {
        let accepted = tokio::select! {
            () = running.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let Some(place) = Place::take(&shared, peer.ip()) else { continue };
                let (shared, running) = (shared.clone(), running.clone());
                running.tasks.clone().spawn(async move {
                    connection(shared, socket, peer, running).await;
                    drop(place);
                });
            }
            // The other side was gone again, or descriptors ran out: neither ends the server.
            Err(e) => {
                tracing::warn!("could not accept a connection: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(shared: Arc<Shared>, socket: TcpStream, peer: SocketAddr, running: Running) {
    if let Err(e) = tune(&socket, shared.limits.stall_timeout) {
        tracing::debug!("{peer}: cannot set the socket's options: {e}");
    }
    converse(shared, socket, peer, running).await;
}

/// Small writes leave at once; a peer that is gone without a word is found out.
fn tune(socket: &TcpStream, stall: Duration) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE))?;
    socket.set_tcp_user_timeout(Some(stall))
}

/// Serves one connection, whatever carries it.
async fn converse<T>(shared: Arc<Shared>, io: T, peer: SocketAddr, running: Running)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let phase = Phase::default();
    let limits = shared.limits;
    let io = Watched::new(io, phase.clone(), limits.head_timeout, limits.stall_timeout);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (shared, busy) = (shared.clone(), phase.busy());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let response = answer(&shared, request, Entrance::Port).await;
            Ok::<_, Infallible>(response.map(|body| Held { body, _guard: busy }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(e) = ended {
                    tracing::debug!("{peer}: connection ended: {e}");
                }
                return;
            }
            () = running.stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = running.kill.cancelled() => return,
        }
    }
}

/// How a request came in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entrance {
    /// From a user.
    Port,
    /// From another node.
    Inside,
}

/// Answers one request: checks, routing, default bodies, compression.
async fn answer(shared: &Shared, mut request: Request, entrance: Entrance) -> Response {
    shared.counts.requests.inc();
    let start = Instant::now();
    let method = request.method().clone();
    let gzip = accepts_gzip(request.headers()) && method != Method::HEAD;
    let response = match admit(shared, &mut request, entrance) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => route(shared, request).await,
    };
    let response = fill(response, &method);
    shared.counts.answered(response.status());
    shared.counts.took.record(start.elapsed());
    if gzip { compress::gzip(response).await } else { response }
}

fn admit(
    shared: &Shared,
    request: &mut Request,
    entrance: Entrance,
) -> std::result::Result<(), Refusal> {
    if entrance == Entrance::Port {
        shared.hosts.check(shared.loopback, request.method(), request.uri(), request.headers())?;
    }
    let limit = shared.limits.body_bytes;
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    if announced.and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > limit as u64) {
        let mut response = too_large(limit).into_response();
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return Err(response.into());
    }
    request.extensions_mut().insert(BodyLimit(limit));
    shared.routes.normalise(request)
}

async fn route(shared: &Shared, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let routed = AssertUnwindSafe(shared.router.clone().oneshot(request)).catch_unwind().await;
    match routed {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            tracing::error!("a handler of {path} panicked: this is a defect");
            Refusal::of(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
    }
}

/// Puts the original's text into an answer that has none.
fn fill(response: Response, method: &Method) -> Response {
    let empty = response.body().size_hint().exact() == Some(0);
    let status = response.status();
    if !empty || *method == Method::HEAD || !(status.is_client_error() || status.is_server_error())
    {
        return response;
    }
    let text = if status == StatusCode::METHOD_NOT_ALLOWED {
        let allow = response.headers().get(ALLOW).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let allowed: Vec<_> =
            allow.split(',').map(str::trim).filter(|m| !m.is_empty() && *m != "HEAD").collect();
        return reply::method_not_allowed(&allowed, method);
    } else {
        reply::default_body(status)
    };
    let Some(text) = text else { return response };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    parts.headers.insert(axum::http::header::CONTENT_TYPE, plain);
    Response::from_parts(parts, Body::from(text))
}
