//! What is due by the wall clock. A clock that is set moves what is due with it.

use super::options::CLOCK_CHECK;
use super::runs::RunKey;
use crate::base::time::{Mono, Wall};
use crate::chronos::schedule;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What can be due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A planned time of a job.
    Planned(String),
    /// A run that has not been launched is now too late.
    Late(RunKey),
    /// Another attempt of a run.
    Retry(RunKey),
    /// The report on an asynchronous run has not come.
    Report(RunKey),
}

/// What is due when, in milliseconds since 1970; one time for each thing.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    by_time: BTreeSet<(i64, Due)>,
    times: BTreeMap<Due, i64>,
    /// The two clocks when they were last read.
    seen: (Mono, Wall),
}

impl Agenda {
    pub fn set(&mut self, due: Due, at: i64) {
        self.cancel(&due);
        self.times.insert(due.clone(), at);
        self.by_time.insert((at, due));
    }

    pub fn cancel(&mut self, due: &Due) {
        if let Some((due, at)) = self.times.remove_entry(due) {
            self.by_time.remove(&(at, due));
        }
    }

    pub fn at(&self, due: &Due) -> Option<i64> {
        self.times.get(due).copied()
    }

    /// Notes the clocks.
    pub fn see(&mut self, now: Mono, wall: Wall) {
        self.seen = (now, wall);
    }

    /// Takes the first thing that is due.
    pub fn pop(&mut self, wall: Wall) -> Option<Due> {
        let (at, _) = self.by_time.first()?;
        if *at > schedule::millis(wall) {
            return None;
        }
        let (_, due) = self.by_time.pop_first()?;
        self.times.remove(&due);
        Some(due)
    }

    /// When to look again.
    pub fn wake_at(&self) -> Option<Mono> {
        let (at, _) = self.by_time.first()?;
        let (now, wall) = self.seen;
        let wait: Duration = schedule::wall(*at) - wall;
        Some(now + wait.min(CLOCK_CHECK))
    }
}
