//! Instances of apps on agents that are drained, or that an operator says are gone: they move.

use super::wire;
use super::world::{Form, World, until};
use serde_json::{Value, json};

/// Makes one of the master's calls about an agent.
async fn operate(world: &World, kind: &str, agent: &str, more: Value) {
    let field = kind.to_ascii_lowercase();
    let mut call = json!({"type": kind});
    call[&field] = more;
    call[&field]["agent_id"] = json!({"value": agent});
    let headers = [("content-type", "application/json")];
    let answer = wire::ask(&world.master, "POST", "/api/v1", &headers, call.to_string()).await;
    assert_eq!((answer.status, answer.text()), (200, ""), "{kind}");
}

async fn agents(world: &World, count: usize) -> Vec<String> {
    let is_active = |a: &&Value| a["active"] == true;
    let of = |seen: &Value| {
        let all = seen["slaves"].as_array().unwrap().iter().filter(is_active);
        all.map(|a| a["id"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    of(&until(&world.master, "/slaves", "all agents are there", |s| of(s).len() == count).await)
}

/// How many of the app's tasks run, all of them on that agent.
async fn all_on(world: &World, agent: &str, count: usize) {
    let what = format!("{count} run on {agent}");
    world
        .until("/v2/apps/moves/tasks", &what, |seen| {
            let all: Vec<&Value> = seen["tasks"].as_array().unwrap().iter().collect();
            let there = |t: &&&Value| t["state"] == "TASK_RUNNING" && t["slaveId"] == agent;
            all.len() == count && all.iter().filter(there).count() == count
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_leave_an_agent_that_is_drained_or_gone() {
    let mut world = World::start(Form::Hosted);
    let first = agents(&world, 1).await.remove(0);
    world.join_agent().await;
    let second = agents(&world, 2).await.into_iter().find(|id| *id != first).unwrap();
    operate(&world, "DEACTIVATE_AGENT", &first, json!({})).await;
    world
        .deploy(json!({"id": "/moves", "cmd": world.sleeper(1), "cpus": 0.01, "mem": 16,
            "instances": 3}))
        .await;
    all_on(&world, &second, 3).await;
    operate(&world, "REACTIVATE_AGENT", &first, json!({})).await;
    operate(&world, "DRAIN_AGENT", &second, json!({"max_grace_period": {"seconds": 2}})).await;
    all_on(&world, &first, 3).await;
    until(&world.master, "/slaves", "it is drained", |s| {
        let all = s["slaves"].as_array().unwrap();
        all.iter().any(|a| a["id"] == second.as_str() && a["drain_info"]["state"] == "DRAINED")
    })
    .await;
    assert_eq!(world.sleepers(1).len(), 3, "nothing is left there");
    // In service again it gets tasks; then an operator says that it is gone.
    operate(&world, "REACTIVATE_AGENT", &second, json!({})).await;
    operate(&world, "DEACTIVATE_AGENT", &first, json!({})).await;
    let more = world.ask("PUT", "/v2/apps/moves", json!({"instances": 5})).await;
    assert_eq!(more.status, 200, "{}", more.text());
    world.running("/moves", 5).await;
    operate(&world, "REACTIVATE_AGENT", &first, json!({})).await;
    operate(&world, "MARK_AGENT_GONE", &second, json!({})).await;
    all_on(&world, &first, 5).await;
    assert!(world.other_ended(), "a gone agent ends, and its tasks with it");
    assert_eq!(world.sleepers(1).len(), 5);
}
