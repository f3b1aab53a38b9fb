//! A map that remembers which of its entries were changed since the last look, so that pictures are made of these alone.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// Changed keys remembered; beyond that everything counts as changed.
pub const CHANGED_MAX: usize = 8192;

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed<K> {
    /// These entries, some of which are gone.
    Some(BTreeSet<K>),
    /// It may have been any.
    All,
}

/// A map whose entries are changed through [`Changing::get_mut`]; read like any other.
#[derive(Clone, Debug)]
pub(super) struct Changing<K, V> {
    all: BTreeMap<K, V>,
    changed: RefCell<Changed<K>>,
}

impl<K, V> Default for Changing<K, V> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), changed: RefCell::new(Changed::All) }
    }
}

impl<K, V> Deref for Changing<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.all
    }
}

impl<K: Ord + Clone, V> Changing<K, V> {
    /// Counts an entry as changed.
    pub fn mark(&mut self, key: &K) {
        let changed = self.changed.get_mut();
        if let Changed::Some(keys) = changed {
            keys.insert(key.clone());
            if keys.len() > CHANGED_MAX {
                *changed = Changed::All;
            }
        }
    }

    /// An entry, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if self.all.contains_key(key) {
            self.mark(key);
        }
        self.all.get_mut(key)
    }

    /// All entries, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        *self.changed.get_mut() = Changed::All;
        self.all.iter_mut()
    }

    /// Adds an entry.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.mark(&key);
        self.all.insert(key, value)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.mark(key);
        self.all.remove(key)
    }

    /// Counts everything as changed.
    #[cfg(test)]
    pub fn mark_all(&mut self) {
        *self.changed.get_mut() = Changed::All;
    }

    /// What was changed since this was asked last.
    pub fn take_changed(&self) -> Changed<K> {
        self.changed.replace(Changed::Some(BTreeSet::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_touched_is_told_once() {
        let mut map = Changing::default();
        map.insert(1, "a");
        assert_eq!(map.take_changed(), Changed::All, "a new map was never looked at");
        map.insert(2, "b");
        map.remove(&1);
        assert!(map.get_mut(&7).is_none());
        assert_eq!(map.get(&2), Some(&"b"));
        assert_eq!(map.take_changed(), Changed::Some(BTreeSet::from([1, 2])));
        assert_eq!(map.take_changed(), Changed::Some(BTreeSet::new()));
        if let Some(value) = map.get_mut(&2) {
            *value = "c";
        }
        assert_eq!(map.take_changed(), Changed::Some(BTreeSet::from([2])));
    }

    #[test]
    fn nobody_looking_costs_no_memory_without_end() {
        let mut map = Changing::default();
        map.take_changed();
        for n in 0..=CHANGED_MAX {
            map.insert(n, ());
            map.remove(&n);
        }
        assert_eq!(map.take_changed(), Changed::All);
    }
}
