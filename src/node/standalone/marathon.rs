//! Marathon as a process of its own.

use super::{Process, Standing};
use crate::base::error::Result;
use crate::base::settings::{Setting, Values};
use crate::console::{Links, Place};
use crate::framework::host::Framework;
use crate::http::Server;
use crate::marathon::api::events::Hub;
use crate::marathon::options::{self, Options};
use crate::marathon::service::Marathon;
use crate::node::frameworks::{marathon_at, marathon_server};
use tokio::sync::watch;

/// `mesolith marathon`.
pub struct MarathonProcess;

impl Process for MarathonProcess {
    type Options = Options;
    type Framework = Marathon;

    const NAME: &'static str = "marathon";
    const PORT: u16 = 8080;
    const SETTINGS: &'static [Setting] = options::SETTINGS;

    fn read(values: &mut Values) -> Options {
        options::read(values)
    }

    fn principal(options: &Options) -> Option<&str> {
        options.principal.as_deref()
    }

    fn open(
        options: &Options,
        at: &Standing,
        door: watch::Receiver<Option<<Marathon as Framework>::Door>>,
    ) -> Result<(Marathon, Server)> {
        let hub = Hub::default();
        let (host, address) = (&at.hostname, at.address);
        let framework = marathon_at(options.clone(), host, address, hub.clone());
        let own = Some(Place::Port(at.address.port()));
        let links = Links { marathon: own, ..at.links.clone() };
        let server = marathon_server(options, at, door, hub, &links)?;
        Ok((framework, server))
    }
}
