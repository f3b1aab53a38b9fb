//! `mesolith framework`: who schedules on the cluster.

use super::client::Client;
use super::confirm::confirm;
use super::output::{
    Format, ago, list, megabytes, number, print_facts, print_json, print_table, short, text,
};
use super::state::find;
use crate::base::error::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

/// What to do with frameworks.
#[derive(Debug, Args)]
pub struct FrameworkArgs {
    #[command(subcommand)]
    verb: Option<FrameworkVerb>,
}

#[derive(Debug, Subcommand)]
enum FrameworkVerb {
    /// List frameworks (the default)
    Ls {
        /// Ended ones too
        #[arg(short, long)]
        all: bool,
    },
    /// Show one framework
    Show {
        /// Id, the beginning of one, or a name
        id: String,
    },
    /// End a framework and all its tasks; its id can never come back
    Teardown {
        /// Id, the beginning of one, or a name
        id: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Runs the verb.
///
/// # Errors
/// As [`Client::get`]; not found.
pub async fn run(client: &Client, format: Format, args: FrameworkArgs) -> Result<()> {
    let state = client.get("/frameworks", &[]).await?;
    let live = list(&state, "frameworks");
    match args.verb {
        None => ls(live, &[], format),
        Some(FrameworkVerb::Ls { all }) => {
            ls(live, if all { list(&state, "completed_frameworks") } else { &[] }, format)
        }
        Some(FrameworkVerb::Show { id }) => show(find(live, "framework", &id)?, format),
        Some(FrameworkVerb::Teardown { id, yes }) => {
            teardown(client, find(live, "framework", &id)?, yes).await
        }
    }
}

fn condition(framework: &Value) -> &'static str {
    match (framework["connected"].as_bool(), framework["active"].as_bool()) {
        _ if number(framework, "unregistered_time") > 0.0 => "ended",
        (Some(true), Some(true)) => "active",
        (Some(true), _) => "inactive",
        _ if framework["recovered"] == true => "expected back",
        _ => "disconnected",
    }
}

fn ls(live: &[Value], ended: &[Value], format: Format) -> Result<()> {
    if format == Format::Json {
        return print_json(&live.iter().chain(ended).cloned().collect());
    }
    let rows = live
        .iter()
        .chain(ended)
        .map(|f| {
            vec![
                text(f, "name"),
                condition(f).into(),
                list(f, "tasks").len().to_string(),
                short(number(&f["used_resources"], "cpus")),
                megabytes(number(&f["used_resources"], "mem")),
                ago(number(f, "registered_time")),
                text(f, "id"),
            ]
        })
        .collect();
    let headers = ["NAME", "STATE", "TASKS", "CPUS", "MEMORY", "REGISTERED", "ID"];
    print_table(&headers, rows, "no frameworks are registered")
}

fn show(framework: &Value, format: Format) -> Result<()> {
    if format == Format::Json {
        return print_json(framework);
    }
    let roles = match list(framework, "roles") {
        [] => text(framework, "role"),
        several => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
    };
    print_facts(&[
        ("name", text(framework, "name")),
        ("id", text(framework, "id")),
        ("state", condition(framework).into()),
        ("user", text(framework, "user")),
        ("roles", roles),
        ("principal", text(framework, "principal")),
        ("web page", text(framework, "webui_url")),
        ("tasks", list(framework, "tasks").len().to_string()),
        ("offers", list(framework, "offers").len().to_string()),
        ("cpus", short(number(&framework["used_resources"], "cpus"))),
        ("memory", megabytes(number(&framework["used_resources"], "mem"))),
        ("failover", format!("{} s", short(number(framework, "failover_timeout")))),
        ("registered", ago(number(framework, "registered_time"))),
    ])
}

async fn teardown(client: &Client, framework: &Value, yes: bool) -> Result<()> {
    let (name, id) = (text(framework, "name"), text(framework, "id"));
    let tasks = list(framework, "tasks").len();
    let what = format!("this ends framework {name} ({id}) and its {tasks} tasks for good");
    confirm(yes, &what)?;
    client.post_form("/teardown", "frameworkId", &id).await?;
    eprintln!("ended framework {name} ({id})");
    Ok(())
}
