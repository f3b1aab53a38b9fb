//! What runs on a machine that lives runs on, whoever leads: a command is ended from outside only if its framework asked for
//! that, or has itself ended. Tasks of a framework that does not know of partitions end when their agent was lost, as in
//! Mesos; those of one that does not checkpoint, with their agent.

use super::{Invariant, Seen};
use crate::base::time::Mono;
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Undisturbed {
    asked: BTreeSet<(String, String)>,
    /// Frameworks that were, or may have been, ended.
    over: BTreeSet<String>,
}

impl Invariant for Undisturbed {
    fn name(&self) -> &'static str {
        "undisturbed"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::KillAsked { framework, task } => {
                self.asked.insert(((*framework).to_string(), (*task).to_string()));
            }
            Seen::TeardownAsked { framework } | Seen::Refused { framework, .. } => {
                self.over.insert((*framework).to_string());
            }
            Seen::Ended { node, framework, task } => {
                let key = ((*framework).to_string(), (*task).to_string());
                if !self.asked.contains(&key) && !self.over.contains(*framework) {
                    return Err(format!("{task} was ended on machine {node}, and nobody asked"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
