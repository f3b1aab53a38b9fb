//! Processes and machines that die, while an app and a job run and values are written.

use super::ask::CHRONOS;
use super::history;
use super::load::Load;
use super::node::until;
use super::tasks::Lost;
use super::world::{World, rounds};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What an operator sets who wants lost machines replaced at once.
const SOON: &str = "--agent-loss-timeout=2s";

/// The job `tick`, every five seconds; its runs write down their planned time, attempt and task.
#[track_caller]
fn tick(world: &World) -> PathBuf {
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

/// Every five seconds has one run, which has run once.
#[track_caller]
fn check_ticks(world: &World, node: usize, ran: &Path) {
    let mut all = Vec::new();
    until("the runs of the job are told", || {
        all = rows(world, node);
        all.len() > 2
    });
    let dues: Vec<i64> = all.iter().map(|row| row["due"].as_i64().unwrap()).collect();
    // The first is due when the job is registered.
    let apart = dues[1..].windows(2).map(|pair| pair[1] - pair[0]);
    assert!(apart.clone().all(|ms| ms == 5000), "gaps or doubles: {dues:?}");
    assert!(all.iter().all(|row| row["outcome"] == "success"), "{all:#?}");
    let text = std::fs::read_to_string(ran).unwrap();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        *seen.entry(line.rsplit_once(' ').unwrap().0).or_default() += 1;
    }
    assert!(seen.values().all(|n| *n == 1), "one attempt ran twice: {seen:#?}");
    eprintln!("{} runs, {} of them over in {} attempts", dues.len(), all.len(), seen.len());
}

#[test]
fn the_leader_dies_and_then_its_machine() {
    let Some(mut world) = World::start(3, 3, &[]) else { return };
    world.deploy(1, "/web", 1, 9, Lost::ReplacedAtOnce);
    assert_eq!(world.spread(1), BTreeMap::from([(1, 3), (2, 3), (3, 3)]), "an equal part each");
    let ran = tick(&world);
    let all = [1, 2, 3];
    for round in 0..rounds() {
        let before = world.processes(1);
        let load = Load::begin(&world, &all, &format!("a{round}"));
        until("writes are under way", || load.acknowledged() > 10);
        let leader = world.leader_among(&all);
        world.node(leader).kill();
        let at = load.acknowledged();
        world.up(leader);
        world.leader_among(&all);
        until("writes go on", || load.acknowledged() > at + 10);
        world.wait_for_voters(3);
        world.wait_for_agents(3);
        history::check(&world, &all, &load.end());
        assert_eq!(world.processes(1), before, "the same processes, of the same tasks");
        check_ticks(&world, leader, &ran);
    }
    world.restart_with(SOON);
    for round in 0..rounds() {
        let load = Load::begin(&world, &all, &format!("b{round}"));
        until("writes are under way", || load.acknowledged() > 10);
        let leader = world.leader_among(&all);
        let others = world.others(&[leader]);
        let kept = |world: &World| -> BTreeSet<i32> {
            let each = others.iter().map(|n| world.nodes[n - 1].tasks(&world.sleeper(1)));
            each.flat_map(|tasks| tasks.into_keys()).collect()
        };
        let before = kept(&world);
        world.node(leader).kill_everything();
        until("the lost instances run elsewhere", || {
            let running = world.running(others[0], "/web");
            running.len() == 9 && running.values().all(|host| others.contains(host))
        });
        let after = kept(&world);
        assert!(after.is_superset(&before), "tasks of the others are untouched");
        assert_eq!(after.len(), 9);
        world.up(leader);
        world.wait_for_voters(3);
        world.wait_for_agents(3);
        history::check(&world, &all, &load.end());
        check_ticks(&world, others[1], &ran);
    }
}
