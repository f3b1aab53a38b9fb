//! Several nodes of one cluster on one machine: joining, masters that promote themselves, a leader that is killed.

use super::world::{Home, Node, finish, request, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
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
    three_with(homes, ports, |_| Vec::new())
}

/// The same, each with flags of its own.
pub fn three_with(
    homes: &[Home; 3],
    ports: &[String; 3],
    more: impl Fn(usize) -> Vec<String>,
) -> Vec<Node> {
    let up = |n: usize, flags: &[String]| {
        let all: Vec<String> = [vec![ports[n].clone()], more(n), flags.to_vec()].concat();
        homes[n].up_with(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let first = up(0, &[]).with_agent();
    let (join, token) = (format!("--join={}", cluster_address(&first)), token(&first));
    let join = [join, format!("--token={token}")];
    let mut nodes = vec![first];
    nodes.extend([1, 2].map(|n| up(n, &join)));
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
    match request(&node.master, "GET /mesolith/v1/away", "") {
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
    let mut nodes = three_with(&homes, &ports, |_| vec!["--agent-loss-timeout=5s".into()]);
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

/// A terminal: what is seen of it, and what a program writes to.
fn terminal() -> (std::fs::File, std::fs::File) {
    use std::os::fd::FromRawFd as _;
    let (mut seen, mut written) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: both numbers are ours to be written to; no name, no settings, no size are asked for.
    let made = unsafe { libc::openpty(&mut seen, &mut written, null, null.cast(), null.cast()) };
    assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: it has just made them, and nobody else has them.
    unsafe { (std::fs::File::from_raw_fd(seen), std::fs::File::from_raw_fd(written)) }
}

#[test]
fn on_a_terminal_a_node_shows_the_line_that_joins_another_machine() {
    let home = Home::new();
    let (seen, written) = terminal();
    let mut command = home.command(&[]);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(written).spawn().unwrap();
    // Its end of the terminal is its own alone.
    drop(command);
    let mut lines = BufReader::new(seen).lines();
    let line = lines.find_map(|line| {
        let line = line.expect("the node goes on");
        assert!(!line.contains("Stop:"), "no such line was shown");
        line.trim().strip_prefix("More: mesolith up ").map(String::from)
    });
    let line = line.expect("the line");
    let flags: Vec<&str> = line.split(' ').collect();
    let [join, address, token, secret] = flags[..] else { panic!("{line}") };
    assert_eq!((join, token), ("--join", "--token"));
    // Somebody reads the terminal on.
    std::thread::spawn(move || lines.for_each(drop));
    let other = Home::new();
    let joined = other.up_with(&[&format!("--join={address}"), &format!("--token={secret}")]);
    until("it has joined", || seen_nodes(&joined) == 2);
    let said = joined.talk.stderr();
    assert!(!said.contains("MESO1-"), "what is no terminal is shown no token");
    assert!(said.contains("mesolith token create"), "{said}");
    drop(joined);
    super::world::signal_to(child.id() as i32, libc::SIGUSR1);
    child.wait().unwrap();
}

fn seen_nodes(node: &Node) -> usize {
    seen(node)["nodes"].as_array().map_or(0, Vec::len)
}
