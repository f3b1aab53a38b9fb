//! What a run answers with.

use crate::base::time::Mono;
use std::fmt;

/// Something that must hold did not.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which rule.
    pub invariant: &'static str,
    /// What was seen, in a sentence.
    pub what: String,
    /// When, on the world's clock.
    pub at: Mono,
    /// The last events before it, oldest first; empty unless [`super::Profile::trace`] asked for them.
    pub last: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.last {
            writeln!(f, "  {line}")?;
        }
        let at = self.at.0 as f64 / 1e9;
        write!(f, "{} at {at:.6} s: {}", self.invariant, self.what)
    }
}

/// What happened in a run in which everything held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Follows from all events in their order: the same seed gives the same.
    pub trace_hash: u64,
    /// Events handled.
    pub events: u64,
    /// Faults injected.
    pub faults: u64,
    /// Masters that led.
    pub masters: u64,
    /// Commands of tasks that were started.
    pub starts: u64,
    /// Those of them that are tasks of Chronos.
    pub job_starts: u64,
    /// Status updates that frameworks acknowledged.
    pub acknowledged: u64,
    /// Commands that clients sent to Marathon or Chronos.
    pub commands: u64,
    /// Steps of the membership core that were carried out.
    pub steps: u64,
    /// Nodes that left their cluster for good.
    pub left: u64,
    /// Seconds of virtual time.
    pub seconds: u64,
}
