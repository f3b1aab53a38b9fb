//! Bounded places for connections. When there is no place left, the oldest connection of whoever holds most is closed:
//! idle strangers in thousands never keep a member out, and a node whose old connections are half dead gets new ones.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Places for connections, by whose they are; clones are the same ones.
pub(super) struct Places<K: Ord>(Arc<Shared<K>>);

struct Shared<K: Ord> {
    in_all: usize,
    each: usize,
    table: Mutex<Table<K>>,
}

struct Table<K> {
    next: u64,
    held: usize,
    by: BTreeMap<K, VecDeque<(u64, CancellationToken)>>,
}

impl<K: Ord> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A place; free again when dropped.
pub(super) struct Place<K: Ord + Clone> {
    of: Places<K>,
    who: K,
    number: u64,
    /// Fires when the place is given to somebody else.
    pub(super) lost: CancellationToken,
}

impl<K: Ord + Clone> Places<K> {
    /// That many, and that many for each.
    pub(super) fn new(in_all: usize, each: usize) -> Self {
        let table = Table { next: 0, held: 0, by: BTreeMap::new() };
        Self(Arc::new(Shared {
            in_all: in_all.max(1),
            each: each.max(1),
            table: Mutex::new(table),
        }))
    }

    fn table(&self) -> MutexGuard<'_, Table<K>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are held.
    pub(super) fn held(&self) -> usize {
        self.table().held
    }

    /// How many one holds.
    #[cfg(test)]
    pub(super) fn held_by(&self, who: &K) -> usize {
        self.table().by.get(who).map_or(0, VecDeque::len)
    }

    /// Takes a place. Also says whether somebody lost one for it.
    pub(super) fn take(&self, who: K) -> (Place<K>, bool) {
        let mut table = self.table();
        let own = table.by.get(&who).map_or(0, VecDeque::len);
        let loser = if own >= self.0.each {
            Some(who.clone())
        } else if table.held >= self.0.in_all {
            table.by.iter().max_by_key(|(_, held)| held.len()).map(|(who, _)| who.clone())
        } else {
            None
        };
        if let Some(loser) = &loser {
            table.evict(loser);
        }
        let (number, lost) = (table.next, CancellationToken::new());
        table.next += 1;
        table.held += 1;
        table.by.entry(who.clone()).or_default().push_back((number, lost.clone()));
        drop(table);
        (Place { of: self.clone(), who, number, lost }, loser.is_some())
    }
}

impl<K: Ord + Clone> Table<K> {
    fn evict(&mut self, who: &K) {
        if let Some(held) = self.by.get_mut(who)
            && let Some((_, lost)) = held.pop_front()
        {
            self.held -= 1;
            lost.cancel();
            if held.is_empty() {
                self.by.remove(who);
            }
        }
    }
}

impl<K: Ord + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        let mut table = self.of.table();
        let Some(held) = table.by.get_mut(&self.who) else { return };
        let before = held.len();
        held.retain(|(number, _)| *number != self.number);
        let freed = before - held.len();
        if held.is_empty() {
            table.by.remove(&self.who);
        }
        table.held -= freed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_most_loses_the_oldest() {
        let places = Places::new(4, 3);
        let first: Vec<_> =
            ["a", "b", "a", "a"].into_iter().map(|who| places.take(who).0).collect();
        assert_eq!(places.held(), 4);
        let (c, lost) = places.take("c");
        assert!(lost && first[0].lost.is_cancelled(), "a had three");
        assert!(!first[1].lost.is_cancelled() && !first[2].lost.is_cancelled());
        assert_eq!((places.held(), places.held_by(&"a")), (4, 2));
        drop(first);
        assert_eq!(places.held(), 1, "a place that was lost is not freed twice");
        let many: Vec<_> = (0..5).map(|_| places.take("d").0).collect();
        assert_eq!(places.held_by(&"d"), 3, "a limit for each");
        assert!(many[0].lost.is_cancelled() && many[1].lost.is_cancelled());
        assert!(!c.lost.is_cancelled());
        drop((many, c));
        assert_eq!(places.held(), 0);
    }
}
