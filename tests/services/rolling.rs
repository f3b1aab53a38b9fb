//! A rolling replacement under load: a client that follows the events and calls healthy instances only sees no failure.

use super::wire;
use super::world::{Form, World};
use crate::in_both_forms;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Serves its version; after TERM it goes on for a while, then ends.
const SERVER: &str = r#"
import http.server, os, signal, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = os.environ["WHAT"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
server = Server(("127.0.0.1", int(os.environ["PORT0"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Timer(1.5, os._exit, [0]).start())
server.serve_forever()
"#;

fn app(what: &str) -> Value {
    json!({
        "id": "/web", "instances": 10, "cpus": 0.1, "mem": 64,
        "args": ["python3", "-c", SERVER],
        "env": {"WHAT": what},
        "portDefinitions": [{"port": 0, "name": "http"}],
        "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, "delaySeconds": 0,
            "intervalSeconds": 1, "timeoutSeconds": 10, "gracePeriodSeconds": 60}],
        "taskKillGracePeriodSeconds": 10,
        "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.2},
    })
}

/// Which instances may be called: instance id → port.
type Callable = Arc<Mutex<BTreeMap<String, u16>>>;

fn instance_of(task: &str) -> String {
    task.split("._app").next().unwrap().to_string()
}

/// Follows the events until the stream ends.
async fn follow(address: String, callable: Callable, ready: tokio::sync::oneshot::Sender<()>) {
    let headers = [("accept", "text/event-stream")];
    let sent = wire::send(&address, "GET", "/v2/events", &headers, bytes::Bytes::new()).await;
    let (response, _driver) = sent;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let (mut ready, mut text) = (Some(ready), String::new());
    let mut ports = BTreeMap::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        text.push_str(&String::from_utf8_lossy(&data));
        if let Some(ready) = ready.take() {
            let _ = ready.send(());
        }
        while let Some((line, rest)) =
            text.split_once('\n').map(|(a, b)| (a.to_string(), b.to_string()))
        {
            text = rest;
            let line = line.trim_end();
            if let Some(json) = line.strip_prefix("data: ") {
                heard(&serde_json::from_str(json).unwrap(), &mut ports, &callable);
            }
        }
    }
}

fn heard(event: &Value, ports: &mut BTreeMap<String, u16>, callable: &Callable) {
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_string();
    match event["eventType"].as_str().unwrap() {
        "status_update_event" => {
            let instance = instance_of(&text("taskId"));
            if let Some(port) = event["ports"][0].as_u64() {
                ports.insert(instance.clone(), u16::try_from(port).unwrap());
            }
            if text("taskStatus") != "TASK_RUNNING" {
                callable.lock().unwrap().remove(&instance);
            }
        }
        "instance_health_changed_event" => {
            let instance = text("instanceId");
            let mut callable = callable.lock().unwrap();
            match (event["healthy"].as_bool(), ports.get(&instance)) {
                (Some(true), Some(port)) => {
                    callable.insert(instance, *port);
                }
                _ => {
                    callable.remove(&instance);
                }
            }
        }
        "instance_changed_event" if text("condition") != "Running" => {
            callable.lock().unwrap().remove(&text("instanceId"));
        }
        _ => {}
    }
}

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    called: AtomicU64,
    failed: Mutex<Vec<String>>,
    seen: Mutex<BTreeMap<String, u64>>,
}

/// Calls one instance after the other.
async fn call_all(callable: Callable, counts: Arc<Counts>) {
    let mut turn = 0;
    while !counts.stop.load(Ordering::Relaxed) {
        let all: Vec<(String, u16)> =
            callable.lock().unwrap().iter().map(|(id, port)| (id.clone(), *port)).collect();
        if all.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        turn += 1;
        let (instance, port) = &all[turn % all.len()];
        counts.called.fetch_add(1, Ordering::Relaxed);
        match called(*port).await {
            Ok(what) => *counts.seen.lock().unwrap().entry(what).or_default() += 1,
            Err(why) => counts.failed.lock().unwrap().push(format!("{instance}: {why}")),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn called(port: u16) -> Result<String, String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let call = async {
        let mut tcp = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), call).await;
    let answer = answer.map_err(|_| "no answer".to_string())?.map_err(|e| e.to_string())?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_string()),
        _ => Err(format!("answered {answer:?}")),
    }
}

// covers: MAR-0609, MAR-0620, MAR-0653
async fn no_request_fails_while_all_instances_are_replaced_and_back(form: Form) {
    let world = World::start(form);
    let callable = Callable::default();
    let (ready, attached) = tokio::sync::oneshot::channel();
    let following = tokio::spawn(follow(world.marathon.clone(), callable.clone(), ready));
    attached.await.unwrap();
    world.deploy(app("one")).await;
    world.until("/v2/apps/web", "ten are healthy", |seen| seen["app"]["tasksHealthy"] == 10).await;
    let counts = Arc::new(Counts::default());
    let callers: Vec<_> =
        (0..4).map(|_| tokio::spawn(call_all(callable.clone(), counts.clone()))).collect();
    let first = world.get("/v2/apps/web/versions").await["versions"][0].clone();
    let update = world.ask("PUT", "/v2/apps/web", json!({"env": {"WHAT": "two"}})).await;
    assert_eq!(update.status, 200, "{}", update.text());
    let locked = world.ask("PUT", "/v2/apps/web", json!({"cpus": 0.2})).await;
    assert_eq!(locked.status, 409, "{}", locked.text());
    world.deployed().await;
    let app = world.get("/v2/apps/web").await;
    assert_eq!(app["app"]["tasksHealthy"], 10);
    assert_eq!(app["app"]["env"]["WHAT"], "two");
    let back = world.ask("PUT", "/v2/apps/web", json!({"version": first})).await;
    assert_eq!(back.status, 200, "{}", back.text());
    world.deployed().await;
    assert_eq!(world.get("/v2/apps/web").await["app"]["env"]["WHAT"], "one");
    counts.stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    following.abort();
    let failed = counts.failed.lock().unwrap().clone();
    let seen = counts.seen.lock().unwrap().clone();
    let called = counts.called.load(Ordering::Relaxed);
    assert!(failed.is_empty(), "{} of {called} failed: {:#?}", failed.len(), failed);
    assert!(seen.get("one") > Some(&0) && seen.get("two") > Some(&0), "{seen:?}");
}

in_both_forms!(no_request_fails_while_all_instances_are_replaced_and_back);
