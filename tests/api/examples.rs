//! The example framework and executor, as they are handed out, against the real node.

use super::client::{Scheduler, info};
use super::executors::with_executor;
use super::node::Node;
use super::wire::DEADLINE;
use serde_json::json;
use std::path::PathBuf;
use tokio::process::Command;

/// Cargo builds the examples with the tests, beside them.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = profile.join("examples").join(name);
    assert!(path.is_file(), "{}: run `cargo build --examples` first", path.display());
    path
}

// covers: MES-0156, MES-0159
#[tokio::test]
async fn the_example_framework_runs_its_tasks_over_both_codecs() {
    let node = Node::start(&[]);
    for codec in ["json", "protobuf"] {
        let running = Command::new(example("framework"))
            .args([node.master.as_str(), "3", codec])
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(DEADLINE, running).await.expect("it ends").unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{codec}: {said}{wrong}");
        assert_eq!(said.matches(": TASK_FINISHED").count(), 3, "{said}");
    }
    let ended = node.get("/frameworks").await["completed_frameworks"].clone();
    assert_eq!(ended.as_array().unwrap().len(), 2);
}

// covers: MES-0049, MES-0169
#[tokio::test]
async fn the_example_executor_runs_tasks_and_sends_messages_back() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("example")).await;
    let offer = scheduler.offer().await;
    let command = example("executor").display().to_string();
    let one = with_executor("one", &offer, "e", &command);
    let mut two = one.clone();
    two["task_id"]["value"] = json!("two");
    scheduler.launch(&offer, json!([one, two])).await;
    for task in ["one", "two"] {
        scheduler.until(task, "TASK_RUNNING").await;
    }
    let message = json!({
        "agent_id": offer["agent_id"],
        "executor_id": {"value": "e"},
        "data": "AAH/gA==",
    });
    scheduler.call("MESSAGE", json!({"message": message})).await;
    assert_eq!(scheduler.kind("MESSAGE").await["message"]["data"], "AAH/gA==");
    scheduler.kill("one").await;
    scheduler.until("one", "TASK_KILLED").await;
    let shutdown = json!({"agent_id": offer["agent_id"], "executor_id": {"value": "e"}});
    scheduler.call("SHUTDOWN", json!({"shutdown": shutdown})).await;
    scheduler.until("two", "TASK_KILLED").await;
    assert_eq!(scheduler.kind("FAILURE").await["failure"]["executor_id"]["value"], "e");
}
