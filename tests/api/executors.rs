//! The executor API: the test plays the executor, beside a process that only sleeps.

use super::client::{Scheduler, info, scalar, task};
use super::node::Node;
use super::wire::{self, Answer, Stream, ask, encode};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1::executor::{Call, Event};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/executor";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A uuid in JSON, made of one byte.
const UUID: &str = "AQEBAQEBAQEBAQEBAQEBAQ==";

pub fn with_executor(id: &str, offer: &Value, executor: &str, command: &str) -> Value {
    let mut task = task(id, offer, "");
    task.as_object_mut().unwrap().remove("command");
    task["data"] = json!("aGVsbG8=");
    task["executor"] = json!({
        "type": "CUSTOM",
        "executor_id": {"value": executor},
        "name": "tested",
        "source": "tests",
        "labels": {"labels": [{"key": "tier", "value": "x"}]},
        "command": {"shell": true, "value": command},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
    });
    task
}

/// An executor on the wire.
struct Executor {
    agent: String,
    framework: String,
    id: String,
    codec: Codec,
    stream: Stream,
}

impl Executor {
    /// Subscribes; SUBSCRIBED's content.
    async fn subscribe(node: &Node, framework: &str, id: &str, codec: Codec) -> (Self, Value) {
        let call = json!({
            "type": "SUBSCRIBE",
            "framework_id": {"value": framework},
            "executor_id": {"value": id},
            "subscribe": {},
        });
        let kind = codec.media_type();
        // JSON needs no asking for.
        let mut headers = vec![("content-type", kind)];
        if codec == Codec::Protobuf {
            headers.push(("accept", kind));
        }
        let body = encode::<Call>(codec, &call);
        let (response, driver) = wire::send(&node.agent, "POST", PATH, &headers, body.into()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], kind);
        let stream = Stream::new(response.into_body(), driver);
        let (agent, framework) = (node.agent.clone(), framework.to_string());
        let mut this = Self { agent, framework, id: id.to_string(), codec, stream };
        let subscribed = this.event("SUBSCRIBED").await["subscribed"].clone();
        (this, subscribed)
    }

    /// The next event of that type; others but heartbeats are a failure.
    async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = self.stream.next_as::<Event>(self.codec).await.expect("the stream goes on");
            if event["type"] == kind {
                return event;
            }
            assert_eq!(event["type"], "HEARTBEAT", "{event}");
        }
    }

    async fn call(&self, kind: &str, body: Value) -> Answer {
        let mut call = json!({
            "type": kind,
            "framework_id": {"value": self.framework},
            "executor_id": {"value": self.id},
        });
        for (name, value) in body.as_object().unwrap() {
            call[name] = value.clone();
        }
        let headers = [("content-type", self.codec.media_type())];
        ask(&self.agent, "POST", PATH, &headers, encode::<Call>(self.codec, &call)).await
    }

    /// UPDATE with a status; `uuid` is one byte, repeated.
    async fn update(&self, task: &str, state: &str, change: Value) -> Answer {
        let mut status = json!({
            "task_id": {"value": task},
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "uuid": UUID,
        });
        for (name, value) in change.as_object().unwrap() {
            match value.is_null() {
                true => drop(status.as_object_mut().unwrap().remove(name)),
                false => status[name] = value.clone(),
            }
        }
        self.call("UPDATE", json!({"update": {"status": status}})).await
    }
}

/// Waits until the executor's process runs, so that it may subscribe.
async fn running(node: &Node, executor: &str) {
    node.until_agent("/containers", "the executor runs", |all| {
        all.as_array().unwrap().iter().any(|c| c["executor_id"] == executor)
    })
    .await;
}

// covers: MES-0179, MES-0180, MES-0181, MES-0182, MES-0183, MES-0184, MES-0187, MES-0188
#[tokio::test]
async fn a_request_that_is_no_call_is_refused() {
    let node = Node::start(&[]);
    let post = |headers: Vec<(&'static str, &'static str)>, body: String| {
        let agent = &node.agent;
        async move { ask(agent, "POST", PATH, &headers, body).await }
    };
    let call = |kind: &str, body: &str| {
        format!(
            "{{\"type\": \"{kind}\", \"framework_id\": {{\"value\": \"f\"}}, \
             \"executor_id\": {{\"value\": \"e\"}}{body}}}"
        )
    };
    let subscribe = call("SUBSCRIBE", ", \"subscribe\": {}");
    post(vec![], subscribe.clone()).await.refused(400, "Expecting 'Content-Type' to be present");
    post(vec![("content-type", "application/unknown")], subscribe.clone()).await.refused(415, "");
    let json = "{\"string\": \"valid_json\"}";
    post(vec![JSON], json.into()).await.refused(400, "Failed to convert JSON into Call protobuf");
    post(vec![JSON], "MALFORMED".into()).await.refused(400, "Failed to parse body into JSON");
    let protobuf = ("content-type", "application/x-protobuf");
    post(vec![protobuf], "MALFORMED".into()).await.refused(400, "Failed to parse body into Call");
    post(vec![JSON], subscribe.clone()).await.refused(400, "Framework cannot be found");
    let message = call("MESSAGE", ", \"message\": {\"data\": \"aGVsbG8=\"}");
    post(vec![JSON], message).await.refused(400, "Framework cannot be found");
    for (kind, field) in [("UPDATE", "update"), ("MESSAGE", "message"), ("SUBSCRIBE", "subscribe")]
    {
        let text = format!("Failed to validate Executor::Call: Expecting '{field}' to be present");
        post(vec![JSON], call(kind, "")).await.refused(400, &text);
    }
    let answer = ask(&node.agent, "GET", PATH, &[JSON], "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    post(vec![JSON, ("accept", "foo")], subscribe).await.refused(406, "");
    assert_eq!(node.get_agent("/state").await["frameworks"], json!([]));
}

// covers: MES-0186, MES-0189, MES-0191, MES-0015, MES-0017, MES-0296, MES-0298, MES-0050
#[tokio::test]
async fn an_executor_subscribes_runs_a_task_and_tells_of_it() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("played")).await;
    for (codec, name) in [(Codec::Json, "json"), (Codec::Protobuf, "protobuf")] {
        scheduler.call("REVIVE", json!({})).await;
        let offer = scheduler.offer().await;
        let sent = with_executor(&format!("t-{name}"), &offer, name, "sleep 1000");
        scheduler.launch(&offer, json!([sent])).await;
        running(&node, name).await;
        let (mut executor, subscribed) =
            Executor::subscribe(&node, &scheduler.id, name, codec).await;
        assert_eq!(subscribed["executor_info"]["executor_id"]["value"], name);
        assert_eq!(subscribed["framework_info"]["name"], "played");
        assert_eq!(subscribed["agent_info"]["id"], offer["agent_id"]);
        assert!(subscribed["container_id"]["value"].as_str().is_some_and(|c| !c.is_empty()));
        let launch = executor.event("LAUNCH").await;
        let task = format!("t-{name}");
        assert_eq!(launch["launch"]["task"]["task_id"]["value"], task.as_str());
        assert_eq!(launch["launch"]["task"]["data"], "aGVsbG8=");
        for (change, text) in [
            (json!({"uuid": null}), "Expecting 'uuid' to be present"),
            (json!({"uuid": "AQE="}), "Not a valid UUID"),
            (json!({"source": "SOURCE_MASTER"}), "expecting 'SOURCE_EXECUTOR'"),
            (json!({"state": "TASK_STAGING"}), "Received TASK_STAGING from executor"),
            (json!({"executor_id": {"value": "x"}}), "does not match ExecutorID in TaskStatus: x"),
        ] {
            let answer = executor.update(&task, "TASK_RUNNING", change).await;
            answer.refused(400, "Failed to validate Executor::Call: ");
            assert!(answer.text().contains(text), "{}", answer.text());
        }
        let labels = json!({"labels": [{"key": "a", "value": "1"}, {"key": "a"}]});
        let told = json!({"labels": labels, "data": "aGVsbG8=", "message": "here"});
        assert_eq!(executor.update(&task, "TASK_RUNNING", told).await.status, 202);
        let heard = scheduler.status(&task).await;
        assert_eq!(heard["state"], "TASK_RUNNING");
        assert_eq!(heard["data"], "aGVsbG8=");
        assert_eq!(heard["executor_id"]["value"], name);
        let acknowledged = executor.event("ACKNOWLEDGED").await;
        assert_eq!(acknowledged["acknowledged"]["uuid"], UUID);
        let shown = json!([{"key": "a", "value": "1"}, {"key": "a"}]);
        let master = node
            .until("/tasks", "the label is shown", |s| {
                let all = s["tasks"].as_array().unwrap().iter();
                let mut mine = all.filter(|t| t["id"] == task.as_str());
                mine.any(|t| t["statuses"][0]["labels"] == shown)
            })
            .await;
        assert!(master["tasks"].is_array());
        for state in [node.get("/state").await, node.get_agent("/state").await] {
            let mut executors = state["frameworks"][0]["executors"].as_array().unwrap().iter();
            let mine = executors
                .find(|e| e["executor_id"] == name || e["id"] == name)
                .expect("the executor is shown");
            assert_eq!(mine["labels"], json!([{"key": "tier", "value": "x"}]));
        }
    }
}

// covers: MES-0049, MES-0169, MES-0163
#[tokio::test]
async fn messages_go_both_ways_and_shutdown_ends_the_executor() {
    let node = Node::start(&["--executor-shutdown-grace-period=500ms"]);
    let mut scheduler = Scheduler::start(&node, info("talks")).await;
    let offer = scheduler.offer().await;
    let sent = with_executor("t", &offer, "e", "sleep 1000");
    scheduler.launch(&offer, json!([sent])).await;
    running(&node, "e").await;
    let (mut executor, _) = Executor::subscribe(&node, &scheduler.id, "e", Codec::Protobuf).await;
    executor.event("LAUNCH").await;
    executor.update("t", "TASK_RUNNING", json!({})).await;
    scheduler.until("t", "TASK_RUNNING").await;
    executor.event("ACKNOWLEDGED").await;
    let target = json!({"agent_id": offer["agent_id"], "executor_id": {"value": "e"}});
    let mut message = target.clone();
    message["data"] = json!("AAH/gA==");
    scheduler.call("MESSAGE", json!({"message": message})).await;
    assert_eq!(executor.event("MESSAGE").await["message"]["data"], "AAH/gA==");
    let answer = executor.call("MESSAGE", json!({"message": {"data": "/wAB"}})).await;
    assert_eq!(answer.status, 202);
    let heard = scheduler.kind("MESSAGE").await;
    assert_eq!(heard["message"]["data"], "/wAB");
    assert_eq!(heard["message"]["executor_id"]["value"], "e");
    scheduler.call("SHUTDOWN", json!({"shutdown": target})).await;
    executor.event("SHUTDOWN").await;
    let failure = scheduler.kind("FAILURE").await["failure"].clone();
    assert_eq!(failure["agent_id"], offer["agent_id"]);
    assert_eq!(failure["executor_id"]["value"], "e");
    assert!(failure["status"].is_number(), "{failure}");
    let last = scheduler.status("t").await;
    assert!(["TASK_FAILED", "TASK_LOST", "TASK_KILLED"].iter().any(|s| last["state"] == *s));
}

#[tokio::test]
async fn an_executor_that_does_not_subscribe_in_time_is_ended() {
    let node = Node::start(&["--executor-registration-timeout=1secs"]);
    let mut scheduler = Scheduler::start(&node, info("late")).await;
    let offer = scheduler.offer().await;
    let sent = with_executor("t", &offer, "e", "sleep 1000");
    scheduler.launch(&offer, json!([sent])).await;
    let last = scheduler.until("t", "TASK_FAILED").await.pop().unwrap();
    assert_eq!(last["reason"], "REASON_EXECUTOR_REGISTRATION_TIMEOUT", "{last}");
    assert_eq!(scheduler.kind("FAILURE").await["failure"]["executor_id"]["value"], "e");
}

// covers: MES-0107, MES-0108, MES-0109
#[tokio::test]
async fn a_new_scheduler_takes_over_the_executors_of_the_old() {
    let node = Node::start(&[]);
    let mut first = Scheduler::start(&node, info("handed over")).await;
    let offer = first.offer().await;
    first.launch(&offer, json!([with_executor("t", &offer, "e", "sleep 1000")])).await;
    running(&node, "e").await;
    let (mut executor, _) = Executor::subscribe(&node, &first.id, "e", Codec::Json).await;
    executor.event("LAUNCH").await;
    executor.update("t", "TASK_RUNNING", json!({})).await;
    first.until("t", "TASK_RUNNING").await;
    executor.event("ACKNOWLEDGED").await;
    let mut second = first.again(&node, info("handed over")).await;
    let kill = json!({"kill": {"task_id": {"value": "t"}}});
    first.ask("KILL", kill).await.refused(400, "didn't match the stream ID");
    let message = json!({
        "agent_id": offer["agent_id"], "executor_id": {"value": "e"}, "data": "AQID"
    });
    second.call("MESSAGE", json!({"message": message})).await;
    // Had the old one's kill been taken, KILL would come before the message.
    assert_eq!(executor.event("MESSAGE").await["message"]["data"], "AQID");
    executor.call("MESSAGE", json!({"message": {"data": "BAUG"}})).await;
    assert_eq!(second.kind("MESSAGE").await["message"]["data"], "BAUG");
    assert!(first.rest().await.iter().all(|e| e["type"] != "MESSAGE"));
}

// covers: MES-0111
#[tokio::test]
async fn an_executor_that_ends_while_its_framework_is_away_frees_what_it_held() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("away")).await;
    let offer = scheduler.offer().await;
    let go = node.dir.path().join("go");
    let wait = format!("until [ -e {} ]; do sleep 0.02; done; exit 3", go.display());
    scheduler.launch(&offer, json!([with_executor("t", &offer, "e", &wait)])).await;
    running(&node, "e").await;
    let (mut executor, _) = Executor::subscribe(&node, &scheduler.id, "e", Codec::Json).await;
    executor.event("LAUNCH").await;
    executor.update("t", "TASK_RUNNING", json!({})).await;
    scheduler.until("t", "TASK_RUNNING").await;
    let id = json!({"value": scheduler.id});
    drop(scheduler);
    node.until("/frameworks", "it is away", |f| f["frameworks"][0]["active"] == false).await;
    std::fs::write(go, "").unwrap();
    node.until("/slaves", "nothing is used", |s| s["slaves"][0]["used_resources"]["cpus"] == 0.0)
        .await;
    let mut known = info("away");
    known["id"] = id;
    let mut again = Scheduler::start(&node, known).await;
    let last = again.status("t").await;
    assert_eq!(last["state"], "TASK_FAILED");
    assert_eq!(last["reason"], "REASON_EXECUTOR_TERMINATED");
    let offer = again.offer().await;
    assert_eq!(super::client::amount(&offer["resources"], "cpus"), 2.0);
}
