//! A model of the replicated log: a key-value space that takes batches of the current epoch only.

use crate::base::kv::Op;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Log {
    pub epoch: u64,
    index: u64,
    pub space: BTreeMap<String, Vec<u8>>,
}

impl Log {
    /// Commits the entry that begins an epoch.
    pub fn begin(&mut self) -> u64 {
        self.index += 1;
        self.epoch = self.index;
        self.epoch
    }

    /// Commits a batch, unless its epoch is not the newest.
    pub fn commit(&mut self, epoch: u64, batch: &[Op]) -> bool {
        self.index += 1;
        if epoch == self.epoch {
            apply(&mut self.space, batch);
        }
        epoch == self.epoch
    }
}

/// Applies a batch to a key-value space.
pub(super) fn apply(space: &mut BTreeMap<String, Vec<u8>>, batch: &[Op]) {
    for op in batch {
        match op {
            Op::Put { key, value } => drop(space.insert(key.clone(), value.clone())),
            Op::Delete { key } => drop(space.remove(key)),
        }
    }
}
