//! `mesolith job runs` and `next`: what a job did, and what it is going to do. Chronos itself knows neither: these are
//! answers of Mesolith's.

use super::Ask;
use crate::base::error::{Code, Error, Result};
use crate::cli::client::{Client, encode};
use crate::cli::exit::End;
use crate::cli::output::{Format, list, number, print, print_json, print_table, text};
use serde_json::{Value, json};

/// All that is known of a job; only Mesolith's Chronos answers it.
///
/// # Errors
/// As [`Client::get`]; not found, for the job or for the question.
pub async fn known(chronos: &Client, name: &str) -> Result<Value> {
    extension(chronos, "jobs", name).await
}

/// Asks `/mesolith/v1/WHAT/NAME`.
///
/// # Errors
/// As [`known`].
pub async fn extension(chronos: &Client, what: &str, name: &str) -> Result<Value> {
    let answer = chronos.get(&format!("/mesolith/v1/{what}/{}", encode(name)), &[]).await;
    answer.map_err(|e| match e.code {
        Code::NotFound if !e.cause.starts_with("Job '") => {
            let cause = format!("the Chronos at {} tells no history of jobs", chronos.base());
            Error::new(Code::NotFound, cause).hint("it is not Mesolith's; look at its own page")
        }
        _ => e,
    })
}

/// Lists runs, newest first.
///
/// # Errors
/// As [`known`].
pub async fn ls(ask: &Ask<'_>, name: &str, limit: Option<usize>) -> Result<End> {
    let mut answer = known(ask.chronos, name).await?;
    if ask.format == Format::Json {
        let parts = ["runs", "history", "earlier"].map(|key| (key.to_string(), answer[key].take()));
        print_json(&Value::Object(parts.into_iter().collect()))?;
        return Ok(End::Done);
    }
    let mut rows = rows(&answer);
    rows.truncate(limit.unwrap_or(usize::MAX));
    print_table(HEADERS, rows, "it has not run yet")?;
    if let Some(earlier) = earlier(&answer["earlier"]) {
        print(&format!("{earlier}\n"))?;
    }
    Ok(End::Done)
}

/// The columns of [`rows`].
pub const HEADERS: &[&str] = &["DUE", "WHY", "OUTCOME", "TRIES", "TOOK", "NODE", "TASK", "MESSAGE"];

/// The runs of an answer, newest first: those that are not over, then the rest.
pub fn rows(answer: &Value) -> Vec<Vec<String>> {
    let mut all: Vec<&Value> = list(answer, "runs").iter().chain(list(answer, "history")).collect();
    all.sort_by_key(|run| std::cmp::Reverse(number(run, "due") as i64));
    all.into_iter().map(row).collect()
}

/// The task of a run that is not over; null while it has none.
pub fn task_of(run: &Value) -> &Value {
    let phase = &run["phase"];
    if phase["launched"].is_object() {
        &phase["launched"]
    } else {
        &phase["awaiting_report"]["task"]
    }
}

fn row(run: &Value) -> Vec<String> {
    let task = task_of(run);
    let either = |row: &str, task_key: &str| match text(run, row) {
        own if own.is_empty() => text(task, task_key),
        own => own,
    };
    let tries = match run["attempts"].as_u64() {
        Some(attempts) => attempts,
        // Of a run that is not over they are counted from 0, and one that waits makes none.
        None => number(run, "attempt") as u64 + u64::from(task.is_object()),
    };
    let outcome = match text(run, "outcome") {
        outcome if outcome.is_empty() => text(run, "state").replace('_', " "),
        outcome => outcome,
    };
    let took = match (run["started"].as_i64(), run["ended"].as_i64()) {
        (Some(started), Some(ended)) => seconds(ended - started),
        _ => "-".into(),
    };
    let or_dash = |text: String| if text.is_empty() { "-".into() } else { text };
    vec![
        time(run["due"].as_i64().unwrap_or(0)),
        text(run, "cause"),
        outcome,
        tries.to_string(),
        took,
        or_dash(either("host", "host")),
        or_dash(either("taskId", "id")),
        text(run, "message").lines().next().unwrap_or_default().to_string(),
    ]
}

/// The summary of what has no row.
fn earlier(summary: &Value) -> Option<String> {
    let mut parts: Vec<String> = summary["outcomes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let not_planned = number(summary, "notPlanned");
    if not_planned > 0.0 {
        parts.push(format!(
            "{not_planned} planned times before it was registered or while disabled"
        ));
    }
    let through =
        summary["through"].as_i64().map_or(String::new(), |t| format!(" until {}", time(t)));
    (!parts.is_empty()).then(|| format!("earlier{through}: {}", parts.join(", ")))
}

/// Prints the next planned times.
///
/// # Errors
/// As [`known`].
pub async fn next(ask: &Ask<'_>, name: &str, count: usize) -> Result<End> {
    let answer = known(ask.chronos, name).await?;
    let mut times = times(&answer);
    times.truncate(count);
    match ask.format {
        Format::Json => print_json(&json!({ "next": times }))?,
        Format::Table if times.is_empty() => {
            eprintln!("no run is planned (see `mesolith why {name}`)");
        }
        Format::Table => print(&times.iter().map(|t| format!("{t}\n")).collect::<String>())?,
    }
    Ok(End::Done)
}

/// The planned times of an answer.
pub fn times(answer: &Value) -> Vec<String> {
    list(answer, "next").iter().filter_map(|t| t.as_str().map(Into::into)).collect()
}

/// Milliseconds since 1970 in UTC, as `2026-01-01T00:00:00Z`; a fraction only where there is one.
pub fn time(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis);
    time.map_or_else(|_| millis.to_string(), |t| t.to_string())
}

fn seconds(millis: i64) -> String {
    let seconds = millis as f64 / 1000.0;
    if seconds < 120.0 { format!("{seconds:.1}s") } else { format!("{:.1}m", seconds / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_newest_first_and_those_that_go_on_say_where_they_stand() {
        let answer = json!({
            "runs": [
                {"due": 3000, "cause": "forced", "state": "awaiting_report", "attempt": 1,
                 "phase": {"awaiting_report": {"task": {"id": "ct:3000:1:a:", "host": "n2"}, "until": 0}}},
                {"due": 4000, "cause": "planned", "state": "waiting", "attempt": 0, "phase": "waiting"},
            ],
            "history": [
                {"due": 1000, "cause": "planned", "outcome": "failure", "attempts": 3, "started": 1500,
                 "ended": 3000, "host": "n1", "taskId": "ct:1000:2:a:", "message": "exit 1\nmore"},
                {"due": 2000, "cause": "planned", "outcome": "missed", "attempts": 0, "ended": 9000, "message": ""},
            ],
        });
        assert_eq!(
            rows(&answer),
            [
                ["1970-01-01T00:00:04Z", "planned", "waiting", "0", "-", "-", "-", ""],
                [
                    "1970-01-01T00:00:03Z",
                    "forced",
                    "awaiting report",
                    "2",
                    "-",
                    "n2",
                    "ct:3000:1:a:",
                    ""
                ],
                ["1970-01-01T00:00:02Z", "planned", "missed", "0", "-", "-", "-", ""],
                [
                    "1970-01-01T00:00:01Z",
                    "planned",
                    "failure",
                    "3",
                    "1.5s",
                    "n1",
                    "ct:1000:2:a:",
                    "exit 1"
                ],
            ]
        );
    }

    #[test]
    fn what_has_no_row_is_summed_up() {
        let summary =
            json!({"notPlanned": 7, "outcomes": {"failure": 1, "success": 2}, "through": 1000});
        assert_eq!(
            earlier(&summary).as_deref(),
            Some(
                "earlier until 1970-01-01T00:00:01Z: 1 failure, 2 success, \
                  7 planned times before it was registered or while disabled"
            )
        );
        assert_eq!(earlier(&json!({"notPlanned": 0, "outcomes": {}})), None);
    }
}
