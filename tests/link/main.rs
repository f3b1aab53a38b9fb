//! The link between nodes over real sockets on loopback: who is let in, who is not, what is carried, what is told when it
//! breaks. Tests wait for events; a deadline only ends what would hang.

mod fates;
mod joins;
mod log;
mod strangers;
mod streams;
mod trust;

use mesolith::base::time::Wall;
use mesolith::cluster::identity::{
    Authorities, Authority, ClusterId, Credentials, NodeId, NodeKey, Revoked, Roles, wall_now,
};
use mesolith::cluster::link::{Doors, Limits, Link, LinkOptions, Listening, Peer};
use mesolith::telemetry::Metrics;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long anything that must happen may take on a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A cluster's authority, and whom it lets be what.
pub struct World {
    pub authority: Authority,
    pub authorities: Authorities,
}

impl Default for World {
    fn default() -> Self {
        Self::of(ClusterId(0xc1))
    }
}

impl World {
    pub fn of(cluster: ClusterId) -> Self {
        let authority = Authority::create(cluster, wall_now()).expect("made");
        let authorities = Authorities::of(&authority);
        Self { authority, authorities }
    }

    pub fn credentials(&self, roles: Roles, at: Wall) -> Credentials {
        let key = Arc::new(NodeKey::generate().expect("made"));
        let certificate = self.authority.sign(&key.public(), roles, at).expect("signed");
        Credentials { key, certificate, authorities: self.authorities.clone() }
    }

    pub async fn node(&self, roles: Roles, doors: Doors) -> Node {
        Node::start(self.credentials(roles, wall_now()), doors, Limits::default()).await
    }

    /// A node that does not listen.
    pub fn client(&self, roles: Roles) -> Node {
        Node::new(self.credentials(roles, wall_now()), "", Limits::default())
    }
}

/// A node on the link.
pub struct Node {
    pub link: Link,
    pub credentials: watch::Sender<Arc<Credentials>>,
    pub revoked: Revoked,
    pub metrics: Metrics,
    pub listening: Option<Listening>,
}

impl Node {
    pub fn new(credentials: Credentials, address: &str, limits: Limits) -> Self {
        let (credentials, seen) = watch::channel(Arc::new(credentials));
        let (revoked, metrics) = (Revoked::default(), Metrics::new());
        let mut options = LinkOptions::new(address);
        (options.limits, options.metrics) = (limits, metrics.clone());
        let link = Link::new(seen, revoked.clone(), options).expect("fits together");
        Self { link, credentials, revoked, metrics, listening: None }
    }

    pub async fn start(credentials: Credentials, doors: Doors, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::start_on(listener, credentials, doors, limits)
    }

    pub fn start_on(
        listener: TcpListener,
        credentials: Credentials,
        doors: Doors,
        limits: Limits,
    ) -> Self {
        let address = listener.local_addr().expect("an address").to_string();
        let mut node = Self::new(credentials, &address, limits);
        node.listening = Some(node.link.listen(listener, doors).expect("listens"));
        node
    }

    pub fn id(&self) -> NodeId {
        self.link.node()
    }

    pub fn address(&self) -> String {
        self.link.address().to_owned()
    }

    /// The way to another node.
    pub fn to(&self, other: &Node) -> Peer {
        self.link.peer(&other.address(), Some(other.id()))
    }

    pub fn count(&self, name: &str) -> f64 {
        self.metrics.snapshot(None).get(&format!("link/{name}")).copied().unwrap_or(-1.0)
    }

    /// Waits until a counter or gauge is so.
    pub async fn until(&self, name: &str, so: impl Fn(f64) -> bool) {
        until(&format!("{name} is {}", self.count(name)), || so(self.count(name))).await;
    }
}

/// Waits until something is so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < DEADLINE, "{what}: not in {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Fails instead of hanging.
pub async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not in {DEADLINE:?}"),
    }
}
