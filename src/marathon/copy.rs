//! What Marathon's face shows of this node's own copy of the rows, where another node leads and an old answer will do.
//! Definitions, instances and deployments are rows; what only the leader knows (launch delays, offers) is not in it.

use super::api::{Door, Wait};
use super::core::MarathonCore;
use super::core::io::{Answer, Command};
use super::core::view::View;
use super::model::{App, Group, PathId, Timestamp};
use super::options::Options;
use crate::framework::copy::{Copy, Rows, changes_nothing};
use crate::machine::driver::Clock;
use std::sync::Arc;

/// The way to a copy.
struct Way(Copy<MarathonCore>);

/// A door to the copy that these rows are.
pub fn door(options: &Options, rows: Rows, clock: Clock) -> Arc<dyn Door> {
    let options = options.core.clone();
    Arc::new(Way(Copy::new(rows, clock, move |rows, cx, out| {
        MarathonCore::recover(options.clone(), rows, cx, out)
    })))
}

impl Door for Way {
    fn view(&self) -> Wait<'_, Arc<View>> {
        Box::pin(self.0.look(|core| Arc::new(core.view())))
    }

    fn request(&self, _: Command) -> Wait<'_, Answer> {
        Box::pin(std::future::ready(Err(changes_nothing())))
    }

    fn app_version(&self, app: PathId, version: Timestamp) -> Wait<'_, Option<Arc<App>>> {
        Box::pin(self.0.look(move |core| core.app_version(&app, version)))
    }

    fn root_version(&self, version: Timestamp) -> Wait<'_, Option<Arc<Group>>> {
        Box::pin(self.0.look(move |core| core.root_at(version)))
    }

    fn abdicate(&self) -> Wait<'_, ()> {
        Box::pin(std::future::ready(Err(changes_nothing())))
    }
}
