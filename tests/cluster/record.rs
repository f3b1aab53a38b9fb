//! What writers and readers have seen: attempts to write values, what became of them, and who led.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there, the answer said.
    Acknowledged,
    /// It was not done, the answer said: there was nobody to do it.
    Refused,
    /// Anything may have become of it.
    Unknown,
}

/// An attempt to write a value.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub node: usize,
    pub value: Written,
    pub begun: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
    /// The answer's status, and whether it said when to try again; nothing where there was no answer.
    pub answer: Option<(u16, bool)>,
    /// The answer, or why there is none, shortened.
    pub text: String,
}

/// A value: an app of no instances, or a job of the far future.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    App(String),
    Job(String),
}

impl Written {
    pub fn name(&self) -> &str {
        let (Self::App(name) | Self::Job(name)) = self;
        name
    }
}

/// What was seen of leading: the epoch, who led, when it was asked and answered.
#[derive(Clone, Copy, Debug)]
pub struct Reign {
    pub epoch: u64,
    pub leader: usize,
    pub asked: Instant,
    pub answered: Instant,
    pub by: usize,
}

/// All that they have seen.
pub struct Seen {
    /// What the names of its values begin with.
    pub load: String,
    pub attempts: Vec<Attempt>,
    /// Reads that missed what was acknowledged before they began.
    pub stale: Vec<String>,
    pub reigns: Vec<Reign>,
}

impl Seen {
    /// What each value's attempts came to: acknowledged if any was; refused if all were.
    pub fn values(&self) -> BTreeMap<Written, Outcome> {
        let mut values = BTreeMap::new();
        for attempt in &self.attempts {
            let now = values.entry(attempt.value.clone()).or_insert(attempt.outcome);
            *now = match (*now, attempt.outcome) {
                (Outcome::Acknowledged, _) | (_, Outcome::Acknowledged) => Outcome::Acknowledged,
                (Outcome::Refused, Outcome::Refused) => Outcome::Refused,
                _ => Outcome::Unknown,
            };
        }
        values
    }

    /// The longest time in which none of these nodes acknowledged anything.
    pub fn longest_gap(&self, nodes: &[usize]) -> Duration {
        let of_these = self.attempts.iter().filter(|a| nodes.contains(&a.node));
        let acknowledged = of_these.filter(|a| a.outcome == Outcome::Acknowledged);
        let mut ends: Vec<Instant> = acknowledged.map(|a| a.ended).collect();
        ends.sort_unstable();
        ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}
