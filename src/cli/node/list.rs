//! `mesolith node ls`: every machine in a line, whether it is a member of the cluster, an agent, or both.

use super::{Machines, condition, of_total};
use crate::base::error::Result;
use crate::cli::output::{
    Fit, Format, ago, list, megabytes, number, print, print_json, short, table, terminal_width,
    text,
};
use crate::cli::roster::{Ask, host};
use serde_json::Value;

/// Lists them.
///
/// # Errors
/// As [`crate::cli::client::Client::get`].
pub async fn run(ask: &Ask<'_>, quiet: bool) -> Result<()> {
    let machines = Machines::fetch(ask).await?;
    let lines = lines(&machines);
    if quiet {
        return print(&lines.iter().map(|l| format!("{}\n", l.id)).collect::<String>());
    }
    if ask.format == Format::Json {
        return print_json(&json(&machines));
    }
    if lines.is_empty() {
        eprintln!("no nodes have registered");
        return Ok(());
    }
    print(&picture(lines, terminal_width()))
}

/// `/slaves` with the members of the cluster beside the agents.
fn json(machines: &Machines) -> Value {
    let mut all = machines.agents.clone();
    if machines.cluster.is_object() {
        all["nodes"] = machines.cluster["nodes"].clone();
    }
    all
}

/// A machine.
struct Line {
    host: String,
    state: String,
    standing: String,
    /// Cpus, memory, disk, registered; empty texts where no agent is.
    usage: [String; 4],
    /// Of the node; of the agent where no node is known.
    id: String,
}

fn nothing() -> [String; 4] {
    ["-", "-", "-", "-"].map(String::from)
}

fn usage(agent: &Value) -> [String; 4] {
    [
        of_total(agent, "cpus", short),
        of_total(agent, "mem", megabytes),
        of_total(agent, "disk", megabytes),
        ago(number(agent, "registered_time")),
    ]
}

/// Members first, then agents that belong to none.
fn lines(machines: &Machines) -> Vec<Line> {
    let nodes = list(&machines.cluster, "nodes");
    let mut lines: Vec<Line> = nodes
        .iter()
        .map(|node| {
            let agent = machines.agent_of(node);
            Line {
                host: host(node),
                state: state(machines, node).into(),
                standing: text(node, "standing"),
                usage: agent.map_or_else(nothing, usage),
                id: text(node, "node"),
            }
        })
        .collect();
    let member = |agent: &Value| nodes.iter().any(|n| n["agent_id"] == agent["id"]);
    for (key, back) in [("slaves", false), ("recovered_slaves", true)] {
        for agent in list(&machines.agents, key).iter().filter(|a| !member(a)) {
            lines.push(Line {
                host: text(agent, "hostname"),
                state: if back { "expected back" } else { condition(agent) }.into(),
                standing: "-".into(),
                usage: if back { nothing() } else { usage(agent) },
                id: text(agent, "id"),
            });
        }
    }
    for agent in list(&machines.away, "unreachable").iter().filter(|a| !member(a)) {
        lines.push(Line {
            host: text(agent, "hostname"),
            state: "unreachable".into(),
            standing: "-".into(),
            usage: nothing(),
            id: text(agent, "id"),
        });
    }
    lines
}

/// What a member is doing: what keeps it from running tasks first.
fn state(machines: &Machines, node: &Value) -> &'static str {
    if node["alive"] != true {
        return "dead";
    }
    if node["leaving"] == true {
        return "leaving";
    }
    if let Some(agent) = machines.agent_of(node) {
        return condition(agent);
    }
    if let Some(why) = machines.why_away(&node["agent_id"]) {
        return why;
    }
    let known = list(&machines.agents, "recovered_slaves").iter();
    if node["agent_id"].is_string() && known.clone().any(|a| a["id"] == node["agent_id"]) {
        return "expected back";
    }
    match list(node, "roles").iter().any(|r| r == "agent") {
        true => "not registered",
        false => "no agent",
    }
}

fn picture(lines: Vec<Line>, width: Option<u16>) -> String {
    // A standing is one of members.
    let members = lines.iter().any(|l| l.standing != "-");
    let mut headers = vec!["NODE", "STATE"];
    headers.extend(members.then_some("STANDING"));
    headers.extend(["CPUS", "MEMORY", "DISK", "REGISTERED", "ID"]);
    let rows = lines.into_iter().map(|line| {
        let mut row = vec![line.host, line.state];
        row.extend(members.then_some(line.standing));
        row.extend(line.usage);
        row.push(line.id);
        row
    });
    // Ids of agents are too long for that.
    let whole: &[&str] = if members { &["STATE", "STANDING", "ID"] } else { &[] };
    let fit = Fit { whole, spare: &["REGISTERED", "DISK"] };
    table(&headers, rows.collect(), fit, width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn machines() -> Machines {
        let agent = |id: &str, host: &str, active: bool| {
            json!({"id": id, "hostname": host, "active": active, "deactivated": false,
                "resources": {"cpus": 4.0, "mem": 15_872.0, "disk": 102_400.0},
                "used_resources": {"cpus": 0.5, "mem": 96.0, "disk": 0.0}})
        };
        let node = |id: &str, host: &str, standing: &str, agent: Value| {
            json!({"node": id, "hostname": host, "standing": standing, "agent_id": agent,
                "alive": true, "leaving": false, "roles": ["master", "agent"]})
        };
        let mut draining = agent("77aa-S1", "n2", true);
        draining["deactivated"] = json!(true);
        draining["drain_info"] = json!({"state": "DRAINING"});
        let mut dead = node("c333333333333333", "n3", "voter", json!("77aa-S2"));
        dead["alive"] = json!(false);
        let mut master = node("d444444444444444", "n4", "learner", Value::Null);
        master["roles"] = json!(["master"]);
        Machines {
            agents: json!({
                "slaves": [agent("77aa-S0", "n1", true), draining, agent("77aa-S9", "old", false)],
                "recovered_slaves": [{"id": "77aa-S5", "hostname": "n5"}],
            }),
            cluster: json!({"nodes": [
                node("a111111111111111", "n1", "leader", json!("77aa-S0")),
                node("b222222222222222", "n2", "voter", json!("77aa-S1")),
                dead,
                master,
                node("e555555555555555", "n5", "outside", json!("77aa-S5")),
                node("f666666666666666", "n6", "outside", Value::Null),
                node("0777777777777777", "n7", "outside", json!("77aa-S7")),
            ]}),
            away: json!({"gone": [{"id": "77aa-S4", "hostname": "n0"}], "unreachable": [
                {"id": "77aa-S7", "hostname": "n7"},
                {"id": "77aa-S8", "hostname": "lost"},
            ]}),
        }
    }

    #[test]
    fn a_machine_is_one_line_whatever_it_is() {
        let machines = machines();
        let lines = lines(&machines);
        let told: Vec<String> = lines
            .iter()
            .map(|l| format!("{} {} {} {}", l.host, l.state, l.standing, l.id))
            .collect();
        assert_eq!(
            told,
            [
                "n1 active leader a111111111111111",
                "n2 draining voter b222222222222222",
                "n3 dead voter c333333333333333",
                "n4 no agent learner d444444444444444",
                "n5 expected back outside e555555555555555",
                "n6 not registered outside f666666666666666",
                "n7 unreachable outside 0777777777777777",
                "old disconnected - 77aa-S9",
                "lost unreachable - 77aa-S8",
            ]
        );
    }

    #[test]
    fn it_fits_the_terminal() {
        let machines = machines();
        let wide = [
            " NODE  STATE           STANDING  CPUS   MEMORY           DISK           REGISTERED  ID",
            " n1    active          leader    0.5/4  96 MiB/15.5 GiB  0 MiB/100 GiB  -           a111111111111111",
            " n2    draining        voter     0.5/4  96 MiB/15.5 GiB  0 MiB/100 GiB  -           b222222222222222",
            " n3    dead            voter     -      -                -              -           c333333333333333",
            " n4    no agent        learner   -      -                -              -           d444444444444444",
            " n5    expected back   outside   -      -                -              -           e555555555555555",
            " n6    not registered  outside   -      -                -              -           f666666666666666",
            " n7    unreachable     outside   -      -                -              -           0777777777777777",
            " old   disconnected    -         0.5/4  96 MiB/15.5 GiB  0 MiB/100 GiB  -           77aa-S9",
            " lost  unreachable     -         -      -                -              -           77aa-S8",
            "",
        ];
        assert_eq!(picture(lines(&machines), Some(120)), wide.join("\n"));
        let narrow = [
            " NODE  STATE           STANDING  CPUS   MEMORY           ID",
            " n1    active          leader    0.5/4  96 MiB/15.5 GiB  a111111111111111",
            " n2    draining        voter     0.5/4  96 MiB/15.5 GiB  b222222222222222",
            " n3    dead            voter     -      -                c333333333333333",
            " n4    no agent        learner   -      -                d444444444444444",
            " n5    expected back   outside   -      -                e555555555555555",
            " n6    not registered  outside   -      -                f666666666666666",
            " n7    unreachable     outside   -      -                0777777777777777",
            " old   disconnected    -         0.5/4  96 MiB/15.5 GiB  77aa-S9",
            " lost  unreachable     -         -      -                77aa-S8",
            "",
        ];
        assert_eq!(picture(lines(&machines), Some(80)), narrow.join("\n"));
    }

    #[test]
    fn without_a_cluster_there_are_agents_only() {
        let machines = Machines { cluster: Value::Null, ..machines() };
        let lines = lines(&machines);
        assert_eq!(lines.len(), 6);
        assert!(!picture(lines, None).contains("STANDING"));
        assert!(json(&machines).get("nodes").is_none());
    }

    #[test]
    fn json_keeps_the_agents_as_they_are_and_adds_the_members() {
        let all = json(&machines());
        assert_eq!(all["slaves"][0]["id"], "77aa-S0");
        assert_eq!(list(&all, "nodes").len(), 7);
    }
}
