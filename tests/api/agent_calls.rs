//! The agent's operator API on the wire, in either codec: what it tells, containers by their names, and streams of what
//! commands write and read.

use super::client::{Scheduler, info};
use super::node::Node;
use super::wire::{self, Answer, DEADLINE, Stream, ask, encode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use mesolith::mesos::codec::Codec;
use mesolith::mesos::recordio;
use mesolith::mesos::v1::agent::{Call, ProcessIo, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATH: &str = "/api/v1";
const RECORDIO: &str = "application/recordio";

/// A call; the answer as it came.
pub async fn call(agent: &str, path: &str, codec: Codec, call: &Value) -> Answer {
    let kind = codec.media_type();
    let headers = [("content-type", kind), ("accept", kind)];
    ask(agent, "POST", path, &headers, encode::<Call>(codec, call)).await
}

/// The content of a call's answer.
pub async fn told(agent: &str, codec: Codec, asked: &Value) -> Value {
    let answer = call(agent, PATH, codec, asked).await;
    assert_eq!(answer.status, 200, "{asked}: {}", String::from_utf8_lossy(&answer.body));
    let json = match codec {
        Codec::Json => answer.body.to_vec(),
        Codec::Protobuf => Codec::Json.encode(&codec.decode::<Response>(&answer.body).unwrap()),
    };
    let json: Value = serde_json::from_slice(&json).unwrap();
    let kind = asked["type"].as_str().unwrap();
    assert_eq!(json["type"], kind);
    json[kind.to_lowercase()].clone()
}

/// The name of the container that a task was told to have.
pub fn container(status: &Value) -> Value {
    status["container_status"]["container_id"].clone()
}

pub fn nested(name: &str, parent: &Value) -> Value {
    json!({"value": name, "parent": parent})
}

/// What a command writes, until it ends.
pub struct Session {
    stream: Stream,
    codec: Codec,
}

impl Session {
    pub async fn open(agent: &str, path: &str, codec: Codec, asked: Value) -> Self {
        let kind = codec.media_type();
        let headers = [("content-type", kind), ("accept", RECORDIO), ("message-accept", kind)];
        let body = encode::<Call>(codec, &asked);
        let (response, driver) = wire::send(agent, "POST", path, &headers, body.into()).await;
        let (head, body) = response.into_parts();
        if head.status != 200 {
            let text = body.collect().await.unwrap().to_bytes();
            panic!("{}: {}", head.status, String::from_utf8_lossy(&text));
        }
        assert_eq!(head.headers["content-type"], RECORDIO);
        assert_eq!(head.headers["message-content-type"], kind);
        Self { stream: Stream::new(body, driver), codec }
    }

    /// The next piece, and whether it is of the errors.
    async fn next(&mut self) -> Option<(bool, String)> {
        loop {
            let record = self.stream.next_as::<ProcessIo>(self.codec).await?;
            if record["type"] == "CONTROL" {
                assert_eq!(record["control"]["type"], "HEARTBEAT");
                continue;
            }
            let data = &record["data"];
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(data["data"].as_str().unwrap())
                .unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Some((data["type"] == "STDERR", text));
        }
    }

    pub async fn until(&mut self, wanted: &str) -> String {
        let mut all = String::new();
        while !all.contains(wanted) {
            all += &self.next().await.unwrap_or_else(|| panic!("the end came first: {all:?}")).1;
        }
        all
    }

    /// All output and all errors.
    pub async fn rest(mut self) -> (String, String) {
        let (mut output, mut errors) = (String::new(), String::new());
        while let Some((is_error, text)) = self.next().await {
            match is_error {
                true => errors += &text,
                false => output += &text,
            }
        }
        (output, errors)
    }
}

/// The records of an ATTACH_CONTAINER_INPUT under way.
pub struct Input {
    records: mpsc::Sender<Bytes>,
    codec: Codec,
    answer: tokio::task::JoinHandle<(u16, String)>,
}

impl Input {
    pub fn open(agent: &str, path: &str, codec: Codec) -> Self {
        let (records, mut sent) = mpsc::channel::<Bytes>(16);
        let (agent, path) = (agent.to_string(), path.to_string());
        let answer = tokio::spawn(async move {
            let tcp = TcpStream::connect(&agent).await.unwrap();
            let body = futures_util::stream::poll_fn(move |cx| {
                sent.poll_recv(cx).map(|r| r.map(|b| Ok::<_, Infallible>(Frame::data(b))))
            });
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.unwrap();
            tokio::spawn(async move {
                // Its errors are those of the request.
                let _ = connection.await;
            });
            let request = hyper::Request::builder()
                .method("POST")
                .uri(path)
                .header("host", agent)
                .header("content-type", RECORDIO)
                .header("message-content-type", codec.media_type())
                .body(StreamBody::new(body))
                .unwrap();
            let (head, body) = sender.send_request(request).await.unwrap().into_parts();
            let text = body.collect().await.unwrap().to_bytes();
            (head.status.as_u16(), String::from_utf8_lossy(&text).into_owned())
        });
        Self { records, codec, answer }
    }

    pub async fn send(&self, input: Value) {
        let call = json!({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": input});
        let record = recordio::frame(&encode::<Call>(self.codec, &call));
        // Who was refused reads no more.
        let _ = self.records.send(record.into()).await;
    }

    pub async fn to(&self, id: &Value) {
        self.send(json!({"type": "CONTAINER_ID", "container_id": id})).await;
    }

    pub async fn text(&self, text: &str) {
        use base64::Engine as _;
        let data = base64::engine::general_purpose::STANDARD.encode(text);
        let data = json!({"type": "STDIN", "data": data});
        let io = json!({"type": "DATA", "data": data});
        self.send(json!({"type": "PROCESS_IO", "process_io": io})).await;
    }

    pub async fn size(&self, rows: u32, columns: u32) {
        let tty = json!({"window_size": {"rows": rows, "columns": columns}});
        let io = json!({"type": "CONTROL", "control": {"type": "TTY_INFO", "tty_info": tty}});
        self.send(json!({"type": "PROCESS_IO", "process_io": io})).await;
    }

    pub async fn answer(self) -> (u16, String) {
        drop(self.records);
        timeout(DEADLINE, self.answer).await.expect("an answer in time").unwrap()
    }
}

fn session(id: &Value, shell: &str) -> Value {
    json!({
        "type": "LAUNCH_NESTED_CONTAINER_SESSION",
        "launch_nested_container_session": {
            "container_id": id,
            "command": {"shell": true, "value": shell},
        },
    })
}

fn with_tty(mut asked: Value) -> Value {
    asked["launch_nested_container_session"]["container"] = json!({
        "type": "MESOS", "tty_info": {"window_size": {"rows": 20, "columns": 60}},
    });
    asked
}

fn of(kind: &str, id: &Value) -> Value {
    json!({"type": kind, kind.to_lowercase(): {"container_id": id}})
}

/// A task that runs, and its container's name.
async fn running(node: &Node, scheduler: &mut Scheduler) -> Value {
    let offer = scheduler.offer().await;
    let task = super::client::task("t", &offer, "exec sleep 1000");
    scheduler.launch(&offer, json!([task])).await;
    let statuses = scheduler.until("t", "TASK_RUNNING").await;
    assert!(!node.agent.is_empty());
    container(statuses.last().unwrap())
}

// covers: MES-0243, MES-0244, MES-0245, MES-0246, MES-0247, MES-0248, MES-0249, MES-0253, MES-0254, MES-0255
#[tokio::test]
async fn what_an_agent_tells_of_itself_its_tasks_and_files() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("told")).await;
    let offer = scheduler.offer().await;
    let task = super::client::task("t", &offer, "echo written; exec sleep 1000");
    scheduler.launch(&offer, json!([task])).await;
    scheduler.until("t", "TASK_RUNNING").await;
    for codec in [Codec::Json, Codec::Protobuf] {
        let get = async |kind: &str, body: Value| {
            let mut asked = json!({"type": kind});
            if !body.is_null() {
                asked[kind.to_lowercase()] = body;
            }
            told(&node.agent, codec, &asked).await
        };
        assert_eq!(get("GET_HEALTH", Value::Null).await["healthy"], true);
        let flags = get("GET_FLAGS", Value::Null).await;
        assert!(flags["flags"].is_array(), "{flags}");
        assert!(get("GET_VERSION", Value::Null).await["version_info"]["version"].is_string());
        let metrics = get("GET_METRICS", json!({})).await;
        let metrics = metrics["metrics"].as_array().unwrap();
        assert!(metrics.iter().any(|m| m["name"] == "slave/tasks_running" && m["value"] == 1.0));
        let agent = get("GET_AGENT", Value::Null).await;
        assert_eq!(agent["agent_info"]["id"], offer["agent_id"]);
        let tasks = get("GET_TASKS", Value::Null).await;
        assert_eq!(tasks["launched_tasks"][0]["task_id"]["value"], "t");
        let state = get("GET_STATE", Value::Null).await;
        assert_eq!(state["get_tasks"], tasks);
        assert_eq!(state["get_executors"], get("GET_EXECUTORS", Value::Null).await);
        assert_eq!(state["get_frameworks"], get("GET_FRAMEWORKS", Value::Null).await);
        let name = &state["get_frameworks"]["frameworks"][0]["framework_info"]["name"];
        assert_eq!(name, "told");
        assert_eq!(get("GET_OPERATIONS", Value::Null).await, json!({}));
        let sandbox = format!("/frameworks/{}/executors/t/runs/latest", scheduler.id);
        let since = Instant::now();
        let file = loop {
            let path = format!("{sandbox}/stdout");
            let file = get("READ_FILE", json!({"path": path, "offset": 1, "length": 3})).await;
            if file["size"] == 8 || since.elapsed() > DEADLINE {
                break file;
            }
        };
        assert_eq!(file, json!({"size": 8, "data": "cml0"}), "rit");
        let files = get("LIST_FILES", json!({"path": sandbox})).await;
        let of_it = |f: &&Value| f["path"] == format!("{sandbox}/stdout");
        let listed = files["file_infos"].as_array().unwrap().iter().find(of_it).unwrap().clone();
        assert_eq!((&listed["size"], &listed["nlink"]), (&json!(8), &json!(1)));
        let nowhere = json!({"type": "READ_FILE", "read_file": {"path": "/nowhere", "offset": 0}});
        assert_eq!(call(&node.agent, PATH, codec, &nowhere).await.status, 404);
        let nowhere = json!({"type": "LIST_FILES", "list_files": {"path": "/nowhere"}});
        assert_eq!(call(&node.agent, PATH, codec, &nowhere).await.status, 404);
    }
    scheduler.kill("t").await;
    scheduler.until("t", "TASK_KILLED").await;
    let since = Instant::now();
    loop {
        let tasks = told(&node.agent, Codec::Json, &json!({"type": "GET_TASKS"})).await;
        if tasks["completed_tasks"][0]["task_id"]["value"] == "t" {
            break;
        }
        assert!(since.elapsed() < DEADLINE, "{tasks}");
    }
}

// covers: MES-0258, MES-0270
#[tokio::test]
async fn a_session_streams_both_ways() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("sessions")).await;
    let parent = running(&node, &mut scheduler).await;
    for (codec, name) in [(Codec::Json, "json"), (Codec::Protobuf, "protobuf")] {
        let id = nested(name, &parent);
        let asked = session(&id, "cat; echo wrong >&2; exit 3");
        let open = Session::open(&node.agent, PATH, codec, asked).await;
        let input = Input::open(&node.agent, PATH, codec);
        input.to(&id).await;
        input.text("some words\n").await;
        let listening = Session::open(&node.agent, PATH, codec, of("ATTACH_CONTAINER_OUTPUT", &id));
        let listening = listening.await;
        input.text("and more\n").await;
        input.text("").await;
        let (output, errors) = open.rest().await;
        assert_eq!((output.as_str(), errors.as_str()), ("some words\nand more\n", "wrong\n"));
        assert!(listening.rest().await.0.ends_with("and more\n"));
        assert_eq!(input.answer().await.0, 200);
        let waited = told(&node.agent, codec, &of("WAIT_CONTAINER", &id)).await;
        assert_eq!(waited["exit_status"], 3 << 8);
        let waited = told(&node.agent, codec, &of("WAIT_NESTED_CONTAINER", &id)).await;
        assert_eq!(waited["exit_status"], 3 << 8);
        let removed = call(&node.agent, PATH, codec, &of("REMOVE_CONTAINER", &id)).await;
        assert_eq!(removed.status, 200);
        let waited = call(&node.agent, PATH, codec, &of("WAIT_CONTAINER", &id)).await;
        assert_eq!(waited.status, 404);
    }
}

// covers: MES-0259
#[tokio::test]
async fn on_a_terminal_all_is_output_and_the_window_can_be_sized() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("terminals")).await;
    let parent = running(&node, &mut scheduler).await;
    let id = nested("shell", &parent);
    let text = "stty size; echo err >&2; trap 'stty size; exit 0' WINCH; echo ready; \
                while :; do sleep 0.01; done";
    let asked = with_tty(session(&id, text));
    let mut open = Session::open(&node.agent, PATH, Codec::Protobuf, asked).await;
    let said = open.until("ready\r\n").await;
    assert!(said.starts_with("20 60\r\nerr\r\n"), "{said:?}");
    let input = Input::open(&node.agent, PATH, Codec::Protobuf);
    input.to(&id).await;
    input.size(50, 132).await;
    assert_eq!(open.rest().await, ("50 132\r\n".to_string(), String::new()));
    assert_eq!(input.answer().await.0, 200);
}

// covers: MES-0260, MES-0263, MES-0264
#[tokio::test]
async fn a_session_ends_with_its_stream_and_with_its_task() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("ends")).await;
    let parent = running(&node, &mut scheduler).await;
    let one = nested("one", &parent);
    let asked = session(&one, "echo begun; cat; sleep 1000");
    let mut open = Session::open(&node.agent, PATH, Codec::Json, asked.clone()).await;
    open.until("begun\n").await;
    // Input comes in several requests, one after the other.
    for text in ["first\n", "second\n"] {
        let input = Input::open(&node.agent, PATH, Codec::Json);
        input.to(&one).await;
        input.text(text).await;
        open.until(text).await;
        assert_eq!(input.answer().await.0, 200);
    }
    drop(open);
    let waited = told(&node.agent, Codec::Json, &of("WAIT_CONTAINER", &one)).await;
    assert_eq!(waited["exit_status"], 9);
    let two = nested("two", &parent);
    let mut open =
        Session::open(&node.agent, PATH, Codec::Json, session(&two, "echo begun; cat")).await;
    open.until("begun\n").await;
    let input = Input::open(&node.agent, PATH, Codec::Json);
    input.to(&two).await;
    scheduler.kill("t").await;
    open.rest().await;
    assert_eq!(input.answer().await.0, 200);
    scheduler.until("t", "TASK_KILLED").await;
}

// covers: MES-0257, MES-0265, MES-0273, MES-0278, MES-0279
#[tokio::test]
async fn what_cannot_be_is_refused_in_the_originals_words() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("refused")).await;
    let parent = running(&node, &mut scheduler).await;
    let post = async |asked: &Value| call(&node.agent, PATH, Codec::Json, asked).await;
    let nobody = json!({"value": "nobody"});
    post(&session(&nested("x", &nobody), "true")).await.refused(400, "is not running");
    post(&session(&nobody, "true")).await.refused(400, "container_id.parent");
    for kind in ["WAIT_CONTAINER", "KILL_CONTAINER", "REMOVE_CONTAINER"] {
        post(&of(kind, &nested("x", &parent))).await.refused(404, "cannot be found");
    }
    for bad in ["a/b", "a b", "a.b", "", "..", &"x".repeat(300)] {
        let asked = of("WAIT_CONTAINER", &nested(bad, &parent));
        post(&asked).await.refused(400, "'wait_container.container_id' is invalid");
    }
    post(&json!({"type": "WAIT_CONTAINER"})).await.refused(400, "Expecting 'wait_container'");
    post(&json!({})).await.refused(400, "Expecting 'type' to be present");
    let mut asked = session(&nested("x", &parent), "true");
    asked["launch_nested_container_session"]["command"]["environment"] =
        json!({"variables": [{"name": "A", "type": "VALUE"}]});
    post(&asked).await.refused(400, "Environment variable 'A'");
    post(&session(&nested("x", &parent), "")).await.refused(400, "command");
    // A stream where there is none, and none where there is one.
    let headers = [("content-type", "application/json"), ("accept", RECORDIO)];
    let body = json!({"type": "GET_HEALTH"}).to_string();
    ask(&node.agent, "POST", PATH, &headers, body).await.refused(406, "not supported");
    post(&json!({"type": "ATTACH_CONTAINER_INPUT"})).await.refused(415, "recordio");
    let input = Input::open(&node.agent, PATH, Codec::Json);
    input.text("too soon").await;
    let (status, text) = input.answer().await;
    assert_eq!(status, 400, "{text}");
    let id = nested("cat", &parent);
    let mut open =
        Session::open(&node.agent, PATH, Codec::Json, session(&id, "echo begun; cat")).await;
    open.until("begun").await;
    let input = Input::open(&node.agent, PATH, Codec::Json);
    input.to(&id).await;
    input.to(&id).await;
    let (status, text) = input.answer().await;
    assert_eq!(status, 400, "{text}");
    let input = Input::open(&node.agent, PATH, Codec::Json);
    input.to(&parent).await;
    let (status, text) = input.answer().await;
    assert_eq!(status, 500, "{text}");
    assert!(text.contains("no terminal"), "{text}");
}

// covers: MES-0271, MES-0272, MES-0250, MES-0275, MES-0274
#[tokio::test]
async fn containers_are_launched_by_name_and_survive_the_agent() {
    let mut node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("named")).await;
    let parent = running(&node, &mut scheduler).await;
    let launch = |id: &Value, shell: &str| {
        json!({"type": "LAUNCH_CONTAINER", "launch_container": {
            "container_id": id, "command": {"shell": true, "value": shell},
        }})
    };
    for (codec, name) in [(Codec::Json, "json"), (Codec::Protobuf, "protobuf")] {
        let id = nested(name, &parent);
        let asked = launch(&id, "echo here > file; exec sleep 1000");
        assert_eq!(call(&node.agent, PATH, codec, &asked).await.status, 200);
        assert_eq!(call(&node.agent, PATH, codec, &asked).await.status, 202, "it is there");
        let killed = call(&node.agent, PATH, codec, &of("KILL_CONTAINER", &id)).await;
        assert_eq!(killed.status, 200);
        let waited = told(&node.agent, codec, &of("WAIT_CONTAINER", &id)).await;
        assert_eq!(waited["exit_status"], 9);
    }
    let id = nested("stays", &parent);
    let asked = launch(&id, "exec sleep 1000");
    assert_eq!(call(&node.agent, PATH, Codec::Json, &asked).await.status, 200);
    let list = json!({"type": "GET_CONTAINERS", "get_containers": {"show_nested": true}});
    let all = told(&node.agent, Codec::Json, &list).await;
    let ids = |all: &Value| -> Vec<Value> {
        all["containers"].as_array().unwrap().iter().map(|c| c["container_id"].clone()).collect()
    };
    assert!(ids(&all).contains(&id) && ids(&all).contains(&parent), "{all}");
    let plain = told(&node.agent, Codec::Json, &json!({"type": "GET_CONTAINERS"})).await;
    assert_eq!(ids(&plain), std::slice::from_ref(&parent));
    node.crash();
    let (agent, asked) = (node.agent.clone(), of("WAIT_CONTAINER", &id));
    let waiting = tokio::spawn(async move { told(&agent, Codec::Json, &asked).await });
    let asked = json!({"type": "KILL_CONTAINER", "kill_container": {
        "container_id": id, "signal": 15,
    }});
    assert_eq!(call(&node.agent, PATH, Codec::Json, &asked).await.status, 200);
    let waited = timeout(DEADLINE, waiting).await.unwrap().unwrap();
    assert_eq!(waited["exit_status"], 15);
    let id = nested("nobody", &parent);
    let mut asked = launch(&id, "true");
    asked["launch_container"]["command"]["user"] = json!("nobody-by-this-name");
    let refused = call(&node.agent, PATH, Codec::Json, &asked).await;
    refused.refused(400, "nobody-by-this-name");
    let mut asked = launch(&nested("docker", &parent), "true");
    asked["launch_container"]["container"] = json!({"type": "DOCKER", "docker": {"image": "x"}});
    call(&node.agent, PATH, Codec::Json, &asked).await.refused(400, "DOCKER");
}

#[tokio::test]
async fn a_container_by_itself_needs_resources_and_leaves_nothing() {
    let mut node = Node::start(&[]);
    let id = json!({"value": "alone"});
    let launch = |resources: Value| {
        json!({"type": "LAUNCH_CONTAINER", "launch_container": {
            "container_id": id,
            "command": {"shell": true, "value": "echo by itself; exec sleep 1000"},
            "resources": resources,
        }})
    };
    let post = async |node: &Node, asked: Value| call(&node.agent, PATH, Codec::Json, &asked).await;
    post(&node, launch(json!([]))).await.refused(400, "resources");
    let enough = json!([super::client::scalar("cpus", 0.1), super::client::scalar("mem", 32.0)]);
    assert_eq!(post(&node, launch(enough)).await.status, 200);
    let list = json!({"type": "GET_CONTAINERS", "get_containers": {"show_standalone": true}});
    let all = told(&node.agent, Codec::Json, &list).await;
    assert_eq!(all["containers"][0]["container_id"], id);
    let plain = told(&node.agent, Codec::Json, &json!({"type": "GET_CONTAINERS"})).await;
    assert_eq!(plain, json!({}));
    let sandbox = node.data().join("agent/containers/alone");
    let since = Instant::now();
    while std::fs::read_to_string(sandbox.join("stdout")).unwrap() != "by itself\n" {
        assert!(since.elapsed() < DEADLINE, "it writes nothing");
    }
    node.crash();
    let all = told(&node.agent, Codec::Json, &list).await;
    assert_eq!(all["containers"][0]["container_id"], id, "it survives the agent");
    assert_eq!(post(&node, of("KILL_CONTAINER", &id)).await.status, 200);
    assert_eq!(told(&node.agent, Codec::Json, &of("WAIT_CONTAINER", &id)).await["exit_status"], 9);
    // What is left of its container goes first.
    let since = Instant::now();
    while post(&node, of("REMOVE_CONTAINER", &id)).await.status != 200 {
        assert!(since.elapsed() < DEADLINE, "it does not go");
    }
    while sandbox.exists() {
        assert!(since.elapsed() < DEADLINE, "its sandbox stays");
    }
    post(&node, of("WAIT_CONTAINER", &id)).await.refused(404, "cannot be found");
}

#[tokio::test]
async fn the_agent_is_reached_by_way_of_the_master() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("through")).await;
    let parent = running(&node, &mut scheduler).await;
    let state = node.get("/state").await;
    let agent = state["slaves"][0]["id"].as_str().unwrap();
    let path = format!("/mesolith/v1/agents/{agent}/api/v1");
    let id = nested("cat", &parent);
    let open = Session::open(&node.master, &path, Codec::Protobuf, session(&id, "cat")).await;
    let input = Input::open(&node.master, &path, Codec::Protobuf);
    input.to(&id).await;
    input.text("there and back\n").await;
    input.text("").await;
    assert_eq!(open.rest().await.0, "there and back\n");
    assert_eq!(input.answer().await.0, 200);
    let waited = call(&node.master, &path, Codec::Json, &of("WAIT_CONTAINER", &id)).await;
    assert_eq!(waited.json()["wait_container"]["exit_status"], 0);
    let nobody = "/mesolith/v1/agents/nobody/api/v1";
    let health = json!({"type": "GET_HEALTH"});
    call(&node.master, nobody, Codec::Json, &health).await.refused(404, "nobody");
}
