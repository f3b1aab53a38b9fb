//! A framework of a few lines, speaking JSON over sockets of its own: what it is told is what a stranger would be told.

use super::world::{DEADLINE, request, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// States in which a task stays.
pub const ENDS: &[&str] = &[
    "TASK_FINISHED",
    "TASK_FAILED",
    "TASK_KILLED",
    "TASK_LOST",
    "TASK_DROPPED",
    "TASK_ERROR",
    "TASK_GONE",
];

/// What a framework knows, over all its connections.
#[derive(Default)]
pub struct Scheduler {
    name: String,
    pub id: Option<String>,
    master: String,
    stream: Option<(TcpStream, String)>,
    events: Option<Receiver<Value>>,
    /// All updates that came, in order.
    pub updates: Vec<Value>,
    /// The uuids whose acknowledgement the master took.
    pub acknowledged: BTreeSet<String>,
    /// Updates are not acknowledged.
    pub silent: bool,
    wanted: Vec<Value>,
}

/// A small task.
pub fn task(name: &str, command: &str) -> Value {
    json!({
        "name": name,
        "task_id": {"value": name},
        "command": {"value": command},
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.01}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}},
        ],
    })
}

impl Scheduler {
    /// A framework that has subscribed.
    #[track_caller]
    pub fn subscribe(name: &str, master: &str) -> Self {
        let mut scheduler = Self::default();
        scheduler.name = name.into();
        scheduler.resubscribe(master);
        scheduler
    }

    /// Subscribes again, with the same id.
    #[track_caller]
    pub fn resubscribe(&mut self, master: &str) {
        self.leave();
        self.master = master.to_string();
        let mut info = json!({
            "user": nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name,
            "name": self.name,
            "failover_timeout": 3600.0,
            "checkpoint": true,
            "roles": ["*"],
            "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
        });
        let mut call = json!({"type": "SUBSCRIBE"});
        if let Some(id) = &self.id {
            info["id"] = json!({"value": id});
            call["framework_id"] = json!({"value": id});
        }
        call["subscribe"] = json!({"framework_info": info});
        until("the framework subscribes", || self.try_subscribe(&call));
        let first = self.next(DEADLINE).expect("a first event");
        assert_eq!(first["type"], "SUBSCRIBED", "{first}");
        let id = first["subscribed"]["framework_id"]["value"].as_str().unwrap().to_string();
        assert!(self.id.as_ref().is_none_or(|known| *known == id), "another id: {id}");
        self.id = Some(id);
    }

    fn try_subscribe(&mut self, call: &Value) -> bool {
        let Ok(mut stream) = TcpStream::connect(&self.master) else { return false };
        let (body, master) = (call.to_string(), &self.master);
        let head = format!(
            "POST /api/v1/scheduler HTTP/1.0\r\nHost: {master}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut stream_id) = (String::new(), String::new());
        if reader.read_line(&mut line).is_err() || !line.contains(" 200 ") {
            assert!(line.is_empty() || line.contains(" 503 "), "refused: {line}");
            return false;
        }
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("mesos-stream-id") => {
                    stream_id = value.to_string();
                }
                Some(_) => {}
                None => break,
            }
        }
        let (tell, events) = channel();
        std::thread::spawn(move || {
            while let Some(event) = record(&mut reader) {
                if tell.send(event).is_err() {
                    return;
                }
            }
        });
        (self.stream, self.events) = (Some((stream, stream_id)), Some(events));
        true
    }

    /// Goes away without a word.
    pub fn leave(&mut self) {
        if let Some((stream, _)) = self.stream.take() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Sends a call; whether the master took it.
    pub fn call(&self, mut call: Value) -> bool {
        let Some((_, stream_id)) = &self.stream else { return false };
        call["framework_id"] = json!({"value": self.id});
        let head = format!("POST /api/v1/scheduler HTTP/1.0\r\nMesos-Stream-Id: {stream_id}\r\nX:");
        // A master that dies meanwhile takes nothing; whoever asked sees it by the stream's end.
        request(&self.master, &head, &call.to_string()).is_ok_and(|(status, _)| status == 202)
    }

    fn next(&mut self, wait: Duration) -> Option<Value> {
        self.events.as_ref()?.recv_timeout(wait).ok()
    }

    /// Tasks for the next offer.
    pub fn launch(&mut self, tasks: Vec<Value>) {
        self.wanted.extend(tasks);
        self.call(json!({"type": "REVIVE", "revive": {}}));
    }

    /// Handles events until `done`, which must come.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let since = Instant::now();
        while !done(self) {
            let seen = &self.updates;
            assert!(since.elapsed() < DEADLINE, "never: {what}; {seen:#?}");
            assert!(self.one(Duration::from_millis(50)), "the stream ended before: {what}");
        }
    }

    /// Handles events for so long; whether the stream still stands.
    pub fn handle_for(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if !self.one(left) {
                return false;
            }
        }
        true
    }

    fn one(&mut self, wait: Duration) -> bool {
        let Some(events) = &self.events else { return false };
        let event = match events.recv_timeout(wait) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        match event["type"].as_str() {
            Some("UPDATE") => {
                let status = event["update"]["status"].clone();
                self.updates.push(status.clone());
                if !self.silent {
                    self.acknowledge(&status);
                }
            }
            Some("OFFERS") => {
                for offer in event["offers"]["offers"].as_array().unwrap() {
                    self.answer(offer);
                }
            }
            Some("ERROR") => panic!("{event}"),
            _ => {}
        }
        true
    }

    /// Acknowledges an update.
    pub fn acknowledge(&mut self, status: &Value) {
        let Some(uuid) = status["uuid"].as_str() else { return };
        let taken = self.call(json!({"type": "ACKNOWLEDGE", "acknowledge": {
            "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": uuid,
        }}));
        if taken {
            self.acknowledged.insert(uuid.to_string());
        }
    }

    fn answer(&mut self, offer: &Value) {
        let ids = json!([offer["id"]]);
        if self.wanted.is_empty() {
            let filters = json!({"refuse_seconds": 3600.0});
            self.call(
                json!({"type": "DECLINE", "decline": {"offer_ids": ids, "filters": filters}}),
            );
            return;
        }
        let mut tasks = std::mem::take(&mut self.wanted);
        for task in &mut tasks {
            task["agent_id"] = offer["agent_id"].clone();
        }
        self.call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": ids,
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}],
            "filters": {"refuse_seconds": 0.0},
        }}));
    }

    /// The states a task was told to have, in order.
    pub fn states(&self, task: &str) -> Vec<&str> {
        let of_task = self.updates.iter().filter(|u| u["task_id"]["value"] == task);
        of_task.filter_map(|u| u["state"].as_str()).collect()
    }

    /// Its updates in one state.
    pub fn updates_of(&self, task: &str, state: &str) -> Vec<Value> {
        let fits = |u: &&Value| u["task_id"]["value"] == task && u["state"] == state;
        self.updates.iter().filter(fits).cloned().collect()
    }

    /// Whether it was told of the task's end.
    pub fn has_ended(&self, task: &str) -> bool {
        self.states(task).iter().any(|s| ENDS.contains(s))
    }

    /// Every task that an update was about, with its ends by uuid.
    pub fn ends(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut ends: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for update in &self.updates {
            let of_task = ends.entry(update["task_id"]["value"].as_str().unwrap().into());
            let states = of_task.or_default();
            if ENDS.iter().any(|e| update["state"] == *e) {
                states.insert(update["state"].as_str().unwrap().into());
            }
        }
        ends
    }

    /// Wants a task to end.
    pub fn kill(&self, task: &str) {
        self.call(json!({"type": "KILL", "kill": {"task_id": {"value": task}}}));
    }

    /// Asks what became of all its tasks.
    pub fn reconcile(&self) {
        self.call(json!({"type": "RECONCILE", "reconcile": {"tasks": []}}));
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The next record of a RecordIO stream.
fn record(reader: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut bytes = vec![0; line.trim().parse().ok()?];
    reader.read_exact(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}
