//! Statistics: how long runs took, and the last runs of a job.

use super::ask::Ask;
use super::histogram::Histogram;
use super::{Api, answer};
use crate::chronos::core::row::{Outcome, Row};
use crate::chronos::core::run::Run;
use crate::chronos::core::view::JobDetail;
use crate::chronos::schedule;
use crate::http::Refusal;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;

/// What stands for a time that is not known.
const UNKNOWN: &str = "N/A";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stat {
    histogram: Histogram,
    task_stat_history: Vec<Line>,
}

/// One run, newest start first. Beyond the original's keys: `message`, `due`, `host`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    task_id: String,
    job_name: String,
    slave_id: String,
    start_time: String,
    end_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_elements_processed: Option<u64>,
    due: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

pub(super) async fn job(api: &Api, ask: &Ask, name: &str) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let detail = api.job(name).await?;
    answer::ok(&Stat {
        histogram: Histogram::of(&detail.job.entry),
        task_stat_history: lines(&detail, api.identity.history_shown),
    })
}

fn lines(detail: &JobDetail, most: usize) -> Vec<Line> {
    let name = &detail.job.entry.job.name;
    let rows = detail.job.entry.history.iter();
    let over = rows.map(|row| (row.started.unwrap_or(row.due), of_row(name, row)));
    let live = detail.runs.iter().map(|run| {
        let began = run.task().map_or(run.due, |task| task.running.unwrap_or(task.launched));
        (began, of_run(run))
    });
    let mut all: Vec<(i64, Line)> = over.chain(live).collect();
    all.sort_by_key(|(began, _)| std::cmp::Reverse(*began));
    all.into_iter().take(most).map(|(_, line)| line).collect()
}

fn of_row(name: &str, row: &Row) -> Line {
    let ended = row.task_id.is_some().then_some(row.ended);
    Line {
        task_id: row.task_id.clone().unwrap_or_default(),
        job_name: name.to_string(),
        slave_id: row.agent_id.clone().unwrap_or_default(),
        start_time: time(row.started),
        end_time: time(ended),
        duration: row.started.zip(ended).map(|(from, to)| duration(to - from)),
        status: match row.outcome {
            Outcome::Success => "Success",
            Outcome::Failure => "Fail",
            Outcome::Killed => "Killed",
            Outcome::Missed => "Missed",
            Outcome::Skipped => "Skipped",
        },
        num_elements_processed: row.elements,
        due: schedule::print(row.due),
        host: row.host.clone(),
        message: row.message.clone(),
    }
}

fn of_run(run: &Run) -> Line {
    let task = run.task();
    let text = |of: fn(&crate::chronos::core::run::Task) -> &String| {
        task.map(|task| of(task).clone()).unwrap_or_default()
    };
    Line {
        task_id: text(|task| &task.id),
        job_name: run.job.clone(),
        slave_id: text(|task| &task.agent_id),
        start_time: time(task.and_then(|task| task.running)),
        end_time: UNKNOWN.into(),
        duration: None,
        status: if task.is_some() { "Running" } else { "Idle" },
        num_elements_processed: run.elements,
        due: schedule::print(run.due),
        host: task.map(|task| task.host.clone()),
        message: String::new(),
    }
}

/// `04/08/15 17:46:34`, in UTC.
fn time(at: Option<i64>) -> String {
    let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| UNKNOWN.into(), |at| at.strftime("%m/%d/%y %H:%M:%S").to_string())
}

/// `1h1m1s`; hours are not folded into days.
fn duration(millis: i64) -> String {
    let secs = millis.max(0) / 1000;
    let (h, m, s) = (secs / 3600, secs / 60 % 60, secs % 60);
    let mut out = String::new();
    if h > 0 {
        out.push_str(&format!("{h}h"));
    }
    if m > 0 {
        out.push_str(&format!("{m}m"));
    }
    if s > 0 || out.is_empty() {
        out.push_str(&format!("{s}s"));
    }
    out
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Time<'a> {
    job_name_label: &'a str,
    time: f64,
}

/// One percentile of all jobs, in seconds, longest first; nothing for a key that there is not.
pub(super) async fn all(api: &Api, ask: &Ask, key: &str) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let view = api.view().await?;
    let time = |job: &'_ crate::chronos::core::view::JobView| {
        Histogram::of(&job.entry).get(key).map(|millis| millis / 1000.0)
    };
    let mut times: Vec<Time<'_>> = view
        .jobs
        .iter()
        .filter_map(|job| Some(Time { job_name_label: &job.entry.job.name, time: time(job)? }))
        .collect();
    times.sort_by(|a, b| b.time.total_cmp(&a.time));
    answer::ok(&times)
}

#[cfg(test)]
mod tests {
    use super::{duration, time};

    /// covers: CHR-0141
    #[test]
    fn times_and_durations_as_the_original_writes_them() {
        for (millis, text) in
            [(0, "0s"), (3_661_000, "1h1m1s"), (90_061_999, "25h1m1s"), (60_000, "1m")]
        {
            assert_eq!(duration(millis), text);
        }
        assert_eq!(time(Some(1_428_515_194_358)), "04/08/15 17:46:34");
        assert_eq!(time(None), "N/A");
    }
}
