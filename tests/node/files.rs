//! What agents of other nodes hold: sandboxes and logs of any task, read through any node.

use super::cluster::{agents, leader, ports, three_with};
use super::world::{Home, Node, Talk, mesolith, request, until};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Larger than what any node may gather in memory, in bytes.
const LARGE: u64 = 96 << 20;
/// What a node's memory may grow by while such a file goes through it, in KiB.
const GROWTH_MAX: u64 = 48 << 10;

/// A task on the node that alone has that resource; it writes, and runs until its file `end` is there.
fn task_on(n: usize, master: &Node) -> Talk {
    let command = format!(
        "echo words of {n}; echo err {n} >&2; mkdir sub; echo deep > sub/f; truncate -s {LARGE} large; \
         echo written; while sleep 0.1; do test -e end && exit 0; done"
    );
    let args = [
        "execute".to_string(),
        format!("--master={}", master.master),
        format!("--name=t{n}"),
        format!("--command={command}"),
        format!("--resources=cpus:0.1;mem:32;place{n}:1"),
    ];
    let talk = Talk::start(&mut mesolith(&args));
    until("the task has written all", || talk.stdout().contains("written"));
    talk
}

/// A request with headers: status, headers in lower case, body.
fn ask(address: &str, head: &str, headers: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(super::world::DEADLINE)).unwrap();
    write!(stream, "{head} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n").unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let at = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&all[..at]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, all.split_off(at + 4))
}

fn json(address: &str, path: &str) -> Value {
    let (status, _, body) = ask(address, &format!("GET {path}"), "");
    let text = String::from_utf8_lossy(&body);
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The most memory that the node's process ever had, in KiB.
fn peak(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.talk.child.id())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The task's sandbox and agent.
fn sandbox(node: &Node, id: &str) -> (String, String) {
    let task = node.task(id);
    let text = |key: &str| task[key].as_str().unwrap_or_else(|| panic!("{task}")).to_string();
    (format!("/frameworks/{}/executors/{id}/runs/latest", text("framework_id")), text("slave_id"))
}

#[test]
fn the_files_of_every_agent_are_reached_through_every_node() {
    let homes = [(); 3].map(|()| Home::new());
    let place = |n: usize| vec![format!("--resources=cpus:1;mem:256;disk:1024;place{n}:1")];
    let mut nodes = three_with(&homes, &ports(), place);
    until("all agents are there", || nodes.iter().all(|node| agents(node) == 3));
    let tasks = [0, 1, 2].map(|n| task_on(n, &nodes[(n + 1) % 3]));
    for n in 0..3 {
        let (path, agent) = sandbox(&nodes[0], &format!("t{n}"));
        let said = format!("words of {n}\nwritten\n");
        // The agent's own port as ever.
        let own = json(&nodes[n].agent, &format!("/files/read?path={path}/stdout&offset=0"));
        assert_eq!(own["data"], said.as_str());
        for (m, node) in nodes.iter().enumerate() {
            let of_agent = format!("/mesolith/v1/agents/{agent}/files");
            let named = format!("agent_id={agent}&path={path}");
            let forms = [
                format!("/files/read?path={path}"),
                format!("/master/files/read.json?{named}"),
                format!("{of_agent}/read?path={path}"),
            ];
            for form in forms {
                let read = json(&node.master, &format!("{form}/stdout&offset=0"));
                assert_eq!(read["data"], said.as_str(), "{form} of {n} through {m}");
                let (status, _, _) = ask(&node.master, &format!("GET {form}/none&offset=0"), "");
                assert_eq!(status, 404, "{form} of {n} through {m}");
            }
            let piece = format!("{of_agent}/read?path={path}/stderr&offset=4&length=1&jsonp=f");
            let (_, _, piece) = ask(&node.master, &format!("GET {piece}"), "");
            assert_eq!(
                String::from_utf8_lossy(&piece),
                format!("f({{\"data\":\"{n}\",\"offset\":4}})")
            );
            let listed = json(&node.master, &format!("/files/browse?path={path}/sub"));
            assert_eq!(listed[0]["path"], format!("{path}/sub/f").as_str());
            let download = format!("GET /files/download?path={path}/stdout");
            let (status, head, body) = ask(&node.master, &download, "Range: bytes=6-9\r\n");
            assert_eq!((status, body), (206, format!("of {n}").into_bytes()));
            assert!(head.contains("\r\ncontent-range: bytes 6-9/"), "{head}");
            assert!(head.contains("\r\nx-content-type-options: nosniff"), "{head}");
            let (status, head, body) = ask(&node.master, &download.replace("GET", "HEAD"), "");
            assert_eq!((status, body.len()), (200, 0), "{head}");
            assert!(head.contains(&format!("\r\ncontent-length: {}", said.len())), "{head}");
        }
    }
    // A large file is not gathered on the way: through one that does not lead there are three nodes.
    let at = leader(&nodes).expect("one leads");
    let [through, of] = [(at + 1) % 3, (at + 2) % 3];
    let (path, agent) = sandbox(&nodes[0], &format!("t{of}"));
    let before: Vec<u64> = nodes.iter().map(peak).collect();
    let download = format!("GET /files/download?path={path}/large&agent_id={agent}");
    let (status, _, body) = ask(&nodes[through].master, &download, "Accept-Encoding: gzip\r\n");
    assert_eq!((status, body.len() as u64), (200, LARGE));
    drop(body);
    for (node, before) in nodes.iter().zip(before) {
        let grown = peak(node) - before;
        assert!(grown < GROWTH_MAX, "a node grew by {grown} KiB");
    }
    // The verbs, through a node that does not lead; a log is followed until the task has ended.
    let id = format!("t{of}");
    let logs = nodes[through].ask(&["logs", &id]).ended(0);
    assert_eq!(logs.stdout, format!("words of {of}\nwritten\n"));
    let follow = Talk::start(&mut nodes[through].asking(&["logs", "-f", &id]));
    until("what was written is shown", || follow.stdout().contains("written"));
    nodes[through].ask(&["kill", &id]).ended(0);
    follow.end().ended(0);
    // Nobody has that one; and one whose node is gone is not reached.
    for node in &nodes {
        let (status, body) =
            request(&node.master, "GET /mesolith/v1/agents/none-S7/files/read?path=/x", "")
                .unwrap();
        assert_eq!((status, body.contains("none-S7")), (404, true), "{body}");
    }
    drop(tasks);
    nodes.remove(of).kill9();
    for node in &nodes {
        let read =
            format!("GET /mesolith/v1/agents/{agent}/files/read?path={path}/stdout&offset=0");
        let (status, head, body) = ask(&node.master, &read, "");
        let body = String::from_utf8_lossy(&body);
        assert_eq!(status, 503, "{body}");
        assert!(body.contains(&agent) && body.contains("not reached"), "{body}");
        assert!(head.contains("\r\nretry-after: "), "{head}");
    }
}
