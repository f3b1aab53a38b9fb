//! A Marathon that answers from memory, in the shapes that its clients know. It schedules nothing:
//! tests say what becomes of deployments.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, LOCATION};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use mesolith::console::{self, Links, Place, Section};
use mesolith::http::{EventSender, Framing, Running, Server, bind, event_stream, sse_event};
use mesolith::telemetry::Counter;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub struct World {
    pub apps: BTreeMap<String, Value>,
    /// Of each app, oldest first.
    pub versions: BTreeMap<String, Vec<Value>>,
    pub tasks: BTreeMap<String, Vec<Value>>,
    pub deployments: Vec<Value>,
    pub queue: Vec<Value>,
    /// `METHOD path?query body` of every change.
    pub asked: Vec<String>,
    /// Set on a standby: the node that leads. What pages may not follow is then redirected.
    pub leader: Option<&'static str>,
    pages: Vec<EventSender>,
    made: u32,
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
    fn version(&mut self) -> String {
        self.made += 1;
        format!("2026-01-31T10:00:{:02}.000Z", self.made)
    }

    pub fn tell(&mut self, kind: &str, what: Value) {
        let mut what = what;
        what["eventType"] = kind.into();
        let event = sse_event(Some(kind), &what.to_string());
        self.pages.retain(|page| page.send(event.clone()).is_ok());
    }

    /// Puts an app in place with all its instances running.
    pub fn set(&mut self, id: &str, mut app: Value) -> Value {
        let version = self.version();
        app["id"] = id.into();
        app["version"] = version.as_str().into();
        app["versionInfo"] = json!({"lastScalingAt": version, "lastConfigChangeAt": version});
        for (key, value) in [
            ("instances", json!(1)),
            ("cpus", json!(0.1)),
            ("mem", json!(32)),
            ("labels", json!({})),
        ] {
            if app.get(key).is_none() {
                app[key] = value;
            }
        }
        let count = app["instances"].as_u64().unwrap_or(1);
        let flat = id.trim_start_matches('/').replace('/', "_");
        let task = |n: u64| {
            json!({
                "appId": id, "id": format!("{flat}.instance-{version}-{n}._app.1"), "host": "127.0.0.1",
                "ports": [31000 + n], "state": "TASK_RUNNING", "version": version, "slaveId": "S0",
                "startedAt": version, "stagedAt": version,
                "healthCheckResults": [{"alive": true, "consecutiveFailures": 0}],
            })
        };
        self.tasks.insert(id.into(), (0..count).map(task).collect());
        self.apps.insert(id.into(), app.clone());
        self.versions.entry(id.into()).or_default().push(app.clone());
        app
    }

    fn shown(&self, id: &str) -> Option<Value> {
        let mut app = self.apps.get(id)?.clone();
        let tasks = self.tasks.get(id).cloned().unwrap_or_default();
        let of_it = |d: &&Value| d["affectedApps"].as_array().unwrap().contains(&json!(id));
        let deployments = self.deployments.iter().filter(of_it);
        app["deployments"] = deployments.map(|d| json!({"id": d["id"]})).collect();
        app["tasksRunning"] = tasks.len().into();
        app["tasksHealthy"] = tasks.len().into();
        app["tasksUnhealthy"] = 0.into();
        app["tasksStaged"] = 0.into();
        app["tasks"] = tasks.into();
        Some(app)
    }

    fn locked(&self, id: &str) -> bool {
        self.shown(id)
            .is_some_and(|app| app["deployments"].as_array().is_some_and(|d| !d.is_empty()))
    }

    fn deploy(&mut self, id: &str, action: &str) -> Value {
        let version = self.version();
        let name = format!("deployment-{}", self.made);
        let step = json!({"actions": [{"action": action, "app": id}]});
        let steps = json!([{"actions": [{"action": "ScaleApplication", "app": id}]}, step]);
        self.deployments.push(json!({
            "id": name, "version": version, "affectedApps": [id], "affectedPods": [],
            "steps": steps, "currentActions": [{"action": action, "app": id, "readinessCheckResults": []}],
            "currentStep": 2, "totalSteps": 2,
        }));
        self.tell("deployment_info", json!({"plan": {"id": name}}));
        json!({"version": version, "deploymentId": name})
    }

    /// All deployments are done.
    pub fn settle(&mut self) {
        self.deployments.clear();
        self.tell("deployment_success", json!({"id": "x"}));
    }
}

fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"message": text}))).into_response()
}

fn fault(path: &str, text: &str) -> Response {
    let details = json!([{"path": path, "errors": [text]}]);
    let body = json!({"message": "Object is not valid", "details": details});
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

type Flags = Query<HashMap<String, String>>;

fn forced(flags: &Flags) -> bool {
    flags.get("force").is_some_and(|f| f == "true")
}

fn locked() -> Response {
    let text = "App is locked by one or more deployments. Override with the option '?force=true'. \
                View details at '/v2/deployments/<DEPLOYMENT_ID>'.";
    let body = json!({"message": text, "deployments": [{"id": "x"}]});
    (StatusCode::CONFLICT, Json(body)).into_response()
}

async fn list(State(world): State<Shared>) -> Response {
    let world = world.lock().unwrap();
    let apps: Vec<Value> = world.apps.keys().filter_map(|id| world.shown(id)).collect();
    Json(json!({"apps": apps})).into_response()
}

async fn create(State(world): State<Shared>, flags: Flags, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    let Ok(app) = serde_json::from_slice::<Value>(&body) else {
        return message(StatusCode::BAD_REQUEST, "Invalid JSON");
    };
    world.asked.push(format!("POST apps {app} {:?}", flags.0));
    let id = format!("/{}", app["id"].as_str().unwrap_or_default().trim_start_matches('/'));
    if app["cmd"] == "refuse me" {
        return fault("/cmd", "is refused by the test");
    }
    if world.apps.contains_key(&id) {
        return message(StatusCode::CONFLICT, &format!("An app with id [{id}] already exists."));
    }
    world.set(&id, app);
    world.deploy(&id, "StartApplication");
    (StatusCode::CREATED, Json(world.shown(&id))).into_response()
}

/// `…/versions`, `…/versions/{v}`, `…/restart` or the app itself: the end of the path decides.
fn parted(path: &str) -> (String, &str, Option<&str>) {
    let id = |path: &str| format!("/{}", path.trim_matches('/'));
    if let Some((app, version)) = path.rsplit_once("/versions/") {
        return (id(app), "versions", Some(version));
    }
    for word in ["versions", "restart", "delay"] {
        if let Some(app) = path.strip_suffix(&format!("/{word}")) {
            return (id(app), word, None);
        }
    }
    (id(path), "", None)
}

async fn show(State(world): State<Shared>, Path(path): Path<String>) -> Response {
    let world = world.lock().unwrap();
    let (id, what, version) = parted(&path);
    let Some(app) = world.shown(&id) else {
        return message(StatusCode::NOT_FOUND, &format!("App '{id}' does not exist"));
    };
    let versions = &world.versions[&id];
    match (what, version) {
        ("versions", Some(v)) => Json(versions.iter().find(|a| a["version"] == v)).into_response(),
        ("versions", None) => {
            let all: Vec<&Value> = versions.iter().rev().map(|a| &a["version"]).collect();
            Json(json!({"versions": all})).into_response()
        }
        _ => Json(json!({"app": app})).into_response(),
    }
}

async fn change(
    State(world): State<Shared>,
    Path(path): Path<String>,
    flags: Flags,
    body: Bytes,
) -> Response {
    let mut world = world.lock().unwrap();
    let (id, what, _) = parted(&path);
    let given: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut sorted: Vec<_> = flags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    sorted.sort();
    world.asked.push(format!("{what} {id} {given} {}", sorted.join("&")));
    if world.locked(&id) && !forced(&flags) {
        return locked();
    }
    if forced(&flags) {
        world.deployments.clear();
    }
    let whole = flags.get("partialUpdate").is_some_and(|v| v == "false");
    let old = world.apps.get(&id).cloned().unwrap_or_else(|| json!({}));
    let next = match given["version"].as_str() {
        Some(v) => world.versions[&id].iter().find(|a| a["version"] == v).cloned().unwrap(),
        None if whole => given,
        None => {
            let mut merged: Map<String, Value> = old.as_object().unwrap().clone();
            merged.extend(given.as_object().cloned().unwrap_or_default());
            merged.into()
        }
    };
    world.set(&id, next);
    let result = world
        .deploy(&id, if what == "restart" { "RestartApplication" } else { "ScaleApplication" });
    Json(result).into_response()
}

async fn destroy(State(world): State<Shared>, Path(path): Path<String>, flags: Flags) -> Response {
    let mut world = world.lock().unwrap();
    let (id, ..) = parted(&path);
    world.asked.push(format!("DELETE {id} force={}", forced(&flags)));
    world.apps.remove(&id);
    world.tasks.remove(&id);
    let result = world.deploy(&id, "StopApplication");
    Json(result).into_response()
}

async fn kill(State(world): State<Shared>, flags: Flags, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    let ids: Value = serde_json::from_slice(&body).unwrap_or_default();
    let scale = flags.get("scale").cloned().unwrap_or_default();
    world.asked.push(format!("kill scale={scale} {}", ids["ids"].as_array().unwrap().len()));
    let dead = |task: &Value| ids["ids"].as_array().unwrap().contains(&task["id"]);
    for tasks in world.tasks.values_mut() {
        tasks.retain(|task| !dead(task));
    }
    world.tell("status_update_event", json!({"taskStatus": "TASK_KILLED"}));
    Json(json!({"tasks": []})).into_response()
}

async fn undeploy(State(world): State<Shared>, Path(id): Path<String>, flags: Flags) -> Response {
    let mut world = world.lock().unwrap();
    world.asked.push(format!("DELETE deployment {id} force={}", forced(&flags)));
    world.settle();
    match forced(&flags) {
        true => StatusCode::ACCEPTED.into_response(),
        false => Json(json!({"version": "x", "deploymentId": "y"})).into_response(),
    }
}

async fn events(State(world): State<Shared>) -> Response {
    let (sender, body) = event_stream(Framing::Raw, 1024 * 1024, Counter::default());
    let _ = sender.send(sse_event(Some("event_stream_attached"), "{}"));
    world.lock().unwrap().pages.push(sender);
    body.into_response("text/event-stream")
}

async fn hurry(State(world): State<Shared>, Path(path): Path<String>) -> StatusCode {
    let mut world = world.lock().unwrap();
    let (id, ..) = parted(&path);
    world.asked.push(format!("DELETE delay {id}"));
    for entry in world.queue.iter_mut().filter(|e| e["app"]["id"] == id.as_str()) {
        entry["delay"] = json!({"timeLeftSeconds": 0, "overdue": true});
    }
    StatusCode::NO_CONTENT
}

/// What a node that does not lead makes of it.
async fn led(State(world): State<Shared>, request: Request, next: Next) -> Response {
    let leader = world.lock().unwrap().leader;
    let Some(leader) = leader else { return next.run(request).await };
    let redirected = request.uri().path() == "/v2/events"
        || (!request.headers().contains_key("x-mesolith-forward")
            && !request.uri().path().ends_with("/events"));
    let mut response = match redirected {
        true => (StatusCode::FOUND, [(LOCATION, "http://10.255.255.1/")]).into_response(),
        false => next.run(request).await,
    };
    response.headers_mut().insert("x-mesolith-leader", HeaderValue::from_static(leader));
    response
}

fn router(world: Shared) -> Router {
    let info = || async {
        Json(json!({"frameworkId": "f-0001", "version": "1.11.24", "name": "marathon"}))
    };
    let queue = |State(world): State<Shared>| async move {
        Json(json!({"queue": world.lock().unwrap().queue}))
    };
    let deployments = |State(world): State<Shared>| async move {
        Json(world.lock().unwrap().deployments.clone())
    };
    Router::new()
        .route("/v2/apps", get(list).post(create))
        .route("/v2/apps/{*id}", get(show).put(change).post(change).delete(destroy))
        .route("/v2/queue", get(queue))
        .route("/v2/queue/{*id}", delete(hurry))
        .route("/v2/deployments", get(deployments))
        .route("/v2/deployments/{id}", delete(undeploy))
        .route("/v2/tasks/delete", post(kill))
        .route("/v2/info", get(info))
        .route("/v2/events", get(events))
        .route("/mesolith/v1/events", get(events))
        .layer(from_fn_with_state(world.clone(), led))
        .with_state(world)
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
        let links = Links { mesos: Some(Place::Port(5050)), ..Links::default() };
        let face = console::face(Section::Marathon, &links).merge(router(world.clone()));
        let running = runtime.block_on(async {
            let listener = bind("127.0.0.1:0".parse().unwrap(), "--port").await.unwrap();
            Server::new("fake", face).start(listener).unwrap()
        });
        let address = running.address().to_string();
        Self { address, world, _running: running, _runtime: runtime }
    }
}
