//! Nodes in one process: each has the face and believes somebody to lead; the way between them is a call.

use crate::base::error::{Code, Error, Result};
use crate::http::leader::{
    Confirmed, Forwarded, Forwarding, LeaderPlace, Leadership, Leading, LedFace, OwnFace, Pace,
    Vacancy,
};
use crate::http::{Face, Inside, Server};
use crate::telemetry::Metrics;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt as _;

/// Longer than anything takes that does not hang.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// All nodes, and what happens on the way to them.
#[derive(Default)]
pub(super) struct Net {
    /// What answers there.
    pub nodes: Mutex<BTreeMap<String, Inside>>,
    /// The way to each of these fails so.
    pub broken: Mutex<BTreeMap<String, Error>>,
    /// Requests that were passed on: to whom, which line.
    pub passed: Mutex<Vec<(String, String)>>,
}

/// What one node believes.
pub(super) struct Belief {
    pub net: Arc<Net>,
    pub leading: Mutex<Leading>,
    /// Told when somebody leads, if there is an election to wait for.
    pub election: Mutex<Option<Arc<tokio::sync::Notify>>>,
    /// Whether a majority says that it leads.
    pub confirmed: AtomicBool,
    /// Whether the leader gives no sign of life.
    pub mute: AtomicBool,
}

impl Leadership for Belief {
    fn now(&self, _face: LedFace) -> Leading {
        self.leading.lock().unwrap().clone()
    }

    fn vacancy(&self) -> Option<Vacancy<'_>> {
        let election = self.election.lock().unwrap().clone()?;
        let filled = Box::pin(async move { election.notified().await });
        Some(Vacancy { since: std::time::Instant::now(), filled })
    }

    fn confirm(&self) -> Confirmed<'_> {
        let confirmed = self.confirmed.load(Ordering::Relaxed);
        let none = || Error::new(Code::Unavailable, "1 of 3 answered");
        Box::pin(async move { confirmed.then_some(()).ok_or_else(none) })
    }

    fn sign<'a>(&'a self, _: &'a LeaderPlace) -> Confirmed<'a> {
        let mute = self.mute.load(Ordering::Relaxed);
        let late = || Error::new(Code::Timeout, "nothing has come");
        Box::pin(async move { (!mute).then_some(()).ok_or_else(late) })
    }

    fn forward<'a>(
        &'a self,
        to: &'a LeaderPlace,
        _face: LedFace,
        request: Request,
    ) -> Forwarded<'a> {
        let line = format!("{} {}", request.method(), request.uri());
        self.net.passed.lock().unwrap().push((to.node.clone(), line));
        let broken = self.net.broken.lock().unwrap().get(&to.node).cloned();
        let node = self.net.nodes.lock().unwrap().get(&to.node).cloned();
        Box::pin(async move {
            match (broken, node) {
                (Some(error), _) => Err(error),
                (None, Some(node)) => match node.oneshot(request).await {
                    Ok(response) => Ok(response),
                    Err(never) => match never {},
                },
                (None, None) => Err(Error::new(Code::Unavailable, "there is no such node")),
            }
        })
    }
}

/// A node.
pub(super) struct Node {
    pub belief: Arc<Belief>,
    pub server: Server,
    pub inside: Inside,
    pub metrics: Metrics,
}

pub(super) const QUICK: Pace = Pace {
    election: Duration::from_millis(300),
    look: Duration::from_millis(10),
    patience: Duration::from_millis(100),
    sign: Duration::from_millis(50),
};

/// Where a node of that name is, for users of its own machine only.
pub(super) fn place(node: &str) -> LeaderPlace {
    let address = "127.0.0.1:8080".parse().ok();
    LeaderPlace { node: node.into(), host: "127.0.0.1".into(), address }
}

impl Net {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a node with those endpoints behind the forwarding.
    pub(super) fn node(
        self: &Arc<Self>,
        name: &str,
        face: LedFace,
        leading: Leading,
        endpoints: Face,
    ) -> Node {
        let belief = Arc::new(Belief {
            net: self.clone(),
            leading: Mutex::new(leading),
            election: Mutex::default(),
            confirmed: AtomicBool::new(true),
            mute: AtomicBool::new(false),
        });
        let host = "127.0.0.1".into();
        let own = OwnFace { face, node: name.into(), host, port: 8080, copy: false };
        let metrics = Metrics::new();
        let forwarding = Forwarding::paced(belief.clone(), own, &metrics, QUICK);
        let server = Server::new("test", endpoints.led_by(Some(&forwarding))).metrics(&metrics);
        let inside = server.inside();
        self.nodes.lock().unwrap().insert(name.into(), inside.clone());
        Node { belief, server, inside, metrics }
    }

    pub(super) fn passed(&self) -> Vec<(String, String)> {
        self.passed.lock().unwrap().clone()
    }
}

impl Node {
    pub(super) fn believes(&self, leading: Leading) {
        *self.belief.leading.lock().unwrap() = leading;
    }

    /// What it answers, within the patience of a test.
    pub(super) async fn ask(&self, request: Request) -> Response {
        let asked = self.inside.clone().oneshot(request);
        match tokio::time::timeout(PATIENCE, asked).await.expect("answered in time") {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    pub(super) async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        Reply::of(self.ask(request).await).await.unwrap()
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        self.metrics.counter(&format!("http/leader/{name}")).get()
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

impl Reply {
    pub(super) async fn of(response: Response) -> Result<Self> {
        let (parts, body) = response.into_parts();
        let failed = |e: axum::Error| Error::new(Code::System, e.to_string());
        let body = to_bytes(body, 1 << 20).await.map_err(failed)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Self { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.body).unwrap()
    }
}
