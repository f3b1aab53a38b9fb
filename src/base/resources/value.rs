//! The three kinds of amounts a resource can have, and their arithmetic.

use super::{Ranges, Scalar};
use std::collections::BTreeSet;
use std::fmt;

/// How much of a resource there is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A number, three decimals.
    Scalar(Scalar),
    /// Ranges of numbers.
    Ranges(Ranges),
    /// Named items.
    Set(BTreeSet<String>),
}

/// Which of the three a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    /// [`Value::Scalar`].
    Scalar,
    /// [`Value::Ranges`].
    Ranges,
    /// [`Value::Set`].
    Set,
}

impl Value {
    /// Which kind it is.
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::Scalar(_) => ValueKind::Scalar,
            Self::Ranges(_) => ValueKind::Ranges,
            Self::Set(_) => ValueKind::Set,
        }
    }

    /// Whether there is nothing: no amount (or less), no range, no item.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(v) => *v <= Scalar::ZERO,
            Self::Ranges(v) => v.is_empty(),
            Self::Set(v) => v.is_empty(),
        }
    }

    /// Whether all of `other`, of the same kind, is in it.
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => b <= a,
            (Self::Ranges(a), Self::Ranges(b)) => a.contains(b),
            (Self::Set(a), Self::Set(b)) => b.is_subset(a),
            _ => false,
        }
    }

    /// Adds a value of the same kind; one of another kind changes nothing.
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => *a += *b,
            (Self::Ranges(a), Self::Ranges(b)) => *a = a.union(b),
            (Self::Set(a), Self::Set(b)) => a.extend(b.iter().cloned()),
            _ => {}
        }
    }

    /// Takes away a value of the same kind, down to nothing; one of another kind changes nothing.
    pub(super) fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => *a = a.minus_or_zero(*b),
            (Self::Ranges(a), Self::Ranges(b)) => *a = a.minus(b),
            (Self::Set(a), Self::Set(b)) => a.retain(|item| !b.contains(item)),
            _ => {}
        }
    }

    /// What is in both; `None` for different kinds.
    pub(super) fn common(&self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => Self::Scalar(*a.min(b)),
            (Self::Ranges(a), Self::Ranges(b)) => Self::Ranges(a.intersection(b)),
            (Self::Set(a), Self::Set(b)) => Self::Set(a.intersection(b).cloned().collect()),
            _ => return None,
        })
    }
}

/// `4`, `[1-2, 5-5]`, `{a, b}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(v) => v.fmt(f),
            Self::Ranges(v) => v.fmt(f),
            Self::Set(v) => {
                f.write_str("{")?;
                for (at, item) in v.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("}")
            }
        }
    }
}
