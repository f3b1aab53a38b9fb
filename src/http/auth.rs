//! Realms: which endpoints ask who is asking.

use super::reply::{self, default_body};
use super::serve::Peer;
use crate::base::error::Error;
use crate::security::{Authenticator, HttpAuthentication, Principal, Verdict};
use crate::telemetry::{Counter, Metrics};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::MethodRouter;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many wrong secrets one address may send within [`FAILURE_WINDOW`] before it is told to wait.
const FAILURES_MAX: u32 = 20;

/// After this long without a further one, wrong secrets are forgotten.
const FAILURE_WINDOW: Duration = Duration::from_secs(10);

/// How many addresses are remembered for wrong secrets; when full, the oldest is forgotten.
const FAILING_PEERS_MAX: usize = 1024;

/// A realm, `mesos-master-readonly`: its authenticators, or none when it asks nobody.
#[derive(Clone, Debug)]
pub struct Realm(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    authenticators: Vec<Arc<dyn Authenticator>>,
    failures: Mutex<BTreeMap<IpAddr, (u32, Instant)>>,
    refused: Counter,
}

impl Realm {
    /// A realm in which any of the authenticators may establish the principal; with none, everybody
    /// is let in and has no principal. `refused` counts 401 and 429 answers.
    pub fn new(name: &str, authenticators: Vec<Arc<dyn Authenticator>>, refused: Counter) -> Self {
        let (name, failures) = (name.to_owned(), Mutex::default());
        Self(Arc::new(Inner { name, authenticators, failures, refused }))
    }

    /// The realm as the options have it; `asks` is the option for its kind. Its refusals are
    /// counted as `http/<name>/refused`.
    ///
    /// # Errors
    /// When it asks and there are no credentials.
    pub fn configured(
        name: &str,
        asks: bool,
        options: &HttpAuthentication,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let refused = metrics.counter(&format!("http/{name}/refused"));
        Ok(Self::new(name, options.authenticators(name, asks)?, refused))
    }

    /// A realm that asks nobody.
    pub fn open(name: &str) -> Self {
        Self::new(name, Vec::new(), Counter::default())
    }

    /// Whether it asks.
    pub fn asks(&self) -> bool {
        !self.0.authenticators.is_empty()
    }

    /// Puts these handlers into the realm: they are reached only by whom it lets in. The
    /// [`Principal`] is among the request's extensions (`Option<Extension<Principal>>`).
    pub fn protect(&self, handlers: MethodRouter) -> MethodRouter {
        if !self.asks() {
            return handlers;
        }
        let realm = self.clone();
        handlers.layer(from_fn(move |mut request: Request, next: Next| {
            let realm = realm.clone();
            async move {
                let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
                match realm.admit(request.headers(), peer) {
                    Ok(principal) => {
                        request.extensions_mut().insert(principal);
                        next.run(request).await
                    }
                    Err(refused) => *refused,
                }
            }
        }))
    }

    fn admit(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Principal, Box<Response>> {
        let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = headers.contains_key(AUTHORIZATION);
        if given && peer.is_some_and(|peer| self.is_throttled(peer)) {
            self.0.refused.inc();
            let body = "429 Too Many Requests. Too many wrong credentials; wait ten seconds.";
            return Err(Box::new(reply::text(StatusCode::TOO_MANY_REQUESTS, body)));
        }
        for authenticator in &self.0.authenticators {
            if let Verdict::Principal(principal) = authenticator.authenticate(authorization) {
                if let Some(peer) = peer {
                    self.forget(peer);
                }
                return Ok(principal);
            }
        }
        if let (true, Some(peer)) = (given, peer) {
            self.note_failure(peer);
        }
        self.0.refused.inc();
        let challenges: Vec<_> =
            self.0.authenticators.iter().map(|a| a.challenge(&self.0.name)).collect();
        let status = StatusCode::UNAUTHORIZED;
        let mut response = reply::text(status, default_body(status).unwrap_or_default());
        if let Ok(value) = HeaderValue::from_str(&challenges.join(", ")) {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        Err(Box::new(response))
    }

    fn is_throttled(&self, peer: IpAddr) -> bool {
        let mut failures = self.0.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(&peer) {
            Some((_, last)) if last.elapsed() >= FAILURE_WINDOW => {
                failures.remove(&peer);
                false
            }
            Some((count, _)) => *count >= FAILURES_MAX,
            None => false,
        }
    }

    fn forget(&self, peer: IpAddr) {
        self.0.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }

    fn note_failure(&self, peer: IpAddr) {
        let mut failures = self.0.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= FAILING_PEERS_MAX && !failures.contains_key(&peer) {
            let oldest = failures.iter().min_by_key(|(_, (_, last))| *last).map(|(ip, _)| *ip);
            if let Some(oldest) = oldest {
                failures.remove(&oldest);
            }
        }
        let (count, last) = failures.entry(peer).or_insert((0, Instant::now()));
        *count += 1;
        *last = Instant::now();
    }
}
