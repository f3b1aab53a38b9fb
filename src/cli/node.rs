//! `mesolith node`: the machines of the cluster.

use super::client::Client;
use super::cluster::find;
use super::output::{
    Format, ago, list, megabytes, number, print_facts, print_json, print_table, short, text,
};
use crate::base::error::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

/// What to do with nodes.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(subcommand)]
    verb: Option<NodeVerb>,
}

#[derive(Debug, Subcommand)]
enum NodeVerb {
    /// List nodes (the default)
    Ls,
    /// Show one node: resources, attributes, tasks
    Show {
        /// Agent id (or its beginning)
        id: String,
    },
}

/// Runs the verb.
///
/// # Errors
/// As [`Client::get`]; not found.
pub async fn run(client: &Client, format: Format, args: NodeArgs) -> Result<()> {
    let state = client.get("/slaves", &[]).await?;
    let agents = list(&state, "slaves");
    match args.verb {
        None | Some(NodeVerb::Ls) => ls(&state, agents, format),
        Some(NodeVerb::Show { id }) => show(find(agents, "node", &id)?, format),
    }
}

fn condition(agent: &Value) -> &'static str {
    match (agent["active"].as_bool(), agent["deactivated"].as_bool()) {
        (_, Some(true)) => "deactivated",
        (Some(true), _) => "active",
        _ => "disconnected",
    }
}

fn of_total(agent: &Value, name: &str, show: fn(f64) -> String) -> String {
    let used = number(&agent["used_resources"], name);
    format!("{}/{}", show(used), show(number(&agent["resources"], name)))
}

fn ls(state: &Value, agents: &[Value], format: Format) -> Result<()> {
    if format == Format::Json {
        return print_json(state);
    }
    let mut rows: Vec<Vec<String>> = agents
        .iter()
        .map(|a| {
            vec![
                text(a, "hostname"),
                condition(a).into(),
                of_total(a, "cpus", short),
                of_total(a, "mem", megabytes),
                of_total(a, "disk", megabytes),
                ago(number(a, "registered_time")),
                text(a, "id"),
            ]
        })
        .collect();
    for agent in list(state, "recovered_slaves") {
        let mut row = vec![text(agent, "hostname"), "expected back".into()];
        row.extend(["-", "-", "-", "-"].map(String::from));
        row.push(text(agent, "id"));
        rows.push(row);
    }
    let headers = ["NODE", "STATE", "CPUS", "MEMORY", "DISK", "REGISTERED", "AGENT ID"];
    print_table(&headers, rows, "no nodes have registered")
}

fn show(agent: &Value, format: Format) -> Result<()> {
    if format == Format::Json {
        return print_json(agent);
    }
    let attributes: Vec<String> = agent["attributes"]
        .as_object()
        .map(|a| {
            a.iter().map(|(k, v)| format!("{k}:{}", v.to_string().trim_matches('"'))).collect()
        })
        .unwrap_or_default();
    print_facts(&[
        ("node", text(agent, "hostname")),
        ("agent id", text(agent, "id")),
        ("state", condition(agent).into()),
        ("address", text(agent, "pid")),
        ("cpus", of_total(agent, "cpus", short)),
        ("memory", of_total(agent, "mem", megabytes)),
        ("disk", of_total(agent, "disk", megabytes)),
        ("ports", text(&agent["unreserved_resources"], "ports")),
        ("attributes", attributes.join(", ")),
        ("registered", ago(number(agent, "registered_time"))),
    ])
}
