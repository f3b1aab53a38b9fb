//! Uploads: a new job, or another version of one. All is checked before anything changes.

use super::entry::{Entry, State};
use super::io::{Answer, Notice};
use super::options::JOBS_MAX;
use super::plan::{begin, over};
use super::records::{self, JobRecord};
use super::row::{Outcome, Row};
use super::run::Phase;
use super::{ChronosCore, Due, Out, now_ms};
use crate::base::kv::Op;
use crate::chronos::model::{Counters, Era, Job, Problem, When, name, show};
use crate::machine::Cx;
use std::sync::Arc;

/// The first second a job may start in, in milliseconds since 1970: 3.x refuses earlier ones.
const START_MIN: i64 = 1000;

impl ChronosCore {
    pub(super) fn upload(
        &mut self,
        cx: &mut Cx<'_>,
        mut job: Job,
        counters: Option<Counters>,
        era: Era,
        out: &mut Out,
    ) -> Result<Answer, Problem> {
        if self.entries.get(&job.name).is_none() {
            self.check_new(&job, era)?;
        }
        self.check_parents(&job)?;
        let name = job.name.clone();
        // What was due until now was due by the schedule it had.
        self.plan(cx, &name, out);
        let old = self.entries.get(&name).cloned();
        let same_schedule = old.as_ref().is_some_and(|old| keep_schedule(old, &mut job));
        let goes_on = same_schedule && old.as_ref().is_some_and(|old| !old.job.disabled);
        let now = now_ms(cx);
        let mut state = match &old {
            Some(old) => old.state.clone(),
            None => self.fresh_state(&name, now),
        };
        if let Some(counters) = counters {
            state.counters = counters;
        }
        state.ready.retain(|parent| job.has_parent(parent));
        if !goes_on {
            pass_over(&mut state, &job, now);
        }
        let number = old.as_ref().map_or_else(|| self.entries.next_number(), |old| old.number);
        let history = old.map(|old| old.history.clone()).unwrap_or_default();
        self.count("jobs_uploaded");
        self.install(Entry { number, job: Arc::new(job), state, history }, out);
        self.plan(cx, &name, out);
        self.drop_if_disabled(cx, &name, out);
        Ok(Answer::Done)
    }

    /// The state of a new job. Tasks of a deleted one of that name may not have ended.
    fn fresh_state(&self, name: &str, now: i64) -> State {
        let mut state = State::new(now);
        let theirs = self.dying.iter().filter(|(_, dying)| dying.job == name);
        let stamps = theirs.filter_map(|(id, _)| name::parse_task_id(id)).map(|parts| parts.due);
        state.stamped = stamps.fold(state.stamped, i64::max);
        state
    }

    fn check_new(&self, job: &Job, era: Era) -> Result<(), Problem> {
        let required = |why: String| Problem::of("name", format!("requirement failed: {why}"));
        name::check(&job.name, era).map_err(required)?;
        if self.entries.len() >= JOBS_MAX {
            return Err(Problem::new(format!("there are {JOBS_MAX} jobs, the most allowed")));
        }
        let early = job.schedule().filter(|schedule| schedule.start() < START_MIN);
        match early {
            Some(schedule) if era == Era::Three => {
                let start = crate::chronos::schedule::print(schedule.start());
                let text = format!("Scheduled start date '{start}' is before 1970!");
                Err(Problem::of("schedule", text))
            }
            _ => Ok(()),
        }
    }

    fn check_parents(&self, job: &Job) -> Result<(), Problem> {
        if let Some(missing) = job.parents().find(|parent| self.entries.get(parent).is_none()) {
            let text = format!(
                "requirement failed: Job {} does not have all parents defined! There is no job \
                 '{missing}'",
                job.name
            );
            return Err(Problem::of("parents", text));
        }
        for parent in job.parents() {
            if let Some(way) = self.entries.way_up(parent, &job.name) {
                let text = format!(
                    "requirement failed: the job would depend on itself: {} -> {}",
                    job.name,
                    way.join(" -> ")
                );
                return Err(Problem::of("parents", text));
            }
        }
        Ok(())
    }

    /// Puts a job and its state in, writes both and tells of them.
    pub(super) fn install(&mut self, entry: Entry, out: &mut Out) {
        let name = entry.job.name.clone();
        out.write(record(&entry));
        out.write(records::state(&name, &entry.state));
        let (concurrent, high) = (entry.job.concurrent, entry.job.high_priority);
        self.entries.insert(entry);
        self.runs.configure(&name, concurrent, high);
        self.publish(Notice::Job { name }, out);
    }

    /// What of a disabled job has not been launched is over.
    pub(super) fn drop_if_disabled(&mut self, cx: &Cx<'_>, name: &str, out: &mut Out) {
        let Some(entry) = self.entries.get(name).filter(|entry| entry.job.disabled) else { return };
        let name = entry.job.name.clone();
        self.agenda.cancel(&Due::Planned(name.clone()));
        for key in self.runs.keys_of_job(&name) {
            let Some(run) = self.runs.get(&key) else { continue };
            if !matches!(run.phase, Phase::Waiting | Phase::Retrying { .. }) {
                continue;
            }
            let row = Row {
                attempts: run.attempt,
                message: "the job was disabled".into(),
                ..over(run.due, run.cause, Outcome::Skipped, now_ms(cx))
            };
            self.count("runs_skipped");
            self.remember(&name, row, out);
            self.let_go(&key, out);
        }
    }

    /// Disables a job for a reason of its own.
    pub(super) fn disable(&mut self, cx: &Cx<'_>, name: &str, out: &mut Out) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        if entry.job.disabled {
            return;
        }
        entry.job = Arc::new(Job { disabled: true, ..(*entry.job).clone() });
        out.write(record(entry));
        self.publish(Notice::Job { name: name.into() }, out);
        self.drop_if_disabled(cx, name, out);
    }
}

/// A job sent back with the schedule it is shown with keeps the schedule it has: its start, its count and how far it is.
fn keep_schedule(old: &Entry, job: &mut Job) -> bool {
    let When::Scheduled { schedule: had, zone: had_zone } = &old.job.when else { return false };
    let When::Scheduled { schedule, zone } = &mut job.when else { return false };
    let is_shown = schedule.given() == had.shown(old.state.through);
    let is_same = zone == had_zone && (is_shown || schedule == had);
    if is_same {
        *schedule = had.clone();
    }
    is_same
}

/// Planned times from before now are nobody's to run.
fn pass_over(state: &mut State, job: &Job, now: i64) {
    let Some(schedule) = job.schedule() else { return };
    let from = state.through;
    let to = begin(job, now).max(from);
    let count = schedule.planned_to(to).saturating_sub(schedule.planned_to(from));
    state.earlier.pass_over(count, schedule.last(to));
    state.through = to;
}

/// The record of a job.
fn record(entry: &Entry) -> Op {
    let shown = show(&entry.job, &Counters::default(), i64::MIN);
    let record = JobRecord {
        number: entry.number,
        // Its keys are texts and its numbers are finite, so it can be written.
        job: serde_json::to_value(shown).unwrap_or_default(),
        schedule: entry.job.schedule().map(|schedule| schedule.canonical()),
        given: entry.job.schedule().map(|schedule| schedule.given().to_string()),
    };
    records::job(&entry.job.name, &record)
}
