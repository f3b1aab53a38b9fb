//! What a leader has answered for, is there: in the log of every later leader, and in the end.

use super::{Invariant, Seen};
use crate::base::time::Mono;
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Answered(BTreeSet<usize>);

impl Invariant for Answered {
    fn name(&self) -> &'static str {
        "answered"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Answered { entry } => {
                self.0.insert(*entry);
            }
            Seen::Leads { node, log } => {
                let log: BTreeSet<usize> = log.iter().copied().collect();
                if let Some(lost) = self.0.difference(&log).next() {
                    return Err(format!("the log of node {node} lacks {lost}, an answered write"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
