//! Tasks and nodes: the first one on a node that joins, and those of a node that is lost without a word.

use crate::ask::{WITHIN, get, must, until};
use crate::nodes::Nodes;
use crate::{Plan, Result, ms, print};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

const LOOK: Duration = Duration::from_millis(5);
/// Of the app whose node is lost.
const INSTANCES: usize = 6;

/// From the start of a process that joins to the first instruction of a task on it.
pub fn join(plan: &Plan) -> Result<()> {
    println!("\n5. a node is started and joins → the first task on it");
    let nodes = Nodes::three(plan, &[])?;
    let stamps = nodes.beside("stamps");
    std::fs::write(&stamps, "")?;
    let at = nodes.nodes[0].faces();
    // One instance a node: the fourth waits for a node more.
    let command = format!("date +%s%N >> {}; exec sleep 100000", stamps.display());
    let app = json!({"id": "/one-each", "cmd": command, "cpus": 0.1, "mem": 16, "instances": 4,
        "constraints": [["hostname", "UNIQUE"]]});
    must(at.marathon, "POST /v2/apps", &app.to_string())?;
    until("three run", LOOK, || Ok(lines(&stamps)? == 3))?;
    let mut times = Vec::new();
    for round in 0..plan.repeat {
        let before = lines(&stamps)?;
        // What the last one left is gone from the matcher's view.
        std::thread::sleep(Duration::from_millis(300));
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let mut node = nodes.joining(10 + (round % 200) as u8)?;
        let ran = until("a task on the new node", LOOK, || Ok(lines(&stamps)? > before));
        if ran.is_ok() {
            let text = std::fs::read_to_string(&stamps)?;
            let last: u64 = text.lines().last().ok_or("no stamp")?.trim().parse()?;
            times.push(ms(Duration::from_nanos(last).saturating_sub(started)));
        }
        node.down();
        ran?;
        let id = members(at.master).into_iter().find(|(_, host)| *host == node.hostname());
        let (id, _) = id.ok_or("the new node is no member")?;
        let remove = format!("DELETE /mesolith/v1/cluster/nodes/{id}?force=true");
        until("it is removed", LOOK, || Ok(must(at.master, &remove, "").is_ok()))?;
        // A task that ended with its node waits for the next one without a delay.
        must(at.marathon, "DELETE /v2/queue/one-each/delay", "")?;
        until("its task is gone", LOOK, || Ok(running(at.marathon, "/one-each", "").len() == 3))?;
    }
    print("process started → first instruction", &times);
    Ok(())
}

/// Nodes by id and hostname.
fn members(master: SocketAddr) -> Vec<(String, String)> {
    let seen = get(master, "/mesolith/v1/cluster");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let nodes = seen["nodes"].as_array().cloned().unwrap_or_default();
    nodes.iter().map(|node| (text(&node["node"]), text(&node["hostname"]))).collect()
}

fn lines(file: &Path) -> Result<usize> {
    Ok(std::fs::read_to_string(file)?.lines().count())
}

/// The hosts of an app's running tasks, those on `but` left out.
fn running(marathon: SocketAddr, app: &str, but: &str) -> Vec<String> {
    let seen = get(marathon, &format!("/v2/apps{app}/tasks"));
    let tasks = seen["tasks"].as_array().cloned().unwrap_or_default();
    let running = tasks.iter().filter(|task| task["state"] == "TASK_RUNNING");
    let hosts = running.filter_map(|task| task["host"].as_str().map(str::to_string));
    hosts.filter(|host| host != but).collect()
}

/// From the silence of a node that does not lead until all instances run on others.
pub fn lost(plan: &Plan) -> Result<()> {
    println!(
        "\n6. a node is stopped (SIGSTOP) → its tasks run on others, --agent-loss-timeout {}",
        plan.loss
    );
    let nodes = Nodes::three(plan, &[format!("--agent-loss-timeout={}", plan.loss)])?;
    let app = json!({"id": "/spread", "cmd": "exec sleep 100000", "cpus": 0.1, "mem": 16,
        "instances": INSTANCES, "constraints": [["hostname", "GROUP_BY"]],
        "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}});
    let first = nodes.nodes[0].faces();
    must(first.marathon, "POST /v2/apps", &app.to_string())?;
    let mut times = Vec::new();
    for round in 0..plan.repeat {
        nodes.settle()?;
        let leader = nodes.leader().ok_or("nobody leads")?;
        let lost = nodes.other_than(leader, round);
        let (at, host) = (nodes.nodes[leader].faces(), nodes.nodes[lost].hostname());
        // An instance of it must be there; otherwise it is scaled until one is.
        spread(at.marathon, &host)?;
        let from = Instant::now();
        nodes.nodes[lost].signal(Signal::SIGSTOP)?;
        until("all run elsewhere", LOOK, || {
            Ok(running(at.marathon, "/spread", &host).len() >= INSTANCES)
        })?;
        times.push(ms(from.elapsed()));
        nodes.nodes[lost].signal(Signal::SIGCONT)?;
        until("as many as wanted", LOOK, || {
            Ok(running(at.marathon, "/spread", "").len() == INSTANCES)
        })?;
    }
    print("silence → all instances run elsewhere", &times);
    Ok(())
}

/// Waits until an instance runs on that host, placing all of them anew if need be.
fn spread(marathon: SocketAddr, host: &str) -> Result<()> {
    let since = Instant::now();
    loop {
        let all = running(marathon, "/spread", "");
        if all.len() == INSTANCES && all.iter().any(|at| at == host) {
            return Ok(());
        }
        if since.elapsed() > WITHIN {
            return Err(format!("no instance on {host}: {all:?}").into());
        }
        if all.len() == INSTANCES {
            for instances in [0, INSTANCES] {
                let scaled = json!({"instances": instances}).to_string();
                must(marathon, "PUT /v2/apps/spread?force=true", &scaled)?;
                until("scaled", LOOK, || Ok(running(marathon, "/spread", "").len() == instances))?;
            }
        }
        std::thread::sleep(LOOK);
    }
}
