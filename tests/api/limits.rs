//! What a container may not take: memory beyond its limit, processes without end. Needs real containers.

use super::client::{Scheduler, info, task};
use super::node::{Node, contained};
use serde_json::json;

#[tokio::test]
async fn too_much_memory_fails_the_task_with_its_reason() {
    if !contained() {
        return eprintln!("SKIPPED the memory limit: needs root");
    }
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("memory")).await;
    let offer = scheduler.offer().await;
    // A hundred megabytes in one shell variable, where 32 are allowed.
    let hog = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x}; sleep 1000";
    scheduler.launch(&offer, json!([task("hog", &offer, hog)])).await;
    let last = scheduler.until("hog", "TASK_FAILED").await.pop().unwrap();
    assert_eq!(last["reason"], "REASON_CONTAINER_LIMITATION_MEMORY", "{last}");
    assert!(last["message"].as_str().unwrap().contains("Memory limit exceeded"), "{last}");
    assert_eq!(last["source"], "SOURCE_AGENT");
}

// covers: MES-0402
#[tokio::test]
async fn limits_hold_and_are_told_after_a_restart() {
    if !contained() {
        return eprintln!("SKIPPED the memory limit after a restart: needs root");
    }
    let mut node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("memory")).await;
    let go = node.dir.path().join("go");
    let hog = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x}; sleep 1000";
    scheduler
        .run("hog", &format!("until [ -e {} ]; do sleep 0.02; done; {hog}", go.display()))
        .await;
    node.restart();
    let mut again = scheduler.again(&node, info("memory")).await;
    std::fs::write(go, "").unwrap();
    let last = again.until("hog", "TASK_FAILED").await.pop().unwrap();
    assert_eq!(last["reason"], "REASON_CONTAINER_LIMITATION_MEMORY", "{last}");
    assert!(last["message"].as_str().unwrap().contains("Memory limit exceeded"), "{last}");
}

#[tokio::test]
async fn a_task_that_gives_up_at_its_limit_of_processes_says_so() {
    if !contained() {
        return eprintln!("SKIPPED the limit of processes: needs root");
    }
    let node = Node::start(&["--pids-limit=40"]);
    let mut scheduler = Scheduler::start(&node, info("forks")).await;
    let offer = scheduler.offer().await;
    let all_at_once = "for n in $(seq 100); do sleep 1000 & done";
    scheduler.launch(&offer, json!([task("quitter", &offer, all_at_once)])).await;
    let told = scheduler.until("quitter", "TASK_FAILED").await;
    let why = told.last().unwrap()["message"].as_str().unwrap();
    assert!(why.contains("(it may have 40 processes and threads, "), "{why}");
}

#[tokio::test]
async fn a_fork_bomb_is_limited_and_can_be_killed() {
    if !contained() {
        return eprintln!("SKIPPED the limit of processes: needs root");
    }
    let node = Node::start(&["--pids-limit=40"]);
    let mut scheduler = Scheduler::start(&node, info("forks")).await;
    // The one that forks gives up at the limit; the task itself stays.
    let bomb = "(while :; do sleep 1000 & done) 2>/dev/null; exec sleep 1000";
    let offer = scheduler.offer().await;
    let mut fork = task("bomb", &offer, bomb);
    fork["kill_policy"] = json!({"grace_period": {"nanoseconds": 100_000_000}});
    scheduler.launch(&offer, json!([fork])).await;
    scheduler.until("bomb", "TASK_RUNNING").await;
    let processes = |all: &serde_json::Value| all[0]["statistics"]["processes"].as_u64();
    let seen = node
        .until_agent("/containers", "the bomb has grown", |all| {
            processes(all).is_some_and(|n| n >= 30) || all == &json!([])
        })
        .await;
    // Either it lives at its limit, or the shell has given up.
    assert!(processes(&seen).is_none_or(|n| n <= 40), "{seen}");
    // The node has all it needs to run others.
    let mut other = Scheduler::start(&node, info("other")).await;
    let offer = other.offer().await;
    other.launch(&offer, json!([task("fine", &offer, "true")])).await;
    other.until("fine", "TASK_FINISHED").await;
    scheduler.kill("bomb").await;
    let last = scheduler.status("bomb").await;
    assert!(["TASK_KILLED", "TASK_FAILED"].iter().any(|s| last["state"] == *s), "{last}");
    node.until_agent("/containers", "nothing of it is left", |all| all == &json!([])).await;
}
