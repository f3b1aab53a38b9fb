//! Planned times: which of them get a run, which came too late.
//!
//! A planned time gets a run if it is noticed less than epsilon after it, else it was missed. A run waits behind an earlier
//! one of the same job until epsilon is over, then it is skipped; for resources it waits without limit, as in the original.

use super::agenda::Due;
use super::io::Notice;
use super::options::{CATCH_UP_MAX, RUNS_MAX, RUNS_PER_JOB_MAX};
use super::row::{Outcome, Row};
use super::run::{Cause, Run};
use super::runs::RunKey;
use super::{ChronosCore, Out, now_ms, records};
use crate::chronos::model::Job;
use crate::machine::Cx;

/// From which planned time on a job that is new at `now` is run: from its start if that is within epsilon, else from the
/// last one not after now, if that one is. Answers the time up to which all is passed over.
pub(super) fn begin(job: &Job, now: i64) -> i64 {
    let Some(schedule) = job.schedule() else { return i64::MIN };
    let oldest = now.saturating_sub(job.epsilon.tolerance_ms());
    if schedule.start() > oldest {
        return i64::MIN;
    }
    match schedule.last(now) {
        Some(last) if last > oldest => last - 1,
        last => last.unwrap_or(i64::MIN),
    }
}

impl ChronosCore {
    /// Deals with all planned times of a job up to now, and sets when to look again.
    pub(super) fn plan(&mut self, cx: &mut Cx<'_>, name: &str, out: &mut Out) {
        self.agenda.cancel(&Due::Planned(name.to_string()));
        let Some(entry) = self.entries.get(name) else { return };
        let job = entry.job.clone();
        let Some(schedule) = job.schedule().filter(|_| !job.disabled) else { return };
        let (from, now) = (entry.state.through, now_ms(cx));
        let oldest = now.saturating_sub(job.epsilon.tolerance_ms());
        let due = schedule.newest(from.max(oldest), now, CATCH_UP_MAX);
        let done_to = due.last().copied().or_else(|| schedule.last(now));
        let missed_to = due.first().map_or(now, |first| first - 1);
        if let Some(done_to) = done_to.filter(|done| *done > from) {
            // Runs and rows first: a batch that is made in two commits must not pass over any.
            self.miss(cx, &job, from, missed_to, out);
            for at in due {
                self.begin_run(cx, &job, at, Cause::Planned, None, out);
            }
            if let Some(entry) = self.entries.get_mut(name) {
                entry.state.through = done_to;
                out.write(records::state(name, &entry.state));
            }
        }
        if let Some(next) = schedule.next(from.max(done_to.unwrap_or(i64::MIN))) {
            self.agenda.set(Due::Planned(name.to_string()), next);
        }
    }

    /// Planned times in `(from, to]` that nobody was there for.
    fn miss(&mut self, cx: &Cx<'_>, job: &Job, from: i64, to: i64, out: &mut Out) {
        let Some(schedule) = job.schedule() else { return };
        let count = schedule.planned_to(to).saturating_sub(schedule.planned_to(from));
        if count == 0 {
            return;
        }
        *self.counts.entry("runs_missed").or_default() += count;
        let limit = self.history_limit() as u64;
        let times = schedule.newest(from, to, limit);
        let older = count.saturating_sub(times.len() as u64);
        if let Some(entry) = self.entries.get_mut(&job.name) {
            let last = times.first().map_or(to, |first| first - 1);
            entry.state.earlier.add(Outcome::Missed, older, last);
        }
        for due in times {
            let message = format!("not started within {} of its time", job.epsilon.text());
            let row = Row { message, ..over(due, Cause::Planned, Outcome::Missed, now_ms(cx)) };
            self.remember(&job.name, row, out);
        }
    }

    /// A run that is due now. Without room for it, its row says so.
    pub(super) fn begin_run(
        &mut self,
        cx: &mut Cx<'_>,
        job: &Job,
        due: i64,
        cause: Cause,
        arguments: Option<Vec<String>>,
        out: &mut Out,
    ) {
        let is_known = self.entries.get(&job.name).is_some_and(|entry| entry.place(due).is_ok())
            || self.runs.get(&(job.name.clone(), due)).is_some();
        if is_known {
            return;
        }
        let of_job = self.runs.of_job(&job.name).take(RUNS_PER_JOB_MAX).count();
        let full = match () {
            () if job.disabled => Some("the job is disabled".to_string()),
            () if of_job >= RUNS_PER_JOB_MAX => {
                Some(format!("{RUNS_PER_JOB_MAX} runs of the job are not over yet"))
            }
            () if self.runs.len() >= RUNS_MAX => Some(format!("{RUNS_MAX} runs are not over yet")),
            () => None,
        };
        if let Some(message) = full {
            self.count("runs_skipped");
            let row = Row { message, ..over(due, cause, Outcome::Skipped, now_ms(cx)) };
            return self.remember(&job.name, row, out);
        }
        self.parent_starts(&job.name, out);
        let stamp = self.entries.get_mut(&job.name).map(|entry| entry.state.stamp(due));
        let run = Run { stamp, arguments, ..Run::new(&job.name, due, cause) };
        if cause == Cause::Planned {
            let late = due.saturating_add(job.epsilon.tolerance_ms());
            self.agenda.set(Due::Late((job.name.clone(), due)), late);
        }
        self.put_run(run, out);
        // Of planned times the state is written when all of them have their run.
        if cause != Cause::Planned
            && let Some(entry) = self.entries.get(&job.name)
        {
            out.write(records::state(&job.name, &entry.state));
        }
    }

    /// Writes a run down as it stands now, and tells of it.
    pub(super) fn put_run(&mut self, run: Run, out: &mut Out) {
        out.write(records::run(&run));
        self.publish_run(&run, out);
        self.runs.put(run);
    }

    pub(super) fn publish_run(&self, run: &Run, out: &mut Out) {
        let notice = Notice::Run {
            job: run.job.clone(),
            due: run.due,
            cause: run.cause,
            attempt: run.attempt,
            state: run.state(),
        };
        self.publish(notice, out);
    }

    /// Epsilon is over for a run. One that waits behind another of its job is skipped.
    pub(super) fn late(&mut self, cx: &Cx<'_>, key: &RunKey, out: &mut Out) {
        let Some(run) = self.runs.get(key) else { return };
        if !run.can_be_late() || self.runs.is_queued(key) {
            return;
        }
        self.count("runs_skipped");
        let message = "an earlier run of the job was not over when its time was";
        let row = Row {
            message: message.into(),
            ..over(key.1, Cause::Planned, Outcome::Skipped, now_ms(cx))
        };
        self.remember(&key.0, row, out);
        self.let_go(key, out);
    }

    /// After a run of the job was launched: those behind it whose time is over.
    pub(super) fn skip_late(&mut self, cx: &Cx<'_>, job: &Job, out: &mut Out) {
        let oldest = now_ms(cx).saturating_sub(job.epsilon.tolerance_ms());
        for key in self.runs.keys_of_job(&job.name) {
            if key.1 <= oldest {
                self.late(cx, &key, out);
            }
        }
    }

    /// Takes a run out of the tables, without a row.
    pub(super) fn let_go(&mut self, key: &RunKey, out: &mut Out) {
        self.runs.remove(key);
        for due in [Due::Late(key.clone()), Due::Retry(key.clone()), Due::Report(key.clone())] {
            self.agenda.cancel(&due);
        }
        out.write(records::forget_run(&key.0, key.1));
    }

    /// A time for a run that is not planned: now, or the next millisecond that no other run of the job has.
    pub(super) fn unplanned_due(&self, cx: &Cx<'_>, job: &Job) -> i64 {
        let mut due = now_ms(cx);
        let Some(entry) = self.entries.get(&job.name) else { return due };
        let is_planned =
            |at: i64| job.schedule().is_some_and(|schedule| schedule.next(at - 1) == Some(at));
        // As often as there are runs and rows at most, and planned times are a second apart.
        while self.runs.get(&(job.name.clone(), due)).is_some()
            || entry.place(due).is_ok()
            || is_planned(due)
        {
            due += 1;
        }
        due
    }
}

/// A row without details.
pub(super) fn over(due: i64, cause: Cause, outcome: Outcome, ended: i64) -> Row {
    Row {
        due,
        cause,
        outcome,
        attempts: 0,
        task_id: None,
        agent_id: None,
        host: None,
        started: None,
        ended,
        message: String::new(),
        reason: None,
        elements: None,
    }
}
