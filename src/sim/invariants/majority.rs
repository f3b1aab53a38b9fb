//! No change of voters takes the majority away: if those that just answered the leader were one before, they are one
//! afterwards, and who leads goes on voting.

use super::{Invariant, Seen};
use crate::base::time::Mono;
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Majority;

impl Invariant for Majority {
    fn name(&self) -> &'static str {
        "majority"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        let Seen::Stepped { node, before, after, sure } = seen else { return Ok(()) };
        let has = |set: &BTreeSet<usize>| set.intersection(sure).count() * 2 > set.len();
        // What another leader began must be ended, whoever is there.
        let begun = before.len() > 1;
        if before.iter().all(has) && !has(after) {
            return Err(format!("{after:?} are to vote, of whom {sure:?} answer"));
        }
        if !begun && !before.iter().all(has) {
            return Err(format!("{after:?} are to vote instead of {before:?}; {sure:?} answer"));
        }
        if !after.contains(node) && !begun {
            return Err(format!("node {node} leads and takes its own vote"));
        }
        Ok(())
    }
}
