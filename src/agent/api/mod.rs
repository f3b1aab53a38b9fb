//! The agent's HTTP face, :5051 — the v1 executor API and the older read endpoints. Reads are written from an immutable
//! picture of the core. It decides nothing.

mod executor;
pub mod identity;
pub mod metrics;
mod monitor;
mod operator;
mod sampling;
mod state;

use crate::agent::containerizer::Containerizer;
use crate::agent::core::view::View;
use crate::agent::images::Images;
use crate::agent::service::Agent;
use crate::agent::sessions::Sessions;
use crate::http::auth::Realm;
use crate::http::files::FileTable;
use crate::http::{Face, Refusal, about};
use crate::telemetry::{Logging, Metrics};
use identity::Identity;
use sampling::Sampler;
use std::sync::Arc;
use std::time::Duration;

/// How often a stream of a container's output shows that it is alive (`http_heartbeat_interval`).
pub const HEARTBEAT: Duration = Duration::from_secs(30);

/// Who may do what, by realm.
#[derive(Clone)]
pub struct Realms {
    /// Reading.
    pub readonly: Realm,
    /// Changing.
    pub readwrite: Realm,
    /// Executors.
    pub executor: Realm,
}

/// What the endpoints work with.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    containerizer: Arc<dyn Containerizer>,
    sampler: Sampler,
    images: Images,
    identity: Arc<Identity>,
    sessions: Sessions,
    files: FileTable,
    metrics: Metrics,
    logging: Option<Logging>,
    heartbeat: Duration,
}

impl Api {
    /// The endpoints' ground.
    pub fn new(
        agent: Agent,
        containerizer: Arc<dyn Containerizer>,
        images: Images,
        identity: Arc<Identity>,
    ) -> Self {
        Self {
            agent,
            containerizer,
            sampler: Sampler::default(),
            images,
            identity,
            sessions: Sessions::default(),
            files: FileTable::new(),
            metrics: Metrics::new(),
            logging: None,
            heartbeat: HEARTBEAT,
        }
    }

    /// What the operator API shows beside: files, metrics, and the log's verbosity.
    pub fn showing(self, files: FileTable, metrics: Metrics, logging: Option<Logging>) -> Self {
        Self { files, metrics, logging, ..self }
    }

    async fn view(&self) -> Result<View, Refusal> {
        Ok(self.agent.handle().look(|core| core.view()).await?)
    }
}

/// All endpoints of an agent but `/files` and `/metrics`, which the node adds.
pub fn face(api: Api, realms: &Realms) -> Face {
    let flags = Arc::new(api.identity.flags.clone());
    Face::new()
        .alias("slave(1)")
        .alias("slave")
        .alias("agent")
        .with(about::face(flags))
        .with(state::face(api.clone(), &realms.readonly))
        .with(monitor::face(api.clone(), &realms.readonly))
        .with(operator::face(api.clone(), &realms.readwrite))
        .with(executor::face(api, &realms.executor))
}

#[cfg(test)]
pub(super) mod tests;
