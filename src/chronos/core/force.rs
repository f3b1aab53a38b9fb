//! What clients do to runs: force one, report on one, tell how far one is.

use super::end::Said;
use super::io::Answer;
use super::options::{RUNS_MAX, RUNS_PER_JOB_MAX};
use super::run::{Cause, Phase};
use super::runs::RunKey;
use super::{ChronosCore, Out, records};
use crate::chronos::model::name::parse_task_id;
use crate::chronos::model::{JOB_BYTES_MAX, Problem};
use crate::machine::Cx;

impl ChronosCore {
    pub(super) fn force(
        &mut self,
        cx: &mut Cx<'_>,
        name: &str,
        arguments: Option<Vec<String>>,
        out: &mut Out,
    ) -> Result<Answer, Problem> {
        let Some(entry) = self.entries.get(name) else { return Err(Self::unknown(name)) };
        let job = entry.job.clone();
        let length: usize = arguments.iter().flatten().map(String::len).sum();
        if length > JOB_BYTES_MAX {
            let text = format!("the arguments are over {JOB_BYTES_MAX} bytes");
            return Err(Problem::of("arguments", text));
        }
        let of_job = self.runs.of_job(name).take(RUNS_PER_JOB_MAX).count();
        if of_job >= RUNS_PER_JOB_MAX || self.runs.len() >= RUNS_MAX {
            let text = format!("{of_job} runs of '{name}' are not over yet, the most allowed");
            return Err(Problem::new(text));
        }
        let due = self.unplanned_due(cx, &job);
        self.count("runs_forced");
        self.begin_run(cx, &job, due, Cause::Forced, arguments, out);
        Ok(Answer::Done)
    }

    /// What is said of an asynchronous run. As in the original, a task that nobody knows is no error.
    pub(super) fn report(
        &mut self,
        cx: &mut Cx<'_>,
        task_id: &str,
        code: i64,
        out: &mut Out,
    ) -> Answer {
        let Some(key) = self.runs.of_task(task_id) else { return Answer::Done };
        let is_async = self.entries.get(&key.0).is_some_and(|entry| entry.job.is_async);
        if !is_async {
            return Answer::Done;
        }
        match self.runs.get(&key).map(|run| &run.phase) {
            Some(Phase::AwaitingReport { .. }) => self.reported(cx, &key, code, out),
            Some(Phase::Launched(_)) => {
                // Its outcome is known; that the task has ended is not.
                if let Some(run) = self.runs.change(&key, |run| run.reported = Some(code)) {
                    out.write(records::run(run));
                }
            }
            _ => {}
        }
        Answer::Done
    }

    /// Both are known now: the task's end and what the run came to.
    pub(super) fn reported(&mut self, cx: &mut Cx<'_>, key: &RunKey, code: i64, out: &mut Out) {
        match code {
            0 => self.succeed(cx, key, Said::default(), out),
            code => self.fail(cx, key, Said::new(format!("reported with status {code}")), out),
        }
    }

    /// Nobody has reported on an asynchronous run.
    pub(super) fn report_missing(&mut self, cx: &mut Cx<'_>, key: &RunKey, out: &mut Out) {
        let waits =
            self.runs.get(key).is_some_and(|run| matches!(run.phase, Phase::AwaitingReport { .. }));
        if waits {
            let said = Said::new("the task ended and its outcome was not reported within a day");
            self.fail(cx, key, said, out);
        }
    }

    pub(super) fn progress(
        &mut self,
        name: &str,
        task_id: &str,
        more: i64,
        out: &mut Out,
    ) -> Result<Answer, Problem> {
        let required = |text: String| Problem::new(format!("requirement failed: {text}"));
        let Some(entry) = self.entries.get(name) else { return Err(Self::unknown(name)) };
        if parse_task_id(task_id).is_none_or(|parts| parts.job != name) {
            return Err(required(format!("Invalid task id format {task_id}")));
        }
        if !entry.job.data_processing {
            return Err(required(format!("Job '{name}' is not enabled to track data")));
        }
        let Ok(more) = u64::try_from(more) else {
            let text = format!("numAdditionalElementsProcessed ({more}) is not positive");
            return Err(required(text));
        };
        if let Some(key) = self.runs.of_task(task_id) {
            let add = |elements: Option<u64>| Some(elements.unwrap_or(0).saturating_add(more));
            if let Some(run) = self.runs.change(&key, |run| run.elements = add(run.elements)) {
                out.write(records::run(run));
            }
            return Ok(Answer::Done);
        }
        let Some(entry) = self.entries.get_mut(name) else { return Err(Self::unknown(name)) };
        let row = entry.history.iter_mut().find(|row| row.task_id.as_deref() == Some(task_id));
        let Some(row) = row else { return Ok(Answer::NoSuchTask) };
        let row = std::sync::Arc::make_mut(row);
        row.elements = Some(row.elements.unwrap_or(0).saturating_add(more));
        out.write(records::row(name, row));
        Ok(Answer::Done)
    }
}
