//! Command tasks: arguments, users, kills and their grace, and what a framework is told of each.

use super::client::{Scheduler, info, states, task, user, with_capability};
use super::node::{Node, contained};
use super::wire::ask;
use serde_json::{Value, json};

/// What the task wrote, as the agent serves it, once it is whole lines.
pub async fn wrote(node: &Node, scheduler: &Scheduler, task: &str) -> String {
    let file = format!(
        "/files/read?path=/frameworks/{}/executors/{task}/runs/latest/stdout&offset=0",
        scheduler.id
    );
    let whole = |v: &Value| v["data"].as_str().is_some_and(|d| d.ends_with('\n'));
    let read = node.until_agent(&file, "a line is written", whole).await;
    read["data"].as_str().unwrap().to_string()
}

// covers: MES-0318
#[tokio::test]
async fn arguments_reach_the_task_as_they_are() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("arguments")).await;
    let offer = scheduler.offer().await;
    let mut echo = task("echo", &offer, "");
    let arguments = ["sh", "-c", "printf '[%s]' \"$0\" \"$@\"; echo", "a b", "$HOME", "*"];
    echo["command"] = json!({"shell": false, "value": "/bin/sh", "arguments": arguments});
    let mut plain = task("plain", &offer, "");
    plain["command"] =
        json!({"shell": false, "value": "/bin/echo", "arguments": ["x", "--version", "y"]});
    scheduler.launch(&offer, json!([echo, plain])).await;
    for name in ["echo", "plain"] {
        scheduler.until(name, "TASK_FINISHED").await;
    }
    assert_eq!(wrote(&node, &scheduler, "echo").await, "[a b][$HOME][*]\n");
    assert_eq!(wrote(&node, &scheduler, "plain").await, "--version y\n");
}

// covers: MES-0044, MES-0162, MES-0319, MES-0403
#[tokio::test]
async fn a_kill_sends_term_and_leaves_the_grace_it_names() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("kills")).await;
    let trap = "trap 'sleep 0.2; echo tidied; exit 0' TERM; echo ready; \
                while :; do sleep 0.05; done";
    let deaf = "trap '' TERM; echo deaf; while :; do sleep 0.05; done";
    let offer = scheduler.offer().await;
    let mut polite = task("polite", &offer, trap);
    polite["kill_policy"] = json!({"grace_period": {"nanoseconds": 20_000_000_000_u64}});
    let mut stubborn = task("stubborn", &offer, deaf);
    stubborn["kill_policy"] = json!({"grace_period": {"nanoseconds": 700_000_000}});
    scheduler.launch(&offer, json!([polite, stubborn])).await;
    for (name, says) in [("polite", "ready\n"), ("stubborn", "deaf\n")] {
        scheduler.until(name, "TASK_RUNNING").await;
        assert_eq!(wrote(&node, &scheduler, name).await, says);
    }
    let since = std::time::Instant::now();
    scheduler.kill("stubborn").await;
    let ends = scheduler.until("stubborn", "TASK_KILLED").await;
    // Without the capability no TASK_KILLING is told.
    assert_eq!(states(&ends), ["TASK_KILLED"]);
    let took = since.elapsed().as_secs_f64();
    assert!((0.7..15.0).contains(&took), "{took}");
    scheduler.kill("polite").await;
    assert_eq!(states(&scheduler.until("polite", "TASK_KILLED").await), ["TASK_KILLED"]);
    assert_eq!(wrote(&node, &scheduler, "polite").await, "ready\ntidied\n");
}

// covers: MES-0404
#[tokio::test]
async fn a_framework_that_wants_to_know_is_told_of_the_killing() {
    let node = Node::start(&[]);
    let framework = with_capability("killing", "TASK_KILLING_STATE");
    let mut scheduler = Scheduler::start(&node, framework).await;
    scheduler.run("t", "sleep 1000").await;
    scheduler.kill("t").await;
    let ends = scheduler.until("t", "TASK_KILLED").await;
    assert_eq!(states(&ends), ["TASK_KILLING", "TASK_KILLED"]);
}

#[tokio::test]
async fn a_kill_right_after_the_launch_is_not_lost() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("hasty")).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, json!([task("t", &offer, "sleep 1000")])).await;
    scheduler.kill("t").await;
    scheduler.until("t", "TASK_KILLED").await;
}

#[tokio::test]
async fn an_exit_status_that_is_not_zero_is_a_failure_with_its_reason() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("fails")).await;
    let offer = scheduler.offer().await;
    let mut absent = task("absent", &offer, "");
    absent["command"] = json!({"shell": false, "value": "/no/such/program"});
    let tasks =
        json!([task("seven", &offer, "exit 7"), task("dies", &offer, "kill -9 $$"), absent]);
    scheduler.launch(&offer, tasks).await;
    let last = |mut all: Vec<Value>| all.pop().unwrap();
    let seven = last(scheduler.until("seven", "TASK_FAILED").await);
    assert_eq!(seven["message"], "Command exited with status 7");
    let dies = last(scheduler.until("dies", "TASK_FAILED").await);
    assert_eq!(dies["message"], "Command terminated with signal Killed");
    let absent = last(scheduler.until("absent", "TASK_FAILED").await);
    assert!(!absent["message"].as_str().unwrap().is_empty());
}

// covers: MES-0322, MES-0323, MES-0324
#[tokio::test]
async fn a_task_runs_as_the_user_of_its_command_or_framework() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("users")).await;
    let offer = scheduler.offer().await;
    let by_framework = task("framework", &offer, "id -un; touch mine");
    let other = if contained() { "nobody".to_string() } else { user() };
    let mut by_command = task("command", &offer, "id -un; touch mine");
    by_command["command"]["user"] = json!(other);
    scheduler.launch(&offer, json!([by_framework, by_command])).await;
    for (name, user) in [("framework", user()), ("command", other)] {
        scheduler.until(name, "TASK_FINISHED").await;
        assert_eq!(wrote(&node, &scheduler, name).await, format!("{user}\n"));
    }
    if !contained() {
        return;
    }
    scheduler.call("REVIVE", json!({})).await;
    let offer = scheduler.offer().await;
    let mut stranger = task("stranger", &offer, "true");
    stranger["command"]["user"] = json!("no-such-user");
    scheduler.launch(&offer, json!([stranger])).await;
    let last = scheduler.until("stranger", "TASK_FAILED").await.pop().unwrap();
    assert!(last["message"].as_str().unwrap().contains("no-such-user"), "{last}");
    // The agent goes on.
    scheduler.call("REVIVE", json!({})).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, json!([task("after", &offer, "true")])).await;
    scheduler.until("after", "TASK_FINISHED").await;
}

// covers: MES-0043, MES-0120, MES-0110
#[tokio::test]
async fn without_failover_time_the_end_of_the_stream_ends_the_tasks() {
    let node = Node::start(&[]);
    let mut fleeting = info("fleeting");
    fleeting["failover_timeout"] = json!(0.0);
    let mut scheduler = Scheduler::start(&node, fleeting).await;
    let offer = scheduler.run("t", "sleep 1000").await;
    drop(scheduler);
    node.until("/frameworks", "the framework is completed", |f| {
        f["frameworks"] == json!([]) && f["completed_frameworks"][0]["name"] == "fleeting"
    })
    .await;
    node.until_agent("/state", "the executor ends", |s| s["frameworks"] == json!([])).await;
    // All it had is offered to the next.
    let mut next = Scheduler::start(&node, info("next")).await;
    let again = next.offer().await;
    assert_eq!(again["agent_id"], offer["agent_id"]);
    assert_eq!(super::client::amount(&again["resources"], "cpus"), 2.0);
}

// covers: MES-0035, MES-0040
#[tokio::test]
async fn an_operator_tears_a_framework_down() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("torn")).await;
    scheduler.run("t", "sleep 1000").await;
    node.post("/teardown", &[], "").await.refused(400, "Missing 'frameworkId'");
    node.post("/master/teardown", &[], "frameworkId=nobody").await.refused(400, "");
    assert_eq!(ask(&node.master, "GET", "/teardown", &[], "").await.status, 405);
    let body = format!("frameworkId={}", scheduler.id);
    assert_eq!(node.post("/master/teardown", &[], &body).await.status, 200);
    let id = scheduler.id.clone();
    scheduler.rest().await;
    let path = format!("/frameworks?framework_id={id}");
    let seen = node.until(&path, "it is completed", |f| f["frameworks"] == json!([])).await;
    assert_eq!(seen["completed_frameworks"][0]["id"], id.as_str());
    node.until_agent("/state", "the executor ends", |s| s["frameworks"] == json!([])).await;
}
