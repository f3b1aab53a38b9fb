//! How instances are replaced, chosen for killing, and given up when their agent cannot be reached.

use super::number;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many instances a deployment keeps healthy and how many it may add, as parts of the target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeStrategy {
    /// 0 to 1: the extra instances that may exist while replacing.
    #[serde(serialize_with = "number::serialize")]
    pub maximum_over_capacity: f64,
    /// 0 to 1: the part of the target that stays healthy while replacing.
    #[serde(serialize_with = "number::serialize")]
    pub minimum_health_capacity: f64,
}

impl Default for UpgradeStrategy {
    fn default() -> Self {
        Self { maximum_over_capacity: 1.0, minimum_health_capacity: 1.0 }
    }
}

/// Which instances die first when an app is scaled down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KillSelection {
    /// The one that started last.
    #[default]
    YoungestFirst,
    /// The one that started first.
    OldestFirst,
}

/// When an unreachable instance is replaced, and when it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreachableStrategy {
    /// Never: the instance is waited for. In JSON `"disabled"`.
    Disabled,
    /// Both in seconds since the agent was lost.
    Enabled {
        /// Then a replacement is launched.
        inactive_after_seconds: u64,
        /// Then it is forgotten, and killed should it come back; not before it is inactive.
        expunge_after_seconds: u64,
    },
}

impl Default for UnreachableStrategy {
    fn default() -> Self {
        Self::Enabled { inactive_after_seconds: 0, expunge_after_seconds: 0 }
    }
}

/// The JSON object of an enabled strategy.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Enabled {
    inactive_after_seconds: u64,
    expunge_after_seconds: u64,
}

impl Serialize for UnreachableStrategy {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Disabled => s.serialize_str("disabled"),
            Self::Enabled { inactive_after_seconds, expunge_after_seconds } => {
                Enabled { inactive_after_seconds, expunge_after_seconds }.serialize(s)
            }
        }
    }
}

impl<'de> Deserialize<'de> for UnreachableStrategy {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Word(String),
            Object(Enabled),
        }
        match Form::deserialize(d)? {
            Form::Word(word) if word == "disabled" => Ok(Self::Disabled),
            Form::Word(word) => Err(serde::de::Error::custom(format!("unknown strategy {word:?}"))),
            Form::Object(Enabled { inactive_after_seconds, expunge_after_seconds }) => {
                Ok(Self::Enabled { inactive_after_seconds, expunge_after_seconds })
            }
        }
    }
}
