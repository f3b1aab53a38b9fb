//! Runs: kill, report, progress, the queue.

use super::ask::Ask;
use super::{Api, answer};
use crate::chronos::core::io::{Answer, Command};
use crate::chronos::model::Problem;
use crate::http::Refusal;
use axum::response::Response;
use serde_json::Value;

pub(super) async fn kill(api: &Api, ask: &Ask, name: &str) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["DELETE"])?;
    answer::done(&api.request(Command::Kill { name: name.into() }).await?)
}

pub(super) async fn clear(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["DELETE"])?;
    answer::done(&api.request(Command::ClearQueue).await?)
}

/// How an asynchronous run came out.
pub(super) async fn report(api: &Api, ask: &Ask, task: &str) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["PUT"])?;
    let code = number(ask, "statusCode")?;
    let command = Command::Report { task_id: task.into(), code };
    answer::done(&api.request(command).await?)
}

pub(super) async fn progress(
    api: &Api,
    ask: &Ask,
    name: &str,
    task: &str,
) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["POST"])?;
    let more = number(ask, "numAdditionalElementsProcessed")?;
    let command = Command::Progress { name: name.into(), task_id: task.into(), more };
    match api.request(command).await? {
        // With two blanks, as the original has it.
        Answer::NoSuchTask => {
            Err(answer::problem(&Problem::new(format!("Task id  {task} not found"))))
        }
        other => answer::done(&other),
    }
}

/// The one whole number that the body holds under this key.
fn number(ask: &Ask, key: &str) -> Result<i64, Refusal> {
    let wrong = |text: String| answer::problem(&Problem::of(key, text));
    let body: Value = serde_json::from_slice(ask.json()?)
        .map_err(|e| answer::problem(&Problem::new(format!("the body is not valid JSON: {e}"))))?;
    let number = match body.get(key) {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => return Err(wrong(format!("'{key}' is missing"))),
    };
    number.ok_or_else(|| wrong(format!("'{key}' must be a whole number")))
}
