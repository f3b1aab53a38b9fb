//! Resources beside those every app has: a custom executor's own, and limits above the requests.

use super::number;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a custom executor needs for itself; also the least it may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorResources {
    /// Processors.
    #[serde(serialize_with = "number::serialize")]
    pub cpus: f64,
    /// Memory in MiB.
    #[serde(serialize_with = "number::serialize")]
    pub mem: f64,
    /// Disk in MiB.
    #[serde(serialize_with = "number::serialize")]
    pub disk: f64,
}

impl Default for ExecutorResources {
    fn default() -> Self {
        Self { cpus: 0.1, mem: 32.0, disk: 10.0 }
    }
}

/// How far a task may go above what it asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Limit>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem: Option<Limit>,
}

/// One limit: a number, or `"unlimited"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// As much as the machine has.
    Unlimited,
    /// At most this.
    Number(f64),
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => s.serialize_str("unlimited"),
            Self::Number(value) => number::serialize(value, s),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Word(String),
            Number(f64),
        }
        match Form::deserialize(d)? {
            Form::Word(word) if word == "unlimited" => Ok(Self::Unlimited),
            Form::Word(word) => Err(serde::de::Error::custom(format!("unknown limit {word:?}"))),
            Form::Number(value) => Ok(Self::Number(value)),
        }
    }
}
