//! Marathon's timestamps: versions of apps and groups, times of tasks and events. UTC, three decimals.

use crate::base::time::Wall;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// A point in time, in whole milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Reads an ISO 8601 date and time with its zone; what is finer than a millisecond is dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        Some(Self(at.as_millisecond()))
    }

    /// The first version after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<Wall> for Timestamp {
    fn from(wall: Wall) -> Self {
        Self(i64::try_from(wall.0 / 1_000_000).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for Wall {
    fn from(at: Timestamp) -> Wall {
        Wall::default() + Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{at:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("bad time {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn text_has_three_decimals_and_comes_back() {
        for text in ["2014-08-18T22:36:41.451Z", "1970-01-01T00:00:00.000Z"] {
            assert_eq!(Timestamp::parse(text).expect("valid").to_string(), text);
        }
        let offset = Timestamp::parse("2014-08-19T00:36:41.4519+02:00").expect("valid");
        assert_eq!(offset.to_string(), "2014-08-18T22:36:41.451Z");
        for bad in ["", "x", "2014-08-18", "2014-08-18T22:36:41"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }
}
