//! What the operator may choose about who votes.

use crate::base::error::{Code, Error, Result};
use std::time::Duration;

/// The most voters a cluster may have: each write waits for a majority of them.
pub const VOTERS_MAX: usize = 7;
/// The most learners that may be kept beside the voters: the leader sends the whole log to each.
pub const LEARNERS_MAX: usize = 16;

/// The policy. [`Policy::default`] is for nodes in one data centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many may vote, when there are as many nodes: 1, 3, 5 or 7.
    pub voters_max: usize,
    /// How many nodes are kept up to date to take a voter's place. More are added while they are on the way to vote.
    pub learners_max: usize,
    /// How long a node must have been alive before it is given the log.
    pub arrive: Duration,
    /// How long it must have been alive before it votes.
    pub steady: Duration,
    /// How long a member must have been silent before another takes its place.
    pub patience: Duration,
    /// How long a node must have been alive before it takes a healthy voter's place for the sake of zones.
    pub rebalance: Duration,
    /// How old a member's last answer may be for it to count as there.
    pub fresh: Duration,
    /// How old the last answers of a majority may be when the voters are changed. From the moment a change is begun
    /// the new majority is needed, too: who has just died must not be counted on.
    pub sure: Duration,
    /// How many entries a node may lack and still count as caught up.
    pub behind_max: u64,
    /// After what time a step is tried again, the first time; it doubles.
    pub retry_min: Duration,
    /// After what time at the longest.
    pub retry_max: Duration,
}

impl Default for Policy {
    /// Three fresh nodes are three voters within 5 s (0.5 s to be seen, 2 s to be steady, the log meanwhile); a
    /// restart of a voter that takes less than 30 s changes nothing.
    fn default() -> Self {
        Self {
            voters_max: 5,
            learners_max: 2,
            arrive: Duration::from_millis(500),
            steady: Duration::from_secs(2),
            patience: Duration::from_secs(30),
            rebalance: Duration::from_secs(60),
            fresh: Duration::from_secs(2),
            sure: Duration::from_millis(500),
            behind_max: 100,
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// Whether it can be followed.
    ///
    /// # Errors
    /// [`Code::Invalid`], naming the setting.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::new(Code::Invalid, what));
        if self.voters_max == 0 || self.voters_max > VOTERS_MAX || self.voters_max.is_multiple_of(2)
        {
            return bad(format!(
                "the number of voters must be 1, 3, 5 or {VOTERS_MAX}, not {}",
                self.voters_max
            ));
        }
        if self.learners_max == 0 || self.learners_max > LEARNERS_MAX {
            return bad(format!(
                "the number of learners must be 1 to {LEARNERS_MAX}, not {}",
                self.learners_max
            ));
        }
        if self.sure.is_zero() || self.retry_min.is_zero() {
            return bad(
                "the time an answer is sure and the time between tries must not be 0".into()
            );
        }
        if self.sure > self.fresh {
            return bad("an answer cannot be sure for longer than it is fresh".into());
        }
        if self.patience < self.fresh {
            return bad("a voter cannot be replaced sooner than its silence is noticed".into());
        }
        if self.arrive > self.steady || self.steady > self.rebalance {
            return bad(
                "a node must arrive before it is steady, and be steady before it rebalances".into(),
            );
        }
        if self.retry_min > self.retry_max {
            return bad("the shortest time between tries is longer than the longest".into());
        }
        Ok(())
    }

    /// How many of so many nodes vote: the largest odd number, at most `voters_max`.
    pub fn voters_of(&self, nodes: usize) -> usize {
        let most = nodes.min(self.voters_max.clamp(1, VOTERS_MAX));
        if most.is_multiple_of(2) { most.saturating_sub(1) } else { most }
    }
}
