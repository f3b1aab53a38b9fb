//! The master's HTTP face, :5050 — the v1 scheduler API, the older read endpoints, and what our own command line asks.
//! Reads are written from an immutable [`View`] off the control thread. It decides nothing.

mod agent_calls;
mod away;
mod events;
mod explain;
pub mod files;
pub mod identity;
mod maintenance;
pub mod metrics;
pub mod model;
mod operator;
mod read;
mod reserve;
mod scheduler;
pub mod state;
mod tasks;
mod write;

#[cfg(test)]
mod tests;

use crate::base::error::{Code, Error};
use crate::framework::state::StateServer;
use crate::http::auth::Realm;
use crate::http::files::FileTable;
use crate::http::leader::Forwarding;
use crate::http::{Face, Refusal, about};
use crate::machine::driver::Clock;
use crate::master::core::view::View;
use crate::master::service::Master;
use crate::telemetry::{Logging, Metrics};
use identity::Identity;
use std::sync::Arc;
use tokio::sync::watch;

/// Who may do what, by realm.
#[derive(Clone)]
pub struct Realms {
    /// Reading.
    pub readonly: Realm,
    /// Changing.
    pub readwrite: Realm,
    /// Frameworks.
    pub scheduler: Realm,
}

impl Realms {
    /// Realms that ask nobody.
    pub fn open() -> Self {
        Self {
            readonly: Realm::open("mesos-master-readonly"),
            readwrite: Realm::open("mesos-master-readwrite"),
            scheduler: Realm::open("mesos-master-scheduler"),
        }
    }
}

/// What the endpoints work with.
#[derive(Clone)]
pub struct Api {
    leading: watch::Receiver<Option<Master>>,
    identity: Arc<Identity>,
    clock: Clock,
    led: Option<Forwarding>,
    files: FileTable,
    metrics: Metrics,
    logging: Option<Logging>,
}

impl Api {
    /// The endpoints' ground; `leading` holds the master while this node leads.
    pub fn new(
        leading: watch::Receiver<Option<Master>>,
        identity: Arc<Identity>,
        clock: Clock,
    ) -> Self {
        Self {
            leading,
            identity,
            clock,
            led: None,
            files: FileTable::new(),
            metrics: Metrics::new(),
            logging: None,
        }
    }

    /// What is done with requests while another node leads; without it they are answered here, by a refusal.
    pub fn led(self, forwarding: Forwarding) -> Self {
        Self { led: Some(forwarding), ..self }
    }

    /// What the operator API shows beside: the master's own files, metrics, and the log's verbosity.
    pub fn showing(self, files: FileTable, metrics: Metrics, logging: Option<Logging>) -> Self {
        Self { files, metrics, logging, ..self }
    }

    /// The master, or the original's answer where none leads.
    fn master(&self) -> Result<Master, Refusal> {
        let leading = self.leading.borrow().clone();
        leading.ok_or_else(|| Error::new(Code::Unavailable, "No leader elected").into())
    }

    async fn view(&self) -> Result<View, Refusal> {
        Ok(self.master()?.handle().look(|core| core.view()).await?)
    }
}

impl state::Door for Api {
    fn state(&self) -> Result<Arc<dyn StateServer>, Refusal> {
        Ok(Arc::new(self.master()?.state().clone()))
    }
}

/// All endpoints of a master but `/files` and `/metrics`, which the node adds.
pub fn face(api: Api, realms: &Realms) -> Face {
    let flags = Arc::new(api.identity.flags.clone());
    let led = api.led.clone();
    let of_the_leader = Face::new()
        .with(read::face(api.clone(), &realms.readonly))
        .with(write::face(api.clone(), &realms.readwrite))
        .with(reserve::face(api.clone(), &realms.readwrite))
        .with(maintenance::face(api.clone(), realms))
        .with(events::face(api.clone(), &realms.readonly))
        .with(explain::face(api.clone(), &realms.readonly))
        .with(state::face(api.clone(), &realms.scheduler))
        .with(away::face(api.clone(), &realms.readonly))
        .with(operator::face(api.clone(), &realms.readwrite))
        .with(tasks::face(api.clone(), &realms.readonly))
        .with(scheduler::face(api, &realms.scheduler))
        .led_by(led.as_ref());
    Face::new().alias("master").with(about::face(flags)).with(of_the_leader)
}
