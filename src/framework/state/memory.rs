//! A state server in memory: for tests and simulation of frameworks. Nothing is durable.

use super::{Change, Entry, Expect, PAGE_BYTES_MAX, Page, Scope, StateServer, Version};
use crate::base::error::{Code, Error, Result};
use crate::framework::server::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct Inner {
    version: Version,
    entries: BTreeMap<(String, String), (Version, Vec<u8>)>,
}

/// A state server in memory.
#[derive(Default)]
pub struct MemoryState {
    inner: Mutex<Inner>,
    entries_max: Option<usize>,
    owners: BTreeMap<String, String>,
}

impl MemoryState {
    /// Empty, without a limit, open to everybody.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many entries in one namespace.
    pub fn with_quota(mut self, entries_max: usize) -> Self {
        self.entries_max = Some(entries_max);
        self
    }

    /// Only this principal may use the namespace.
    pub fn owned_by(mut self, namespace: &str, principal: &str) -> Self {
        self.owners.insert(namespace.to_string(), principal.to_string());
        self
    }

    fn enter(&self, scope: &Scope) -> Result<MutexGuard<'_, Inner>> {
        let owner = self.owners.get(&scope.namespace);
        if owner.is_some() && owner != scope.principal.as_ref() {
            let cause = format!("the namespace '{}' belongs to another principal", scope.namespace);
            return Err(Error::new(Code::Forbidden, cause));
        }
        Ok(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn apply(&self, scope: &Scope, changes: Vec<Change>) -> Result<Vec<Version>> {
        super::check_changes(&changes)?;
        let mut inner = self.enter(scope)?;
        let at = |key: &str| (scope.namespace.clone(), key.to_string());
        let mut count = inner.entries.keys().filter(|(ns, _)| *ns == scope.namespace).count();
        for change in &changes {
            let current = inner.entries.get(&at(change.key())).map(|(version, _)| *version);
            match change {
                Change::Put { expect, .. }
                | Change::Delete { expect, .. }
                | Change::Check { expect, .. } => {
                    expected(change.key(), *expect, current)?;
                }
            }
            count += usize::from(matches!(change, Change::Put { .. }) && current.is_none());
        }
        if self.entries_max.is_some_and(|max| count > max) {
            let cause = format!("the namespace '{}' is full: {count} entries", scope.namespace);
            return Err(Error::new(Code::Overloaded, cause).hint("delete entries"));
        }
        let mut versions = Vec::with_capacity(changes.len());
        for change in changes {
            if let Change::Check { key, .. } = &change {
                versions.push(inner.entries.get(&at(key)).map_or(0, |(version, _)| *version));
                continue;
            }
            inner.version += 1;
            let version = inner.version;
            versions.push(version);
            match change {
                Change::Check { .. } => {}
                Change::Put { key, value, .. } => {
                    inner.entries.insert(at(&key), (version, value));
                }
                Change::Delete { key, .. } => {
                    inner.entries.remove(&at(&key));
                }
            }
        }
        Ok(versions)
    }

    fn page(&self, scope: &Scope, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page> {
        let inner = self.enter(scope)?;
        let matching = inner
            .entries
            .iter()
            .filter(|((ns, key), _)| *ns == scope.namespace && key.starts_with(prefix))
            .filter(|((_, key), _)| after.is_none_or(|a| key.as_str() > a));
        let entry = |((_, key), (version, value)): (&(_, String), &(Version, Vec<u8>))| Entry {
            key: key.clone(),
            version: *version,
            value: value.clone(),
        };
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for next in matching {
            bytes += next.0.1.len() + next.1.1.len();
            if entries.len() == limit || (bytes > PAGE_BYTES_MAX && !entries.is_empty()) {
                return Ok(Page { entries, more: true });
            }
            entries.push(entry(next));
        }
        Ok(Page { entries, more: false })
    }
}

/// Whether an entry is as a change expects it.
fn expected(key: &str, expect: Expect, current: Option<Version>) -> Result<()> {
    let conflict = |why: String| Err(Error::new(Code::Conflict, format!("the key {key:?} {why}")));
    match (expect, current) {
        (Expect::Any, _) | (Expect::Absent, None) => Ok(()),
        (Expect::Version(wanted), Some(version)) if wanted == version => Ok(()),
        (Expect::Absent, Some(version)) => conflict(format!("is there, with version {version}")),
        (Expect::Version(wanted), Some(version)) => {
            conflict(format!("has version {version}, not {wanted}"))
        }
        (Expect::Version(wanted), None) => {
            conflict(format!("is not there; wanted version {wanted}"))
        }
    }
}

impl StateServer for MemoryState {
    fn get(&self, scope: Scope, key: String) -> BoxFuture<Result<Option<Entry>>> {
        let found = self.enter(&scope).map(|inner| {
            let (version, value) = inner.entries.get(&(scope.namespace, key.clone()))?.clone();
            Some(Entry { key, version, value })
        });
        Box::pin(std::future::ready(found))
    }

    fn list(
        &self,
        scope: Scope,
        prefix: String,
        after: Option<String>,
        limit: usize,
    ) -> BoxFuture<Result<Page>> {
        let page = self.page(&scope, &prefix, after.as_deref(), limit);
        Box::pin(std::future::ready(page))
    }

    fn commit(&self, scope: Scope, changes: Vec<Change>) -> BoxFuture<Result<Vec<Version>>> {
        let done = self.apply(&scope, changes);
        Box::pin(std::future::ready(done))
    }
}
