//! Marathon never brings an app under its `minimumHealthCapacity` by its own action: it ends an instance in service only
//! if enough stay in service, or if there are more than wanted. What clients ask to be killed is their own affair.

use super::services::{Decision, Services};
use super::{Invariant, Seen};
use crate::base::time::Mono;

#[derive(Default)]
pub(super) struct LeastInService(Services);

impl Invariant for LeastInService {
    fn name(&self) -> &'static str {
        "minimum health capacity"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        self.0.see(seen, |service, decision| {
            let Decision::End { app, task } = decision else { return Ok(()) };
            // Nothing is wanted of an app that is deleted.
            let Some(least) = service.bounds.iter().map(|b| b.least).min() else { return Ok(()) };
            let wanted = service.bounds.iter().map(|b| b.instances).min().unwrap_or(0);
            let (left, staying) = (service.in_service(), service.staying());
            if left < least && staying < wanted {
                return Err(format!(
                    "{task} is ended: {left} of {app} stay in service, {least} have to; {staying} \
                     of {wanted} stay"
                ));
            }
            Ok(())
        })
    }
}
