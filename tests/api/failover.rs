//! Frameworks that come back: in time, too late, changed; the master's and the node's own ends.

use super::client::{Scheduler, info, rejected, states, task, with_capability};
use super::node::Node;
use mesolith::mesos::codec::Codec;
use serde_json::json;

// covers: MES-0100, MES-0118
#[tokio::test]
async fn after_teardown_nobody_comes_back() {
    let node = Node::start(&[]);
    let scheduler = Scheduler::start(&node, info("over")).await;
    let id = scheduler.id.clone();
    scheduler.call("TEARDOWN", json!({})).await;
    scheduler.rest().await;
    let mut again = info("over");
    again["id"] = json!({"value": id});
    let text = rejected(&node, json!({"framework_info": again})).await;
    assert_eq!(text, "Framework has been removed");
}

// covers: MES-0099, MES-0117
#[tokio::test]
async fn after_its_failover_time_a_framework_is_gone() {
    let node = Node::start(&[]);
    let mut brief = info("brief");
    brief["failover_timeout"] = json!(0.5);
    let mut scheduler = Scheduler::start(&node, brief.clone()).await;
    scheduler.run("t", "sleep 1000").await;
    brief["id"] = json!({"value": scheduler.id});
    drop(scheduler);
    node.until("/frameworks", "it is removed", |f| f["frameworks"] == json!([])).await;
    let text = rejected(&node, json!({"framework_info": brief})).await;
    assert_eq!(text, "Framework has been removed");
    node.until_agent("/state", "its task is ended", |s| s["frameworks"] == json!([])).await;
}

// covers: MES-0103, MES-0106, MES-0119
#[tokio::test]
async fn who_comes_back_finds_updates_and_new_offers() {
    let node = Node::start(&[]);
    let mut first = Scheduler::start(&node, info("back")).await;
    let offer = first.offer().await;
    first.launch(&offer, json!([task("t", &offer, "sleep 1000")])).await;
    let unheard = first.heard("t").await;
    first.call("REVIVE", json!({})).await;
    let stale = first.offer().await;
    let mut second = first.again(&node, info("back")).await;
    let shown = node.get("/frameworks").await;
    assert!(shown["frameworks"][0]["reregistered_time"].as_f64().unwrap() > 1e9);
    let fresh = second.offer().await;
    assert_ne!(fresh["id"], stale["id"]);
    second.launch(&stale, json!([task("stale", &stale, "exit 0")])).await;
    assert_eq!(second.status("stale").await["state"], "TASK_LOST");
    // What the first did not acknowledge comes to the second.
    let again = second.heard("t").await;
    assert_eq!((&again["uuid"], &again["state"]), (&unheard["uuid"], &unheard["state"]));
    second.acknowledge(&again).await;
    second.until("t", "TASK_RUNNING").await;
}

// covers: MES-0114
#[tokio::test]
async fn some_of_a_framework_may_change_and_some_not() {
    let node = Node::start(&[]);
    let first = Scheduler::start(&node, info("before")).await;
    let mut changed = with_capability("after", "PARTITION_AWARE");
    changed["webui_url"] = json!("http://new");
    changed["failover_timeout"] = json!(1000.0);
    changed["user"] = json!("somebody-else");
    changed["checkpoint"] = json!(false);
    let _second = first.again(&node, changed).await;
    let shown = node.get("/frameworks").await["frameworks"][0].clone();
    assert_eq!(shown["name"], "after");
    assert_eq!(shown["webui_url"], "http://new");
    assert_eq!(shown["failover_timeout"], 1000.0);
    assert_eq!(shown["capabilities"], json!(["MULTI_ROLE", "PARTITION_AWARE"]));
    assert_eq!(shown["user"], info("x")["user"]);
    assert_eq!(shown["checkpoint"], true);
}

// covers: MES-0113, MES-0116
#[tokio::test]
async fn the_principal_of_a_framework_stays() {
    let node = Node::start(&[]);
    let mut owned = info("owned");
    owned["principal"] = json!("a");
    let scheduler = Scheduler::start(&node, owned.clone()).await;
    owned["id"] = json!({"value": scheduler.id});
    owned["principal"] = json!("b");
    let text = rejected(&node, json!({"framework_info": owned})).await;
    assert!(text.contains("Changing framework's principal is not allowed"), "{text}");
}

// covers: MES-0121, MES-0122, MES-0123, MES-0124, MES-0126, MES-0127
#[tokio::test]
async fn update_framework_changes_what_may_change() {
    let node = Node::start(&[]);
    let mut bare = info("bare");
    bare["principal"] = json!("a");
    bare["roles"] = json!([]);
    let mut scheduler = Scheduler::start(&node, bare.clone()).await;
    scheduler.quiet("OFFERS").await;
    bare["id"] = json!({"value": scheduler.id});
    for (field, value, text) in [
        ("user", json!("other"), "user"),
        ("principal", json!("b"), "principal"),
        ("checkpoint", json!(false), "checkpoint"),
    ] {
        let mut wrong = bare.clone();
        wrong[field] = value;
        let update = json!({"update_framework": {"framework_info": wrong}});
        scheduler.ask("UPDATE_FRAMEWORK", update).await.refused(400, text);
    }
    let mut better = bare.clone();
    better["name"] = json!("better");
    better["roles"] = json!(["r"]);
    better["failover_timeout"] = json!(7.0);
    better["webui_url"] = json!("http://better");
    let update = json!({"update_framework": {"framework_info": better}});
    assert_eq!(scheduler.ask("UPDATE_FRAMEWORK", update).await.status, 200);
    let shown = node.get("/frameworks").await["frameworks"][0].clone();
    assert_eq!((&shown["name"], &shown["roles"]), (&json!("better"), &json!(["r"])));
    assert_eq!(shown["failover_timeout"], 7.0);
    assert_eq!(shown["webui_url"], "http://better");
    let offer = scheduler.offer().await;
    assert_eq!(offer["allocation_info"]["role"], "r");
    better["roles"] = json!([]);
    let update = json!({"update_framework": {"framework_info": better}});
    assert_eq!(scheduler.ask("UPDATE_FRAMEWORK", update).await.status, 200);
    assert_eq!(scheduler.kind("RESCIND").await["rescind"]["offer_id"], offer["id"]);
}

// covers: MES-0064, MES-0065, MES-0158, MES-0041
#[tokio::test]
async fn a_master_that_comes_back_knows_its_frameworks_and_tasks() {
    let mut node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("stays")).await;
    let other = Scheduler::start(&node, info("gone")).await;
    scheduler.run("t", "sleep 1000").await;
    let before = scheduler.subscribed["master_info"]["id"].clone();
    node.restart();
    let mut again = scheduler.again(&node, info("stays")).await;
    assert_ne!(again.subscribed["master_info"]["id"], before);
    // The first stream has ended.
    scheduler.rest().await;
    node.until("/tasks", "the task is known", |t| t["tasks"][0]["state"] == "TASK_RUNNING").await;
    again.kill("t").await;
    let ends = again.until("t", "TASK_KILLED").await;
    assert_eq!(states(&ends), ["TASK_KILLED"]);
    // One that has not come back yet can be ended all the same.
    let body = format!("frameworkId={}", other.id);
    assert_eq!(node.post("/teardown", &[], &body).await.status, 200);
    let mut late = info("gone");
    late["id"] = json!({"value": other.id});
    rejected(&node, json!({"framework_info": late})).await;
}

#[tokio::test]
async fn tasks_outlive_a_crash_and_their_ends_are_told_later() {
    let mut node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("crash")).await;
    let go = node.dir.path().join("go");
    let wait = format!("until [ -e {} ]; do sleep 0.02; done; exit 3", go.display());
    scheduler.run("t", &wait).await;
    node.crash();
    let id = json!({"value": scheduler.id});
    let mut known = info("crash");
    known["id"] = id;
    let subscribe = json!({"framework_info": known});
    let mut again = Scheduler::subscribe(&node, Codec::Protobuf, subscribe).await;
    std::fs::write(go, "").unwrap();
    let ends = again.until("t", "TASK_FAILED").await;
    assert_eq!(ends.last().unwrap()["message"], "Command exited with status 3");
}

// covers: MES-0101, MES-0135
#[tokio::test]
async fn subscribing_again_and_again_is_harmless_and_may_bring_more_roles() {
    let node = Node::start(&[]);
    let mut single = info("same");
    single["capabilities"] = json!([]);
    single.as_object_mut().unwrap().remove("roles");
    single["role"] = json!("a");
    let mut last = Scheduler::start(&node, single.clone()).await;
    for _ in 0..5 {
        last = last.again(&node, single.clone()).await;
    }
    let mut many = info("same");
    many["roles"] = json!(["a", "b"]);
    last = last.again(&node, many).await;
    let shown = node.get("/frameworks").await;
    assert_eq!(shown["frameworks"].as_array().unwrap().len(), 1);
    assert_eq!(shown["frameworks"][0]["roles"], json!(["a", "b"]));
    assert_eq!(shown["completed_frameworks"], json!([]));
    let offer = last.offer().await;
    last.launch(&offer, json!([task("t", &offer, "exit 0")])).await;
    last.until("t", "TASK_FINISHED").await;
}

// covers: MES-0128, MES-0129
#[tokio::test]
async fn roles_are_added_suppressed_and_removed_in_one_call() {
    let node = Node::start(&[]);
    let mut framework = info("roles");
    framework["roles"] = json!([]);
    let mut scheduler = Scheduler::start(&node, framework.clone()).await;
    framework["id"] = json!({"value": scheduler.id});
    framework["roles"] = json!(["a"]);
    let added = json!({"framework_info": framework, "suppressed_roles": ["a"]});
    let answer = scheduler.ask("UPDATE_FRAMEWORK", json!({"update_framework": added})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    scheduler.quiet("OFFERS").await;
    framework["roles"] = json!(["b"]);
    let moved = json!({"framework_info": framework, "suppressed_roles": []});
    let answer = scheduler.ask("UPDATE_FRAMEWORK", json!({"update_framework": moved})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(scheduler.offer().await["allocation_info"]["role"], "b");
    let stray = json!({"framework_info": framework, "suppressed_roles": ["c"]});
    let answer = scheduler.ask("UPDATE_FRAMEWORK", json!({"update_framework": stray})).await;
    answer.refused(400, "uppressed");
}
