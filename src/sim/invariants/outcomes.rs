//! Every planned time of a job since it was registered has one row that says what became of it, whatever crashed; once a
//! run is over it stays over.
//!
//! Which times are planned is computed here from the schedules in the rows, not asked of Chronos.

use super::jobs::{Write, read};
use super::{Invariant, Seen};
use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::chronos::schedule;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `R[<count>]/<start>/PT<period>S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    start: i64,
    period: i64,
    count: Option<i64>,
}

impl Times {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("no rule reads the schedule {text}");
        let parts: Vec<&str> = text.split('/').collect();
        let [repeat, start, period] = parts[..] else { return Err(bad()) };
        let count = repeat.strip_prefix('R').ok_or_else(bad)?;
        let seconds = period.strip_prefix("PT").and_then(|p| p.strip_suffix('S'));
        let seconds: i64 = seconds.and_then(|s| s.parse().ok()).ok_or_else(bad)?;
        let count = if count.is_empty() { None } else { Some(count.parse().map_err(|_| bad())?) };
        Ok(Self { start: schedule::read(start).map_err(|_| bad())?, period: seconds * 1000, count })
    }

    /// The first planned time after that one.
    fn next(&self, after: i64) -> Option<i64> {
        let steps = match after.checked_sub(self.start) {
            Some(since) if since >= 0 => since / self.period + 1,
            _ => 0,
        };
        let within = self.count.is_none_or(|count| steps < count);
        within.then(|| self.start + steps * self.period)
    }

    fn has(&self, due: i64) -> bool {
        self.next(due - 1) == Some(due)
    }
}

/// A time in which a job had one schedule and was enabled: planned times in `(from, to]` are owed.
#[derive(Clone, Debug)]
struct Plan {
    times: Times,
    from: Option<i64>,
    to: Option<i64>,
}

#[derive(Default)]
struct Job {
    /// The schedule and whether it is disabled, as last written.
    now: Option<(Option<String>, bool)>,
    plans: Vec<Plan>,
    through: i64,
    rows: BTreeMap<i64, String>,
    /// Runs that are not over. When all is at rest those only are left whose agent never comes back under its id.
    open: BTreeSet<i64>,
}

#[derive(Default)]
pub(super) struct Outcomes(BTreeMap<String, Job>);

impl Invariant for Outcomes {
    fn name(&self) -> &'static str {
        "outcomes"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        let Seen::JobsStored { batch, decided } = seen else { return Ok(()) };
        batch.iter().try_for_each(|op| self.stored(op, *decided))
    }

    fn end(&self) -> Result<(), String> {
        self.0.iter().try_for_each(|(name, job)| job.owed(name))
    }
}

impl Outcomes {
    fn stored(&mut self, op: &Op, decided: i64) -> Result<(), String> {
        match read(op) {
            Some(Write::Job { name, row }) => {
                let fresh = || Job { through: i64::MIN, ..Job::default() };
                self.0.entry(name.into()).or_insert_with(fresh).defined(name, &row, decided)
            }
            Some(Write::JobGone { name }) => {
                self.0.remove(name);
                Ok(())
            }
            Some(Write::State { name, row }) => match self.0.get_mut(name) {
                Some(job) => job.went_on(name, &row, decided),
                None => Ok(()),
            },
            Some(Write::Run { job, due, .. }) => {
                if let Some(job) = self.0.get_mut(job) {
                    job.open.insert(due);
                }
                Ok(())
            }
            Some(Write::RunGone { job, due }) => {
                if let Some(job) = self.0.get_mut(job) {
                    job.open.remove(&due);
                }
                Ok(())
            }
            Some(Write::Row { job: name, due, row }) => match self.0.get_mut(name) {
                Some(job) => job.ended(name, due, &row, decided),
                None => Err(format!("a row of {name}, which is no job")),
            },
            None => Ok(()),
        }
    }
}

impl Job {
    fn defined(&mut self, name: &str, row: &Value, decided: i64) -> Result<(), String> {
        let text = row.get("schedule").and_then(Value::as_str).map(ToString::to_string);
        let disabled = row.pointer("/job/disabled").and_then(Value::as_bool).unwrap_or(false);
        let now = (text.clone(), disabled);
        if self.now.as_ref() == Some(&now) {
            return Ok(());
        }
        self.now = Some(now);
        let through = self.through;
        if let Some(open) = self.plans.last_mut().filter(|plan| plan.to.is_none()) {
            open.to = Some(through);
            if let Some(due) = open.times.next(through).filter(|due| *due <= decided) {
                return Err(format!("{name} changes at {decided} and passes over {due}"));
            }
        }
        if let Some(text) = text.filter(|_| !disabled) {
            self.plans.push(Plan { times: Times::parse(&text)?, from: None, to: None });
        }
        Ok(())
    }

    fn went_on(&mut self, name: &str, row: &Value, decided: i64) -> Result<(), String> {
        let through = row.get("through").and_then(Value::as_i64);
        let through = through.ok_or_else(|| format!("the state of {name} is no state"))?;
        if through < self.through || through > decided {
            return Err(format!("{name} is at {through} after {}, at {decided}", self.through));
        }
        self.through = through;
        if let Some(plan) = self.plans.last_mut() {
            plan.from.get_or_insert(through);
        }
        Ok(())
    }

    fn ended(&mut self, name: &str, due: i64, row: &Value, decided: i64) -> Result<(), String> {
        let field = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
        let outcome = field("outcome").to_string();
        let planned = field("cause") == "planned";
        if planned && (due > decided || !self.plans.iter().any(|plan| plan.times.has(due))) {
            return Err(format!("{name} has {outcome} for {due}, which is no planned time"));
        }
        match self.rows.insert(due, outcome.clone()) {
            Some(before) => Err(format!("{due} of {name} was over, {before}, and is {outcome}")),
            None => Ok(()),
        }
    }

    fn owed(&self, name: &str) -> Result<(), String> {
        let rows: BTreeSet<i64> = self.rows.keys().copied().collect();
        for plan in &self.plans {
            let Some(from) = plan.from else { continue };
            let to = plan.to.unwrap_or(self.through);
            let mut at = from;
            while let Some(due) = plan.times.next(at).filter(|due| *due <= to) {
                if !rows.contains(&due) && !self.open.contains(&due) {
                    return Err(format!("nothing says what became of {due} of {name}"));
                }
                at = due;
            }
        }
        Ok(())
    }
}
