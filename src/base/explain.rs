//! Why something waits, as a value: which rule refused how many, the nearest miss, and a hint.

use serde::{Deserialize, Serialize};

/// At most this many refusals are listed; the rest are summed up in the last.
pub const REFUSALS_MAX: usize = 32;

/// One rule's part in a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A short stable word for the rule: `resources`, `filter`, `role`, `constraint`, `suppressed` …
    pub rule: String,
    /// How many candidates (agents, offers) this rule refused.
    pub count: u64,
    /// The refusal in a sentence, with the numbers of the nearest miss.
    pub detail: String,
}

/// Why a framework got no offer, or a task found no place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What waits, e.g. `framework 6f1c…-0000 (marathon)`.
    pub subject: String,
    /// How many candidates were looked at.
    pub candidates: u64,
    /// Most refusing rule first.
    pub refusals: Vec<Refusal>,
    /// What the reader can do.
    pub hint: Option<String>,
}
