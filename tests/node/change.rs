//! Changes of the leader that need no time-out: here it is longer than a test may take.

use super::cluster::{cluster_address, leader, ports, standing, token, try_token};
use super::world::{Home, Node, until};
use serde_json::json;

/// No election by time-out ends before the test does.
const NEVER: &str = "--election-timeout=1mins";

/// Three nodes that vote, with that time-out.
fn three(homes: &[Home; 3]) -> Vec<Node> {
    let ports = ports();
    let first = homes[0].up_with(&[&ports[0], NEVER]).with_agent();
    let (join, token) = (format!("--join={}", cluster_address(&first)), token(&first));
    let join = [join, format!("--token={token}")];
    let mut nodes = vec![first];
    for (home, port) in homes.iter().zip(&ports).skip(1) {
        nodes.push(home.up_with(&[&join[0], &join[1], port, NEVER]));
    }
    until("three nodes vote", || {
        standing(&nodes[0], "voter") == 2 && standing(&nodes[0], "leader") == 1
    });
    nodes
}

fn writes(node: &Node) -> bool {
    try_token(node, json!({"roles": "agent"})).is_some()
}

#[test]
fn a_killed_leader_is_replaced_by_the_kernels_word_alone() {
    let homes = [(); 3].map(|()| Home::new());
    let mut nodes = three(&homes);
    let at = leader(&nodes).expect("one leads");
    nodes.remove(at).kill9();
    for node in &nodes {
        until("another leads and takes writes", || writes(node));
    }
}

#[test]
fn a_leader_that_is_told_to_stop_hands_over() {
    let homes = [(); 3].map(|()| Home::new());
    let mut nodes = three(&homes);
    let at = leader(&nodes).expect("one leads");
    let stopping = nodes.remove(at);
    stopping.talk.signal(libc::SIGTERM);
    for node in &nodes {
        until("another leads and takes writes", || writes(node));
    }
    stopping.ended().ended(0);
}
