//! The launch delay of an app whose tasks keep ending: how long it is, and when it is forgotten.
//!
//! As Marathon's, with one addition. A failure delays the next launch by `backoffSeconds`, each further one by
//! `backoffFactor` times more, up to `maxLaunchDelaySeconds`. The addition: the first failure on record costs nothing
//! if the task had run for at least `backoffSeconds`. The delay is there to slow down what cannot start; a task that
//! has served and then crashes is replaced at once. It is on record all the same, so the next one is delayed.

use crate::base::time::Mono;
use crate::marathon::model::{App, Timestamp};
use std::time::Duration;

/// The delay of one app.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Backoff {
    /// Of which configuration: another one starts without delay.
    config: Timestamp,
    /// How many failures have been delayed.
    delayed: u32,
    /// No launch before this.
    until: Mono,
}

/// The delay after so many failures that were delayed before.
fn delay(app: &App, before: u32) -> Duration {
    let longest = f64::from(app.max_launch_delay_seconds);
    let power = i32::try_from(before).unwrap_or(i32::MAX);
    let seconds = f64::from(app.backoff_seconds) * app.backoff_factor.powi(power);
    // A huge power is infinite; min takes the other.
    Duration::from_secs_f64(seconds.min(longest).max(0.0))
}

impl Backoff {
    /// A task of that configuration ended by itself after it had run so long; `former` is what is on record.
    pub fn failed(app: &App, ran: Option<Duration>, now: Mono, former: Option<&Self>) -> Self {
        let config = app.version_info.last_config_change_at;
        let former = former.filter(|f| f.config == config && !f.forgotten(app, now));
        let served = ran.is_some_and(|ran| ran >= delay(app, 0));
        let (delayed, wait) = match former {
            None if served => (0, Duration::ZERO),
            None => (1, delay(app, 0)),
            Some(former) => (former.delayed.saturating_add(1), delay(app, former.delayed)),
        };
        // Several tasks may fail together: a delay never becomes shorter by that.
        let until = (now + wait).max(former.map_or(now, |f| f.until));
        Self { config, delayed, until }
    }

    /// No launch of that app before this; none if it may be launched now.
    pub fn until(&self, app: &App, now: Mono) -> Option<Mono> {
        let counts = self.config == app.version_info.last_config_change_at;
        (counts && self.until > now).then_some(self.until)
    }

    /// Whether nothing failed for so long that it does not count any more: for the longest delay, since it might be
    /// launched again.
    pub fn forgotten(&self, app: &App, now: Mono) -> bool {
        let longest = Duration::from_secs(u64::from(app.max_launch_delay_seconds));
        now >= self.until + longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::model::PathId;

    const SECOND: Duration = Duration::from_secs(1);

    fn app() -> App {
        App::new(PathId::parse("/a").expect("an id"), "*", Timestamp::from_millis(1))
    }

    fn at(secs: u64) -> Mono {
        Mono(secs * 1_000_000_000)
    }

    // covers: MAR-0573, MAR-0574
    #[test]
    fn it_begins_with_backoff_seconds_and_grows_up_to_the_longest() {
        let app = App { backoff_factor: 2.0, max_launch_delay_seconds: 6, ..app() };
        let mut now = at(100);
        let mut backoff = Backoff::failed(&app, None, now, None);
        let mut waits = Vec::new();
        for _ in 0..5 {
            let until = backoff.until(&app, now).expect("a delay");
            waits.push(until.since(now).as_secs());
            now = until;
            backoff = Backoff::failed(&app, None, now, Some(&backoff));
        }
        assert_eq!(waits, [1, 2, 4, 6, 6]);
    }

    #[test]
    fn the_first_crash_of_a_task_that_served_costs_nothing() {
        let app = app();
        let first = Backoff::failed(&app, Some(SECOND), at(100), None);
        assert_eq!(first.until(&app, at(100)), None);
        let second = Backoff::failed(&app, Some(SECOND), at(102), Some(&first));
        assert_eq!(second.until(&app, at(102)), Some(at(103)));
        let short = Backoff::failed(&app, Some(SECOND / 2), at(100), None);
        assert_eq!(short.until(&app, at(100)), Some(at(101)));
    }

    // covers: MAR-0471, MAR-0472, MAR-0575
    #[test]
    fn it_is_forgotten_with_the_configuration_or_after_the_longest_delay() {
        let app = app();
        let backoff = Backoff::failed(&app, None, at(100), None);
        let mut changed = app.clone();
        changed.version_info.last_config_change_at = Timestamp::from_millis(2);
        assert_eq!(backoff.until(&changed, at(100)), None);
        let mut scaled = app.clone();
        scaled.version = Timestamp::from_millis(2);
        scaled.version_info.last_scaling_at = Timestamp::from_millis(2);
        assert_eq!(backoff.until(&scaled, at(100)), Some(at(101)));
        assert!(!backoff.forgotten(&app, at(400)));
        assert!(backoff.forgotten(&app, at(401)));
        let again = Backoff::failed(&app, None, at(401), Some(&backoff));
        assert_eq!(again.until(&app, at(401)), Some(at(402)));
    }

    #[test]
    fn absurd_factors_end_at_the_longest_delay() {
        let app = App { backoff_factor: 1e300, ..app() };
        assert_eq!(delay(&app, u32::MAX), Duration::from_secs(300));
    }
}
