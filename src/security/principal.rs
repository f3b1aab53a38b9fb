//! Principals, and what establishes them.

use std::collections::BTreeMap;
use std::fmt;

/// Somebody who proved who they are. As in Mesos, by a value (a name), by claims, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// The name, `marathon`.
    pub value: Option<String>,
    /// What a token says of its bearer.
    pub claims: BTreeMap<String, String>,
}

impl Principal {
    /// A principal known by name.
    pub fn named(value: &str) -> Self {
        Self { value: Some(value.to_owned()), claims: BTreeMap::new() }
    }
}

impl fmt::Display for Principal {
    /// The name, or the claims as `{k: v}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => f.write_str(value),
            None => f.debug_map().entries(&self.claims).finish(),
        }
    }
}

/// What an authenticator makes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is this one.
    Principal(Principal),
    /// The credentials are of this authenticator's scheme and wrong.
    Refused,
    /// No credentials, or of another scheme.
    Absent,
}

/// Establishes who asks, from the `Authorization` header alone.
pub trait Authenticator: fmt::Debug + Send + Sync {
    /// Looks at the header's value. Must not block, and takes as long for a wrong secret as for a
    /// right one.
    fn authenticate(&self, authorization: Option<&str>) -> Verdict;

    /// Its part of `WWW-Authenticate`.
    fn challenge(&self, realm: &str) -> String;
}
