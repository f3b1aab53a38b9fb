//! `mesolith node show`: all about one machine.

use super::{Machines, condition, of_total};
use crate::base::error::{Code, Result};
use crate::cli::output::{
    Format, ago, facts, list, megabytes, number, print, print_json, short, text,
};
use crate::cli::roster::{self, Ask};
use crate::cli::state;
use serde_json::{Value, json};

/// Shows it.
///
/// # Errors
/// As [`crate::cli::client::Client::get`]; not found.
pub async fn run(ask: &Ask<'_>, wanted: &str) -> Result<()> {
    let machines = Machines::fetch(ask).await?;
    let (node, agent) = found(&machines, wanted)?;
    match ask.format {
        Format::Json => print_json(&json(node, agent)),
        Format::Table => {
            let mut all = node.map(of_node).unwrap_or_default();
            all.extend(agent.map(of_agent).unwrap_or_default());
            print(&facts(&all))
        }
    }
}

/// The member and the agent of that name; one of them is there.
fn found<'a>(
    machines: &'a Machines,
    wanted: &str,
) -> Result<(Option<&'a Value>, Option<&'a Value>)> {
    match roster::find(&machines.cluster, wanted) {
        Ok(node) => Ok((Some(node), machines.agent_of(node))),
        // An agent that belongs to no member.
        Err(e) if e.code == Code::NotFound && !wanted.is_empty() => {
            let agent = state::find(list(&machines.agents, "slaves"), "node", wanted)?;
            Ok((None, Some(agent)))
        }
        Err(e) => Err(e),
    }
}

/// The agent as the master tells it, with the member under `node`.
fn json(node: Option<&Value>, agent: Option<&Value>) -> Value {
    let mut all = agent.cloned().unwrap_or_else(|| json!({}));
    if let Some(node) = node {
        all["node"] = node.clone();
    }
    all
}

fn of_node(node: &Value) -> Vec<(&'static str, String)> {
    let alive = match node["alive"] == true {
        true => "alive since",
        false => "dead since",
    };
    let mut all = vec![
        ("node", text(node, "hostname")),
        ("id", text(node, "node")),
        ("cluster port", text(node, "address")),
        ("zone", text(node, "zone")),
        ("roles", roster::roles(node)),
        ("version", text(node, "version")),
        ("standing", text(node, "standing")),
        ("because", text(node, "explanation")),
        (alive, ago(number(node, "since") / 1_000.0)),
    ];
    // A node need not have a zone.
    all.retain(|(_, value)| !value.is_empty());
    all
}

fn of_agent(agent: &Value) -> Vec<(&'static str, String)> {
    let attributes: Vec<String> = agent["attributes"]
        .as_object()
        .map(|a| {
            a.iter().map(|(k, v)| format!("{k}:{}", v.to_string().trim_matches('"'))).collect()
        })
        .unwrap_or_default();
    vec![
        ("host name", text(agent, "hostname")),
        ("agent id", text(agent, "id")),
        ("state", condition(agent).into()),
        ("address", text(agent, "pid")),
        ("cpus", of_total(agent, "cpus", short)),
        ("memory", of_total(agent, "mem", megabytes)),
        ("disk", of_total(agent, "disk", megabytes)),
        ("ports", text(&agent["unreserved_resources"], "ports")),
        ("attributes", attributes.join(", ")),
        ("registered", ago(number(agent, "registered_time"))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_preferred_and_lone_agents_are_found() {
        let machines = Machines {
            agents: json!({"slaves": [{"id": "77aa-S0"}, {"id": "77bb-S1"}]}),
            cluster: json!({"nodes": [{"node": "a1", "hostname": "n1", "agent_id": "77aa-S0"}]}),
            away: Value::Null,
        };
        let ids = |wanted: &str| {
            found(&machines, wanted)
                .map(|(node, agent)| (node.map(|n| text(n, "node")), agent.map(|a| text(a, "id"))))
        };
        let of = |text: &str| Some(text.to_string());
        assert_eq!(ids("n1"), Ok((of("a1"), of("77aa-S0"))));
        assert_eq!(ids("77aa-S0"), Ok((of("a1"), of("77aa-S0"))));
        assert_eq!(ids("77bb"), Ok((None, of("77bb-S1"))));
        for wanted in ["", "x"] {
            assert_eq!(ids(wanted).unwrap_err().code, Code::NotFound, "{wanted:?}");
        }
        let shown = json(Some(&json!({"node": "a1"})), Some(&json!({"id": "77aa-S0"})));
        assert_eq!(shown, json!({"id": "77aa-S0", "node": {"node": "a1"}}));
    }
}
