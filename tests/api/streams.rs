//! The operator's event stream of the real node, in both codecs: a picture, heartbeats, and all that happens since.

use super::client::{Scheduler, info, task, with_capability};
use super::node::Node;
use super::wire::{self, Answer, DEADLINE, Stream, encode};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1::master::{Call, Event};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const BOTH: [Codec; 2] = [Codec::Json, Codec::Protobuf];

/// An operator who listens.
struct Listener {
    codec: Codec,
    stream: Stream,
    /// What SUBSCRIBED said.
    subscribed: Value,
}

impl Listener {
    async fn open(node: &Node, codec: Codec) -> Self {
        let kind = codec.media_type();
        let headers = [("content-type", kind), ("accept", kind)];
        let body = encode::<Call>(codec, &json!({"type": "SUBSCRIBE"}));
        let (response, driver) =
            wire::send(&node.master, "POST", "/api/v1", &headers, body.into()).await;
        let (head, body) = response.into_parts();
        if head.status != 200 {
            panic!("{}: {:?}", head.status, body.collect().await.unwrap().to_bytes());
        }
        assert_eq!(head.headers["content-type"], kind);
        assert_eq!(head.headers["transfer-encoding"], "chunked");
        let mut stream = Stream::new(body, driver);
        let first = stream.next_as::<Event>(codec).await.unwrap();
        assert_eq!(first["type"], "SUBSCRIBED", "{first}");
        let second = stream.next_as::<Event>(codec).await.unwrap();
        assert_eq!(second, json!({"type": "HEARTBEAT"}));
        Self { codec, stream, subscribed: first["subscribed"].clone() }
    }

    /// The next event, heartbeats included; nothing at the end.
    async fn any(&mut self) -> Option<Value> {
        self.stream.next_as::<Event>(self.codec).await
    }

    /// The next event but heartbeats; nothing at the end.
    async fn next(&mut self) -> Option<Value> {
        let since = Instant::now();
        loop {
            assert!(since.elapsed() < DEADLINE, "nothing but heartbeats came");
            let event = self.any().await?;
            if event["type"] != "HEARTBEAT" {
                return Some(event);
            }
        }
    }

    /// The next event, which is of that kind: its content.
    async fn told(&mut self, kind: &str) -> Value {
        let event = self.next().await.expect("the stream goes on");
        assert_eq!(event["type"], kind, "{event}");
        event[kind.to_ascii_lowercase()].clone()
    }

    /// Updates of the task up to that state.
    async fn updated(&mut self, framework: &str, id: &str, state: &str) {
        loop {
            let update = self.told("TASK_UPDATED").await;
            assert_eq!(update["framework_id"]["value"], framework);
            assert_eq!(update["status"]["task_id"]["value"], id);
            if update["state"] == state {
                return;
            }
        }
    }
}

async fn ask(node: &Node, codec: Codec, call: Value) -> Answer {
    let kind = codec.media_type();
    let headers = [("content-type", kind), ("accept", kind)];
    wire::ask(&node.master, "POST", "/api/v1", &headers, encode::<Call>(codec, &call)).await
}

async fn metric(node: &Node, name: &str) -> f64 {
    let all = node.get("/metrics/snapshot").await;
    all[format!("master/{name}")].as_f64().unwrap_or_else(|| panic!("{name} in {all}"))
}

// covers: MES-0222, MES-0223, MES-0225
#[tokio::test]
async fn the_life_of_a_task_is_told_in_order_in_both_codecs() {
    let node = Node::start(&[]);
    let seen = node.until("/slaves", "it is active", |s| s["slaves"][0]["active"] == true).await;
    let agent = &seen["slaves"][0]["id"];
    let mut listeners = Vec::new();
    for codec in BOTH {
        let listener = Listener::open(&node, codec).await;
        let state = &listener.subscribed["get_state"];
        assert_eq!(state["get_agents"]["agents"][0]["agent_info"]["id"]["value"], *agent);
        assert_eq!(listener.subscribed["heartbeat_interval_seconds"], 0.3);
        listeners.push(listener);
    }
    assert_eq!(metric(&node, "operator_event_stream_subscribers").await, 2.0);
    let mut scheduler = Scheduler::start(&node, with_capability("app", "PARTITION_AWARE")).await;
    let framework = scheduler.id.clone();
    scheduler.run("t", "sleep 1000").await;
    // One that comes later has all that in its picture, and is told the rest as the others.
    let later = Listener::open(&node, Codec::Json).await;
    let state = later.subscribed["get_state"].clone();
    assert_eq!(state["get_tasks"]["tasks"][0]["state"], "TASK_RUNNING");
    assert_eq!(state["get_frameworks"]["frameworks"][0]["framework_info"]["name"], "app");
    scheduler.kill("t").await;
    scheduler.until("t", "TASK_KILLED").await;
    let teardown = json!({"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework}}});
    assert_eq!(ask(&node, Codec::Json, teardown).await.status, 200);
    let gone =
        json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": agent}}});
    assert_eq!(ask(&node, Codec::Json, gone).await.status, 200);
    for listener in &mut listeners {
        let added = listener.told("FRAMEWORK_ADDED").await["framework"].clone();
        assert_eq!(added["framework_info"]["name"], "app");
        assert_eq!((&added["active"], &added["connected"]), (&json!(true), &json!(true)));
        let task = listener.told("TASK_ADDED").await["task"].clone();
        assert_eq!(
            (&task["task_id"]["value"], &task["state"]),
            (&json!("t"), &json!("TASK_STAGING"))
        );
        assert_eq!(task["agent_id"]["value"], *agent);
        listener.updated(&framework, "t", "TASK_RUNNING").await;
    }
    listeners.push(later);
    for listener in &mut listeners {
        listener.updated(&framework, "t", "TASK_KILLED").await;
        let removed = listener.told("FRAMEWORK_REMOVED").await;
        assert_eq!(removed["framework_info"]["id"]["value"], framework);
        let removed = listener.told("AGENT_REMOVED").await;
        assert_eq!(removed["agent_id"]["value"], *agent);
    }
}

// covers: MES-0226
#[tokio::test]
async fn heartbeats_come_at_the_interval_that_was_told() {
    let node = Node::start(&["--heartbeat-interval=500ms"]);
    let since = Instant::now();
    let mut listener = Listener::open(&node, Codec::Protobuf).await;
    assert_eq!(listener.subscribed["heartbeat_interval_seconds"], 0.5);
    let mut count = 0;
    while count < 4 {
        count += u32::from(listener.any().await.unwrap()["type"] == "HEARTBEAT");
    }
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(2), "4 after the first in {took:?}");
}

// covers: MES-0224
#[tokio::test]
async fn what_a_health_check_finds_is_told() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("healthy")).await;
    let offer = scheduler.offer().await;
    let mut listener = Listener::open(&node, Codec::Json).await;
    let mut checked = task("t", &offer, "sleep 1000");
    checked["health_check"] = json!({
        "type": "COMMAND", "command": {"value": "true"},
        "delay_seconds": 0.0, "interval_seconds": 0.2, "grace_period_seconds": 30.0,
    });
    scheduler.launch(&offer, json!([checked])).await;
    listener.told("TASK_ADDED").await;
    loop {
        let update = listener.told("TASK_UPDATED").await;
        let status = &update["status"];
        if status["reason"] == "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED" {
            let told = (&update["state"], &status["healthy"]);
            assert_eq!(told, (&json!("TASK_RUNNING"), &json!(true)));
            break;
        }
        // A status waits for the acknowledgement of the one before.
        scheduler.status("t").await;
    }
}

// covers: MES-0227
#[tokio::test]
async fn beyond_the_limit_the_oldest_stream_ends() {
    let node = Node::start(&["--max-operator-event-stream-subscribers=2"]);
    let mut first = Listener::open(&node, Codec::Json).await;
    let mut second = Listener::open(&node, Codec::Json).await;
    let mut third = Listener::open(&node, Codec::Protobuf).await;
    while first.next().await.is_some() {}
    assert_eq!(metric(&node, "operator_event_stream_subscribers").await, 2.0);
    let _scheduler = Scheduler::start(&node, info("app")).await;
    for listener in [&mut second, &mut third] {
        while listener.next().await.expect("it goes on")["type"] != "FRAMEWORK_ADDED" {}
    }
    drop(second);
    let since = Instant::now();
    while metric(&node, "operator_event_stream_subscribers").await != 1.0 {
        assert!(since.elapsed() < DEADLINE, "who goes away is forgotten");
    }
}

#[tokio::test]
async fn who_reads_too_slowly_loses_the_stream_and_nobody_else() {
    let node = Node::start(&[]);
    let scheduler = Scheduler::start(&node, info("large")).await;
    let kind = Codec::Json.media_type();
    let headers = [("content-type", kind), ("accept", kind)];
    let body = Bytes::from(r#"{"type": "SUBSCRIBE"}"#);
    // Its body is not read: what the connection does not hold waits in the master.
    let (stuck, _driver) = wire::send(&node.master, "POST", "/api/v1", &headers, body).await;
    let mut reader = Listener::open(&node, Codec::Json).await;
    assert_eq!(metric(&node, "operator_event_stream_subscribers").await, 2.0);
    let mut rounds = 0;
    while metric(&node, "slow_operator_event_streams").await == 0.0 {
        rounds += 1;
        assert!(rounds < 100, "100 MB wait for a reader");
        let mut large = info(&format!("large {rounds}"));
        large["id"] = json!({"value": scheduler.id});
        large["labels"] = json!({"labels": [{"key": "x", "value": "x".repeat(1 << 20)}]});
        let update = json!({"framework_info": large});
        let answer = scheduler.ask("UPDATE_FRAMEWORK", json!({"update_framework": update})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        loop {
            let event = reader.next().await.expect("it goes on");
            if event["type"] == "FRAMEWORK_UPDATED" {
                let framework = &event["framework_updated"]["framework"];
                assert_eq!(framework["framework_info"]["name"], format!("large {rounds}"));
                break;
            }
        }
    }
    assert!(rounds > 8, "it ended after {rounds} MB");
    assert_eq!(metric(&node, "operator_event_stream_subscribers").await, 1.0);
    let rest = tokio::time::timeout(DEADLINE, stuck.into_body().collect()).await;
    assert!(rest.is_ok(), "the stream has ended");
}

// covers: MES-0230
#[tokio::test]
async fn a_stream_ends_with_its_master_and_the_next_one_takes_another() {
    let mut node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("app")).await;
    scheduler.run("t", "sleep 1000").await;
    let mut listener = Listener::open(&node, Codec::Json).await;
    node.crash();
    while listener.next().await.is_some() {}
    let listener = Listener::open(&node, Codec::Json).await;
    let state = &listener.subscribed["get_state"];
    let agents = &state["get_agents"];
    assert!(agents["agents"].is_array() || agents["recovered_agents"].is_array(), "{state}");
    assert_eq!(state["get_frameworks"]["frameworks"][0]["framework_info"]["name"], "app");
    let health = ask(&node, Codec::Json, json!({"type": "GET_HEALTH"})).await;
    assert_eq!(health.json()["get_health"]["healthy"], true);
}

// covers: MES-0199, MES-0204, MES-0205
#[tokio::test]
async fn metrics_and_verbosity_are_told_in_both_codecs() {
    let node = Node::start(&[]);
    for codec in BOTH {
        let read = async |call: Value| {
            let answer = ask(&node, codec, call).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let response: mesolith::mesos::v1::master::Response =
                codec.decode(&answer.body).unwrap();
            serde_json::from_slice::<Value>(&Codec::Json.encode(&response)).unwrap()
        };
        let names = |told: &Value| -> Vec<String> {
            let all = told["get_metrics"]["metrics"].as_array().unwrap().iter();
            all.map(|m| m["name"].as_str().unwrap().to_string()).collect()
        };
        let timeout = json!({"nanoseconds": 5_000_000_000_u64});
        for how in [json!({}), json!({"timeout": timeout})] {
            let told = read(json!({"type": "GET_METRICS", "get_metrics": how})).await;
            let names = names(&told);
            for name in ["master/elected", "master/tasks_running", "system/cpus_total"] {
                assert!(names.iter().any(|n| n == name), "{name}: {names:?}");
            }
        }
        let at_once = json!({"timeout": {"nanoseconds": 0}});
        let told = read(json!({"type": "GET_METRICS", "get_metrics": at_once})).await;
        let names = names(&told);
        assert!(!names.iter().any(|n| n == "system/cpus_total"), "no time to ask: {names:?}");
        ask(&node, codec, json!({"type": "GET_METRICS"})).await.refused(400, "'get_metrics'");
        let level = read(json!({"type": "GET_LOGGING_LEVEL"})).await;
        assert!(level["get_logging_level"]["level"].is_u64(), "{level}");
    }
    let set = |level: u32, nanoseconds: i64| {
        let how = json!({"level": level, "duration": {"nanoseconds": nanoseconds}});
        ask(&node, Codec::Json, json!({"type": "SET_LOGGING_LEVEL", "set_logging_level": how}))
    };
    let level = async || {
        let told = ask(&node, Codec::Json, json!({"type": "GET_LOGGING_LEVEL"})).await.json();
        told["get_logging_level"]["level"].as_u64().unwrap()
    };
    let usual = level().await;
    set(3, -1).await.refused(400, "duration");
    assert_eq!(set(3, 400_000_000).await.status, 200);
    assert_eq!(level().await, 3);
    let since = Instant::now();
    while level().await != usual {
        assert!(since.elapsed() < DEADLINE, "it goes back by itself");
    }
}

// covers: MES-0210, MES-0234
#[tokio::test]
async fn roles_and_their_weights_are_told() {
    let node = Node::start(&["--weights=eng=2"]);
    let roles = json!(["eng"]);
    let mut app = info("app");
    app["roles"] = roles;
    let mut scheduler = Scheduler::start(&node, app).await;
    scheduler.run("t", "sleep 1000").await;
    let weights = ask(&node, Codec::Json, json!({"type": "GET_WEIGHTS"})).await.json();
    assert_eq!(weights["get_weights"]["weight_infos"], json!([{"role": "eng", "weight": 2.0}]));
    let told = ask(&node, Codec::Json, json!({"type": "GET_ROLES"})).await.json();
    let roles = told["get_roles"]["roles"].as_array().unwrap();
    let eng = roles.iter().find(|role| role["name"] == "eng").unwrap();
    assert_eq!(eng["weight"], 2.0);
    assert_eq!(eng["frameworks"], json!([{"value": scheduler.id}]));
    assert!(super::client::amount(&eng["resources"], "cpus") > 0.0, "{eng}");
}
