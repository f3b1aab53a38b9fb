//! There is one history: whatever leader holds an entry of the log for committed, all others do, or come to. So never do two
//! leaders both write.

use super::{Invariant, Seen};
use crate::base::time::Mono;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct OneHistory {
    /// What is committed at each index, and who said so first.
    decided: BTreeMap<u64, (usize, usize)>,
}

impl Invariant for OneHistory {
    fn name(&self) -> &'static str {
        "one history"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        let Seen::Chosen { node, index, entry } = seen else { return Ok(()) };
        let (before, by) = *self.decided.entry(*index).or_insert((*entry, *node));
        if before == *entry {
            return Ok(());
        }
        Err(format!("node {by} committed one entry at {index}, node {node} another"))
    }
}
