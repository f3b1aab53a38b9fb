//! The operator API of the real node, in both codecs: reads, and agents taken out of service and back.

use super::client::{Scheduler, info, task, with_capability};
use super::node::Node;
use super::wire::{Answer, encode};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1::master::{Call, Response};
use serde_json::{Value, json};

/// Makes a call in one codec and asks for the answer in it.
pub async fn call(node: &Node, codec: Codec, call: Value) -> Answer {
    let kind = codec.media_type();
    let headers = [("content-type", kind), ("accept", kind)];
    super::wire::ask(&node.master, "POST", "/api/v1", &headers, encode::<Call>(codec, &call)).await
}

/// The answer to a read, as JSON.
pub async fn read(node: &Node, codec: Codec, kind: &str) -> Value {
    let answer = call(node, codec, json!({ "type": kind })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), codec.media_type());
    let response: Response = codec.decode(&answer.body).unwrap();
    let shown: Value = serde_json::from_slice(&Codec::Json.encode(&response)).unwrap();
    assert_eq!(shown["type"], kind);
    shown[kind.to_ascii_lowercase()].clone()
}

/// A change that is made.
pub async fn change(node: &Node, kind: &str, body: Value) {
    let mut whole = json!({ "type": kind });
    whole[kind.to_ascii_lowercase()] = body;
    let answer = call(node, Codec::Json, whole).await;
    assert_eq!((answer.status, answer.text()), (200, ""), "{kind}");
}

pub async fn agent(node: &Node) -> Value {
    let seen = node.until("/slaves", "it is active", |s| s["slaves"][0]["active"] == true).await;
    json!({ "value": seen["slaves"][0]["id"] })
}

// covers: MES-0194, MES-0195, MES-0196, MES-0197, MES-0198, MES-0203, MES-0212, MES-0236
#[tokio::test]
async fn reads_show_the_same_in_both_codecs() {
    let node = Node::start(&["--cluster=named"]);
    let id = agent(&node).await;
    let mut scheduler = Scheduler::start(&node, info("seen")).await;
    scheduler.run("t", "sleep 1000").await;
    for codec in [Codec::Json, Codec::Protobuf] {
        assert_eq!(read(&node, codec, "GET_HEALTH").await, json!({"healthy": true}));
        let flags = read(&node, codec, "GET_FLAGS").await;
        let flags = flags["flags"].as_array().unwrap();
        assert!(flags.contains(&json!({"name": "cluster", "value": "named"})), "{flags:?}");
        let version = read(&node, codec, "GET_VERSION").await;
        assert_eq!(version["version_info"]["version"], node.get("/version").await["version"]);
        let master = read(&node, codec, "GET_MASTER").await;
        assert_eq!(master["master_info"]["pid"], format!("master@{}", node.master));
        assert!(master["elected_time"].as_f64() >= master["start_time"].as_f64());
        let agents = read(&node, codec, "GET_AGENTS").await;
        let agent = &agents["agents"][0];
        assert_eq!((&agent["agent_info"]["id"], &agent["active"]), (&id, &json!(true)));
        for resources in ["total_resources", "allocated_resources"] {
            assert!(agent[resources].is_array(), "{resources}: {agent}");
        }
        let tasks = read(&node, codec, "GET_TASKS").await;
        assert_eq!(tasks["tasks"][0]["task_id"]["value"], "t");
        let frameworks = read(&node, codec, "GET_FRAMEWORKS").await;
        assert_eq!(frameworks["frameworks"][0]["framework_info"]["name"], "seen");
        let state = read(&node, codec, "GET_STATE").await;
        assert_eq!(state["get_tasks"], tasks);
        assert_eq!(state["get_agents"]["agents"][0]["agent_info"], agent["agent_info"]);
        let roles = read(&node, codec, "GET_ROLES").await;
        assert_eq!(roles["roles"][0]["name"], "*");
        read(&node, codec, "GET_EXECUTORS").await;
        read(&node, codec, "GET_WEIGHTS").await;
        read(&node, codec, "GET_OPERATIONS").await;
    }
    change(&node, "TEARDOWN", json!({"framework_id": {"value": scheduler.id}})).await;
    let frameworks = read(&node, Codec::Json, "GET_FRAMEWORKS").await;
    assert_eq!(frameworks["frameworks"], Value::Null, "an empty list is left out");
    assert_eq!(frameworks["completed_frameworks"][0]["framework_info"]["name"], "seen");
}

#[tokio::test]
async fn bad_calls_are_refused_in_the_originals_words() {
    let node = Node::start(&[]);
    let id = agent(&node).await;
    let expecting =
        |field: &str| format!("Failed to validate master::Call: Expecting '{field}' to be present");
    call(&node, Codec::Json, json!({})).await.refused(400, &expecting("type"));
    for kind in
        ["DRAIN_AGENT", "DEACTIVATE_AGENT", "REACTIVATE_AGENT", "MARK_AGENT_GONE", "TEARDOWN"]
    {
        let answer = call(&node, Codec::Protobuf, json!({ "type": kind })).await;
        answer.refused(400, &expecting(&kind.to_ascii_lowercase()));
    }
    let negative = json!({"type": "DRAIN_AGENT",
        "drain_agent": {"agent_id": id, "max_grace_period": {"seconds": -1}}});
    call(&node, Codec::Json, negative).await.refused(400, "not negative");
    let nobody = json!({"agent_id": {"value": "nobody"}});
    for (kind, field) in [("DRAIN_AGENT", "drain_agent"), ("MARK_AGENT_GONE", "mark_agent_gone")] {
        let answer = call(&node, Codec::Json, json!({"type": kind, field: nobody})).await;
        answer.refused(404, "Agent 'nobody' not found");
    }
    let in_service = json!({"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": id}});
    call(&node, Codec::Json, in_service).await.refused(400, "Agent is not deactivated");
    call(&node, Codec::Json, json!({"type": "GET_QUOTA"})).await.refused(501, "GET_QUOTA");
    let json = [("content-type", "application/json"), ("accept", "text/html")];
    let health = r#"{"type": "GET_HEALTH"}"#;
    node.post("/api/v1", &json, health).await.refused(406, "Accept");
    assert_eq!(agent(&node).await, id, "nothing has changed");
}

// covers: MES-0582, MES-0357
#[tokio::test]
async fn a_drained_agent_ends_its_tasks_and_is_put_back() {
    let mut node = Node::start(&[]);
    let id = agent(&node).await;
    let mut scheduler = Scheduler::start(&node, with_capability("app", "PARTITION_AWARE")).await;
    scheduler.run("t", "trap '' TERM; while :; do sleep 0.05; done").await;
    let how = json!({"agent_id": id, "max_grace_period": {"seconds": 600}});
    change(&node, "DRAIN_AGENT", how).await;
    let shown = node.get("/slaves").await["slaves"][0].clone();
    assert_eq!((&shown["active"], &shown["deactivated"]), (&json!(false), &json!(true)));
    assert_eq!(shown["drain_info"]["state"], "DRAINING");
    assert!(shown["estimated_drain_start_time_seconds"].as_f64().unwrap() > 1e9);
    let told = node.get_agent("/state").await;
    assert_eq!(told["drain_config"]["max_grace_period"]["nanoseconds"], 600_000_000_000_u64);
    // The node comes back as it was: master, agent and task.
    node.restart();
    let mut scheduler = scheduler.again(&node, with_capability("app", "PARTITION_AWARE")).await;
    node.until("/slaves", "it still drains", |s| {
        s["slaves"][0]["drain_info"]["state"] == "DRAINING"
    })
    .await;
    let ended = scheduler.until("t", "TASK_KILLED").await.pop().unwrap();
    assert_eq!(ended["reason"], "REASON_AGENT_DRAINING", "{ended}");
    node.until("/state", "it is drained", |s| s["slaves"][0]["drain_info"]["state"] == "DRAINED")
        .await;
    scheduler.call("REVIVE", json!({})).await;
    scheduler.quiet("OFFERS").await;
    change(&node, "REACTIVATE_AGENT", json!({"agent_id": id})).await;
    let offer = scheduler.offer().await;
    assert_eq!(offer["agent_id"], id);
    scheduler.launch(&offer, json!([task("u", &offer, "sleep 1000")])).await;
    scheduler.until("u", "TASK_RUNNING").await;
}

// covers: MES-0237, MES-0239
#[tokio::test]
async fn a_gone_agent_ends_with_its_tasks() {
    let node = Node::start(&[]);
    let id = agent(&node).await;
    let mut scheduler = Scheduler::start(&node, with_capability("app", "PARTITION_AWARE")).await;
    scheduler.run("t", "sleep 1000").await;
    let gone = json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": id}});
    assert_eq!(call(&node, Codec::Json, gone).await.status, 200);
    let ended = scheduler.until("t", "TASK_GONE_BY_OPERATOR").await.pop().unwrap();
    assert_eq!(ended["reason"], "REASON_AGENT_REMOVED_BY_OPERATOR", "{ended}");
}
