//! What is wrong with a request, by the place in its JSON. All of it, not only the first.

use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// So many places are told at most.
pub const FAILURES_MAX: usize = 1000;

/// Messages by JSON path: `/container/volumes(0)/hostPath`; `/` is the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures(BTreeMap<String, Vec<String>>);

/// Why a body is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It has not the form of what was asked for: wrong types, missing fields, values out of range.
    Form(Failures),
    /// It breaks a rule.
    Rule(Failures),
}

impl Failures {
    /// One failure.
    pub fn of(path: &str, message: impl Into<String>) -> Self {
        let mut all = Self::default();
        all.add(path, message);
        all
    }

    /// Adds one; the same message at the same place counts once.
    pub fn add(&mut self, path: &str, message: impl Into<String>) {
        let path = if path.is_empty() { "/" } else { path };
        if self.0.len() >= FAILURES_MAX && !self.0.contains_key(path) {
            return;
        }
        let (messages, message) = (self.0.entry(path.into()).or_default(), message.into());
        if !messages.contains(&message) {
            messages.push(message);
        }
    }

    /// Takes over another's, with `prefix` before their paths.
    pub fn extend(&mut self, prefix: &str, other: Failures) {
        for (path, messages) in other.0 {
            let path = if path == "/" { prefix.to_string() } else { format!("{prefix}{path}") };
            for message in messages {
                self.add(&path, message);
            }
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The messages at a place.
    pub fn at(&self, path: &str) -> &[String] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }

    /// All, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(path, messages)| (path.as_str(), messages.as_slice()))
    }
}

/// `[{"path": "/id", "errors": ["…"]}]`.
impl Serialize for Failures {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            path: &'a str,
            errors: &'a [String],
        }
        let mut seq = s.serialize_seq(Some(self.0.len()))?;
        for (path, errors) in self.iter() {
            seq.serialize_element(&Entry { path, errors })?;
        }
        seq.end()
    }
}
