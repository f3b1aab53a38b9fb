//! Marathon never brings an app over its `maximumOverCapacity` by its own action: what it launches, together with all that
//! has not ended yet, stays within what its definitions allow.

use super::services::{Decision, Services};
use super::{Invariant, Seen};
use crate::base::time::Mono;

#[derive(Default)]
pub(super) struct MostThere(Services);

impl Invariant for MostThere {
    fn name(&self) -> &'static str {
        "maximum over capacity"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        self.0.see(seen, |service, decision| {
            let Decision::Launch { app, task } = decision else { return Ok(()) };
            let most = service.bounds.iter().map(|b| b.most.max(b.instances)).max().unwrap_or(0);
            let there = service.there();
            if there > most {
                return Err(format!(
                    "{task} is launched: {there} of {app} are there, {most} may be"
                ));
            }
            Ok(())
        })
    }
}
