//! A job of every five seconds, while nodes are killed, stopped and cut off: no run is missing, and none runs twice.

use super::ask::CHRONOS;
use super::node::DEADLINE;
use super::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The job `tick`, every five seconds; its runs write down their planned time, attempt and task.
#[track_caller]
pub fn tick(world: &World) -> PathBuf {
    let ran = world.dir.path().join("ran");
    std::fs::write(&ran, "").unwrap();
    let words = "$CHRONOS_JOB_RUN_TIME $CHRONOS_JOB_RUN_ATTEMPT $MESOS_TASK_ID";
    let start = jiff::Timestamp::now();
    let job = json!({"name": "tick", "command": format!("echo {words} >> {}", ran.display()),
        "runAsUser": "root", "cpus": 0.1, "mem": 16, "schedule": format!("R/{start:.0}/PT5S")});
    let answer = world.ask(1, CHRONOS, "POST /v1/scheduler/iso8601", &job.to_string()).unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
    ran
}

/// Its planned runs as a node tells them, by time.
fn rows(world: &World, node: usize) -> Vec<Value> {
    let seen = world.look(node, CHRONOS, "/mesolith/v1/jobs/tick");
    let mut rows = seen["history"].as_array().cloned().unwrap_or_default();
    rows.retain(|row| row["cause"] == "planned");
    rows.sort_by_key(|row| row["due"].as_i64());
    rows
}

/// What is wrong with the planned runs a node tells of.
fn gaps(rows: &[Value]) -> Option<String> {
    let dues: Vec<i64> = rows.iter().map(|row| row["due"].as_i64().unwrap()).collect();
    // The first is due when the job is registered.
    let mut apart = dues.iter().skip(2).zip(dues.iter().skip(1));
    if rows.len() < 3 || !apart.all(|(later, earlier)| later - earlier == 5000) {
        return Some(format!("gaps or doubles: {dues:?}"));
    }
    let failed = rows.iter().find(|row| row["outcome"] != "success");
    failed.map(|row| format!("a run did not succeed: {row:#}"))
}

/// Every five seconds has one run, and no attempt of it ran twice. (A run whose agent was lost is tried again, and may be
/// told after later ones.)
#[track_caller]
pub fn check_ticks(world: &World, node: usize, ran: &Path) {
    let since = Instant::now();
    let mut all = rows(world, node);
    while let Some(fault) = gaps(&all) {
        assert!(since.elapsed() < DEADLINE, "{fault}");
        std::thread::sleep(Duration::from_millis(100));
        all = rows(world, node);
    }
    let text = std::fs::read_to_string(ran).unwrap();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        *seen.entry(line.rsplit_once(' ').unwrap().0).or_default() += 1;
    }
    assert!(seen.values().all(|n| *n == 1), "one attempt ran twice: {seen:#?}");
    eprintln!("{} runs in {} attempts", all.len(), seen.len());
}
