//! A scheduler on the wire, in either codec: its calls are JSON values, and so are its events.

use super::node::Node;
use super::wire::{self, Answer, Stream, ask, encode};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1::scheduler::{Call, Event};
use serde_json::{Value, json};
use std::collections::VecDeque;

pub const PATH: &str = "/api/v1/scheduler";

/// Who runs the tests: the only user whose tasks any machine takes.
pub fn user() -> String {
    let uid = nix::unistd::geteuid();
    nix::unistd::User::from_uid(uid).unwrap().map_or_else(|| uid.to_string(), |u| u.name)
}

/// A framework that may lose its connection and come back.
pub fn info(name: &str) -> Value {
    json!({
        "user": user(),
        "name": name,
        "roles": ["*"],
        "failover_timeout": 600.0,
        "checkpoint": true,
        "capabilities": [{"type": "MULTI_ROLE"}],
    })
}

/// The same with a further capability.
pub fn with_capability(name: &str, capability: &str) -> Value {
    let mut info = info(name);
    info["capabilities"].as_array_mut().unwrap().push(json!({"type": capability}));
    info
}

/// A scalar resource.
pub fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

/// A command task of 0.1 cpus and 32 MB.
pub fn task(id: &str, offer: &Value, command: &str) -> Value {
    json!({
        "name": id,
        "task_id": {"value": id},
        "agent_id": offer["agent_id"],
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
        "command": {"shell": true, "value": command},
    })
}

/// The amount of a scalar in a list of resources.
pub fn amount(resources: &Value, name: &str) -> f64 {
    let all = resources.as_array().unwrap().iter();
    all.filter(|r| r["name"] == name).map(|r| r["scalar"]["value"].as_f64().unwrap()).sum()
}

/// A subscribed scheduler.
pub struct Scheduler {
    pub master: String,
    pub codec: Codec,
    pub id: String,
    pub stream_id: String,
    /// The SUBSCRIBED event's content.
    pub subscribed: Value,
    stream: Stream,
    waiting: VecDeque<Value>,
}

/// SUBSCRIBE with these contents.
pub async fn open(
    master: &str,
    codec: Codec,
    subscribe: Value,
) -> Result<(String, Stream), (u16, String)> {
    use http_body_util::BodyExt as _;
    let mut call = json!({"type": "SUBSCRIBE", "subscribe": subscribe});
    if let Some(id) = call["subscribe"]["framework_info"].get("id") {
        call["framework_id"] = id.clone();
    }
    let kind = codec.media_type();
    let headers = [("content-type", kind), ("accept", kind)];
    let body = encode::<Call>(codec, &call);
    let (response, driver) = wire::send(master, "POST", PATH, &headers, body.into()).await;
    let (head, body) = response.into_parts();
    if head.status != 200 {
        let text = body.collect().await.unwrap().to_bytes();
        return Err((head.status.as_u16(), String::from_utf8_lossy(&text).into_owned()));
    }
    assert_eq!(head.headers["content-type"], kind);
    assert_eq!(head.headers["transfer-encoding"], "chunked");
    let id = head.headers["mesos-stream-id"].to_str().unwrap().to_string();
    Ok((id, Stream::new(body, driver)))
}

/// The message of the ERROR that a subscription is answered with; the stream ends after it.
pub async fn rejected(node: &Node, subscribe: Value) -> String {
    let (_, mut stream) = open(&node.master, Codec::Json, subscribe).await.unwrap();
    let event = stream.next_as::<Event>(Codec::Json).await.unwrap();
    assert_eq!(event["type"], "ERROR", "{event}");
    assert_eq!(stream.next().await, None, "the stream ends with the ERROR");
    event["error"]["message"].as_str().unwrap().to_string()
}

impl Scheduler {
    /// A new framework over JSON.
    pub async fn start(node: &Node, info: Value) -> Self {
        Self::subscribe(node, Codec::Json, json!({"framework_info": info})).await
    }

    /// A subscription that is taken.
    pub async fn subscribe(node: &Node, codec: Codec, subscribe: Value) -> Self {
        let (stream_id, mut stream) = open(&node.master, codec, subscribe).await.unwrap();
        let event = stream.next_as::<Event>(codec).await.unwrap();
        assert_eq!(event["type"], "SUBSCRIBED", "{event}");
        let subscribed = event["subscribed"].clone();
        let id = subscribed["framework_id"]["value"].as_str().unwrap().to_string();
        let waiting = VecDeque::new();
        let master = node.master.clone();
        Self { master, codec, id, stream_id, subscribed, stream, waiting }
    }

    /// Subscribes again under its id.
    pub async fn again(&self, node: &Node, mut info: Value) -> Self {
        info["id"] = json!({"value": self.id});
        Self::subscribe(node, self.codec, json!({"framework_info": info})).await
    }

    /// A call of that type, with the fields of `body`.
    pub async fn ask(&self, kind: &str, body: Value) -> Answer {
        let mut call = json!({"type": kind, "framework_id": {"value": self.id}});
        for (name, value) in body.as_object().unwrap() {
            call[name] = value.clone();
        }
        let media = self.codec.media_type();
        let headers = [("content-type", media), ("mesos-stream-id", &self.stream_id)];
        ask(&self.master, "POST", PATH, &headers, encode::<Call>(self.codec, &call)).await
    }

    /// A call that is accepted.
    pub async fn call(&self, kind: &str, body: Value) {
        let answer = self.ask(kind, body).await;
        assert_eq!((answer.status, answer.text()), (202, ""), "{kind}");
    }

    /// The next event of the stream; nothing at its end.
    async fn next(&mut self) -> Option<Value> {
        self.stream.next_as::<Event>(self.codec).await
    }

    /// The first event that has not been taken yet and fits; others wait for their turn.
    pub async fn event(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.waiting.iter().position(&fits) {
            return self.waiting.remove(at).unwrap();
        }
        let since = std::time::Instant::now();
        loop {
            assert!(since.elapsed() < wire::DEADLINE, "not in time; seen: {:?}", self.waiting);
            let event = self.next().await.expect("the stream goes on");
            if fits(&event) {
                return event;
            }
            if event["type"] != "HEARTBEAT" {
                self.waiting.push_back(event);
            }
        }
    }

    /// The next event of that type.
    pub async fn kind(&mut self, kind: &str) -> Value {
        self.event(|e| e["type"] == kind).await
    }

    /// What comes until the stream ends.
    pub async fn rest(mut self) -> Vec<Value> {
        let mut all: Vec<Value> = self.waiting.drain(..).collect();
        while let Some(event) = self.next().await {
            if event["type"] != "HEARTBEAT" {
                all.push(event);
            }
        }
        all
    }

    /// That no event of that type comes within two heartbeats (300 ms each).
    pub async fn quiet(&mut self, kind: &str) {
        self.event(|e| e["type"] == "HEARTBEAT").await;
        self.event(|e| e["type"] == "HEARTBEAT").await;
        let came: Vec<&Value> = self.waiting.iter().filter(|e| e["type"] == kind).collect();
        assert!(came.is_empty(), "{came:?}");
    }

    /// The next offer.
    pub async fn offer(&mut self) -> Value {
        let mut event = self.kind("OFFERS").await;
        let offers = event["offers"]["offers"].as_array_mut().unwrap();
        let offer = offers.remove(0);
        if !offers.is_empty() {
            self.waiting.push_front(event);
        }
        offer
    }

    /// ACCEPT with one LAUNCH.
    pub async fn launch(&self, offer: &Value, tasks: Value) {
        self.accept(&[offer], json!([{"type": "LAUNCH", "launch": {"task_infos": tasks}}])).await;
    }

    /// ACCEPT; what is left stays away from this framework for good.
    pub async fn accept(&self, offers: &[&Value], operations: Value) {
        let ids: Vec<&Value> = offers.iter().map(|o| &o["id"]).collect();
        let filters = json!({"refuse_seconds": 1e6});
        let accept = json!({"offer_ids": ids, "operations": operations, "filters": filters});
        self.call("ACCEPT", json!({"accept": accept})).await;
    }

    /// DECLINE for so many seconds.
    pub async fn decline(&self, offer: &Value, seconds: f64) {
        let filters = json!({"refuse_seconds": seconds});
        let decline = json!({"offer_ids": [offer["id"]], "filters": filters});
        self.call("DECLINE", json!({"decline": decline})).await;
    }

    pub async fn kill(&self, task: &str) {
        self.call("KILL", json!({"kill": {"task_id": {"value": task}}})).await;
    }

    /// The task's next status, not acknowledged.
    pub async fn heard(&mut self, task: &str) -> Value {
        let is =
            |e: &Value| e["type"] == "UPDATE" && e["update"]["status"]["task_id"]["value"] == task;
        self.event(is).await["update"]["status"].clone()
    }

    /// The task's next status, acknowledged if it asks for that.
    pub async fn status(&mut self, task: &str) -> Value {
        let status = self.heard(task).await;
        self.acknowledge(&status).await;
        status
    }

    pub async fn acknowledge(&self, status: &Value) {
        if status.get("uuid").is_some() {
            let acknowledge = json!({
                "task_id": status["task_id"],
                "agent_id": status["agent_id"],
                "uuid": status["uuid"],
            });
            self.call("ACKNOWLEDGE", json!({"acknowledge": acknowledge})).await;
        }
    }

    /// The task's statuses up to this state, acknowledged.
    pub async fn until(&mut self, task: &str, state: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let status = self.status(task).await;
            let is = status["state"] == state;
            let over = ["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST"];
            let ended = over.iter().any(|s| status["state"] == *s);
            all.push(status);
            if is {
                return all;
            }
            assert!(!ended, "{task} was to be {state}: {all:#?}");
        }
    }

    /// Launches one command from the next offer and waits until it runs.
    pub async fn run(&mut self, id: &str, command: &str) -> Value {
        let offer = self.offer().await;
        self.launch(&offer, json!([task(id, &offer, command)])).await;
        self.until(id, "TASK_RUNNING").await;
        offer
    }
}

/// The names of the states.
pub fn states(statuses: &[Value]) -> Vec<&str> {
    statuses.iter().map(|s| s["state"].as_str().unwrap()).collect()
}
