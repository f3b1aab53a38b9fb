//! The HTTP face of Chronos, :4400: `/scheduler` as 2.x has it and `/v1/scheduler` as 3.x, both at once, and what our own
//! pages and command line ask. It decides nothing.
//!
//! Where the two versions differ in what they show, answers hold the keys of both. Refusals are 400 with a message, a status
//! and the field, never an empty body or a page.

mod about;
mod answer;
mod ask;
mod door;
pub mod events;
mod graph;
mod histogram;
mod jobs;
mod own;
mod runs;
mod stats;

#[cfg(test)]
mod tests;

pub use door::{Door, Wait};

use crate::chronos::core::io::{Answer, Command};
use crate::chronos::core::view::{JobDetail, View};
use crate::chronos::model::{Era, Rules};
use crate::http::auth::Realm;
use crate::http::leader::{Forwarding, OldAnswer};
use crate::http::{Face, Refusal};
use crate::machine::driver::Clock;
use ask::Ask;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::any;
use events::Hub;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a request waits for the service to run here.
const SERVICE_WAIT: Duration = Duration::from_millis(2500);

/// Who answers.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The host name or address clients reach this node by.
    pub hostname: String,
    /// The port.
    pub port: u16,
    /// How many runs `job/stat` shows (`--job_history_limit`).
    pub history_shown: usize,
}

/// What the endpoints work with.
#[derive(Clone)]
pub struct Api {
    running: watch::Receiver<Option<Arc<dyn Door>>>,
    identity: Arc<Identity>,
    rules: Arc<Rules>,
    hub: Hub,
    clock: Clock,
    led: Option<Forwarding>,
    copy: Option<Arc<dyn Door>>,
}

impl Api {
    /// The endpoints' ground; `running` holds the way to the core while Chronos runs here, `hub` tells what happens.
    pub fn new(
        running: watch::Receiver<Option<Arc<dyn Door>>>,
        identity: Identity,
        rules: Rules,
        hub: Hub,
        clock: Clock,
    ) -> Self {
        let (identity, rules) = (Arc::new(identity), Arc::new(rules));
        Self { running, identity, rules, hub, clock, led: None, copy: None }
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
                Self { running: copy, ..self }
            }
            _ => self,
        }
    }

    /// The way to the core; waits a little for one.
    async fn door(&self) -> Result<Arc<dyn Door>, Refusal> {
        let mut running = self.running.clone();
        let found = tokio::time::timeout(SERVICE_WAIT, running.wait_for(Option::is_some)).await;
        let door = found.ok().and_then(Result::ok).and_then(|door| door.clone());
        door.ok_or_else(|| {
            let text = "Chronos does not run here yet, or has lost its state; try again";
            answer::message(StatusCode::SERVICE_UNAVAILABLE, text)
        })
    }

    async fn view(&self) -> Result<View, Refusal> {
        self.door().await?.view().await.map_err(answer::failed)
    }

    /// One job, or the refusal that there is none.
    async fn job(&self, name: &str) -> Result<JobDetail, Refusal> {
        let found = self.door().await?.job(name.to_string()).await.map_err(answer::failed)?;
        found.ok_or_else(|| answer::unknown(name))
    }

    async fn request(&self, command: Command) -> Result<Answer, Refusal> {
        self.door().await?.request(command).await.map_err(answer::failed)
    }
}

/// The endpoints of Chronos but its pages.
pub fn face(api: Api, realm: &Realm) -> Face {
    let serve = || realm.protect(any(serve).with_state(api.clone()));
    Face::new()
        .endpoint("/scheduler", serve())
        .endpoint("/v1/scheduler", serve())
        .endpoint("/ping", serve())
        .endpoint("/metrics", serve())
        .endpoint("/mesolith/v1", serve())
        .led_by(api.led.as_ref())
}

async fn serve(State(api): State<Api>, request: Request) -> Response {
    let api = api.for_request(&request);
    match Ask::read(request).await {
        Ok(ask) => route(&api, &ask).await.unwrap_or_else(Refusal::response),
        Err(refusal) => refusal.response(),
    }
}

async fn route(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["scheduler", rest @ ..] => scheduler(api, ask, Era::Two, rest).await,
        ["v1", "scheduler", rest @ ..] => scheduler(api, ask, Era::Three, rest).await,
        ["ping"] => about::ping(ask),
        ["metrics", rest @ ..] => about::metrics(api, ask, rest).await,
        ["mesolith", "v1", rest @ ..] => own::serve(api, ask, rest).await,
        _ => Err(answer::nowhere()),
    }
}

async fn scheduler(api: &Api, ask: &Ask, era: Era, path: &[&str]) -> Result<Response, Refusal> {
    match path {
        ["iso8601"] => jobs::upload(api, ask, era, false).await,
        ["dependency"] => jobs::upload(api, ask, era, true).await,
        ["jobs"] => jobs::list(api, ask).await,
        ["jobs", "search"] => jobs::search(api, ask).await,
        ["jobs", "summary"] => jobs::summary(api, ask).await,
        ["job", "stat", name] => stats::job(api, ask, name).await,
        ["job", "success", name] => jobs::mark_success(api, ask, name).await,
        ["job", name] => jobs::one(api, ask, name).await,
        ["job", name, "task", task, "progress"] => runs::progress(api, ask, name, task).await,
        ["task", "kill", name] => runs::kill(api, ask, name).await,
        ["task", "all"] => runs::clear(api, ask).await,
        ["task", task] => runs::report(api, ask, task).await,
        ["graph", "csv"] => graph::csv(api, ask, era).await,
        ["graph", "dot"] => graph::dot(api, ask).await,
        ["stats", key] => stats::all(api, ask, key).await,
        ["leader"] => about::leader(api, ask),
        _ => Err(answer::nowhere()),
    }
}
