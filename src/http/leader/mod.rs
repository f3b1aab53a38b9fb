//! Requests that come to a node that does not lead: answered here, redirected, passed on to the leader, or refused, as
//! the original of each face does it.
//!
//! A face puts its API behind a [`Forwarding`] ([`super::Face::led_by`]); the node tells it who leads and has the way
//! there ([`Leadership`]). What to do is decided by a function of who leads and what is asked (`decide`). Nothing is
//! ever sent twice: what becomes of a request whose leader is lost is for the client to find out. Who the user is and
//! what it may do is asked by the leader's face alone.

mod decide;
mod headers;
mod refuse;
mod relay;

#[cfg(test)]
mod tests;

pub use axum::body::Body;
pub use axum::extract::Request;
pub(super) use headers::client;

use super::face::{AskedUri, PathRest};
use super::serve::Peer;
use crate::base::error::{Code, Error, Result};
use crate::telemetry::{Counter, Metrics};
use axum::extract::State;
use axum::http::header::{HeaderName, HeaderValue, LOCATION};
use axum::http::{HeaderMap, Method, Uri, Version};
use axum::middleware::Next;
use axum::response::Response;
use decide::{Asked, Verdict, decide};
use headers::Onward;
use refuse::Trouble;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Names the leading node, in answers of a node that does not lead.
pub const LEADER: HeaderName = HeaderName::from_static("x-mesolith-leader");

/// Marks an answer that another node gave. A response extension.
#[derive(Clone, Copy, Debug)]
pub(super) struct FromAnotherNode;

/// In a request: pass it on rather than redirect me. Pages may ask no other host than their own, and clients lose their
/// credentials on the way to another host.
pub const FORWARD: HeaderName = HeaderName::from_static("x-mesolith-forward");

/// On answers from this node's own copy.
pub const STALE: HeaderName = HeaderName::from_static("x-mesolith-stale");

/// How the waiting for a leader, and for its answer when it leads no more, goes on.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How long after the loss of a leader requests wait for the next one: most elections take much less.
    election: Duration,
    /// How often it is looked whether it still leads.
    look: Duration,
    /// How long it may still answer when it does not.
    patience: Duration,
    /// How long an answer is waited for before it is asked whether it is there at all, and asked again.
    sign: Duration,
}

/// Another leads then: one that lives has answered or refused what it had before it is asked for the last time, and from one
/// that is silent nothing comes. Who waits here waits in vain.
const PACE: Pace = Pace {
    election: Duration::from_secs(1),
    look: Duration::from_millis(25),
    patience: Duration::from_millis(150),
    sign: Duration::from_millis(500),
};

/// A face of which one in the cluster leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedFace {
    /// The Mesos master: redirects.
    Master,
    /// Marathon: passes on, with headers of its own.
    Marathon,
    /// Chronos: passes on.
    Chronos,
}

/// Where the leading face is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderPlace {
    /// Its node's id, as text.
    pub node: String,
    /// The name or address that its users reach it by, without the port.
    pub host: String,
    /// Where its user port is; nothing, loopback or unspecified when users of other hosts cannot reach it.
    pub address: Option<SocketAddr>,
}

impl LeaderPlace {
    /// `host:port` for users of any host, if there is such a thing.
    fn authority(&self) -> Option<String> {
        let address = self.address?;
        if address.ip().is_loopback() || address.ip().is_unspecified() {
            return None;
        }
        let own = is_local(&self.host);
        Some(if own { address.to_string() } else { authority(&self.host, address.port()) })
    }
}

/// Who leads, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leading {
    /// This node.
    Here,
    /// That one.
    At(LeaderPlace),
    /// Nobody.
    Nobody {
        /// Since when.
        since: Instant,
        /// Why, for people: `1 of 3 voters visible, need 2`.
        why: String,
    },
}

/// A leader to come.
pub struct Vacancy<'a> {
    /// Since when there is none.
    pub since: Instant,
    /// Resolves when somebody leads and takes requests.
    pub filled: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
}

/// What [`Leadership::confirm`] and [`Leadership::sign`] will answer.
pub type Confirmed<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// What [`Leadership::forward`] will answer.
pub type Forwarded<'a> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>>;

/// Who leads, and the way there. The node has it.
pub trait Leadership: Send + Sync + 'static {
    /// Who leads that face now. Asked for every request, so it must cost next to nothing; never waits.
    fn now(&self, face: LedFace) -> Leading;

    /// What there is to wait for when nobody leads, or this node does by name and not yet in fact.
    fn vacancy(&self) -> Option<Vacancy<'_>> {
        None
    }

    /// Makes sure that this node, which leads as far as it knows, still does: what it shows after that has all in it that was
    /// acknowledged before, by whomever. Asked for every read.
    ///
    /// # Errors
    /// When no majority says so.
    fn confirm(&self) -> Confirmed<'_> {
        // One that is alone is the majority.
        Box::pin(async { Ok(()) })
    }

    /// Asks the leader, on the way that requests take, for a sign that it lives.
    ///
    /// # Errors
    /// `Code::Timeout` when none came: what is under way to it is not waited for any longer.
    fn sign<'a>(&'a self, _of: &'a LeaderPlace) -> Confirmed<'a> {
        // Within a process a way that ends says so.
        Box::pin(async { Ok(()) })
    }

    /// Passes a request on to that face of that node and answers with what it answers, bodies streaming both ways. The
    /// request goes there as it is: its path is the one the user asked for.
    ///
    /// # Errors
    /// `Code::Unavailable` when the node cannot be reached, `Code::Overloaded` with too many under way. `Retry::Unknown`
    /// with any code when the request may have been served.
    fn forward<'a>(&'a self, to: &'a LeaderPlace, face: LedFace, request: Request)
    -> Forwarded<'a>;
}

/// A face of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFace {
    /// Which one.
    pub face: LedFace,
    /// This node's id, as text.
    pub node: String,
    /// The name or address that users reach it by, without the port.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it has a copy of its own to give old answers from.
    pub copy: bool,
}

/// Goes with a request that is answered from this node's own copy, which may be behind the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldAnswer;

impl OwnFace {
    /// What this node calls itself in `Via`: `host:port`, or its id where all nodes may have the same host.
    fn pseudonym(&self) -> String {
        let host = if is_local(&self.host) { &self.node } else { &self.host };
        authority(host, self.port)
    }
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => host.is_empty() || host.eq_ignore_ascii_case("localhost"),
    }
}

fn authority(host: &str, port: u16) -> String {
    let bare = host.contains(':') && !host.starts_with('[');
    if bare { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What stands before the API of a face that may not lead. Clones are the same.
#[derive(Clone)]
pub struct Forwarding(Arc<Inner>);

struct Inner {
    leadership: Arc<dyn Leadership>,
    own: OwnFace,
    pace: Pace,
    counts: Counts,
}

impl fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Forwarding").field(&self.0.own).finish()
    }
}

struct Counts {
    redirected: Counter,
    forwarded: Counter,
    failed: Counter,
    leaderless: Counter,
}

impl Counts {
    fn new(metrics: &Metrics) -> Self {
        Self {
            redirected: metrics.counter("http/leader/redirected"),
            forwarded: metrics.counter("http/leader/forwarded"),
            failed: metrics.counter("http/leader/failed"),
            leaderless: metrics.counter("http/leader/none"),
        }
    }
}

impl Forwarding {
    /// For that face of this node; counts as `http/leader/…`.
    pub fn new(leadership: Arc<dyn Leadership>, own: OwnFace, metrics: &Metrics) -> Self {
        Self::paced(leadership, own, metrics, PACE)
    }

    fn paced(leadership: Arc<dyn Leadership>, own: OwnFace, metrics: &Metrics, pace: Pace) -> Self {
        Self(Arc::new(Inner { leadership, own, pace, counts: Counts::new(metrics) }))
    }
}

/// The middleware.
pub(super) async fn lead(
    State(forwarding): State<Forwarding>,
    request: Request,
    next: Next,
) -> Response {
    let inner = &*forwarding.0;
    if inner.needs_leader(&request) {
        inner.await_leader().await;
    }
    match inner.leadership.now(inner.own.face) {
        Leading::Here => inner.here(request, next).await,
        leading => inner.answer(&leading, request, next).await,
    }
}

impl Inner {
    /// Whether nothing but a refusal is to be expected before somebody leads.
    fn needs_leader(&self, request: &Request) -> bool {
        match self.leadership.now(self.own.face) {
            Leading::Here => {
                let reads = matches!(*request.method(), Method::GET | Method::HEAD);
                // The others wait for their cores themselves.
                self.own.face == LedFace::Master && !reads
            }
            leading => {
                let verdict = decide(&self.own, &leading, &Asked::of(request));
                matches!(verdict, Verdict::Refuse(Trouble::Nobody { .. }))
            }
        }
    }

    /// Waits for an election that is under way, not for one that does not end.
    async fn await_leader(&self) {
        let Some(Vacancy { since, filled }) = self.leadership.vacancy() else { return };
        let left = self.pace.election.saturating_sub(since.elapsed());
        // Who leads is asked again in any case.
        let _ = tokio::time::timeout(left, filled).await;
    }

    /// Answers here. A leader that was cut off, or stood still, may not know yet that another one leads.
    async fn here(&self, request: Request, next: Next) -> Response {
        if Asked::of(&request).needs_word(self.own.face) {
            let since = Instant::now();
            if let Err(error) = self.leadership.confirm().await {
                self.counts.leaderless.inc();
                let why = format!("no majority says that this node leads: {error}");
                return Trouble::Nobody { since, why }.response(self.own.face);
            }
        }
        next.run(request).await
    }

    async fn answer(&self, leading: &Leading, request: Request, next: Next) -> Response {
        let verdict = decide(&self.own, leading, &Asked::of(&request));
        match (verdict, leading) {
            (Verdict::Pass, _) => next.run(request).await,
            (Verdict::Copy, _) => {
                let mut request = request;
                request.extensions_mut().insert(OldAnswer);
                let mut response = next.run(request).await;
                response.headers_mut().insert(STALE, HeaderValue::from_static("true"));
                response
            }
            (Verdict::Redirect { status, location }, leading) => {
                self.counts.redirected.inc();
                let mut response = Response::default();
                *response.status_mut() = status;
                response.headers_mut().insert(LOCATION, location);
                if let Leading::At(place) = leading {
                    name_leader(response.headers_mut(), place);
                }
                response
            }
            (Verdict::Forward(onward), Leading::At(place)) => {
                self.pass_on(place, onward, request).await
            }
            (Verdict::Refuse(trouble), _) => {
                if matches!(trouble, Trouble::Nobody { .. }) {
                    self.counts.leaderless.inc();
                }
                trouble.response(self.own.face)
            }
            // Only somebody elsewhere can be passed on to.
            (Verdict::Forward(_), Leading::Here | Leading::Nobody { .. }) => {
                next.run(request).await
            }
        }
    }

    async fn pass_on(&self, place: &LeaderPlace, onward: Onward, request: Request) -> Response {
        self.counts.forwarded.inc();
        let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let asked = request.extensions().get::<AskedUri>().map(|asked| asked.0.clone());
        let (parts, body) = request.into_parts();
        let mut outward = Request::new(body);
        *outward.method_mut() = parts.method;
        *outward.uri_mut() = target(asked.unwrap_or(parts.uri));
        *outward.version_mut() = Version::HTTP_11;
        *outward.headers_mut() = onward.headers;
        match self.head(place, outward).await {
            Ok(mut response) => {
                headers::back(response.headers_mut(), &onward.via);
                response.extensions_mut().insert(FromAnotherNode);
                name_leader(response.headers_mut(), place);
                response
            }
            Err(error) => {
                self.counts.failed.inc();
                tracing::debug!("node {} could not be asked: {error}", place.node);
                let mut response = Trouble::Failed { error, safe }.response(self.own.face);
                name_leader(response.headers_mut(), place);
                response
            }
        }
    }

    /// Ends when the leader gives no sign of life any more.
    async fn mute(&self, place: &LeaderPlace) -> Error {
        loop {
            tokio::time::sleep(self.pace.sign).await;
            match self.leadership.sign(place).await {
                Err(error) if error.code == Code::Timeout => return error,
                // What ended the way to it ends what is under way there too.
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Waits for the head of the leader's answer as long as it lives and leads, and a little longer.
    async fn head(&self, place: &LeaderPlace, request: Request) -> Result<Response> {
        let face = self.own.face;
        let mut answer = self.leadership.forward(place, face, request);
        let mut mute = std::pin::pin!(self.mute(place));
        let mut lost: Option<Instant> = None;
        loop {
            tokio::select! {
                answered = &mut answer => return answered,
                error = &mut mute => return Err(error),
                () = tokio::time::sleep(self.pace.look) => {}
            }
            let leads = match self.leadership.now(face) {
                Leading::At(now) => now.node == place.node,
                Leading::Here | Leading::Nobody { .. } => false,
            };
            lost = if leads { None } else { lost.or_else(|| Some(Instant::now())) };
            if lost.is_some_and(|since| since.elapsed() >= self.pace.patience) {
                let cause = format!("node {} leads no more and has not answered", place.node);
                return Err(Error::new(Code::Timeout, cause));
            }
        }
    }
}

/// A URI without scheme and authority.
fn target(uri: Uri) -> Uri {
    match uri.path_and_query() {
        Some(path) if uri.authority().is_some() => Uri::from(path.clone()),
        _ => uri,
    }
}

/// Says who leads, unless somebody further on has said it already.
fn name_leader(headers: &mut HeaderMap, place: &LeaderPlace) {
    if let (false, Ok(node)) = (headers.contains_key(LEADER), HeaderValue::from_str(&place.node)) {
        headers.insert(LEADER, node);
    }
}

impl<'a> Asked<'a> {
    fn of(request: &'a Request) -> Self {
        let uri = request.extensions().get::<AskedUri>().map_or(request.uri(), |asked| &asked.0);
        let rest = request.extensions().get::<PathRest>().map_or(&[][..], |rest| &rest.0[..]);
        Self {
            method: request.method(),
            endpoint: request.uri().path(),
            rest,
            target: uri.path_and_query().map_or("/", |path| path.as_str()),
            headers: request.headers(),
            peer: request.extensions().get::<Peer>().map(|peer| peer.0.ip()),
        }
    }
}
