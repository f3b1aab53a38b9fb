//! A deterministic timer queue for cores: due order by time, then by the order of setting.

use crate::base::time::Mono;
use std::collections::BTreeMap;

/// Timers of one core, each named by a key; setting a key again moves its timer.
#[derive(Clone, Debug)]
pub struct Timers<K: Ord + Clone> {
    due: BTreeMap<(Mono, u64), K>,
    by_key: BTreeMap<K, (Mono, u64)>,
    set: u64,
}

impl<K: Ord + Clone> Default for Timers<K> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), by_key: BTreeMap::new(), set: 0 }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets the timer of `key` to go off at `at`, instead of when it would have.
    pub fn set(&mut self, key: K, at: Mono) {
        self.cancel(&key);
        self.set += 1;
        self.due.insert((at, self.set), key.clone());
        self.by_key.insert(key, (at, self.set));
    }

    /// Takes the timer of `key` back, if it is set.
    pub fn cancel(&mut self, key: &K) {
        if let Some(at) = self.by_key.remove(key) {
            self.due.remove(&at);
        }
    }

    /// When the timer of `key` goes off.
    pub fn at(&self, key: &K) -> Option<Mono> {
        self.by_key.get(key).map(|(at, _)| *at)
    }

    /// When the first timer goes off.
    pub fn first(&self) -> Option<Mono> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first timer that is due at `now`. Call until `None`.
    pub fn pop(&mut self, now: Mono) -> Option<K> {
        let entry = self.due.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let key = entry.remove();
        self.by_key.remove(&key);
        Some(key)
    }

    /// How many timers are set.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}
