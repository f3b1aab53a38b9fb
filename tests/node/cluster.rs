//! Several nodes of one cluster on one machine: joining, masters that promote themselves, a leader that is killed.

use super::world::{Home, Node, finish, request, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Where other nodes reach it.
pub fn cluster_address(node: &Node) -> String {
    let said = node.talk.stderr();
    let line = said.lines().find_map(|l| l.trim_start().strip_prefix("cluster ")).unwrap();
    line.trim().to_string()
}

/// A token, if the cluster makes one now.
pub fn try_token(node: &Node, wanted: Value) -> Option<Value> {
    let body = wanted.to_string();
    let asked = request(&node.master, "POST /mesolith/v1/cluster/tokens", &body);
    let (status, body) = asked.ok()?;
    (status == 201).then(|| serde_json::from_str(&body).unwrap())
}

pub fn token(node: &Node) -> String {
    let made = try_token(node, json!({})).expect("a token is made");
    made["token"].as_str().unwrap().to_string()
}

/// The cluster as this node shows it; null while nobody leads.
pub fn seen(node: &Node) -> Value {
    match request(&node.master, "GET /mesolith/v1/cluster", "") {
        Ok((200, body)) => serde_json::from_str(&body).unwrap(),
        _ => Value::Null,
    }
}

pub fn standing(node: &Node, wanted: &str) -> usize {
    let seen = seen(node);
    let nodes = seen["nodes"].as_array().into_iter().flatten();
    nodes.filter(|n| n["standing"] == wanted && n["alive"] == true).count()
}

/// Names the node that leads, as that one sees it.
pub fn leader(nodes: &[Node]) -> Option<usize> {
    nodes.iter().position(|node| {
        let seen = seen(node);
        seen["leader"]["address"] == cluster_address(node).as_str()
    })
}

pub fn agents(node: &Node) -> usize {
    match request(&node.master, "GET /slaves", "") {
        Ok((200, body)) => {
            let seen: Value = serde_json::from_str(&body).unwrap();
            let all = seen["slaves"].as_array().into_iter().flatten();
            all.filter(|agent| agent["active"] == true).count()
        }
        _ => 0,
    }
}

/// Ports that are free now, so that a node that comes back is where it was.
pub fn ports() -> [String; 3] {
    let bound = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    bound.map(|b| format!("--cluster-port={}", b.local_addr().unwrap().port()))
}

/// Three nodes, the first of which founded the cluster; all of them vote.
pub fn three(homes: &[Home; 3], ports: &[String; 3]) -> Vec<Node> {
    three_with(homes, ports, &[])
}

/// The same with further flags.
fn three_with(homes: &[Home; 3], ports: &[String; 3], more: &[&str]) -> Vec<Node> {
    let flags = |own: &[&str]| [own, more].concat();
    let first = homes[0].up_with(&flags(&[&ports[0]])).with_agent();
    let (join, token) = (format!("--join={}", cluster_address(&first)), token(&first));
    let join = [join, format!("--token={token}")];
    let mut nodes = vec![first];
    for (home, port) in homes.iter().zip(ports).skip(1) {
        nodes.push(home.up_with(&flags(&[&join[0], &join[1], port])));
    }
    until("three nodes vote", || {
        standing(&nodes[0], "voter") == 2 && standing(&nodes[0], "leader") == 1
    });
    nodes
}

#[test]
fn three_nodes_are_three_voters_and_each_of_them_answers() {
    let homes = [(); 3].map(|()| Home::new());
    let nodes = three(&homes, &ports());
    for node in &nodes {
        until("all agents are seen on every node", || agents(node) == 3);
        let seen = seen(node);
        assert_eq!(seen["nodes"].as_array().unwrap().len(), 3);
        for told in seen["nodes"].as_array().unwrap() {
            assert!(!told["explanation"].as_str().unwrap().is_empty(), "{told}");
        }
    }
    // What is asked of another node than the leader is answered by the leader, and says so.
    let asked: BTreeSet<String> =
        nodes.iter().map(|n| seen(n)["this"].as_str().unwrap().to_string()).collect();
    assert_eq!(asked.len(), 3, "each is known by its own id: {asked:?}");
}

#[test]
fn a_killed_leader_costs_no_acknowledged_write() {
    let homes = [(); 3].map(|()| Home::new());
    let ports = ports();
    let mut nodes = three(&homes, &ports);
    until("all agents are there", || agents(&nodes[0]) == 3);
    let mut acknowledged = BTreeSet::new();
    let mut write = |node: &Node| {
        let note = format!("write {}", acknowledged.len());
        let made = try_token(node, json!({"roles": "agent", "note": note}));
        made.map(|made| acknowledged.insert(made["id"].as_str().unwrap().to_string())).is_some()
    };
    (0..10).for_each(|_| assert!(write(&nodes[1])));
    let at = leader(&nodes).expect("one leads");
    nodes.remove(at).kill9();
    until("another leads and takes writes", || write(&nodes[0]));
    (0..10).for_each(|_| assert!(write(&nodes[1])));
    nodes.push(homes[at].up_with(&[&ports[at]]));
    until("the node is back, as it was", || {
        standing(&nodes[0], "voter") == 2 && agents(&nodes[2]) == 3
    });
    for node in &nodes {
        let (status, body) = request(&node.master, "GET /mesolith/v1/cluster/tokens", "").unwrap();
        assert_eq!(status, 200, "{body}");
        let listed: Value = serde_json::from_str(&body).unwrap();
        let listed = listed["tokens"].as_array().unwrap();
        let ids: BTreeSet<String> =
            listed.iter().map(|t| t["id"].as_str().unwrap().to_string()).collect();
        let lost: Vec<&String> = acknowledged.difference(&ids).collect();
        assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
    }
}

/// How many agents the leader holds as unreachable, asked of this node.
fn unreachable(node: &Node) -> usize {
    match request(&node.master, "GET /mesolith/v1/agents", "") {
        Ok((200, body)) => {
            let seen: Value = serde_json::from_str(&body).unwrap();
            seen["unreachable"].as_array().map_or(0, Vec::len)
        }
        _ => 0,
    }
}

#[test]
fn lost_agents_are_given_up_as_soon_as_the_operator_says() {
    let homes = [(); 3].map(|()| Home::new());
    let ports = ports();
    // Far below the minute and the ten that are usual, far above what a busy machine delays.
    let mut nodes = three_with(&homes, &ports, &["--agent-loss-timeout=5s"]);
    until("all agents are there", || agents(&nodes[0]) == 3);
    // One that does not lead falls silent.
    let at = (leader(&nodes).expect("one leads") + 1) % 3;
    let silent = nodes.remove(at);
    silent.talk.signal(libc::SIGSTOP);
    let since = Instant::now();
    until("it is unreachable", || unreachable(&nodes[0]) == 1);
    assert!(since.elapsed() >= Duration::from_secs(3), "too early: {:?}", since.elapsed());
    silent.talk.signal(libc::SIGCONT);
    until("it is back", || unreachable(&nodes[0]) == 0 && agents(&nodes[0]) == 3);
    nodes.push(silent);
    // The one that leads is killed: the next one gives its agent up as soon.
    let at = leader(&nodes).expect("one leads");
    nodes.remove(at).kill9();
    // The usual ten minutes are far longer than this waits.
    until("it is unreachable", || unreachable(&nodes[0]) == 1);
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let first = Home::new();
    let node = first.up().with_agent();
    let join = format!("--join={}", cluster_address(&node));
    let refused = |flags: &[&str]| {
        let home = Home::new();
        let said = finish(&mut home.command(flags));
        assert_ne!(said.code, Some(0), "{said:#?}");
        assert!(said.stderr.contains("hint:"), "{said:#?}");
        said.stderr
    };
    assert!(refused(&[&join]).contains("token"));
    // Of another cluster.
    let other = Home::new();
    let elsewhere = other.up().with_agent();
    let token_of_other = format!("--token={}", token(&elsewhere));
    assert!(refused(&[&join, &token_of_other]).contains("another cluster"));
    // Revoked.
    let made = try_token(&node, json!({})).unwrap();
    let id = made["id"].as_str().unwrap();
    let revoke = format!("DELETE /mesolith/v1/cluster/tokens/{id}");
    assert_eq!(request(&node.master, &revoke, "").unwrap().0, 200);
    let revoked = format!("--token={}", made["token"].as_str().unwrap());
    let said = refused(&[&join, &revoked]);
    assert!(said.contains("revoked"), "{said}");
    assert!(!said.contains("MESO1-"), "no secret is told: {said}");
    assert_eq!(seen(&node)["nodes"].as_array().unwrap().len(), 1, "nobody was let in");
}
