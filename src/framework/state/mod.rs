//! The state port: a framework's own namespace of the replicated key-value space.
//!
//! One type over two implementations: a [`StateServer`] in this process, and the master's endpoint over HTTP, whose
//! wire is described in [`wire`]. A change is durable on a majority when it is answered. All changes of one
//! [`StatePort::commit`] are made together or not at all; each may demand the version of what it replaces.

mod journal;
mod memory;
mod over_http;
pub mod wire;

pub use journal::{HOLDER_KEY, Journal};
pub use memory::MemoryState;

use super::http::Http;
use super::server::BoxFuture;
use crate::base::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest namespace, in bytes.
pub const NAMESPACE_BYTES_MAX: usize = 64;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// The largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// How many changes one commit may make.
pub const COMMIT_OPS_MAX: usize = 1024;
/// How many bytes of keys and values one commit may hold.
pub const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many entries one page of a list holds.
pub const LIST_MAX: usize = 1000;

/// How many bytes of keys and values one page holds (but always one entry): servers cut pages at it.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The version of a value: grows with every change of its key, never used twice.
pub type Version = u64;

/// What a change demands of the entry it replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Nothing.
    #[default]
    Any,
    /// That there is none.
    Absent,
    /// That it has this version.
    Version(Version),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Sets a value.
    Put {
        /// Its key.
        key: String,
        /// The value.
        #[serde(with = "wire::base64_bytes")]
        value: Vec<u8>,
        /// What it demands.
        #[serde(default)]
        expect: Expect,
    },
    /// Removes a value; no error if there is none, unless a version is demanded.
    Delete {
        /// Its key.
        key: String,
        /// What it demands.
        #[serde(default)]
        expect: Expect,
    },
    /// Changes nothing, but demands: without it, nothing of the commit is made.
    Check {
        /// Its key.
        key: String,
        /// What it demands.
        expect: Expect,
    },
}

impl Change {
    /// The key it changes.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } | Self::Check { key, .. } => key,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            Self::Delete { key, .. } | Self::Check { key, .. } => key.len(),
        }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its key, without the namespace.
    pub key: String,
    /// Its version.
    pub version: Version,
    /// Its value.
    #[serde(with = "wire::base64_bytes")]
    pub value: Vec<u8>,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// In the order of keys.
    pub entries: Vec<Entry>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// Who is asking, and in whose namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The framework's namespace.
    pub namespace: String,
    /// Who is calling, when authenticated; may it use the namespace is the server's decision.
    pub principal: Option<String>,
}

/// What a node offers to state ports. Its HTTP face and the in-process port both go through it.
///
/// Errors: [`Code::Forbidden`] for a namespace of others, [`Code::Conflict`] when an expectation fails (nothing is
/// changed; the cause names the key), [`Code::Overloaded`] when the namespace is full, [`Code::Unavailable`] without a
/// leader, [`Code::Timeout`] when the outcome is unknown.
pub trait StateServer: Send + Sync + 'static {
    /// Reads one entry, at least as new as everything answered before.
    fn get(&self, scope: Scope, key: String) -> BoxFuture<Result<Option<Entry>>>;

    /// Entries whose key begins with `prefix` and is greater than `after`; at most `limit`.
    fn list(
        &self,
        scope: Scope,
        prefix: String,
        after: Option<String>,
        limit: usize,
    ) -> BoxFuture<Result<Page>>;

    /// Makes all changes together; answers with the new version of each key (of a deleted one: of its deletion; of one
    /// that was only checked: the one it has, 0 for none).
    fn commit(&self, scope: Scope, changes: Vec<Change>) -> BoxFuture<Result<Vec<Version>>>;
}

#[derive(Clone)]
enum Kind {
    InProcess(Arc<dyn StateServer>),
    Http(Http),
}

/// A framework's door to its own state. Cheap to clone.
#[derive(Clone)]
pub struct StatePort {
    kind: Kind,
    scope: Scope,
}

impl StatePort {
    /// A server in this process.
    ///
    /// # Errors
    /// [`Code::Invalid`] for a bad namespace.
    pub fn in_process(server: Arc<dyn StateServer>, scope: Scope) -> Result<Self> {
        check_namespace(&scope.namespace)?;
        Ok(Self { kind: Kind::InProcess(server), scope })
    }

    /// Masters over HTTP; who is calling is told by the client's authorization.
    ///
    /// # Errors
    /// [`Code::Invalid`] for a bad namespace.
    pub fn http(http: Http, namespace: &str) -> Result<Self> {
        check_namespace(namespace)?;
        let scope = Scope { namespace: namespace.to_string(), principal: None };
        Ok(Self { kind: Kind::Http(http), scope })
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// As [`StateServer`]; [`Code::Invalid`] for a bad key.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>> {
        check_key(key)?;
        match &self.kind {
            Kind::InProcess(server) => server.get(self.scope.clone(), key.to_string()).await,
            Kind::Http(http) => over_http::get(http, &self.scope.namespace, key).await,
        }
    }

    /// Sets a value; answers with its version.
    ///
    /// # Errors
    /// As [`StatePort::commit`].
    pub async fn put(&self, key: &str, value: Vec<u8>, expect: Expect) -> Result<Version> {
        let change = Change::Put { key: key.to_string(), value, expect };
        let versions = match &self.kind {
            Kind::InProcess(_) => self.commit(vec![change]).await?,
            Kind::Http(http) => {
                check_changes(std::slice::from_ref(&change))?;
                vec![over_http::change(http, &self.scope.namespace, change).await?]
            }
        };
        versions.first().copied().ok_or_else(no_version)
    }

    /// Removes a value.
    ///
    /// # Errors
    /// As [`StatePort::commit`].
    pub async fn delete(&self, key: &str, expect: Expect) -> Result<()> {
        let change = Change::Delete { key: key.to_string(), expect };
        match &self.kind {
            Kind::InProcess(_) => self.commit(vec![change]).await.map(drop),
            Kind::Http(http) => {
                check_changes(std::slice::from_ref(&change))?;
                over_http::change(http, &self.scope.namespace, change).await.map(drop)
            }
        }
    }

    /// Makes all changes together or none; answers with the new version of each key, in order.
    ///
    /// # Errors
    /// As [`StateServer`]; [`Code::Invalid`] for what is over the limits of this module or names a key twice.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<Vec<Version>> {
        check_changes(&changes)?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let count = changes.len();
        let versions = match &self.kind {
            Kind::InProcess(server) => server.commit(self.scope.clone(), changes).await?,
            Kind::Http(http) => over_http::commit(http, &self.scope.namespace, changes).await?,
        };
        if versions.len() == count { Ok(versions) } else { Err(no_version()) }
    }

    /// All entries whose key begins with `prefix`, in the order of keys, page by page. Entries that change meanwhile
    /// may be seen in either state.
    ///
    /// # Errors
    /// As [`StateServer`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        let mut all: Vec<Entry> = Vec::new();
        loop {
            let after = all.last().map(|entry| entry.key.clone());
            let page = self.list_page(prefix, after.clone(), LIST_MAX).await?;
            let more = page.more && !page.entries.is_empty();
            // A server that goes backwards would keep us here for ever.
            if page.entries.first().is_some_and(|e| after.as_ref().is_some_and(|a| e.key <= *a)) {
                return Err(Error::new(Code::Internal, "a list of state went backwards"));
            }
            all.extend(page.entries);
            if !more {
                return Ok(all);
            }
        }
    }

    /// One page of a list.
    ///
    /// # Errors
    /// As [`StateServer`].
    pub async fn list_page(
        &self,
        prefix: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Page> {
        check_prefix(prefix)?;
        let limit = limit.clamp(1, LIST_MAX);
        match &self.kind {
            Kind::InProcess(server) => {
                server.list(self.scope.clone(), prefix.to_string(), after, limit).await
            }
            Kind::Http(http) => {
                over_http::list(http, &self.scope.namespace, prefix, after.as_deref(), limit).await
            }
        }
    }
}

fn no_version() -> Error {
    Error::new(Code::Internal, "the state server did not answer with a version for each change")
}

fn invalid(cause: String) -> Error {
    Error::new(Code::Invalid, cause)
}

/// Whether a text may be a namespace: letters, digits, `-`, `_`, `.`; both sides check it.
///
/// # Errors
/// [`Code::Invalid`].
pub fn check_namespace(namespace: &str) -> Result<()> {
    let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let len = namespace.len();
    if len == 0 || len > NAMESPACE_BYTES_MAX || !namespace.bytes().all(good) {
        return Err(invalid(format!(
            "'{namespace}' is no namespace: 1 to {NAMESPACE_BYTES_MAX} letters, digits, '-', '_', '.'"
        )));
    }
    if namespace.bytes().all(|c| c == b'.') {
        return Err(invalid(format!("'{namespace}' is no namespace")));
    }
    Ok(())
}

/// Whether a text may be a key; both sides check it.
///
/// # Errors
/// [`Code::Invalid`].
pub fn check_key(key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(invalid("a key must not be empty".into()));
    }
    if key.split('/').any(|part| part == "." || part == "..") {
        return Err(invalid(format!("the key {key:?} has a part that is '.' or '..'")));
    }
    check_prefix(key)
}

fn check_prefix(prefix: &str) -> Result<()> {
    if prefix.len() > KEY_BYTES_MAX {
        return Err(invalid(format!("a key of {} bytes is over {KEY_BYTES_MAX}", prefix.len())));
    }
    if prefix.chars().any(char::is_control) {
        return Err(invalid(format!("the key {prefix:?} has control characters")));
    }
    Ok(())
}

/// Whether changes may be made together; both sides check it.
///
/// # Errors
/// [`Code::Invalid`], naming the first thing wrong.
pub fn check_changes(changes: &[Change]) -> Result<()> {
    if changes.len() > COMMIT_OPS_MAX {
        return Err(invalid(format!("{} changes are over {COMMIT_OPS_MAX}", changes.len())));
    }
    let mut seen = std::collections::BTreeSet::new();
    for change in changes {
        check_key(change.key())?;
        if !seen.insert(change.key()) {
            return Err(invalid(format!("the key {:?} is changed twice", change.key())));
        }
        if let Change::Put { key, value, .. } = change
            && value.len() > VALUE_BYTES_MAX
        {
            let len = value.len();
            return Err(invalid(format!("{key:?}: {len} bytes are over {VALUE_BYTES_MAX}")));
        }
    }
    let bytes: usize = changes.iter().map(Change::bytes).sum();
    if bytes > COMMIT_BYTES_MAX {
        return Err(invalid(format!("{bytes} bytes of changes are over {COMMIT_BYTES_MAX}")));
    }
    Ok(())
}
