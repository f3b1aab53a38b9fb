//! The cluster in lines: what it is, what it waits for, its nodes, and why each of them is what it is.

use crate::cli::output::{Fit, facts, list, number, passed, table, text, wrapped};
use crate::cli::roster::{by_id, host, roles};
use serde_json::Value;

/// The picture at a time, in milliseconds since 1970, for a terminal of so many columns.
pub fn of(cluster: &Value, now_ms: u64, width: Option<u16>) -> String {
    let mut out = facts(&head(cluster, now_ms));
    out.push('\n');
    out.push_str(&nodes(cluster, now_ms, width));
    out.push_str("\nwhy\n");
    let names = list(cluster, "nodes").iter().map(|n| host(n).chars().count());
    let widest = names.max().unwrap_or(0);
    for node in list(cluster, "nodes") {
        let line = format!("  {:<widest$}  {}", host(node), text(node, "explanation"));
        out.push_str(&wrapped(&line, width, widest + 4));
        out.push('\n');
    }
    out
}

fn head(cluster: &Value, now_ms: u64) -> Vec<(&'static str, String)> {
    let leader = match &cluster["leader"] {
        Value::Null => "none".to_string(),
        leader => format!("{} ({})", host(leader), text(leader, "address")),
    };
    let mut facts = vec![
        ("cluster", format!("{}, epoch {}", text(cluster, "cluster"), text(cluster, "epoch"))),
        ("leader", leader),
    ];
    if let Some(this) = by_id(cluster, &text(cluster, "this")) {
        facts.push(("asked", format!("{} ({})", host(this), text(this, "address"))));
    }
    facts.push(("masters", masters(cluster)));
    if let [one] = versions(cluster).as_slice() {
        facts.push(("version", one.clone()));
    }
    if let Some(waits) = cluster["waits"].as_str() {
        facts.push(("waits for", waits.to_string()));
    }
    if cluster["last_step"].is_object() {
        let step = &cluster["last_step"];
        let since = passed(seconds_since(step, "at", now_ms));
        facts.push(("last step", format!("{}, {since} ago", text(step, "text"))));
    }
    facts
}

/// How many nodes vote, and how many do not.
fn masters(cluster: &Value) -> String {
    let count = |standing: &[&str]| {
        let nodes = list(cluster, "nodes").iter();
        nodes.filter(|n| standing.contains(&text(n, "standing").as_str())).count()
    };
    let voters = count(&["leader", "voter"]);
    let mut out = format!("{voters} {}", if voters == 1 { "voter" } else { "voters" });
    if let Some(max) = cluster["policy"]["voters_max"].as_u64() {
        out.push_str(&format!(" of at most {max}"));
    }
    match count(&["learner"]) {
        0 => {}
        1 => out.push_str(", 1 learner"),
        n => out.push_str(&format!(", {n} learners")),
    }
    match count(&["outside"]) {
        0 => {}
        n => out.push_str(&format!(", {n} outside")),
    }
    out
}

/// The versions of the program that run, each once.
fn versions(cluster: &Value) -> Vec<String> {
    let mut versions: Vec<String> =
        list(cluster, "nodes").iter().map(|n| text(n, "version")).collect();
    versions.sort();
    versions.dedup();
    versions
}

fn nodes(cluster: &Value, now_ms: u64, width: Option<u16>) -> String {
    let nodes = list(cluster, "nodes");
    let zones = nodes.iter().any(|n| !text(n, "zone").is_empty());
    let versions = versions(cluster).len() > 1;
    let mut headers = vec!["", "NODE", "STANDING", "STATE"];
    headers.extend(zones.then_some("ZONE"));
    headers.push("ROLES");
    headers.extend(versions.then_some("VERSION"));
    headers.extend(["ADDRESS", "ID"]);
    let leader = text(&cluster["leader"], "node");
    let rows = nodes.iter().map(|node| {
        let leads = !leader.is_empty() && text(node, "node") == leader;
        let mut row = vec![
            if leads { "*" } else { "" }.to_string(),
            host(node),
            standing(node),
            state(node, now_ms),
        ];
        row.extend(zones.then(|| text(node, "zone")));
        row.push(roles(node));
        row.extend(versions.then(|| text(node, "version")));
        row.extend([text(node, "address"), text(node, "node")]);
        row
    });
    let fit = Fit { whole: &["STANDING", "STATE", "ID"], spare: &["ADDRESS", "VERSION"] };
    table(&headers, rows.collect(), fit, width)
}

/// What a node is among the masters, and the order that made it so.
fn standing(node: &Value) -> String {
    let order = match text(node, "order").as_str() {
        "promote" => ", promoted",
        "demote" => ", demoted",
        "pin" => ", pinned",
        _ => "",
    };
    format!("{}{order}", text(node, "standing"))
}

fn state(node: &Value, now_ms: u64) -> String {
    let since = passed(seconds_since(node, "since", now_ms));
    match (node["alive"] == true, node["leaving"] == true) {
        (true, false) => format!("alive {since}"),
        (true, true) => "leaving".into(),
        (false, _) => format!("dead {since}"),
    }
}

/// Whole seconds since a time in milliseconds; none for one that is yet to come.
fn seconds_since(value: &Value, key: &str, now_ms: u64) -> u64 {
    now_ms.saturating_sub(number(value, key) as u64) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_700_000_000_000;

    fn node(id: &str, host: &str, standing: &str, explanation: &str) -> Value {
        json!({"node": id, "hostname": host, "address": format!("{host}:5052"), "zone": "",
            "roles": ["master", "agent", "marathon", "chronos"], "version": "0.1.0",
            "standing": standing, "alive": true, "since": NOW - 180_000, "leaving": false,
            "explanation": explanation, "order": "none"})
    }

    fn three() -> Value {
        let mut dead = node(
            "c333333333333333",
            "n3",
            "voter",
            "voter: it is dead, and no other master could take its place",
        );
        dead["alive"] = json!(false);
        dead["since"] = json!(NOW - 12_000);
        let mut agent = node(
            "d444444444444444",
            "worker-17.example",
            "outside",
            "outside: it has not the role master",
        );
        agent["roles"] = json!(["agent"]);
        let mut voter = node(
            "b222222222222222",
            "n2",
            "voter",
            "voter: one of three masters, the most that can lose one; no other zone has a candidate",
        );
        voter["order"] = json!("pin");
        json!({
            "cluster": "0123456789abcdef", "this": "b222222222222222",
            "leader": {"node": "a111111111111111", "hostname": "n1", "address": "n1:5052"},
            "epoch": 7, "policy": {"voters_max": 5}, "waits": null,
            "last_step": {"text": "n2 made a voter: three masters can lose one", "at": NOW - 90_000},
            "nodes": [node("a111111111111111", "n1", "leader", "leader: elected in epoch 7"),
                voter, dead, agent],
        })
    }

    const HEAD: &str = "cluster    0123456789abcdef, epoch 7
leader     n1 (n1:5052)
asked      n2 (n2:5052)
masters    3 voters of at most 5, 1 outside
version    0.1.0
last step  n2 made a voter: three masters can lose one, 90s ago
";

    #[test]
    fn a_cluster_at_120_columns() {
        let expected = "
    NODE               STANDING       STATE     ROLES  ADDRESS                 ID
 *  n1                 leader         alive 3m  all    n1:5052                 a111111111111111
    n2                 voter, pinned  alive 3m  all    n2:5052                 b222222222222222
    n3                 voter          dead 12s  all    n3:5052                 c333333333333333
    worker-17.example  outside        alive 3m  agent  worker-17.example:5052  d444444444444444

why
  n1                 leader: elected in epoch 7
  n2                 voter: one of three masters, the most that can lose one; no other zone has a candidate
  n3                 voter: it is dead, and no other master could take its place
  worker-17.example  outside: it has not the role master
";
        assert_eq!(of(&three(), NOW, Some(120)), format!("{HEAD}{expected}"));
    }

    #[test]
    fn a_cluster_at_80_columns() {
        let expected = "
    NODE               STANDING       STATE     ROLES  ID
 *  n1                 leader         alive 3m  all    a111111111111111
    n2                 voter, pinned  alive 3m  all    b222222222222222
    n3                 voter          dead 12s  all    c333333333333333
    worker-17.example  outside        alive 3m  agent  d444444444444444

why
  n1                 leader: elected in epoch 7
  n2                 voter: one of three masters, the most that can lose one; no
                     other zone has a candidate
  n3                 voter: it is dead, and no other master could take its place
  worker-17.example  outside: it has not the role master
";
        assert_eq!(of(&three(), NOW, Some(80)), format!("{HEAD}{expected}"));
    }

    #[test]
    fn a_reader_that_is_no_terminal_gets_whole_lines() {
        let told = of(&three(), NOW, None);
        assert!(told.contains("no other zone has a candidate\n"), "{told}");
    }

    #[test]
    fn without_a_leader_it_says_what_it_waits_for() {
        let mut cluster = three();
        cluster["leader"] = Value::Null;
        cluster["waits"] = json!("1 of 3 voters visible, need 2");
        cluster["last_step"] = Value::Null;
        cluster["nodes"][0]["standing"] = json!("voter");
        let told = of(&cluster, NOW, None);
        assert!(told.contains("leader     none\n"), "{told}");
        assert!(told.contains("waits for  1 of 3 voters visible, need 2\n"), "{told}");
        assert!(!told.contains('*') && !told.contains("last step"), "{told}");
    }

    #[test]
    fn zones_versions_and_orders_are_shown_where_they_differ() {
        let mut cluster = three();
        cluster["nodes"][0]["zone"] = json!("east");
        cluster["nodes"][1]["version"] = json!("0.2.0");
        cluster["nodes"][2]["order"] = json!("promote");
        cluster["nodes"][3]["leaving"] = json!(true);
        let told = of(&cluster, NOW, None);
        for words in ["ZONE", "east", "VERSION", "0.2.0", "voter, promoted", "leaving"] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(!told.contains("\nversion"), "{told}");
    }
}
