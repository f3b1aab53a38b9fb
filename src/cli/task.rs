//! `mesolith task`: the tasks of the cluster.

use super::client::Client;
use super::output::{
    Format, ago, list, megabytes, number, print, print_json, print_table, short, text,
};
use super::state::Tasks;
use crate::base::error::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

/// What to do with tasks.
#[derive(Debug, Args)]
pub struct TaskArgs {
    #[command(subcommand)]
    verb: Option<TaskVerb>,
}

#[derive(Debug, Subcommand)]
enum TaskVerb {
    /// List tasks (the default)
    Ls {
        /// Ended tasks too
        #[arg(short, long)]
        all: bool,
        /// Of this framework only (name or id)
        #[arg(long)]
        framework: Option<String>,
        /// Ids only, one a line
        #[arg(short, long)]
        quiet: bool,
    },
    /// Show one task: its states, container, resources
    Show {
        /// Id, or the beginning of one
        id: String,
    },
}

/// Runs the verb.
///
/// # Errors
/// As [`Client::get`]; not found.
pub async fn run(client: &Client, format: Format, args: TaskArgs) -> Result<()> {
    let tasks = Tasks::fetch(client).await?;
    match args.verb {
        None => ls(&tasks, format, false, None, false),
        Some(TaskVerb::Ls { all, framework, quiet }) => ls(&tasks, format, all, framework, quiet),
        Some(TaskVerb::Show { id }) => show(tasks.find(&id)?, format),
    }
}

/// Whether a state is one of a task that may still run.
fn is_live(task: &Value) -> bool {
    matches!(
        text(task, "state").as_str(),
        "TASK_STAGING" | "TASK_STARTING" | "TASK_RUNNING" | "TASK_KILLING" | "TASK_UNREACHABLE"
    )
}

fn ls(
    tasks: &Tasks,
    format: Format,
    all: bool,
    framework: Option<String>,
    quiet: bool,
) -> Result<()> {
    let chosen: Vec<&Value> = tasks
        .all()
        .iter()
        .filter(|t| all || is_live(t))
        .filter(|t| {
            framework.as_ref().is_none_or(|f| {
                text(t, "framework_name") == *f || text(t, "framework_id").starts_with(f.as_str())
            })
        })
        .collect();
    if quiet {
        return print(&chosen.iter().map(|t| text(t, "id") + "\n").collect::<String>());
    }
    if format == Format::Json {
        return print_json(&chosen.into_iter().cloned().collect());
    }
    let rows = chosen
        .iter()
        .map(|t| {
            vec![
                text(t, "id"),
                text(t, "state").trim_start_matches("TASK_").to_string(),
                text(t, "framework_name"),
                text(t, "hostname"),
                short(number(&t["resources"], "cpus")),
                megabytes(number(&t["resources"], "mem")),
                since(t),
            ]
        })
        .collect();
    let headers = ["ID", "STATE", "FRAMEWORK", "NODE", "CPUS", "MEMORY", "SINCE"];
    print_table(&headers, rows, if all { "no tasks" } else { "no tasks run (ended ones: --all)" })
}

fn since(task: &Value) -> String {
    ago(list(task, "statuses").last().map_or(0.0, |s| number(s, "timestamp")))
}

fn show(task: &Value, format: Format) -> Result<()> {
    if format == Format::Json {
        return print_json(task);
    }
    let mut out = String::new();
    for (name, value) in [
        ("id", text(task, "id")),
        ("name", text(task, "name")),
        ("state", text(task, "state")),
        ("framework", format!("{} ({})", text(task, "framework_name"), text(task, "framework_id"))),
        ("node", format!("{} ({})", text(task, "hostname"), text(task, "slave_id"))),
        ("role", text(task, "role")),
        ("user", text(task, "user")),
        ("cpus", short(number(&task["resources"], "cpus"))),
        ("memory", megabytes(number(&task["resources"], "mem"))),
        ("ports", text(&task["resources"], "ports")),
    ] {
        if !value.is_empty() {
            out.push_str(&format!("{name:<10} {value}\n"));
        }
    }
    out.push_str("\nSTATES\n");
    for status in list(task, "statuses") {
        let healthy = match status["healthy"].as_bool() {
            Some(true) => ", healthy",
            Some(false) => ", unhealthy",
            None => "",
        };
        let when = ago(number(status, "timestamp"));
        out.push_str(&format!("  {:<16} {when}{healthy}\n", text(status, "state")));
    }
    print(&out)
}
