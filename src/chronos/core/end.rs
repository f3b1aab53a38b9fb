//! The end of attempts and runs: what is counted, what is tried again, who is triggered.

use super::agenda::Due;
use super::options::{LAUNCH_AGAIN_AFTER, LAUNCHES_MAX, RETRY_WAIT_MAX};
use super::plan::over;
use super::row::{Outcome, Row};
use super::run::{Phase, Run};
use super::runs::RunKey;
use super::{ChronosCore, Out, now_ms};
use crate::machine::Cx;
use std::time::Duration;

/// What was said of a task's end.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub message: String,
    pub reason: Option<String>,
}

impl Said {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), reason: None }
    }
}

impl ChronosCore {
    /// A run has succeeded.
    pub(super) fn succeed(&mut self, cx: &mut Cx<'_>, key: &RunKey, said: Said, out: &mut Out) {
        let now = now_ms(cx);
        if let Some(entry) = self.entries.get_mut(&key.0) {
            let counters = &mut entry.state.counters;
            counters.success_count += 1;
            counters.errors_since_last_success = 0;
            counters.last_success = counters.last_success.max(Some(now));
        }
        self.count("runs_succeeded");
        self.close(cx, key, Outcome::Success, said, out);
        if self.is_used_up(&key.0) {
            self.disable(cx, &key.0, out);
        }
        self.parent_succeeded(cx, &key.0, out);
    }

    /// All planned times of a finite schedule have been run and are over.
    fn is_used_up(&self, name: &str) -> bool {
        let Some(entry) = self.entries.get(name) else { return false };
        let Some(schedule) = entry.job.schedule() else { return false };
        schedule.repeat().is_some_and(|n| schedule.planned_to(entry.state.through) >= n)
            && self.runs.of_job(name).next().is_none()
    }

    /// An attempt has failed: another one later, or the run has.
    pub(super) fn fail(&mut self, cx: &mut Cx<'_>, key: &RunKey, said: Said, out: &mut Out) {
        let Some(run) = self.runs.get(key) else { return };
        let (mut run, retries) = match self.entries.get(&key.0) {
            Some(entry) => (run.clone(), entry.job.retries),
            None => return,
        };
        run.failures += 1;
        let disabled = self.entries.get(&key.0).is_some_and(|entry| entry.job.disabled);
        if run.failures > retries || disabled {
            return self.fail_for_good(cx, key, said, out);
        }
        self.count("runs_retried");
        let wait = self.retry_wait(run.failures);
        let until = now_ms(cx).saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        run.attempt += 1;
        run.reported = None;
        run.phase = Phase::Retrying { until };
        self.agenda.cancel(&Due::Report(key.clone()));
        self.agenda.set(Due::Retry(key.clone()), until);
        self.put_run(run, out);
    }

    fn retry_wait(&self, failures: u64) -> Duration {
        let further = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let growth = self.options.failure_retry_factor.powi(further);
        let secs = self.options.failure_retry.as_secs_f64() * growth;
        Duration::try_from_secs_f64(secs).unwrap_or(RETRY_WAIT_MAX).min(RETRY_WAIT_MAX)
    }

    fn fail_for_good(&mut self, cx: &mut Cx<'_>, key: &RunKey, said: Said, out: &mut Out) {
        let now = now_ms(cx);
        let limit = self.options.disable_after_failures;
        let (mut too_many, mut soft) = (false, false);
        if let Some(entry) = self.entries.get_mut(&key.0) {
            let counters = &mut entry.state.counters;
            counters.error_count += 1;
            counters.errors_since_last_success += 1;
            counters.last_error = counters.last_error.max(Some(now));
            too_many = limit > 0 && counters.errors_since_last_success >= limit;
            soft = entry.job.soft_error;
        }
        self.count("runs_failed");
        self.close(cx, key, Outcome::Failure, said, out);
        if too_many {
            self.disable(cx, &key.0, out);
        }
        match soft {
            true => self.parent_succeeded(cx, &key.0, out),
            false => self.parent_failed(&key.0, out),
        }
    }

    /// A task of which nothing was ever heard will never start: it is launched anew, under another id. Only so often.
    pub(super) fn never_started(
        &mut self,
        cx: &mut Cx<'_>,
        key: &RunKey,
        said: Said,
        out: &mut Out,
    ) {
        let Some(run) = self.runs.get(key) else { return };
        let mut run: Run = run.clone();
        run.lost_launches += 1;
        if run.lost_launches >= LAUNCHES_MAX {
            return self.fail(cx, key, said, out);
        }
        self.count("launches_lost");
        run.attempt += 1;
        run.phase = Phase::Waiting;
        // The first time at once: a crash between writing a launch down and making it.
        if let Some(further) = run.lost_launches.checked_sub(2) {
            let wait = LAUNCH_AGAIN_AFTER.saturating_mul(1 << further.min(10));
            let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            let until = now_ms(cx).saturating_add(wait);
            run.phase = Phase::Retrying { until };
            self.agenda.set(Due::Retry(key.clone()), until);
        }
        self.put_run(run, out);
        self.drop_if_disabled(cx, &key.0, out);
    }

    /// A run was killed: neither a success nor a failure.
    pub(super) fn killed(&mut self, cx: &mut Cx<'_>, key: &RunKey, said: Said, out: &mut Out) {
        self.count("runs_killed");
        self.close(cx, key, Outcome::Killed, said, out);
    }

    /// A run is over: out of the table, into the history.
    fn close(&mut self, cx: &Cx<'_>, key: &RunKey, outcome: Outcome, said: Said, out: &mut Out) {
        let Some(run) = self.runs.get(key) else { return };
        let task = run.task();
        let row = Row {
            attempts: run.attempt + u64::from(task.is_some()),
            task_id: task.map(|t| t.id.clone()),
            agent_id: task.map(|t| t.agent_id.clone()),
            host: task.map(|t| t.host.clone()),
            started: task.and_then(|t| t.running),
            message: said.message,
            reason: said.reason,
            elements: run.elements,
            ..over(run.due, run.cause, outcome, now_ms(cx))
        };
        // The row first: a batch that is made in two commits must not lose it.
        self.remember(&key.0, row, out);
        self.let_go(key, out);
    }

    /// The wait before another attempt is over.
    pub(super) fn retry(&mut self, key: &RunKey, out: &mut Out) {
        let Some(run) = self.runs.get(key) else { return };
        if matches!(run.phase, Phase::Retrying { .. }) {
            let run = Run { phase: Phase::Waiting, ..run.clone() };
            self.put_run(run, out);
        }
    }
}
