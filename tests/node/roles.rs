//! Nodes that are not all alike: some run tasks only, some change their address, some leave.

use super::cluster::{agents, cluster_address, leader, ports, seen, standing, three, try_token};
use super::world::{Home, Node, finish, request, until};
use serde_json::{Value, json};

/// What the cluster, asked by way of one node, tells of another.
fn told(by: &Node, address: &str) -> Value {
    let seen = seen(by);
    let nodes = seen["nodes"].as_array().into_iter().flatten();
    nodes.into_iter().find(|n| n["address"] == address).cloned().unwrap_or_default()
}

fn agent_ids(node: &Node) -> Vec<String> {
    let (_, body) = request(&node.master, "GET /slaves", "").unwrap();
    let seen: Value = serde_json::from_str(&body).unwrap_or_default();
    let all = seen["slaves"].as_array().into_iter().flatten();
    let mut ids: Vec<String> = all.map(|a| a["id"].as_str().unwrap().to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn a_node_that_only_runs_tasks_answers_like_any_other_and_has_no_part_in_the_log() {
    let (first, second) = (Home::new(), Home::new());
    let master = first.up().with_agent();
    let made = try_token(&master, json!({"roles": "agent"})).expect("a token");
    let token = format!("--token={}", made["token"].as_str().unwrap());
    let join = format!("--join={}", cluster_address(&master));
    let doors = ["--marathon-port=0", "--chronos-port=0"];
    // The token is not for more.
    let greedy = Home::new();
    let said = finish(&mut greedy.command(&[&join, &token]));
    assert!(said.stderr.contains("the token is for"), "{said:#?}");
    let agent = Node::start(
        &mut second.command_as("agent", &[&[join.as_str(), &token], &doors[..]].concat()),
    );
    until("both agents are there, and the agent's own node says so", || agents(&agent) == 2);
    let address = cluster_address(&agent);
    let node = told(&agent, &address);
    assert_eq!(
        (&node["roles"], &node["standing"]),
        (&json!(["agent"]), &json!("outside")),
        "{node}"
    );
    assert!(node["explanation"].as_str().unwrap().contains("no master"), "{node}");
    assert_eq!(seen(&agent)["this"], node["node"], "asked there");
    assert!(!second.data().join("raft.redb").exists());
    // A task is started by way of the agent's own port.
    agent.ask(&["execute", "--name=t", "--command=true"]).ended(0);
    let ids = agent_ids(&agent);
    // It comes back without being told whom to join, and is who it was.
    assert_eq!(agent.stop(libc::SIGTERM).code, Some(0));
    let port = address.rsplit_once(':').unwrap().1;
    let port = format!("--cluster-port={port}");
    let again =
        Node::start(&mut second.command_as("agent", &[&[port.as_str()], &doors[..]].concat()));
    until("it is back", || agents(&again) == 2);
    assert_eq!(told(&master, &address)["node"], node["node"]);
    assert_eq!(agent_ids(&again), ids, "both are who they were");
    drop(again);
    let said = finish(&mut second.command(&[&port]));
    assert!(said.stderr.contains("let in as an agent"), "{said:#?}");
}

#[test]
fn nodes_that_come_back_elsewhere_are_found() {
    let homes = [(); 3].map(|()| Home::new());
    let mut nodes = three(&homes, &ports());
    until("all agents are there", || agents(&nodes[0]) == 3);
    let before: Vec<String> = nodes.iter().map(cluster_address).collect();
    let at = leader(&nodes).expect("one leads");
    let stay = (at + 1) % 3;
    // Most of the voters are elsewhere at once, the leader too.
    let kept = nodes.remove(stay);
    let moved: Vec<usize> = (0..3).filter(|n| *n != stay).collect();
    nodes.into_iter().for_each(Node::kill9);
    until("it says what it waits for", || {
        kept.talk.stderr().contains("no leader yet: 1 of 3 voters visible, need 2; not seen: ")
    });
    let nodes: Vec<Node> = moved.iter().map(|n| homes[*n].up_with(&[])).collect();
    until("they agree again", || standing(&kept, "voter") == 2 && standing(&kept, "leader") == 1);
    until("it says so", || kept.talk.stderr().contains(") leads"));
    for (node, n) in nodes.iter().zip(&moved) {
        assert_ne!(cluster_address(node), before[*n], "that port was free for others");
    }
    until("all agents are back", || agents(&kept) == 3);
    assert!(try_token(&kept, json!({"roles": "agent"})).is_some(), "writes are taken");
}

#[test]
fn a_copy_of_a_node_that_runs_is_refused_and_harms_nobody() {
    let homes = [(); 3].map(|()| Home::new());
    let nodes = three(&homes, &ports());
    let copy = Home::new();
    let from = homes[2].data().join(".");
    std::fs::create_dir_all(copy.data()).unwrap();
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(copy.data()).status();
    assert!(copied.unwrap().success());
    let said = finish(&mut copy.command(&[]));
    assert_eq!(said.code, Some(4), "{said:#?}");
    let at = cluster_address(&nodes[2]);
    assert!(said.stderr.contains(&format!("runs at {at} already")), "{said:#?}");
    assert!(said.stderr.contains("join as a new node"), "{said:#?}");
    assert_eq!(standing(&nodes[0], "voter") + standing(&nodes[0], "leader"), 3);
    assert!(try_token(&nodes[0], json!({})).is_some(), "writes are taken");
    // Once the first has gone it may come back there.
    let mut nodes = nodes;
    nodes.remove(2).kill9();
    let moved = Node::start(&mut copy.command_as("master", &[]));
    until("three vote again", || standing(&nodes[0], "voter") + standing(&nodes[0], "leader") == 3);
    drop(moved);
}

#[test]
fn a_node_that_leaves_is_gone_for_good_and_one_that_is_alone_does_not() {
    let homes = [(); 3].map(|()| Home::new());
    let mut nodes = three(&homes, &ports());
    until("all agents are there", || agents(&nodes[0]) == 3);
    // The leader itself: it hands over first.
    let at = leader(&nodes).expect("one leads");
    let leaver = nodes.remove(at);
    let said = leaver.ask(&["leave", "--yes"]).ended(0);
    assert!(said.stderr.contains("has left"), "{said:#?}");
    let said = leaver.ended();
    assert_eq!(said.code, Some(0), "{said:#?}");
    assert!(said.stderr.contains("has left its cluster"), "{said:#?}");
    until("two are left, and lead themselves", || {
        let listed = seen(&nodes[0]);
        listed["nodes"].as_array().is_some_and(|n| n.len() == 2) && agents(&nodes[0]) == 2
    });
    // It is shut out, be it at once by who knows already, or by the first who hears of it; later it does not even come up.
    until("it is refused before it is up", || {
        let said = finish(&mut homes[at].command(&[]));
        assert!(said.stderr.contains("removed from its cluster"), "{said:#?}");
        !said.stdout.contains("is up")
    });
    let alone = Home::new();
    let alone = alone.up().with_agent();
    let said = alone.ask(&["leave", "--yes"]);
    assert!(said.stderr.contains("only node"), "{said:#?}");
}
