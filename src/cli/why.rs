//! `mesolith why`: why a framework gets nothing, or how a task came to its state.

use super::client::Client;
use super::cluster::{Tasks, find};
use super::output::{Format, list, number, print, print_json, text};
use crate::base::error::{Code, Result};
use clap::Args;
use serde_json::Value;

/// What waits.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// Framework (name or id) or task id, or the beginning of one
    id: String,
}

/// Explains it.
///
/// # Errors
/// As [`Client::get`]; not found.
pub async fn run(client: &Client, format: Format, args: WhyArgs) -> Result<()> {
    let state = client.get("/state", &[]).await?;
    match find(list(&state, "frameworks"), "framework", &args.id) {
        Ok(framework) => {
            let id = text(framework, "id");
            let query = [("framework_id", id.as_str())];
            let answer = client.get("/mesolith/v1/explain", &query).await?;
            match format {
                Format::Json => print_json(&answer),
                Format::Table => print(&explanation(&answer)),
            }
        }
        Err(e) if e.code == Code::Conflict => Err(e),
        Err(_) => {
            let tasks = Tasks::of(&state);
            let task = tasks.find(&args.id)?;
            let (framework, id) = (text(task, "framework_id"), text(task, "id"));
            let query = [("framework_id", framework.as_str()), ("task_id", id.as_str())];
            // The master keeps the messages of statuses, which `/state` has no field for.
            let answer = client.get("/mesolith/v1/task", &query).await?;
            match format {
                Format::Json => print_json(&answer),
                Format::Table => print(&story(&answer)),
            }
        }
    }
}

fn explanation(e: &Value) -> String {
    let mut out = format!("{}: {} agents looked at\n", text(e, "subject"), number(e, "candidates"));
    if list(e, "refusals").is_empty() {
        out.push_str("  nothing refuses it\n");
    }
    for refusal in list(e, "refusals") {
        out.push_str(&format!(
            "  {:>5} × {:<12} {}\n",
            text(refusal, "count"),
            text(refusal, "rule"),
            text(refusal, "detail")
        ));
    }
    if let Some(hint) = e["hint"].as_str() {
        out.push_str(&format!("hint: {hint}\n"));
    }
    out
}

fn story(task: &Value) -> String {
    let id = text(&task["task_id"], "value");
    let mut out = format!("task {id} is {}\n", text(task, "state"));
    for status in list(task, "statuses") {
        out.push_str(&format!("  {}", text(status, "state")));
        for (key, lead) in [("source", " by "), ("reason", ", "), ("message", ": ")] {
            let value = text(status, key);
            if !value.is_empty() {
                let value = match key {
                    "source" => value.trim_start_matches("SOURCE_").to_lowercase(),
                    _ => value,
                };
                out.push_str(&format!("{lead}{value}"));
            }
        }
        out.push('\n');
    }
    out
}
