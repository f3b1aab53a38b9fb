//! The newest log entries, in memory: all that are not yet synced, and some more, because the
//! entries that are applied and sent to followers are nearly always the newest ones.

use super::types::Entry;
use openraft::EntryPayload;
use std::collections::VecDeque;

/// How many synced entries are kept.
const ENTRIES_MAX: usize = 1024;
/// How many bytes of entries are kept when all are synced.
const BYTES_MAX: usize = 2 << 20;

/// A run of entries without holes, up to the last one of the log.
#[derive(Default)]
pub(super) struct Cache {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Entries below this index are in the database.
    durable_to: u64,
}

/// Roughly how many bytes an entry takes.
pub(super) fn size(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(command) => command.bytes() + 32,
        EntryPayload::Blank | EntryPayload::Membership(_) => 64,
    }
}

impl Cache {
    /// The index of the first entry that is here; those before it are in the database.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|e| e.log_id.index)
    }

    /// Adds entries at the end.
    pub(super) fn push(&mut self, entries: &[Entry]) {
        for entry in entries {
            // Never a hole: after one, only the newer run counts.
            let last = self.entries.back().map(|e| e.log_id.index);
            if last.is_some_and(|last| last + 1 != entry.log_id.index) {
                self.entries.clear();
                self.bytes = 0;
            }
            self.bytes += size(entry);
            self.entries.push_back(entry.clone());
        }
    }

    /// Notes that the entries up to `last` are synced, and lets go of those that need not be here.
    pub(super) fn durable(&mut self, last: u64) {
        self.durable_to = self.durable_to.max(last.saturating_add(1));
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            match self.entries.front() {
                Some(entry) if entry.log_id.index < self.durable_to => self.pop_front(),
                _ => break,
            }
        }
    }

    /// Drops the entries after `last`.
    pub(super) fn truncate(&mut self, last: Option<u64>) {
        while let Some(entry) = self.entries.back()
            && last.is_none_or(|last| entry.log_id.index > last)
        {
            self.bytes -= size(entry).min(self.bytes);
            self.entries.pop_back();
        }
        let next = last.map_or(0, |last| last.saturating_add(1));
        self.durable_to = self.durable_to.min(next);
    }

    /// Drops the entries up to `upto`.
    pub(super) fn purge(&mut self, upto: u64) {
        while self.first().is_some_and(|first| first <= upto) {
            self.pop_front();
        }
    }

    /// The entries from `from` to `to` (exclusive) that are here, until they are more than
    /// `bytes_max`.
    pub(super) fn read(&self, from: u64, to: u64, bytes_max: usize) -> Vec<Entry> {
        let Some(first) = self.first() else { return Vec::new() };
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut out = Vec::new();
        let mut bytes = 0;
        for entry in self.entries.iter().skip(skip) {
            bytes += size(entry);
            if entry.log_id.index >= to || (bytes > bytes_max && !out.is_empty()) {
                break;
            }
            out.push(entry.clone());
        }
        out
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= size(&entry).min(self.bytes);
        }
    }
}
