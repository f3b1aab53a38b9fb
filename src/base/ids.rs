//! Typed ids. Opaque strings to every reader; cheap to clone.
//!
//! Frameworks choose task and executor ids, so those are checked before they enter the cluster: see [`check`].

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 255;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: Into<Arc<str>>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

ids! {
    /// An agent: `<master uuid>-S<n>`.
    AgentId,
    /// A framework: `<master uuid>-<nnnn>`.
    FrameworkId,
    /// An offer: `<master uuid>-O<n>`.
    OfferId,
    /// A task, named by its framework; unique among the framework's live tasks.
    TaskId,
    /// An executor, named by its framework; for a command task it equals the task's id.
    ExecutorId,
    /// A container, a uuid made by the agent; never used twice.
    ContainerId,
    /// A role, `/` between levels; `*` is the default one.
    Role,
}

/// Whether text may be an id: the original's rule and its words (`common/validation.cpp`).
///
/// # Errors
/// The text Mesos answers with.
pub fn check(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("ID must not be empty".into());
    }
    if id.len() > ID_BYTES_MAX {
        return Err("ID must not be greater than 255 characters".into());
    }
    if id == "." || id == ".." {
        return Err(format!("'{id}' is disallowed"));
    }
    if id.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
        return Err(format!("'{id}' contains invalid characters"));
    }
    Ok(())
}
