//! `kill -9` of everything but the tasks, at random instants of a rolling replacement: it goes on from where it was, no instance
//! is doubled, none is lost. `MESOLITH_KILL_ROUNDS=N` does more rounds.

use super::world::{Form, World};
use crate::in_both_forms;
use mesolith::base::rng::Rng;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const ROUNDS: u64 = 3;
const INSTANCES: usize = 6;

async fn a_replacement_survives_losing_every_process(form: Form) {
    let rounds = std::env::var("MESOLITH_KILL_ROUNDS").ok().and_then(|n| n.parse().ok());
    let rounds: u64 = rounds.unwrap_or(ROUNDS);
    let mut rng = Rng::new(rounds ^ u64::from(std::process::id()));
    let mut world = World::start(form);
    let app = json!({"id": "/kept", "cmd": world.sleeper(0), "instances": INSTANCES, "cpus": 0.1,
        "mem": 16, "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.5}});
    world.deploy(app).await;
    let mut seen = BTreeSet::new();
    for round in 1..=rounds {
        let update = world.ask("PUT", "/v2/apps/kept", json!({"cmd": world.sleeper(round)})).await;
        assert_eq!(update.status, 200, "round {round}: {}", update.text());
        tokio::time::sleep(rng.up_to(Duration::from_millis(400))).await;
        world.crash();
        world.deployed().await;
        let tasks = world.running("/kept", INSTANCES).await;
        let version = world.get("/v2/apps/kept").await["app"]["version"].clone();
        for task in &tasks {
            assert_eq!(task["version"], version, "round {round}: {task:#}");
            assert!(seen.insert(task["id"].to_string()), "round {round}: {task:#} is an old one");
        }
        let now = world.sleepers(round);
        if now.len() != INSTANCES {
            let known = world.get("/v2/tasks").await;
            let told = super::wire::get(&world.master, "/mesolith/v1/tasks").await;
            for pid in &now {
                let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
                let env = read("environ").unwrap_or_default();
                let id = env.split('\0').find(|entry| entry.starts_with("MESOS_TASK_ID="));
                eprintln!("{pid}: {id:?} {:?}", read("cmdline"));
            }
            panic!("round {round}: {now:?} are not one process an instance: {known:#} {told:#}");
        }
        let old = world.sleepers(round - 1);
        assert!(old.is_empty(), "round {round}: of the old version: {old:?}");
    }
}

in_both_forms!(a_replacement_survives_losing_every_process);
