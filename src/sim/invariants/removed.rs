//! What was answered stays answered: a framework that was torn down stays so over any change of master; one that has
//! time left is not refused; one that comes back keeps its id.

use super::{Invariant, Seen};
use crate::base::time::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How far clocks of masters may differ, and some.
const SKEW: Duration = Duration::from_secs(3);

#[derive(Default)]
pub(super) struct Removed {
    torn: BTreeSet<String>,
    maybe: BTreeSet<String>,
    /// Since when a framework may be held as disconnected.
    away: BTreeMap<String, Mono>,
}

impl Invariant for Removed {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn see(&mut self, at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::TeardownAsked { framework } => {
                self.maybe.insert((*framework).to_string());
            }
            Seen::TornDown { framework } => {
                self.torn.insert((*framework).to_string());
            }
            Seen::Subscribed { framework, had } => {
                if self.torn.contains(*framework) {
                    return Err(format!("{framework} was torn down and subscribed again"));
                }
                if had.is_some_and(|had| had.as_str() != *framework) {
                    return Err(format!("a framework had another id than {framework}"));
                }
                self.away.remove(*framework);
            }
            Seen::Disconnected { framework } => {
                self.away.entry((*framework).to_string()).or_insert(at);
            }
            Seen::Refused { framework, timeout } => {
                let known = self.maybe.contains(*framework);
                let away = self.away.get(*framework).map_or(Duration::ZERO, |s| at.since(*s));
                if !known && away + SKEW < Duration::from_secs_f64(*timeout) {
                    return Err(format!("{framework} was refused after {away:?} away"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
