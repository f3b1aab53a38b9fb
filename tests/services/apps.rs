//! Apps from their definition to their sandbox: run, kept, healed, explained, scaled, removed.

use super::wire;
use super::world::{Form, World};
use serde_json::{Value, json};

/// The tutorial's first app: created, run, ended, run again; its sandbox is read through the master.
// covers: MAR-0593
async fn the_first_app_runs_and_is_started_again(form: Form) {
    let world = World::start(form);
    let hello = json!({"id": "hello2", "cmd": "echo hello; sleep 1", "mem": 16, "cpus": 0.1,
        "instances": 1, "disk": 0.0, "ports": [0]});
    let answer = world.ask("POST", "/v2/apps", hello).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(!answer.header("marathon-deployment-id").is_empty());
    let app: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(app["id"], "/hello2");
    assert_eq!(app["deployments"].as_array().unwrap().len(), 1);
    world.deployed().await;
    let first = world.running("/hello2", 1).await[0]["id"].clone();
    world
        .until("/v2/apps/hello2/tasks", "another task runs", |seen| {
            let tasks = seen["tasks"].as_array().unwrap();
            tasks.iter().any(|t| t["id"] != first && t["state"] == "TASK_RUNNING")
        })
        .await;
    let state = wire::get(&world.master, "/state").await;
    let framework =
        state["frameworks"].as_array().unwrap().iter().find(|f| f["name"] == "marathon");
    let ended = framework.unwrap()["completed_tasks"].as_array().unwrap().clone();
    let task = ended.iter().find(|t| t["id"] == first).expect("the first task has ended");
    assert_eq!(task["state"], "TASK_FINISHED");
    let (id, framework) = (task["id"].as_str().unwrap(), task["framework_id"].as_str().unwrap());
    let agent = task["slave_id"].as_str().unwrap();
    let path = format!(
        "/files/read?path={}/agent/slaves/{agent}/frameworks/{framework}/executors/{id}/runs/latest/stdout&offset=0",
        world.data().display()
    );
    let read = wire::get(&world.master, &path).await;
    assert_eq!(read["data"], "hello\n");
}

async fn a_killed_instance_is_replaced(form: Form) {
    let world = World::start(form);
    world
        .deploy(
            json!({"id": "/two", "cmd": world.sleeper(1), "instances": 2, "cpus": 0.1, "mem": 16}),
        )
        .await;
    let before = world.running("/two", 2).await;
    let victim = world.sleepers(1)[0];
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim), nix::sys::signal::SIGKILL).unwrap();
    world
        .until("/v2/apps/two/tasks", "two run, one of them new", |seen| {
            let running: Vec<_> = seen["tasks"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|t| t["state"] == "TASK_RUNNING")
                .collect();
            let new = running.iter().filter(|t| before.iter().all(|b| b["id"] != t["id"])).count();
            running.len() == 2 && new == 1
        })
        .await;
    let app = world.get("/v2/apps/two").await;
    assert_eq!(app["app"]["lastTaskFailure"]["state"], "TASK_FAILED", "{app:#}");
}

// covers: MAR-0628
async fn what_cannot_be_placed_is_explained(form: Form) {
    let world = World::start(form);
    let large = json!({"id": "/large", "cmd": "sleep 1", "cpus": 64, "mem": 16});
    assert_eq!(world.ask("POST", "/v2/apps", large).await.status, 201);
    let seen = world
        .until("/v2/queue", "an offer was turned down", |seen| {
            seen["queue"][0]["processedOffersSummary"]["unusedOffersCount"].as_u64() > Some(0)
        })
        .await;
    let item = &seen["queue"][0];
    assert_eq!(item["app"]["id"], "/large");
    assert_eq!(item["count"], 1);
    let rejects = item["processedOffersSummary"]["rejectSummaryLastOffers"].as_array().unwrap();
    let cpus = rejects.iter().find(|r| r["reason"] == "InsufficientCpus").unwrap();
    assert_eq!((&cpus["declined"], &cpus["processed"]), (&json!(1), &json!(1)));
    let deployment = world.get("/v2/deployments").await[0]["id"].clone();
    let path = format!("/v2/deployments/{}?force=true", deployment.as_str().unwrap());
    assert_eq!(world.ask("DELETE", &path, Value::Null).await.status, 202);
    world.deployed().await;
}

async fn scaled_locked_killed_removed(form: Form) {
    let world = World::start(form);
    world.deploy(json!({"id": "/g/a", "cmd": world.sleeper(2), "cpus": 0.1, "mem": 16})).await;
    let scaled = world.ask("PUT", "/v2/apps/g/a", json!({"instances": 5})).await;
    assert_eq!(scaled.status, 200, "{}", scaled.text());
    world.deployed().await;
    let tasks = world.running("/g/a", 5).await;
    let ports: std::collections::BTreeSet<u64> =
        tasks.iter().map(|t| t["ports"][0].as_u64().unwrap()).collect();
    assert_eq!(ports.len(), 5, "each has a port of its own");
    let kill = json!({"ids": [tasks[0]["id"], tasks[1]["id"]]});
    let killed = world.ask("POST", "/v2/tasks/delete?scale=true", kill).await;
    assert_eq!(killed.status, 200, "{}", killed.text());
    world.deployed().await;
    world.running("/g/a", 3).await;
    assert_eq!(world.get("/v2/apps/g/a").await["app"]["instances"], 3);
    let removed = world.ask("DELETE", "/v2/groups/g", Value::Null).await;
    assert_eq!(removed.status, 200, "{}", removed.text());
    world.deployed().await;
    assert_eq!(world.get("/v2/apps").await["apps"], json!([]));
    assert!(world.sleepers(2).is_empty());
}

async fn bad_input_is_refused_whole(form: Form) {
    let world = World::start(form);
    let bad = json!({"id": "Bad_Id", "cmd": "x", "instances": "many", "cpus": -1});
    let refused = world.ask("POST", "/v2/apps", bad).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let told: Value = serde_json::from_slice(&refused.body).unwrap();
    let paths: Vec<&str> =
        told["details"].as_array().unwrap().iter().map(|d| d["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"/id") && paths.contains(&"/instances"), "{told:#}");
    assert_eq!(world.ask("PUT", "/v2/apps//none/restart", Value::Null).await.status, 405);
    assert_eq!(world.ask("POST", "/v2/apps/none/restart", Value::Null).await.status, 404);
    let json = [("content-type", "application/json")];
    let broken = wire::ask(&world.marathon, "POST", "/v2/apps", &json, "{\"id\":").await;
    assert_eq!(broken.status, 400, "{}", broken.text());
    assert_eq!(world.get("/v2/apps").await["apps"], json!([]));
}

in_both_forms!(
    the_first_app_runs_and_is_started_again,
    a_killed_instance_is_replaced,
    what_cannot_be_placed_is_explained,
    scaled_locked_killed_removed,
    bad_input_is_refused_whole,
);

use crate::in_both_forms;
