//! Chronos as a process of its own.

use super::{Process, Standing};
use crate::base::error::Result;
use crate::base::settings::{Setting, Values};
use crate::chronos::api::events::Hub;
use crate::chronos::options::{self, Options};
use crate::chronos::service::Chronos;
use crate::console::{Links, Place};
use crate::framework::host::Framework;
use crate::http::Server;
use crate::node::frameworks::{chronos_at, chronos_server};
use tokio::sync::watch;

/// `mesolith chronos`.
pub struct ChronosProcess;

impl Process for ChronosProcess {
    type Options = Options;
    type Framework = Chronos;

    const NAME: &'static str = "chronos";
    const PORT: u16 = 4400;
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
        door: watch::Receiver<Option<<Chronos as Framework>::Door>>,
    ) -> Result<(Chronos, Server)> {
        let hub = Hub::default();
        let (host, address) = (&at.hostname, at.address);
        let framework = chronos_at(options.clone(), host, address, hub.clone());
        let own = Some(Place::Port(at.address.port()));
        let links = Links { chronos: own, ..at.links.clone() };
        let server = chronos_server(options, at, door, hub, &links)?;
        Ok((framework, server))
    }
}
