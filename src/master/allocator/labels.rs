//! Numbers that sort as names do, so that a tie between names costs one comparison of integers.

use std::collections::BTreeMap;

/// The distance between labels when there is room.
const STEP: u64 = 1 << 24;

/// Names with a number each; the numbers are in the order of the names.
#[derive(Clone, Debug)]
pub(super) struct Labels<K: Ord> {
    of: BTreeMap<K, (u64, u32)>,
}

impl<K: Ord> Default for Labels<K> {
    fn default() -> Self {
        Self { of: BTreeMap::new() }
    }
}

impl<K: Ord> Labels<K> {
    /// The slot of a name.
    pub fn slot<Q: Ord + ?Sized>(&self, key: &Q) -> Option<u32>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.of.get(key).map(|(_, slot)| *slot)
    }

    /// Names with their label and slot, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, u64, u32)> {
        self.of.iter().map(|(key, (label, slot))| (key, *label, *slot))
    }

    /// Gives a new name a label between its neighbours. `None`: there was no room; all labels are
    /// new, and whoever keeps copies must read them again.
    pub fn insert(&mut self, key: K, slot: u32) -> Option<u64> {
        let below = self.of.range(..&key).next_back().map_or(0, |(_, (label, _))| *label);
        let above = self.of.range(&key..).next().map(|(_, (label, _))| *label);
        let label = match above {
            None => below.saturating_add(STEP),
            Some(above) => below + (above - below) / 2,
        };
        let fits = label > below && above.is_none_or(|above| label < above);
        self.of.insert(key, (label, slot));
        if fits {
            return Some(label);
        }
        let mut next = 0;
        for (label, _) in self.of.values_mut() {
            next += STEP;
            *label = next;
        }
        None
    }

    /// Forgets a name.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        self.of.remove(key);
    }
}
