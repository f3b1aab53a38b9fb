//! Watching one run of a job to its end: found among the job's runs as the one that was not there before it was asked
//! for. Told by Chronos's event stream where there is one; its answers are what counts.

use super::runs::{known, task_of, time};
use super::show::explain;
use crate::base::error::{Code, Result};
use crate::cli::client::Client;
use crate::cli::events::{Event, Events, next_of};
use crate::cli::exit::End;
use crate::cli::output::{list, number, text};
use crate::cli::watch::{Interrupt, Progress};
use crate::cli::why::explanation;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks while nothing is told.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks while something happens.
const LOOK_SOON: Duration = Duration::from_millis(100);
/// A run that waits for so long: it is asked why.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long Chronos may not answer, while it fails over, before watching ends.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A run that is watched.
pub struct Watch<'a> {
    chronos: &'a Client,
    events: Option<Events>,
    job: String,
    /// The due times of runs that were there before.
    before: BTreeSet<i64>,
    /// The due time of the run, once it is known.
    due: Option<i64>,
    progress: Progress,
    told: bool,
}

/// Where the run stands.
#[derive(Debug, PartialEq)]
enum Standing {
    /// It is not among the runs.
    Unknown,
    /// It is not over; its state in a word, and its task.
    Under(String, String),
    /// It is over.
    Over(Box<Value>),
}

impl<'a> Watch<'a> {
    /// Begins to listen; to be done before the run is asked for.
    ///
    /// # Errors
    /// As [`known`], but for a job that is not there yet.
    pub async fn begin(chronos: &'a Client, job: &str) -> Result<Self> {
        let runs = match known(chronos, job).await {
            Ok(runs) => runs,
            Err(e) if e.code == Code::NotFound => json!({}),
            Err(e) => return Err(e),
        };
        Ok(Self {
            chronos,
            events: chronos.events("/mesolith/v1/events", &[]).await.ok(),
            job: job.to_string(),
            before: all(&runs).map(due_of).collect(),
            due: None,
            progress: Progress::default(),
            told: false,
        })
    }

    /// Watches until the run is over, or the time is up.
    ///
    /// # Errors
    /// As [`known`].
    pub async fn run(&mut self, interrupt: &Interrupt, timeout: Option<Duration>) -> Result<End> {
        let started = Instant::now();
        let job = self.job.clone();
        interrupt.says(format!(
            "stopped watching; the run goes on (end it with `mesolith job kill {job}`)"
        ));
        let deadline = timeout.map(|t| started + t);
        let (mut look, mut answered, mut waiting) = (started, started, started);
        let mut last = Standing::Unknown;
        loop {
            tokio::select! {
                event = next_of(&mut self.events) => {
                    match event {
                        Some(event) if self.is_ours(&event) => {
                            look = look.min(Instant::now() + LOOK_SOON);
                        }
                        Some(_) => {}
                        None => self.events = None,
                    }
                    continue;
                }
                () = tokio::time::sleep_until(look) => {}
                () = sleep_until(deadline) => return self.time_is_up(&last).await,
            }
            look = Instant::now() + LOOK_INTERVAL;
            match known(self.chronos, &job).await {
                Ok(runs) => {
                    answered = Instant::now();
                    last = self.standing(&runs);
                }
                Err(e) if matches!(e.code, Code::Unavailable | Code::Timeout) => {
                    if answered.elapsed() > SILENCE_MAX {
                        return Err(e.context("watching ended; the run goes on"));
                    }
                    self.progress.show("Chronos does not answer; trying again");
                    continue;
                }
                Err(e) => return Err(e),
            }
            match &last {
                Standing::Over(row) => {
                    let (said, end) = outcome(&job, row);
                    self.progress.say(&said);
                    return Ok(end);
                }
                Standing::Under(state, task) => {
                    let task =
                        if task.is_empty() { String::new() } else { format!(" · task {task}") };
                    self.progress.show(&format!("job {job}: {}{task}", state.replace('_', " ")));
                    if !waits(state) {
                        waiting = Instant::now();
                    }
                }
                Standing::Unknown => self.progress.show(&format!("job {job}: asked for")),
            }
            if waiting.elapsed() >= PATIENCE && !self.told {
                self.told = true;
                self.tell_why().await?;
            }
        }
    }

    fn is_ours(&self, event: &Event) -> bool {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        data["job"] == self.job.as_str()
    }

    /// Finds the run: of those that were not there before, the first that is asked for now.
    fn standing(&mut self, runs: &Value) -> Standing {
        if self.due.is_none() {
            let new = all(runs).filter(|r| !self.before.contains(&due_of(r)));
            // A planned run may come in between; it is not what was asked for, unless there is nothing else.
            let forced = |r: &&Value| r["cause"] == "forced";
            let new: Vec<&Value> = new.collect();
            let ours = new.iter().copied().filter(forced).map(due_of).min();
            self.due = ours.or_else(|| new.iter().copied().map(due_of).min());
        }
        let Some(due) = self.due else { return Standing::Unknown };
        match all(runs).find(|r| due_of(r) == due) {
            Some(run) if !text(run, "outcome").is_empty() => Standing::Over(Box::new(run.clone())),
            Some(run) => Standing::Under(text(run, "state"), text(task_of(run), "id")),
            None => Standing::Unknown,
        }
    }

    async fn tell_why(&self) -> Result<()> {
        let why = explain(self.chronos, &self.job).await?;
        self.progress.say(&explanation(&why, "nodes"));
        Ok(())
    }

    async fn time_is_up(&self, last: &Standing) -> Result<End> {
        let placeless = match last {
            Standing::Under(state, _) => waits(state),
            Standing::Unknown | Standing::Over(_) => false,
        };
        if placeless && !self.told {
            self.tell_why().await?;
        }
        self.progress.say(&format!("the time is up; the run of {} goes on", self.job));
        Ok(if placeless { End::NotPlaced } else { End::TimedOut })
    }
}

fn all(runs: &Value) -> impl Iterator<Item = &Value> {
    list(runs, "runs").iter().chain(list(runs, "history"))
}

fn due_of(run: &Value) -> i64 {
    run["due"].as_i64().unwrap_or(0)
}

/// Whether a run in this state has no task.
fn waits(state: &str) -> bool {
    state == "waiting"
}

/// What is said of a run that is over, and how the verb ends.
fn outcome(job: &str, row: &Value) -> (String, End) {
    let outcome = text(row, "outcome");
    let mut said = format!("job {job}, run of {}: {outcome}", time(due_of(row)));
    let attempts = number(row, "attempts");
    if attempts > 1.0 {
        said.push_str(&format!(" after {attempts} attempts"));
    }
    for (key, lead) in [("message", ": "), ("host", "\n  on "), ("taskId", "\n  task ")] {
        let value = text(row, key);
        if !value.is_empty() {
            said.push_str(&format!("{lead}{value}"));
        }
    }
    (said, if outcome == "success" { End::Done } else { End::Failed })
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::Service;

    fn watch<'a>(chronos: &'a Client, before: &[i64]) -> Watch<'a> {
        Watch {
            chronos,
            events: None,
            job: "a".into(),
            before: before.iter().copied().collect(),
            due: None,
            progress: Progress::default(),
            told: false,
        }
    }

    #[test]
    fn the_run_that_was_asked_for_is_told_from_planned_and_earlier_ones() {
        let chronos = Client::new(Service::Chronos, "127.0.0.1:1", None).unwrap();
        let mut watch = watch(&chronos, &[1000]);
        let old = json!({"due": 1000, "cause": "forced", "outcome": "failure"});
        assert_eq!(watch.standing(&json!({"history": [old]})), Standing::Unknown);
        let planned = json!({"due": 2000, "cause": "planned", "state": "running"});
        let ours = json!({"due": 3000, "cause": "forced", "state": "running", "phase": {"launched": {"id": "ct:3000:0:a:"}}});
        let runs = json!({"runs": [planned, ours], "history": [old]});
        assert_eq!(watch.standing(&runs), Standing::Under("running".into(), "ct:3000:0:a:".into()));
        let over = json!({"due": 3000, "cause": "forced", "outcome": "success"});
        let later = json!({"due": 4000, "cause": "forced", "state": "waiting"});
        let runs = json!({"runs": [later], "history": [over, old]});
        assert_eq!(watch.standing(&runs), Standing::Over(Box::new(over)));
    }

    #[test]
    fn a_run_that_begins_with_its_job_need_not_be_forced() {
        let chronos = Client::new(Service::Chronos, "127.0.0.1:1", None).unwrap();
        let mut watch = watch(&chronos, &[]);
        let runs = json!({"runs": [{"due": 5, "cause": "planned", "state": "waiting"}]});
        assert_eq!(watch.standing(&runs), Standing::Under("waiting".into(), String::new()));
    }

    #[test]
    fn only_success_ends_well() {
        let row = |outcome: &str| json!({"due": 0, "outcome": outcome, "attempts": 3, "message": "exit 1", "taskId": "t"});
        assert_eq!(outcome("a", &row("success")).1, End::Done);
        for bad in ["failure", "killed", "missed", "skipped"] {
            assert_eq!(outcome("a", &row(bad)).1, End::Failed, "{bad}");
        }
        let (said, _) = outcome("a", &row("failure"));
        assert_eq!(
            said,
            "job a, run of 1970-01-01T00:00:00Z: failure after 3 attempts: exit 1\n  task t"
        );
    }
}
