//! What the face of Chronos shows of this node's own copy of the rows, where another node leads and an old answer will do.

use super::api::{Door, Wait};
use super::core::ChronosCore;
use super::core::io::{Answer, Command};
use super::core::run::Run;
use super::core::view::{JobDetail, Numbers, View};
use super::options::Options;
use crate::base::explain::Explanation;
use crate::framework::copy::{Copy, Rows, changes_nothing};
use crate::machine::driver::Clock;
use std::sync::Arc;

/// The way to a copy.
struct Way(Copy<ChronosCore>);

/// A door to the copy that these rows are.
pub fn door(options: &Options, rows: Rows, clock: Clock) -> Arc<dyn Door> {
    let options = options.core.clone();
    Arc::new(Way(Copy::new(rows, clock, move |rows, cx, out| {
        ChronosCore::recover(options.clone(), rows, cx, out)
    })))
}

impl Door for Way {
    fn view(&self) -> Wait<'_, View> {
        Box::pin(self.0.look(ChronosCore::view))
    }

    fn job(&self, name: String) -> Wait<'_, Option<JobDetail>> {
        Box::pin(self.0.look(move |core| core.job(&name)))
    }

    fn runs(&self) -> Wait<'_, Vec<Arc<Run>>> {
        Box::pin(self.0.look(ChronosCore::runs))
    }

    fn why(&self, name: String) -> Wait<'_, Option<Explanation>> {
        Box::pin(self.0.look(move |core| core.why(&name)))
    }

    fn numbers(&self) -> Wait<'_, Numbers> {
        Box::pin(self.0.look(ChronosCore::numbers))
    }

    fn request(&self, _: Command) -> Wait<'_, Answer> {
        Box::pin(std::future::ready(Err(changes_nothing())))
    }
}
