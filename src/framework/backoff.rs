//! How long to wait before the next try: exponential with full jitter, so that a cluster's frameworks do not all come
//! back in the same moment after a failover.

use crate::base::rng::Rng;
use std::time::Duration;

/// A back-off in progress. Pure: randomness is its own seeded generator.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
    rng: Rng,
}

impl Backoff {
    /// Waits up to `first`, then up to twice as long each time, never more than `max`.
    pub fn new(first: Duration, max: Duration, seed: u64) -> Self {
        let first = first.min(max);
        Self { first, max, next: first, rng: Rng::new(seed) }
    }

    /// How long to wait now: between a half and the whole of the current step.
    pub fn next_wait(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.max);
        step / 2 + self.rng.up_to(step / 2)
    }

    /// It worked: the next failure waits `first` again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A seed from the system's randomness; the time of day where there is none, for jitter needs no secrecy.
pub fn seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::from(now.unwrap_or_default().subsec_nanos())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_maximum_and_starts_over() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, max, 7);
        for step in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.next_wait().as_millis();
            assert!((step / 2..=step).contains(&wait), "{wait} of {step}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= first);
    }

    #[test]
    fn a_first_step_over_the_maximum_is_cut() {
        let second = Duration::from_secs(1);
        assert!(Backoff::new(second * 9, second, 1).next_wait() <= second);
    }
}
