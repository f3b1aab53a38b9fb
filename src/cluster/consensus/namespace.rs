//! A framework's part of the registry: its own keys, under a prefix, with a quota.
//!
//! For the one leader and epoch it was opened under. How much the namespace holds is counted in
//! memory, from the registry at first, and again after an outcome that is not known.

use super::command::{Epoch, Op};
use super::propose::{Committed, ProposeError};
use super::registry::Registry;
use crate::base::error::{Code, Error, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is before a namespace's name in the registry.
const PREFIX: &str = "namespaces/";

/// A key of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The key, without the namespace.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// For [`Op::Check`].
    pub version: u64,
}

/// A framework's part of the registry; clones are the same one.
#[derive(Clone)]
pub struct Namespace {
    registry: Registry,
    epoch: Epoch,
    prefix: String,
    quota: u64,
    usage: Arc<Mutex<Usage>>,
}

#[derive(Default)]
struct Usage {
    /// Bytes a key takes, by full key.
    sizes: BTreeMap<String, u64>,
    total: u64,
    /// Batches under way: a count meanwhile may or may not have seen them.
    pending: usize,
    /// Whether it must be counted again before it is relied on.
    stale: bool,
}

impl Usage {
    fn set(&mut self, key: &str, size: Option<u64>) {
        let before = match size {
            Some(size) => {
                self.total += size;
                self.sizes.insert(key.to_owned(), size)
            }
            None => self.sizes.remove(key),
        };
        self.total -= before.unwrap_or(0).min(self.total);
    }
}

/// A batch whose outcome is awaited, also when its caller gives up.
struct UnderWay(Arc<Mutex<Usage>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut usage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        usage.pending = usage.pending.saturating_sub(1);
    }
}

/// The rows of a namespace as this node has applied them: it may be behind, and need not lead.
///
/// # Errors
/// What the database failed with.
pub fn rows(registry: &Registry, name: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let prefix = format!("{PREFIX}{name}/");
    let rows = registry.scan(&prefix)?.into_iter();
    Ok(rows.map(|row| (row.key[prefix.len()..].to_string(), row.value)).collect())
}

impl Namespace {
    /// The namespace of that name, for a leader with that epoch.
    ///
    /// # Errors
    /// [`Code::Invalid`] for a name that is empty, too long or has a `/`; [`Code::Unavailable`]
    /// when this node does not lead.
    pub async fn open(registry: &Registry, epoch: Epoch, name: &str, quota: u64) -> Result<Self> {
        if name.is_empty() || name.len() > 255 || name.contains('/') {
            return Err(Error::new(
                Code::Invalid,
                "a namespace must have 1 to 255 bytes and no '/' in its name",
            ));
        }
        let namespace = Self {
            registry: registry.clone(),
            epoch,
            prefix: format!("{PREFIX}{name}/"),
            quota,
            usage: Arc::new(Mutex::new(Usage { stale: true, ..Usage::default() })),
        };
        namespace.count().await?;
        Ok(namespace)
    }

    /// How many bytes its keys and values take, as far as known.
    pub fn used(&self) -> u64 {
        self.usage().total
    }

    /// The value and version of a key.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>> {
        self.registry.get(&self.full(key))
    }

    /// All keys that begin with `prefix`, in order.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn list(&self, prefix: &str) -> Result<Vec<Stored>> {
        Ok(self.page(prefix, None, usize::MAX, usize::MAX)?.0)
    }

    /// Keys that begin with `prefix` and come after `after`, in order: at most `limit`, and about `bytes_max` bytes of
    /// them (but always one). Also whether there are more.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
        bytes_max: usize,
        limit: usize,
    ) -> Result<(Vec<Stored>, bool)> {
        let (prefix, after) = (self.full(prefix), after.map(|after| self.full(after)));
        // Before the first key of the prefix there is nothing to skip.
        let after = after.filter(|after| *after >= prefix);
        let page = self.registry.view()?.rows(&prefix, after.as_deref(), bytes_max, limit)?;
        let own = |key: String| key.get(self.prefix.len()..).unwrap_or_default().to_owned();
        let rows = page.rows.into_iter();
        let rows =
            rows.map(|row| Stored { key: own(row.key), value: row.value, version: row.version });
        Ok((rows.collect(), page.more))
    }

    /// Sets a key; with `version`, only if that is the key's (`Some(None)`: only if it does not
    /// exist).
    ///
    /// # Errors
    /// As [`Namespace::write`].
    pub async fn put(
        &self,
        key: &str,
        value: Vec<u8>,
        version: Option<Option<u64>>,
    ) -> Result<Committed> {
        let mut ops = vec![Op::put(key, value)];
        ops.extend(version.map(|version| Op::check(key, version)));
        self.write(ops).await
    }

    /// Removes a key; with `version`, only if that is the key's.
    ///
    /// # Errors
    /// As [`Namespace::write`].
    pub async fn delete(&self, key: &str, version: Option<u64>) -> Result<Committed> {
        let mut ops = vec![Op::delete(key)];
        ops.extend(version.map(|version| Op::check(key, Some(version))));
        self.write(ops).await
    }

    /// Writes a batch, whole or not at all; its keys are without the namespace.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when it would hold more than the quota allows; else as
    /// `Registry::propose`.
    pub async fn write(&self, ops: Vec<Op>) -> Result<Committed> {
        if self.usage().stale {
            self.count().await?;
        }
        let ops: Vec<Op> = ops.into_iter().map(|op| self.own(op)).collect();
        let proposed = {
            // Held while the batch takes its place, so that the order here is the order in the log.
            let mut usage = self.usage();
            self.admit(&mut usage, &ops)?;
            usage.pending += 1;
            (UnderWay(self.usage.clone()), self.registry.propose(self.epoch, ops))
        };
        let (under_way, proposed) = proposed;
        let outcome = proposed.await;
        if outcome.is_err() {
            // It was counted as if it were applied; batches after it were admitted on that ground.
            self.usage().stale = true;
        }
        drop(under_way);
        Ok(outcome.map_err(|e| self.without_prefix(e))?)
    }

    /// Counts a batch, if the quota allows it. Batches that only shrink are always allowed.
    fn admit(&self, usage: &mut Usage, ops: &[Op]) -> Result<()> {
        let mut after: BTreeMap<&str, u64> = BTreeMap::new();
        for op in ops {
            match op {
                Op::Put { key, value } => {
                    after.insert(key, key.len() as u64 + value.len() as u64);
                }
                Op::Delete { key } => {
                    after.insert(key, 0);
                }
                Op::Check { .. } => {}
            }
        }
        let before: u64 = after.keys().filter_map(|key| usage.sizes.get(*key)).sum();
        let grown: u64 = after.values().sum();
        let total = usage.total - before.min(usage.total) + grown;
        if grown > before && total > self.quota {
            return Err(Error::new(
                Code::Overloaded,
                format!("the write would take {total} bytes of a quota of {}", self.quota),
            )
            .hint("delete what is not needed, or raise the quota of the namespace"));
        }
        for (key, size) in after {
            usage.set(key, (size > 0).then_some(size));
        }
        Ok(())
    }

    /// Counts what is in the registry.
    async fn count(&self) -> Result<()> {
        self.registry.read_index().await?;
        let rows = self.registry.scan(&self.prefix)?;
        let mut counted = Usage::default();
        for row in rows {
            let size = row.key.len() as u64 + row.value.len() as u64;
            counted.set(&row.key, Some(size));
        }
        let mut usage = self.usage();
        counted.pending = usage.pending;
        counted.stale = usage.pending > 0;
        *usage = counted;
        Ok(())
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        // No code that holds this lock can panic half-way through a change.
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn own(&self, op: Op) -> Op {
        match op {
            Op::Put { key, value } => Op::Put { key: self.full(&key), value },
            Op::Delete { key } => Op::Delete { key: self.full(&key) },
            Op::Check { key, version } => Op::Check { key: self.full(&key), version },
        }
    }

    fn without_prefix(&self, e: ProposeError) -> ProposeError {
        match e {
            ProposeError::Conflict { key, actual } => {
                let key = key.strip_prefix(&self.prefix).map(str::to_owned).unwrap_or(key);
                ProposeError::Conflict { key, actual }
            }
            other => other,
        }
    }
}
