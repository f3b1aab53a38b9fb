//! Marathon's HTTP face, :8080: its v2 API, as clients of all its releases use it.
//!
//! Reads are written from an immutable [`View`] off the control thread; changes are made on the tree of that view,
//! validated (`change`), and handed to the core, again if the tree has changed meanwhile. It decides nothing.

mod answer;
mod app_tasks;
mod apps;
mod ask;
mod deployments;
mod door;
mod embed;
pub mod events;
mod filter;
mod groups;
mod info;
mod metrics;
mod pods;
mod queue;
mod show;
mod tasks;
mod texts;

#[cfg(test)]
mod tests;

use crate::base::time::Wall;
use crate::http::auth::Realm;
use crate::http::leader::{Forwarding, OldAnswer};
use crate::http::{Face, Refusal};
use crate::machine::driver::Clock;
use crate::marathon::core::io::{Answer, Change, Command};
use crate::marathon::core::view::View;
use crate::marathon::model::{Group, PathId, Rules, Timestamp};
use ask::Ask;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use events::Hub;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub use answer::DEPLOYMENT_ID;
pub use door::{Door, Wait};
pub use info::Identity;

/// How often a change is made again on a newer tree before the client is told to try later.
const STALE_RETRIES_MAX: usize = 16;

/// How long a request waits for somebody to lead.
const LEADER_WAIT: Duration = Duration::from_millis(2500);

/// What the endpoints work with.
#[derive(Clone)]
pub struct Api {
    leading: watch::Receiver<Option<Arc<dyn Door>>>,
    identity: Arc<Identity>,
    rules: Arc<Rules>,
    hub: Hub,
    clock: Clock,
    led: Option<Forwarding>,
    copy: Option<Arc<dyn Door>>,
}

impl Api {
    /// The endpoints' ground; `leading` holds the way to the core while Marathon runs here, `hub` tells its events.
    pub fn new(
        leading: watch::Receiver<Option<Arc<dyn Door>>>,
        identity: Identity,
        rules: Rules,
        hub: Hub,
        clock: Clock,
    ) -> Self {
        let (identity, rules) = (Arc::new(identity), Arc::new(rules));
        Self { leading, identity, rules, hub, clock, led: None, copy: None }
    }

    /// What is done with requests while another node leads; without it they are answered here.
    pub fn led(self, forwarding: Forwarding) -> Self {
        Self { led: Some(forwarding), ..self }
    }

    /// What is looked at for an old answer of this node.
    pub fn copy(self, copy: Option<Arc<dyn Door>>) -> Self {
        Self { copy, ..self }
    }

    /// What a request is answered from.
    fn for_request(self, request: &Request) -> Self {
        match (request.extensions().get::<OldAnswer>(), &self.copy) {
            (Some(OldAnswer), Some(copy)) => {
                let copy = watch::channel(Some(copy.clone())).1;
                Self { leading: copy, ..self }
            }
            _ => self,
        }
    }

    /// The way to the core; waits a little for one.
    async fn door(&self) -> Result<Arc<dyn Door>, Refusal> {
        let mut leading = self.leading.clone();
        let found = tokio::time::timeout(LEADER_WAIT, leading.wait_for(Option::is_some)).await;
        match found {
            Ok(Ok(door)) if door.is_some() => door.clone().ok_or_else(no_leader),
            _ => Err(no_leader()),
        }
    }

    async fn view(&self) -> Result<Arc<View>, Refusal> {
        self.door().await?.view().await.map_err(answer::failed)
    }

    fn now(&self) -> Timestamp {
        Wall::into(self.clock.wall())
    }

    /// Asks the core for something.
    async fn request(&self, command: Command) -> Result<Answer, Refusal> {
        self.door().await?.request(command).await.map_err(answer::failed)
    }

    /// Has the tree changed by what `make` makes of it.
    async fn change(
        &self,
        force: bool,
        dry_run: bool,
        make: impl Fn(&View) -> Result<(Group, BTreeSet<PathId>), Refusal>,
    ) -> Result<Answer, Refusal> {
        let door = self.door().await?;
        for _ in 0..STALE_RETRIES_MAX {
            let view = door.view().await.map_err(answer::failed)?;
            let (target, restart) = make(&view)?;
            let base = Arc::clone(&view.root);
            let change = Change { base, target: Arc::new(target), restart, force, dry_run };
            match door.request(Command::Change(change)).await.map_err(answer::failed)? {
                Answer::Stale => {}
                other => return Ok(other),
            }
        }
        Err(answer::message(
            StatusCode::SERVICE_UNAVAILABLE,
            "the definitions change too fast; try again",
        ))
    }
}

fn no_leader() -> Refusal {
    answer::message(StatusCode::BAD_GATEWAY, "Could not determine the current leader")
}

/// The endpoints of Marathon but its pages.
pub fn face(api: Api, realm: &Realm) -> Face {
    let serve = || realm.protect(any(serve).with_state(api.clone()));
    Face::new()
        .endpoint("/v2", serve())
        .endpoint("/ping", serve())
        .endpoint("/metrics", serve())
        .endpoint("/mesolith/v1/events", serve())
        .led_by(api.led.as_ref())
}

/// Answers a request, with the headers that every answer has.
async fn serve(State(api): State<Api>, request: Request) -> Response {
    let api = api.for_request(&request);
    let mut response = match Ask::read(request).await {
        Ok(ask) => route(&api, &ask).await.unwrap_or_else(Refusal::response),
        Err(refusal) => refusal.response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::PRAGMA, "no-cache"),
        (header::EXPIRES, "0"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_XSS_PROTECTION, "1; mode=block"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::try_from(api.identity.url()) {
        headers.insert(HeaderName::from_static("x-marathon-leader"), value);
    }
    response
}

async fn route(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["ping"] => info::ping(ask),
        ["metrics", rest @ ..] => metrics::serve(api, ask, rest).await,
        ["v2", "apps", rest @ ..] => apps::serve(api, ask, rest).await,
        ["v2", "groups", rest @ ..] => groups::serve(api, ask, rest).await,
        ["v2", "tasks", rest @ ..] => tasks::serve(api, ask, rest).await,
        ["v2", "deployments", rest @ ..] => deployments::serve(api, ask, rest).await,
        ["v2", "queue", rest @ ..] => queue::serve(api, ask, rest).await,
        ["v2", "pods", rest @ ..] => pods::serve(ask, rest),
        // The second is for pages, which cannot follow a standby's redirect.
        ["v2", "events"] | ["mesolith", "v1", "events"] => events::serve(api, ask).await,
        ["v2", "info"] => info::info(api, ask).await,
        ["v2", "leader"] => info::leader(api, ask).await,
        ["v2", "plugins"] => info::plugins(ask),
        _ => Err(answer::message(StatusCode::NOT_FOUND, "URI not found")),
    }
}

/// 405, in Marathon's shape.
fn not_allowed(allowed: &'static str) -> Refusal {
    let mut response =
        answer::message(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed").response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response.into()
}

/// Whether the request only reads.
fn reads(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}
