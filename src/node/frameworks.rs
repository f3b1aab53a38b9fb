//! Marathon and Chronos on a node: hosted where the master leads, each with a face of its own.

use super::faces::Addresses;
use super::hosting;
use super::settings::Options;
use super::standalone::{ChronosProcess, Led, MarathonProcess, Process, Standing};
use crate::base::error::Result;
use crate::chronos;
use crate::console::{self, Links, Section};
use crate::http::Server;
use crate::http::auth::Realm;
use crate::http::leader::LedFace;
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
use tokio::task::JoinHandle;

/// How long a framework may take to wind up.
const STOP: Duration = Duration::from_secs(5);

/// The way of Marathon's face to its core.
pub type MarathonDoor = Arc<dyn marathon::api::Door>;

/// The way of Chronos' face to its core.
pub type ChronosDoor = Arc<dyn chronos::api::Door>;

/// What hosting on a node stands on.
pub struct Ground<'a> {
    /// Where cores run.
    pub control: &'a Control,
    /// The process's clocks.
    pub clock: &'a Clock,
    /// Holds the master while this node leads.
    pub leading: &'a watch::Receiver<Option<Master>>,
    /// Fires when the node stops.
    pub stop: &'a watch::Receiver<bool>,
}

/// The frameworks of a node, and what serves their faces.
pub struct Frameworks {
    hosted: Vec<(&'static str, JoinHandle<()>)>,
    /// Marathon's face.
    pub marathon: Option<Server>,
    /// Chronos' face.
    pub chronos: Option<Server>,
}

impl Frameworks {
    /// Hosts those that run here from now on.
    ///
    /// # Errors
    /// When a realm asks and has no credentials.
    pub fn start(
        options: &Options,
        at: Addresses,
        authentication: &HttpAuthentication,
        led: &Led,
        ground: &Ground<'_>,
    ) -> Result<Self> {
        let mut hosted = Vec::new();
        let standing = |address| Standing {
            address,
            hostname: options.hostname.clone(),
            links: at.links(),
            authentication: authentication.clone(),
            clock: ground.clock.clone(),
            led: Some(led.clone()),
        };
        let mut marathon = None;
        if let Some(address) = at.marathon {
            let at = standing(address);
            marathon = Some(start::<MarathonProcess>(&options.marathon, &at, ground, &mut hosted)?);
        }
        let mut chronos = None;
        if let Some(address) = at.chronos {
            let at = standing(address);
            chronos = Some(start::<ChronosProcess>(&options.chronos, &at, ground, &mut hosted)?);
        }
        Ok(Self { hosted, marathon, chronos })
    }

    /// Waits until all have wound up; they were told to.
    pub async fn stopped(self) {
        for (name, task) in self.hosted {
            if tokio::time::timeout(STOP, task).await.is_err() {
                tracing::warn!("{name} did not stop in time");
            }
        }
    }
}

fn start<P: Process>(
    options: &P::Options,
    at: &Standing,
    ground: &Ground<'_>,
    hosted: &mut Vec<(&'static str, JoinHandle<()>)>,
) -> Result<Server> {
    let (running, door) = watch::channel(None);
    let (framework, server) = P::open(options, at, door)?;
    let cores = (ground.control.clone(), ground.clock.clone());
    let (leading, stop) = (ground.leading.clone(), ground.stop.clone());
    let task = hosting::host(framework, P::NAME, cores, leading, running, stop);
    hosted.push((P::NAME, task));
    Ok(server)
}

/// Marathon with a face at that address.
pub fn marathon_at(
    options: marathon::options::Options,
    hostname: &str,
    address: SocketAddr,
    hub: Hub,
) -> marathon::service::Marathon {
    let url = format!("http://{hostname}:{}", address.port());
    marathon::service::Marathon::new(options, user(), hostname.to_string(), url, hub)
}

/// Marathon's face.
///
/// # Errors
/// When the realm asks and has no credentials.
pub fn marathon_server(
    options: &marathon::options::Options,
    at: &Standing,
    door: watch::Receiver<Option<MarathonDoor>>,
    hub: Hub,
    links: &Links,
) -> Result<Server> {
    let metrics = Metrics::new().with_system();
    let asks = &at.authentication;
    let on = asks.readonly || asks.readwrite;
    let realm = Realm::configured("marathon", on, asks, &metrics)?;
    let identity = marathon::api::Identity {
        hostname: at.hostname.clone(),
        http_port: at.address.port(),
        config: marathon::options::told(options),
    };
    let rules = options.rules.clone();
    let mut api = marathon::api::Api::new(door, identity, rules, hub, at.clock.clone());
    if let Some(led) = &at.led {
        let port = at.address.port();
        let copy =
            led.rows("marathon").map(|rows| marathon::copy::door(options, rows, at.clock.clone()));
        api = api.led(led.before(LedFace::Marathon, &at.hostname, port, &metrics)).copy(copy);
    }
    let face = marathon::api::face(api, &realm).with(console::face(Section::Marathon, links));
    Ok(Server::new("marathon", face).metrics(&metrics))
}

/// Chronos with a face at that address.
pub fn chronos_at(
    options: chronos::options::Options,
    hostname: &str,
    address: SocketAddr,
    hub: chronos::api::events::Hub,
) -> chronos::service::Chronos {
    let url = format!("http://{hostname}:{}", address.port());
    chronos::service::Chronos::new(options, user(), hostname.to_string(), url, hub)
}

/// Chronos' face.
///
/// # Errors
/// When the realm asks and has no credentials.
pub fn chronos_server(
    options: &chronos::options::Options,
    at: &Standing,
    door: watch::Receiver<Option<ChronosDoor>>,
    hub: chronos::api::events::Hub,
    links: &Links,
) -> Result<Server> {
    let metrics = Metrics::new().with_system();
    let asks = &at.authentication;
    let on = asks.readonly || asks.readwrite;
    let realm = Realm::configured("chronos", on, asks, &metrics)?;
    let identity = chronos::api::Identity {
        hostname: at.hostname.clone(),
        port: at.address.port(),
        history_shown: options.core.history_limit,
    };
    let rules = options.core.rules.clone();
    let mut api = chronos::api::Api::new(door, identity, rules, hub, at.clock.clone());
    if let Some(led) = &at.led {
        let port = at.address.port();
        let copy =
            led.rows("chronos").map(|rows| chronos::copy::door(options, rows, at.clock.clone()));
        api = api.led(led.before(LedFace::Chronos, &at.hostname, port, &metrics)).copy(copy);
    }
    let face = chronos::api::face(api, &realm).with(console::face(Section::Chronos, links));
    Ok(Server::new("chronos", face).metrics(&metrics))
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
