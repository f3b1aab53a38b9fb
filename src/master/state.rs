//! Frameworks' own state: a namespace of the registry each, for the incarnation of the master that serves it.
//!
//! A namespace belongs to the principal that first wrote to it; where nobody has to prove who they are, all may use all.
//! What the keys and values mean is known to the frameworks alone.

use crate::base::error::{Code, Error, Result};
use crate::cluster::consensus::{Epoch, Namespace, Op, ProposeError, Registry};
use crate::framework::server::BoxFuture;
use crate::framework::state::{
    Change, Entry, Expect, PAGE_BYTES_MAX, Page, Scope, StateServer, Version, check_changes,
    check_key, check_namespace,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How many namespaces there may be.
pub const NAMESPACES_MAX: usize = 1024;

/// Before a namespace's name: who it belongs to.
const OWNERS: &str = "namespace-owners/";

/// Serves frameworks' state while this node leads with that epoch. Clones are the same one.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    registry: Registry,
    epoch: Epoch,
    quota: u64,
    open: Mutex<BTreeMap<String, Open>>,
}

#[derive(Clone)]
struct Open {
    space: Namespace,
    /// Who may use it: `None` until somebody has written; a principal may be none itself.
    owner: Option<Option<String>>,
}

impl State {
    /// For this incarnation; a namespace may hold so many bytes of keys and values.
    pub fn new(registry: Registry, epoch: Epoch, quota: u64) -> Self {
        Self(Arc::new(Inner { registry, epoch, quota, open: Mutex::default() }))
    }

    /// How many namespaces were used since this incarnation began, and how many bytes they hold.
    pub async fn used(&self) -> (usize, u64) {
        let open = self.0.open.lock().await;
        (open.len(), open.values().map(|open| open.space.used()).sum())
    }

    /// The namespace, if whoever asks may use it.
    async fn enter(&self, scope: &Scope) -> Result<Open> {
        check_namespace(&scope.namespace)?;
        let mut all = self.0.open.lock().await;
        let open = match all.get(&scope.namespace) {
            Some(open) => open.clone(),
            None => {
                if all.len() >= NAMESPACES_MAX {
                    let cause = format!("there are {NAMESPACES_MAX} namespaces already");
                    return Err(Error::new(Code::Overloaded, cause));
                }
                let (registry, epoch) = (&self.0.registry, self.0.epoch);
                let name = &scope.namespace;
                let space = Namespace::open(registry, epoch, name, self.0.quota).await?;
                let owner = registry.get(&format!("{OWNERS}{name}"))?;
                let owner = owner.map(|(value, _)| read_owner(&value)).transpose()?;
                let open = Open { space, owner };
                // One that nobody has written to costs nothing to forget.
                if open.owner.is_some() {
                    all.insert(name.clone(), open.clone());
                }
                open
            }
        };
        match (&open.owner, &scope.principal) {
            (Some(Some(owner)), Some(asking)) if owner != asking => {
                let cause =
                    format!("the namespace '{}' belongs to another principal", scope.namespace);
                Err(Error::new(Code::Forbidden, cause))
            }
            (Some(None), Some(_)) => {
                let cause = format!("the namespace '{}' belongs to this cluster", scope.namespace);
                Err(Error::new(Code::Forbidden, cause))
            }
            _ => Ok(open),
        }
    }

    /// Makes the one who writes first the owner.
    async fn own(&self, scope: &Scope, open: &Open) -> Result<()> {
        let key = format!("{OWNERS}{}", scope.namespace);
        let put = Op::put(key.as_str(), write_owner(&scope.principal));
        let ops = vec![Op::check(key.as_str(), None), put];
        match self.0.registry.propose(self.0.epoch, ops).await {
            Ok(_) => {}
            // Somebody was faster: whether it is the same one is seen when it enters again.
            Err(ProposeError::Conflict { .. }) => return self.enter(scope).await.map(drop),
            Err(e) => return Err(e.into()),
        }
        let mut open = open.clone();
        open.owner = Some(scope.principal.clone());
        self.0.open.lock().await.insert(scope.namespace.clone(), open);
        Ok(())
    }

    async fn get(self, scope: Scope, key: String) -> Result<Option<Entry>> {
        check_key(&key)?;
        let open = self.enter(&scope).await?;
        self.0.registry.read_index().await?;
        let found = open.space.get(&key)?;
        Ok(found.map(|(value, version)| Entry { key, version, value }))
    }

    async fn page(
        self,
        scope: Scope,
        prefix: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<Page> {
        let open = self.enter(&scope).await?;
        self.0.registry.read_index().await?;
        let page = open.space.page(&prefix, after.as_deref(), PAGE_BYTES_MAX, limit)?;
        let entry = |s: crate::cluster::consensus::Stored| Entry {
            key: s.key,
            version: s.version,
            value: s.value,
        };
        Ok(Page { more: page.1, entries: page.0.into_iter().map(entry).collect() })
    }

    async fn write(self, scope: Scope, changes: Vec<Change>) -> Result<Vec<Version>> {
        check_changes(&changes)?;
        let open = self.enter(&scope).await?;
        if open.owner.is_none() {
            self.own(&scope, &open).await?;
        }
        let mut ops = Vec::with_capacity(changes.len() * 2);
        let mut checked = Vec::with_capacity(changes.len());
        for change in changes {
            let (key, expect, op) = match change {
                Change::Put { key, value, expect } => {
                    (key.clone(), expect, Some(Op::Put { key, value }))
                }
                Change::Delete { key, expect } => (key.clone(), expect, Some(Op::Delete { key })),
                Change::Check { key, expect } => (key, expect, None),
            };
            let version = match expect {
                Expect::Any => None,
                Expect::Absent => Some(0),
                Expect::Version(version) => Some(version),
            };
            let current = match (&op, version) {
                (Some(_), _) => None,
                (None, Some(version)) => Some(version),
                (None, None) => Some(open.space.get(&key)?.map_or(0, |(_, version)| version)),
            };
            checked.push(current);
            if let Some(version) = version {
                ops.push(Op::check(key, (version > 0).then_some(version)));
            }
            ops.extend(op);
        }
        let committed = open.space.write(ops).await?;
        Ok(checked.into_iter().map(|checked| checked.unwrap_or(committed.index)).collect())
    }
}

/// Schema 1: no bytes more for nobody, `=` and the name for a principal.
fn write_owner(principal: &Option<String>) -> Vec<u8> {
    let mut value = vec![1];
    if let Some(principal) = principal {
        value.push(b'=');
        value.extend_from_slice(principal.as_bytes());
    }
    value
}

fn read_owner(value: &[u8]) -> Result<Option<String>> {
    let corrupt = || Error::new(Code::Corrupt, "the record of a namespace's owner is unreadable");
    match value {
        [1] => Ok(None),
        [1, b'=', name @ ..] => Ok(Some(String::from_utf8(name.to_vec()).map_err(|_| corrupt())?)),
        _ => Err(corrupt()),
    }
}

impl StateServer for State {
    fn get(&self, scope: Scope, key: String) -> BoxFuture<Result<Option<Entry>>> {
        Box::pin(self.clone().get(scope, key))
    }

    fn list(
        &self,
        scope: Scope,
        prefix: String,
        after: Option<String>,
        limit: usize,
    ) -> BoxFuture<Result<Page>> {
        Box::pin(self.clone().page(scope, prefix, after, limit))
    }

    fn commit(&self, scope: Scope, changes: Vec<Change>) -> BoxFuture<Result<Vec<Version>>> {
        Box::pin(self.clone().write(scope, changes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_reads_as_it_is_written() {
        for owner in [None, Some(String::new()), Some("marathon".to_string())] {
            assert_eq!(read_owner(&write_owner(&owner)).unwrap(), owner);
        }
        assert_eq!(read_owner(&[2]).unwrap_err().code, Code::Corrupt);
        assert_eq!(read_owner(&[]).unwrap_err().code, Code::Corrupt);
    }
}
