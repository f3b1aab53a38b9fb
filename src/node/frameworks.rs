//! Marathon and Chronos on a node: hosted where the master leads, each with a face of its own.

use super::faces::Addresses;
use super::hosting::{self, Hosted};
use super::settings::Options;
use crate::base::error::Result;
use crate::console::{self, Links, Section};
use crate::http::Server;
use crate::http::auth::Realm;
use crate::machine::control::Control;
use crate::machine::driver::Clock;
use crate::marathon;
use crate::marathon::api::events::Hub;
use crate::master::service::Master;
use crate::security::HttpAuthentication;
use crate::telemetry::Metrics;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a framework may take to wind up.
const STOP: Duration = Duration::from_secs(5);

/// The way of Marathon's face to its core.
pub type MarathonDoor = Arc<dyn marathon::api::Door>;

/// The frameworks of a node.
pub struct Frameworks {
    /// Marathon and where its events go.
    pub marathon: Option<(Hosted<MarathonDoor>, Hub)>,
}

impl Frameworks {
    /// Hosts those that run here from now on.
    pub fn start(
        options: &Options,
        at: Addresses,
        control: &Control,
        clock: &Clock,
        leading: &watch::Receiver<Option<Master>>,
        stop: &watch::Receiver<bool>,
    ) -> Self {
        let marathon = at.marathon.map(|address| {
            let hub = Hub::default();
            let (control, clock) = (control.clone(), clock.clone());
            let (own, hostname) = (options.marathon.clone(), &options.hostname);
            let framework = marathon_at(own, hostname, address, hub.clone(), clock.clone());
            let (leading, stop) = (leading.clone(), stop.clone());
            (hosting::host(framework, "marathon", control, clock, leading, stop), hub)
        });
        Self { marathon }
    }

    /// Waits until all have wound up; they were told to.
    pub async fn stopped(self) {
        if let Some((hosted, _)) = self.marathon
            && tokio::time::timeout(STOP, hosted.task).await.is_err()
        {
            tracing::warn!("marathon did not stop in time");
        }
    }
}

/// Marathon with a face at that address.
pub fn marathon_at(
    options: marathon::options::Options,
    hostname: &str,
    address: SocketAddr,
    hub: Hub,
    clock: Clock,
) -> marathon::service::Marathon {
    let url = format!("http://{hostname}:{}", address.port());
    marathon::service::Marathon::new(options, user(), hostname.to_string(), url, hub, clock)
}

/// Marathon's face.
///
/// # Errors
/// When the realm asks and has no credentials.
pub fn marathon_server(
    options: &marathon::options::Options,
    hostname: &str,
    address: SocketAddr,
    door: watch::Receiver<Option<MarathonDoor>>,
    hub: Hub,
    links: &Links,
    asks: &HttpAuthentication,
    clock: Clock,
) -> Result<Server> {
    let metrics = Metrics::new().with_system();
    let on = asks.readonly || asks.readwrite;
    let realm = Realm::configured("marathon", on, asks, &metrics)?;
    let identity = marathon::api::Identity {
        hostname: hostname.to_string(),
        http_port: address.port(),
        config: marathon::options::told(options),
    };
    let api = marathon::api::Api::new(door, identity, options.rules.clone(), hub, clock);
    let face =
        marathon::api::face(api, &realm).with(console::face(Section::Marathon, links));
    Ok(Server::new("marathon", face).metrics(&metrics))
}

/// Who this process is.
fn user() -> String {
    // SAFETY: geteuid has no preconditions and cannot fail.
    let uid = unsafe { libc::geteuid() };
    match nix::unistd::User::from_uid(uid.into()) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}
