//! A Chronos that answers from memory, in the shapes that its clients know. It runs nothing: tests
//! say what becomes of jobs.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use mesolith::console::{self, Links, Place, Section};
use mesolith::http::{EventSender, Framing, Running, Server, bind, event_stream, sse_event};
use mesolith::telemetry::Counter;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub struct World {
    /// In the order in which they came.
    pub jobs: Vec<Value>,
    pub states: Vec<(String, String)>,
    pub history: Vec<Value>,
    /// Every change.
    pub asked: Vec<String>,
    pages: Vec<EventSender>,
}

type Shared = Arc<Mutex<World>>;

/// The fake and where it listens.
pub struct Fake {
    pub address: String,
    pub world: Shared,
    _running: Running,
    _runtime: tokio::runtime::Runtime,
}

impl World {
    /// Tells the pages that a job is otherwise.
    pub fn tell(&mut self, name: &str) {
        let event = sse_event(Some("job"), &json!({"name": name}).to_string());
        self.pages.retain(|page| page.send(event.clone()).is_ok());
    }

    pub fn state(&mut self, name: &str, state: &str) {
        self.states.retain(|(n, _)| n != name);
        self.states.push((name.into(), state.into()));
        self.tell(name);
    }

    pub fn set(&mut self, job: Value) {
        let name = job["name"].as_str().unwrap_or_default().to_owned();
        let mut whole = json!({
            "command": "", "shell": true, "retries": 2, "owner": "", "ownerName": "", "description": "",
            "successCount": 0, "errorCount": 0, "lastSuccess": "", "lastError": "", "cpus": 0.1, "mem": 128.0,
            "disk": 256.0, "disabled": false, "environmentVariables": [], "uris": [], "constraints": [],
        });
        whole.as_object_mut().unwrap().extend(job.as_object().unwrap().clone());
        match self.jobs.iter_mut().find(|j| j["name"] == name.as_str()) {
            Some(old) => *old = whole,
            None => self.jobs.push(whole),
        }
        self.tell(&name);
    }
}

async fn jobs(State(world): State<Shared>) -> Json<Vec<Value>> {
    Json(world.lock().unwrap().jobs.clone())
}

fn outcome(job: &Value) -> &'static str {
    match (job["lastSuccess"].as_str(), job["lastError"].as_str()) {
        (Some(""), Some("")) => "fresh",
        (Some(good), Some(bad)) if good > bad => "success",
        _ => "failure",
    }
}

async fn summary(State(world): State<Shared>) -> Json<Value> {
    let world = world.lock().unwrap();
    let state = |job: &Value| {
        let found = world.states.iter().find(|(n, _)| job["name"] == n.as_str());
        found.map_or("idle", |(_, s)| s.as_str()).to_owned()
    };
    let line = |job: &Value| {
        json!({"name": job["name"], "status": outcome(job), "state": state(job),
            "schedule": job["schedule"], "parents": job["parents"], "disabled": job["disabled"]})
    };
    Json(json!({"jobs": world.jobs.iter().map(line).collect::<Vec<_>>()}))
}

async fn csv(State(world): State<Shared>) -> String {
    let world = world.lock().unwrap();
    let mut out = String::new();
    for job in &world.jobs {
        out += &format!("node,{},{},idle\n", job["name"].as_str().unwrap(), outcome(job));
    }
    for job in &world.jobs {
        for parent in job["parents"].as_array().into_iter().flatten() {
            out +=
                &format!("link,{},{}\n", parent.as_str().unwrap(), job["name"].as_str().unwrap());
        }
    }
    out
}

async fn upload(State(world): State<Shared>, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    let job: Value = serde_json::from_slice(&body).unwrap();
    world.asked.push(format!("upload {job}"));
    if job["command"] == "refuse me" {
        let body = json!({"message": "The command is refused by the test", "status": "Bad Request", "field": "command"});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    world.set(job);
    StatusCode::NO_CONTENT.into_response()
}

async fn force(State(world): State<Shared>, Path(name): Path<String>) -> StatusCode {
    let mut world = world.lock().unwrap();
    world.asked.push(format!("run {name}"));
    world.state(&name, "1 running");
    StatusCode::NO_CONTENT
}

async fn destroy(State(world): State<Shared>, Path(name): Path<String>) -> StatusCode {
    let mut world = world.lock().unwrap();
    world.asked.push(format!("destroy {name}"));
    world.jobs.retain(|j| j["name"] != name.as_str());
    world.tell(&name);
    StatusCode::NO_CONTENT
}

async fn kill(State(world): State<Shared>, Path(name): Path<String>) -> StatusCode {
    let mut world = world.lock().unwrap();
    world.asked.push(format!("kill {name}"));
    world.state(&name, "idle");
    StatusCode::NO_CONTENT
}

async fn stat(State(world): State<Shared>, Path(_name): Path<String>) -> Json<Value> {
    let history = world.lock().unwrap().history.clone();
    let histogram = json!({"75thPercentile": 1200.0, "95thPercentile": 1500.0, "98thPercentile": 1500.0,
        "99thPercentile": 1500.0, "median": 1000.0, "mean": 1000.0, "count": history.len()});
    Json(json!({"histogram": histogram, "taskStatHistory": history}))
}

async fn events(State(world): State<Shared>) -> Response {
    let (sender, body) = event_stream(Framing::Raw, 1024 * 1024, Counter::default());
    let _ = sender.send(sse_event(Some("resync"), "{}"));
    world.lock().unwrap().pages.push(sender);
    body.into_response("text/event-stream")
}

impl Fake {
    /// Starts one.
    pub fn start() -> Self {
        let world = Shared::default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let router = Router::new()
            .route("/v1/scheduler/jobs", get(jobs))
            .route("/v1/scheduler/jobs/summary", get(summary))
            .route("/v1/scheduler/graph/csv", get(csv))
            .route("/v1/scheduler/iso8601", post(upload))
            .route("/v1/scheduler/dependency", post(upload))
            .route("/v1/scheduler/job/{name}", delete(destroy).put(force))
            .route("/v1/scheduler/job/stat/{name}", get(stat))
            .route("/v1/scheduler/task/kill/{name}", delete(kill))
            .route("/mesolith/v1/events", get(events))
            .with_state(world.clone());
        let links = Links { mesos: Some(Place::Port(5050)), ..Links::default() };
        let face = console::face(Section::Chronos, &links).merge(router);
        let running = runtime.block_on(async {
            let listener = bind("127.0.0.1:0".parse().unwrap(), "--port").await.unwrap();
            Server::new("fake", face).start(listener).unwrap()
        });
        let address = running.address().to_string();
        Self { address, world, _running: running, _runtime: runtime }
    }
}
