//! The agent's HTTP face, :5051 — the v1 executor API and the older read endpoints. Reads are written from an immutable
//! picture of the core. It decides nothing.

mod executor;
pub mod identity;
pub mod metrics;
mod monitor;
mod state;

use crate::agent::containerizer::Containerizer;
use crate::agent::core::view::View;
use crate::agent::service::Agent;
use crate::http::auth::Realm;
use crate::http::{Face, Refusal, about};
use identity::Identity;
use std::sync::Arc;

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
    identity: Arc<Identity>,
}

impl Api {
    /// The endpoints' ground.
    pub fn new(
        agent: Agent,
        containerizer: Arc<dyn Containerizer>,
        identity: Arc<Identity>,
    ) -> Self {
        Self { agent, containerizer, identity }
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
        .with(executor::face(api, &realms.executor))
}

#[cfg(test)]
pub(super) mod tests;
