//! Two clocks that never mix: [`Mono`] for leases, timers and back-off, [`Wall`] for records and schedules.
//! Values only; reading a clock is the driver's business.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the process's monotonic clock, in nanoseconds since an arbitrary start. Never stored or sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, d: Duration) -> Mono {
        Mono(self.0.saturating_add(nanos(d)))
    }
}

/// A point of wall time, in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Wall(pub u64);

impl Wall {
    /// Seconds since 1970 with a fraction, as Mesos writes times.
    pub fn secs(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// From seconds since 1970; negative and NaN give zero.
    pub fn from_secs(secs: f64) -> Wall {
        Wall((secs.max(0.0) * 1e9) as u64)
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, d: Duration) -> Wall {
        Wall(self.0.saturating_add(nanos(d)))
    }
}

impl Sub for Wall {
    type Output = Duration;
    /// How long after the other this is; zero if it is before.
    fn sub(self, other: Wall) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(other.0))
    }
}

/// A duration in nanoseconds, at most what fits (584 years).
fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// A duration from a number of seconds as protocols give it: negative, NaN and infinite are refused.
pub fn duration_from_secs(secs: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(secs).ok()
}
