//! How many nodes may gossip.
//!
//! Who comes by himself is refused when [`NODES_MAX`] others are known. Nodes that others have let in are taken as they
//! are, or the nodes would disagree for ever about who was the last; but never more than [`NAMES_MAX`] names (a node
//! has one for each generation of it that is remembered): beyond what fits a message, the library stops itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many nodes gossip, this one included. Each frame names all of them (57 bytes a node), several times an
/// interval.
pub const NODES_MAX: usize = 256;
/// How many names are kept: a frame of 65,507 bytes holds 940 with IPv6 addresses.
pub(super) const NAMES_MAX: usize = 900;

/// The names known now; clones are the same one.
#[derive(Clone)]
pub(super) struct Roster {
    nodes_max: usize,
    names: Arc<Mutex<Names>>,
}

#[derive(Default)]
struct Names {
    all: BTreeSet<(u64, u64)>,
    /// How many generations of each node.
    nodes: BTreeMap<u64, usize>,
}

impl Names {
    fn add(&mut self, name: (u64, u64)) {
        if self.all.insert(name) {
            *self.nodes.entry(name.0).or_default() += 1;
        }
    }
}

impl Roster {
    /// Nobody yet, and room for so many.
    pub(super) fn new(nodes_max: usize) -> Self {
        Self { nodes_max, names: Arc::default() }
    }

    /// Takes over what the library knows.
    pub(super) fn replace(&self, names: impl Iterator<Item = (u64, u64)>) {
        let mut fresh = Names::default();
        names.for_each(|name| fresh.add(name));
        *self.lock() = fresh;
    }

    /// Whether a sender and those that it names are let in. If so, they are known from now on.
    pub(super) fn admit(&self, sender: u64, names: &[(u64, u64)]) -> bool {
        let mut known = self.lock();
        if !known.nodes.contains_key(&sender) && known.nodes.len() >= self.nodes_max {
            return false;
        }
        let new: Vec<_> = names.iter().filter(|name| !known.all.contains(name)).collect();
        if known.all.len() + new.len() > NAMES_MAX {
            return false;
        }
        new.into_iter().for_each(|name| known.add(*name));
        true
    }

    /// Whether there is room for a node that is not known.
    pub(super) fn has_room(&self, node: u64) -> bool {
        let known = self.lock();
        known.nodes.contains_key(&node) || known.nodes.len() < self.nodes_max
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Roster {
        let roster = Roster::new(NODES_MAX);
        roster.replace((0..NODES_MAX as u64).map(|node| (node, 1)));
        roster
    }

    #[test]
    fn who_comes_when_it_is_full_is_refused() {
        let roster = full();
        assert!(!roster.admit(9999, &[(9999, 1)]));
        assert!(!roster.has_room(9999));
        assert!(roster.admit(7, &[(7, 2)]), "one that is known comes again");
        assert!(roster.has_room(7));
        roster.replace((1..NODES_MAX as u64).map(|node| (node, 1)));
        assert!(roster.admit(9999, &[(9999, 1)]), "another is gone");
    }

    #[test]
    fn whom_others_let_in_is_taken_as_long_as_frames_hold() {
        let roster = full();
        let many: Vec<_> = (1000..1000 + (NAMES_MAX - NODES_MAX) as u64).map(|n| (n, 1)).collect();
        assert!(roster.admit(7, &many));
        assert!(roster.admit(7, &many), "they are known");
        assert!(!roster.admit(7, &[(7, 3)]), "one name too many");
    }
}
