//! Reconciliation, explicit and implicit, and the kill of tasks that nobody knows.

use super::client::{Scheduler, info, with_capability};
use super::node::Node;
use serde_json::{Value, json};

async fn ask(scheduler: &Scheduler, task: &str, agent: Option<&Value>) {
    let mut named = json!({"task_id": {"value": task}});
    if let Some(agent) = agent {
        named["agent_id"] = agent.clone();
    }
    scheduler.call("RECONCILE", json!({"reconcile": {"tasks": [named]}})).await;
}

// covers: MES-0161, MES-0523, MES-0524, MES-0531, MES-0532
#[tokio::test]
async fn known_tasks_are_told_as_they_are() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("known")).await;
    let offer = scheduler.run("runs", "sleep 1000").await;
    let agent = offer["agent_id"].clone();
    for agent in [None, Some(&agent)] {
        ask(&scheduler, "runs", agent).await;
        let status = scheduler.status("runs").await;
        assert_eq!(status["state"], "TASK_RUNNING");
        assert_eq!(status["source"], "SOURCE_MASTER");
        assert_eq!(status["reason"], "REASON_RECONCILIATION");
        assert_eq!(status["agent_id"], offer["agent_id"]);
        assert_eq!(status.get("uuid"), None);
    }
    scheduler.call("REVIVE", json!({})).await;
    let offer = scheduler.offer().await;
    let short = super::client::task("over", &offer, "exit 0");
    scheduler.launch(&offer, json!([short])).await;
    scheduler.until("over", "TASK_FINISHED").await;
    scheduler.call("RECONCILE", json!({"reconcile": {"tasks": []}})).await;
    assert_eq!(scheduler.status("runs").await["reason"], "REASON_RECONCILIATION");
    // Of the one that has ended nothing is said.
    scheduler.quiet("UPDATE").await;
}

// covers: MES-0525, MES-0526, MES-0527, MES-0528, MES-0045
#[tokio::test]
async fn unknown_tasks_are_lost_gone_or_unknown() {
    let node = Node::start(&[]);
    let mut plain = Scheduler::start(&node, info("plain")).await;
    let agent = plain.offer().await["agent_id"].clone();
    let mut aware = Scheduler::start(&node, with_capability("aware", "PARTITION_AWARE")).await;
    let stranger = json!({"value": "no-such-agent"});
    for (at, plainly, awarely) in [
        (None, "TASK_LOST", "TASK_UNKNOWN"),
        (Some(&agent), "TASK_LOST", "TASK_GONE"),
        (Some(&stranger), "TASK_LOST", "TASK_UNKNOWN"),
    ] {
        for (scheduler, state) in [(&mut plain, plainly), (&mut aware, awarely)] {
            ask(scheduler, "nobody", at).await;
            let status = scheduler.status("nobody").await;
            assert_eq!(status["state"], state, "{at:?}");
            assert_eq!(status["reason"], "REASON_RECONCILIATION");
        }
    }
    for (scheduler, state) in [(&mut plain, "TASK_LOST"), (&mut aware, "TASK_UNKNOWN")] {
        scheduler.kill("nobody").await;
        assert_eq!(scheduler.status("nobody").await["state"], state);
    }
}

// covers: MES-0158
#[tokio::test]
async fn after_a_restart_a_task_is_told_once_its_agent_is_back() {
    let mut node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("stays")).await;
    scheduler.run("long", "sleep 1000").await;
    node.crash();
    let mut again = scheduler.again(&node, info("stays")).await;
    assert_eq!(again.id, scheduler.id);
    // Asked at once and again after the agent is back: never anything but that it runs.
    ask(&again, "long", None).await;
    node.until("/slaves", "the agent is back", |s| s["slaves"][0]["active"] == true).await;
    ask(&again, "long", None).await;
    let status = again.status("long").await;
    assert_eq!(status["state"], "TASK_RUNNING", "{status}");
    again.kill("long").await;
    again.until("long", "TASK_KILLED").await;
}
