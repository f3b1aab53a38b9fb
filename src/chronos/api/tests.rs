//! What clients send and are answered, over a core with a master of the test.

use super::door::Wait;
use super::*;
use crate::base::explain::Explanation;
use crate::chronos::core::Options;
use crate::chronos::core::io::Notice;
use crate::chronos::core::run::Run;
use crate::chronos::core::tests::world::World;
use crate::chronos::core::view::Numbers;
use crate::http::leader::{
    Forwarded, Forwarding, LeaderPlace, Leadership, Leading, LedFace, OwnFace,
};
use crate::http::{Inside, PathRest, Server};
use crate::telemetry::Metrics;
use axum::body::{Body, to_bytes};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use tower::ServiceExt as _;

/// The world behind a lock.
struct Shut(Mutex<World>);

impl Shut {
    fn with<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn now<'a, T: Send + 'a>(value: T) -> Wait<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Door for Shut {
    fn view(&self) -> Wait<'_, View> {
        now(self.with(|w| w.core.view()))
    }
    fn job(&self, name: String) -> Wait<'_, Option<JobDetail>> {
        now(self.with(|w| w.core.job(&name)))
    }
    fn runs(&self) -> Wait<'_, Vec<Arc<Run>>> {
        now(self.with(|w| w.core.runs()))
    }
    fn why(&self, name: String) -> Wait<'_, Option<Explanation>> {
        now(self.with(|w| w.core.why(&name)))
    }
    fn numbers(&self) -> Wait<'_, Numbers> {
        now(self.with(|w| w.core.numbers()))
    }
    fn request(&self, command: Command) -> Wait<'_, Answer> {
        now(self.with(|w| w.ask(command)))
    }
}

struct Client {
    api: Api,
    world: Arc<Shut>,
    hub: Hub,
    _running: watch::Sender<Option<Arc<dyn Door>>>,
}

struct Reply {
    status: u16,
    kind: String,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        assert_eq!(self.kind, "application/json");
        assert!(!self.text.contains('\n'));
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Client {
    fn new() -> Self {
        let world = Arc::new(Shut(Mutex::new(World::new())));
        let door: Arc<dyn Door> = world.clone();
        let (running, receiver) = watch::channel(Some(door));
        let identity = Identity { hostname: "h".into(), port: 4400, history_shown: 100 };
        let hub = Hub::default();
        let rules = Options::default().rules;
        let api = Api::new(receiver, identity, rules, hub.clone(), Clock::default());
        Self { api, world, hub, _running: running }
    }

    /// Sends a request as the server hands it over: the rest of the path beside the endpoint.
    async fn send(&self, line: &str, body: &str, kind: Option<&str>) -> Response {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut all: Vec<String> = path.split('/').skip(1).map(String::from).collect();
        let two = matches!(all[0].as_str(), "v1" | "mesolith");
        let rest = all.split_off(if two { 2 } else { 1 });
        let uri = format!("/{}?{query}", all.join("/"));
        let mut request = Request::builder().method(method).uri(uri).extension(PathRest(rest));
        if let Some(kind) = kind {
            request = request.header("Content-Type", kind);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        serve(State(self.api.clone()), request).await
    }

    async fn ask(&self, line: &str, body: &str) -> Reply {
        let response = self.send(line, body, Some("application/json")).await;
        let kind = response.headers().get("Content-Type");
        let kind = kind.map(|v| v.to_str().unwrap().to_string()).unwrap_or_default();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Reply { status, kind, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), "").await
    }

    async fn done(&self, line: &str, body: &str) {
        let reply = self.ask(line, body).await;
        assert_eq!((reply.status, reply.text.as_str()), (204, ""), "{line}");
    }

    /// A refusal in the shape of all refusals; its message.
    async fn refused(&self, line: &str, body: &str) -> (String, Option<String>) {
        let reply = self.ask(line, body).await;
        assert_eq!(reply.status, 400, "{line}: {}", reply.text);
        let json = reply.json();
        assert_eq!(json["status"], "Bad Request");
        let text = |key: &str| json[key].as_str().map(String::from);
        (text("message").unwrap(), text("field"))
    }
}

const JOB: &str = r#"{"name":"j","command":"echo Hi","schedule":"R/2030-01-01T00:00:00Z/PT1H"}"#;
const CHILD: &str = r#"{"name":"c","command":"c","parents":["j"]}"#;

/// covers: CHR-0151
/// covers: CHR-0159
#[tokio::test]
async fn both_prefixes_and_both_methods_take_jobs() {
    let client = Client::new();
    for prefix in ["/scheduler", "/v1/scheduler"] {
        for method in ["POST", "PUT"] {
            client.done(&format!("{method} {prefix}/iso8601"), JOB).await;
            client.done(&format!("{method} {prefix}/dependency"), CHILD).await;
        }
        let list = client.get(&format!("{prefix}/jobs")).await;
        let names: Vec<Value> =
            list.json().as_array().unwrap().iter().map(|job| job["name"].clone()).collect();
        assert_eq!(names, ["j", "c"]);
        let one = client.get(&format!("{prefix}/job/c")).await.json();
        assert_eq!(
            (one["parents"].clone(), one["epsilon"].clone()),
            (json!(["j"]), json!("PT60S"))
        );
    }
    client.done("PUT /scheduler/job/j", "").await;
    client.done("DELETE /scheduler/task/kill/j", "").await;
    client.done("DELETE /scheduler/task/all", "").await;
    client.done("DELETE /v1/scheduler/job/j", "").await;
    assert_eq!(
        client.get("/scheduler/jobs").await.json()[0]["schedule"],
        "R/2030-01-01T00:00:00Z/PT1H"
    );
}

/// covers: CHR-0079
/// covers: CHR-0118
/// covers: CHR-0152
/// covers: CHR-0153
#[tokio::test]
async fn refusals_say_what_and_where_and_store_nothing() {
    let client = Client::new();
    for line in [
        "DELETE /scheduler/job/x",
        "PUT /scheduler/job/x",
        "GET /scheduler/job/x",
        "GET /scheduler/job/stat/x",
        "DELETE /scheduler/task/kill/x",
        "DELETE /v1/scheduler/task/kill/x",
        "GET /mesolith/v1/jobs/x",
        "GET /mesolith/v1/why/x",
    ] {
        let (message, _) = client.refused(line, "").await;
        assert_eq!(message, "requirement failed: Job 'x' not found", "{line}");
    }
    for (body, field) in [
        ("{", None),
        ("", None),
        ("[]", None),
        (CHILD, Some("parents")),
        (r#"{"name":"a/b","command":"c"}"#, Some("name")),
        (r#"{"name":"j","command":"c","schedule":"FOO"}"#, Some("schedule")),
        (r#"{"name":"j","command":"c","scheduleTimeZone":"X/Y"}"#, Some("scheduleTimeZone")),
        (
            r#"{"name":"j","command":"c","container":{"image":"x","type":"LXC"}}"#,
            Some("container.type"),
        ),
    ] {
        let (_, named) = client.refused("POST /scheduler/iso8601", body).await;
        assert_eq!(named.as_deref(), field, "{body}");
    }
    let (message, _) = client.refused("POST /scheduler/dependency", CHILD).await;
    assert!(message.starts_with("requirement failed: Job c does not have all parents defined!"));
    let (_, named) = client.refused("POST /scheduler/dependency", JOB).await;
    assert_eq!(named.as_deref(), Some("parents"));
    let old = r#"{"name":"j","command":"c","schedule":"R/1970-01-01T00:00:00Z/P1D"}"#;
    let (message, _) = client.refused("POST /v1/scheduler/iso8601", old).await;
    assert_eq!(message, "Scheduled start date '1970-01-01T00:00:00.000Z' is before 1970!");
    assert_eq!(client.get("/scheduler/jobs").await.text, "[]");
    client.done("POST /scheduler/iso8601", old).await;
}

#[tokio::test]
async fn methods_types_and_paths() {
    let client = Client::new();
    for (line, status) in [
        ("DELETE /scheduler/jobs", 405),
        ("POST /scheduler/job/x", 405),
        ("GET /scheduler/iso8601", 405),
        ("POST /ping", 405),
        ("GET /scheduler", 404),
        ("GET /scheduler/nothing", 404),
        ("GET /v1/scheduler/job/a/b", 404),
        ("GET /mesolith/v1/nothing", 404),
        ("GET /metrics/nothing", 404),
    ] {
        let reply = client.ask(line, "").await;
        assert_eq!(reply.status, status, "{line}");
        assert!(!reply.json()["message"].as_str().unwrap().is_empty());
    }
    let text = client.send("POST /scheduler/iso8601", JOB, Some("text/plain")).await;
    assert_eq!(text.status(), 415);
    let bare = client.send("POST /scheduler/iso8601", JOB, None).await;
    assert_eq!(bare.status(), 204);
}

/// covers: CHR-0154
#[tokio::test]
async fn search_narrows_by_name_and_command_and_widens_by_any() {
    let client = Client::new();
    for (name, command) in [("Alpha", "run"), ("beta", "RUN alpha"), ("gamma", "stop")] {
        client.world.with(|w| {
            w.upload(
                json!({"name": name, "command": command, "schedule": "R//PT1H", "disabled": true}),
            );
        });
    }
    for (query, found) in [
        ("", vec!["Alpha", "beta", "gamma"]),
        ("name=alpha", vec!["Alpha"]),
        ("command=run", vec!["Alpha", "beta"]),
        ("any=alpha", vec!["Alpha", "beta", "gamma"]),
        ("name=gamma&any=alpha", vec!["Alpha", "beta", "gamma"]),
        ("command=run&offset=1", vec!["beta"]),
        ("limit=1", vec!["Alpha"]),
        ("offset=9", vec![]),
    ] {
        let list = client.get(&format!("/scheduler/jobs/search?{query}")).await.json();
        let names: Vec<&str> =
            list.as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
        assert_eq!(names, found, "{query}");
    }
    assert_eq!(client.get("/scheduler/jobs/search?limit=x").await.status, 404);
}

/// covers: CHR-0155
#[tokio::test]
async fn the_graph_as_text() {
    let client = Client::new();
    assert_eq!(client.get("/scheduler/graph/csv").await.text, "");
    assert_eq!(client.get("/scheduler/graph/dot").await.text, "digraph G {\n}\n");
    client.world.with(|w| {
        w.idle("job1");
        w.dependent("job 2", &["job1"]);
        w.force("job1");
    });
    let csv = client.get("/v1/scheduler/graph/csv").await;
    assert_eq!(csv.text, "node,job1,fresh,1 running\nnode,job 2,fresh,idle\nlink,job1,job 2\n");
    assert!(csv.kind.starts_with("text/plain"));
    let csv = client.get("/scheduler/graph/csv").await.text;
    assert!(csv.starts_with("node,job1,fresh,running\n"));
    let dot = client.get("/scheduler/graph/dot").await.text;
    assert_eq!(
        dot,
        "digraph G {\n  1 [ label=\"job1\" ];\n  2 [ label=\"job 2\" ];\n  1 -> 2;\n}\n"
    );
}

/// covers: CHR-0142
/// covers: CHR-0156
#[tokio::test]
async fn statistics_and_history() {
    let client = Client::new();
    client.world.with(|w| {
        w.scheduled("j", "R/2024-01-01T00:00:10Z/PT10S");
        w.idle("never");
        w.advance(10_000);
        let task = w.live()[0].clone();
        w.tell(&task, crate::mesos::v1::TaskState::TaskRunning);
        w.advance(1500);
        w.tell(&task, crate::mesos::v1::TaskState::TaskFinished);
        w.advance(8500);
    });
    let stat = client.get("/scheduler/job/stat/j").await.json();
    assert_eq!(stat["histogram"]["median"], 1500.0);
    assert_eq!(stat["histogram"]["count"], 1);
    let lines = stat["taskStatHistory"].as_array().unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["status"], "Running");
    assert_eq!(lines[1]["taskId"], "ct:1704067210000:0:j:");
    assert_eq!(lines[1]["startTime"], "01/01/24 00:00:10");
    assert_eq!(lines[1]["endTime"], "01/01/24 00:00:11");
    assert_eq!((&lines[1]["duration"], &lines[1]["status"]), (&json!("1s"), &json!("Success")));
    let times = client.get("/scheduler/stats/median").await.json();
    let expected = json!([
        {"jobNameLabel": "j", "time": 1.5}, {"jobNameLabel": "never", "time": 0.0}
    ]);
    assert_eq!(times, expected);
    assert_eq!(client.get("/scheduler/stats/13thPercentile").await.text, "[]");
    let summary = client.get("/v1/scheduler/jobs/summary").await.json();
    assert_eq!(
        summary["jobs"][0],
        json!({"name": "j", "status": "success", "state": "1 running", "parents": [], "disabled": false,
            "schedule": "R/2024-01-01T00:00:30.000Z/PT10S", "nextRun": "2024-01-01T00:00:30.000Z"})
    );
    let known = client.get("/mesolith/v1/jobs/j").await.json();
    assert_eq!(known["history"][0]["outcome"], "success");
    assert_eq!(known["runs"][0]["state"], "launched");
    assert_eq!(known["next"].as_array().unwrap().len(), 10);
    assert_eq!(client.get("/mesolith/v1/runs").await.json().as_array().unwrap().len(), 1);
    let why = client.get("/mesolith/v1/why/never").await.json();
    assert_eq!(why["refusals"][0]["rule"], "not_due");
}

#[tokio::test]
async fn runs_are_reported_and_forced_with_arguments() {
    let client = Client::new();
    client.world.with(|w| {
        w.upload(
            json!({"name": "j", "command": "echo", "async": true, "dataProcessingJobType": true,
            "schedule": "R/2030-01-01T00:00:00Z/P1D"}),
        );
    });
    client.done("PUT /scheduler/job/j?arguments=-a%20;b", "").await;
    let task = client.world.with(|w| w.live()[0].clone());
    assert!(task.ends_with(":0:j:-a b"), "{task}");
    client.world.with(|w| w.finish("j"));
    let path = format!("POST /scheduler/job/j/task/{task}/progress");
    client.done(&path, r#"{"numAdditionalElementsProcessed":3}"#).await;
    let (_, field) = client.refused("PUT /scheduler/task/x", "{}").await;
    assert_eq!(field.as_deref(), Some("statusCode"));
    client.done(&format!("PUT /scheduler/task/{task}"), r#"{"statusCode":0}"#).await;
    let stat = client.get("/scheduler/job/stat/j").await.json();
    assert_eq!(stat["taskStatHistory"][0]["status"], "Success");
    assert_eq!(stat["taskStatHistory"][0]["numElementsProcessed"], 3);
    let marked = client.ask("PUT /v1/scheduler/job/success/j", "").await;
    assert_eq!((marked.status, marked.text.as_str()), (200, "marked job j as successful: true"));
    let marked = client.ask("PUT /v1/scheduler/job/success/x", "").await;
    assert_eq!(marked.text, "marked job x as successful: false");
}

/// covers: CHR-0139
/// covers: CHR-0157
/// covers: CHR-0160
#[tokio::test]
async fn ping_leader_and_metrics() {
    let client = Client::new();
    let ping = client.get("/ping").await;
    assert_eq!((ping.status, ping.text.as_str()), (200, "pong\n"));
    assert_eq!(client.get("/v1/scheduler/leader").await.text, r#"{"leader":"h:4400"}"#);
    client.world.with(|w| {
        w.upload(json!({"name": "j", "command": "c"}));
        w.finish("j");
    });
    let metrics = client.get("/metrics").await.json();
    assert_eq!(metrics["counters"]["jobs.run.success.j"]["count"], 1);
    let queue = "org.apache.mesos.chronos.scheduler.jobs.TaskManager.queueSize";
    assert_eq!(metrics["gauges"][queue]["value"], 0);
    let revives = "org.apache.mesos.chronos.scheduler.mesos.MesosOfferReviver.reviveOffersCount";
    assert!(metrics["counters"][revives]["count"].as_u64().unwrap() > 0);
    assert!(client.get("/metrics?pretty=true").await.text.contains('\n'));
    assert!(client.get("/metrics/prometheus").await.text.contains("chronos_jobs 1\n"));
    // Without a service behind it.
    let (gone, receiver) = watch::channel(None);
    drop(gone);
    let api = Api { running: receiver, ..client.api.clone() };
    let client = Client { api, ..client };
    assert_eq!(client.get("/ping").await.text, "pong\n");
    let reply = client.get("/scheduler/jobs").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["status"], "Service Unavailable");
}

#[tokio::test]
async fn listeners_hear_what_happens() {
    let client = Client::new();
    let response = client.send("GET /mesolith/v1/events", "", None).await;
    assert_eq!(response.headers()["Content-Type"], "text/event-stream");
    client.hub.publish(&Notice::Job { name: "j".into() });
    client.hub.close();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("event: job\ndata: {\"type\":\"job\",\"name\":\"j\"}\n\n"), "{text}");
}

/// The way to the leader.
struct Way(Leading, Inside);

impl Leadership for Way {
    fn now(&self, face: LedFace) -> Leading {
        assert_eq!(face, LedFace::Chronos);
        self.0.clone()
    }

    fn forward<'a>(&'a self, _: &'a LeaderPlace, _: LedFace, request: Request) -> Forwarded<'a> {
        let leader = self.1.clone();
        Box::pin(async move {
            let Ok(response) = leader.oneshot(request).await;
            Ok(response)
        })
    }
}

/// covers: CHR-0150
/// covers: CHR-0157
/// covers: CHR-0160
#[tokio::test]
async fn a_node_that_does_not_lead_answers_as_the_leader() {
    let leader = Client::new();
    let open = Realm::open("chronos");
    let there = Server::new("chronos", face(leader.api.clone(), &open)).inside();
    let standby = |leading: Leading| {
        let host = "two.example".to_string();
        let own =
            OwnFace { face: LedFace::Chronos, node: "n2".into(), host, port: 4400, copy: false };
        let way = Arc::new(Way(leading, there.clone()));
        let (_none, receiver) = watch::channel(None);
        let api = Api { running: receiver, ..leader.api.clone() };
        let api = api.led(Forwarding::new(way, own, &Metrics::new()));
        Server::new("chronos", face(api, &open)).inside()
    };
    let ask = async |of: &Inside, line: &str, body: &str| {
        let (method, target) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(target);
        let request = request.header("Content-Type", "application/json");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let Ok(response) = of.clone().oneshot(request).await;
        let leader = response.headers().get("x-mesolith-leader").cloned();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        (status, text, leader.map(|v| v.to_str().unwrap().to_owned()))
    };
    let host = "h".to_string();
    let address = "10.0.0.1:4400".parse().ok();
    let away = standby(Leading::At(LeaderPlace { node: "n1".into(), host, address }));
    let n1 = Some("n1".to_string());
    let job = r#"{"name":"j","command":"true","schedule":"R/2050-01-01T00:00:00Z/P1D"}"#;
    let made = ask(&away, "POST /scheduler/iso8601", job).await;
    assert_eq!(made, (204, String::new(), n1.clone()));
    assert!(leader.get("/scheduler/jobs").await.text.contains("\"name\":\"j\""));
    for path in ["/v1/scheduler/jobs/search?name=j", "/scheduler/leader", "/scheduler/job/stat/j"] {
        let here = leader.get(path).await;
        let there = ask(&away, &format!("GET {path}"), "").await;
        assert_eq!(there, (here.status, here.text, n1.clone()), "{path}");
    }
    let (status, text, from) = ask(&away, "PUT /scheduler/job/nothing", "").await;
    assert_eq!((status, from), (400, n1), "{text}");
    assert!(text.contains("requirement failed: Job 'nothing' not found"), "{text}");
    let ping = (200, "pong\n".to_string(), None);
    assert_eq!(ask(&away, "GET /ping", "").await, ping, "by itself");
    let since = std::time::Instant::now();
    let alone = standby(Leading::Nobody { since, why: "no quorum".into() });
    assert_eq!(ask(&alone, "GET /ping", "").await, ping);
    for line in ["GET /scheduler/jobs", "POST /scheduler/iso8601", "GET /v1/scheduler/leader"] {
        let (status, text, _) = ask(&alone, line, job).await;
        assert_eq!(status, 503, "{line}");
        assert!(text.contains("\"status\":\"Service Unavailable\""), "{text}");
    }
}
