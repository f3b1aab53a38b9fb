//! What an instance's health checks said. An instance is healthy when all of them say so, and not when one says that it is not.

use super::view::HealthResult;
use crate::marathon::model::Timestamp;
use crate::mesos::v1;

/// The results of an instance's checks, in the order of its app; none of those that said nothing yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Health(Vec<Option<HealthResult>>);

impl Health {
    /// As whoever led before stored it. Which of several it was that failed is told again with its next failure.
    pub fn restored(healthy: Option<bool>, checks: usize) -> Self {
        let result = healthy.map(|alive| HealthResult { alive, ..HealthResult::default() });
        Self(vec![result; checks])
    }

    /// Whether all say that it is healthy; none before they all said something.
    pub fn healthy(&self) -> Option<bool> {
        let alive = |result: &Option<HealthResult>| result.as_ref().map(|result| result.alive);
        if self.0.iter().any(|result| alive(result) == Some(false)) {
            return Some(false);
        }
        let all = !self.0.is_empty() && self.0.iter().all(|result| alive(result) == Some(true));
        all.then_some(true)
    }

    /// What they said.
    pub fn results(&self) -> impl Iterator<Item = &HealthResult> {
        self.0.iter().flatten()
    }

    /// Takes what a status tells of so many checks; which of them has failed now, if one has.
    pub fn heard(
        &mut self,
        checks: usize,
        status: &v1::TaskStatus,
        now: Timestamp,
    ) -> Option<usize> {
        self.0.resize(checks, None);
        let told = status.health_check_told.and_then(|n| usize::try_from(n).ok());
        let mut failed = None;
        for (n, result) in self.0.iter_mut().enumerate() {
            // Who makes but one check, or tells all as one, tells of each.
            let (alive, is_told) = match status.health_check_results.get(n) {
                Some(of) => (of.healthy, told == Some(n)),
                None => (status.healthy, true),
            };
            let Some(alive) = alive else { continue };
            if is_told || result.as_ref().is_none_or(|result| result.alive != alive) {
                let result = result.get_or_insert_default();
                heard(result, alive, now, status.message.as_deref().filter(|_| is_told));
            }
            if is_told && !alive {
                failed = failed.or(Some(n));
            }
        }
        failed
    }
}

/// One more result of a check.
fn heard(result: &mut HealthResult, alive: bool, now: Timestamp, said: Option<&str>) {
    result.alive = alive;
    if alive {
        result.consecutive_failures = 0;
        result.first_success.get_or_insert(now);
        result.last_success = Some(now);
    } else {
        result.consecutive_failures = result.consecutive_failures.saturating_add(1);
        result.last_failure = Some(now);
        result.last_failure_cause = said.map(str::to_string);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_must_have_said_something() {
        let mut health = Health::default();
        assert_eq!(health.healthy(), None);
        let status = |each: [Option<bool>; 2], told| v1::TaskStatus {
            health_check_results: each.map(|healthy| v1::HealthCheckResult { healthy }).to_vec(),
            health_check_told: Some(told),
            ..Default::default()
        };
        let now = Timestamp::from_millis(1);
        let mut heard = |each, told| {
            let failed = health.heard(2, &status(each, told), now);
            (failed, health.healthy(), health.results().count())
        };
        assert_eq!(heard([Some(true), None], 0), (None, None, 1));
        assert_eq!(heard([Some(true), Some(false)], 1), (Some(1), Some(false), 2));
        assert_eq!(heard([Some(true), Some(true)], 1), (None, Some(true), 2));
        // One that is not the one told of may have changed before: whatever told of that was lost.
        assert_eq!(heard([Some(false), Some(true)], 1), (None, Some(false), 2));
        assert_eq!(Health::restored(Some(true), 2).healthy(), Some(true));
        assert_eq!(Health::restored(None, 2).healthy(), None);
        assert_eq!(Health::restored(Some(false), 0).healthy(), None);
    }
}
