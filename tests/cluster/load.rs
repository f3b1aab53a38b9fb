//! Writers and readers while faults happen. Every value is written once in its life, and what became of each attempt is kept.

use super::ask::{self, Answer, CHRONOS, MARATHON, MASTER};
use super::net::Host;
use super::record::{Attempt, Outcome, Reign, Seen, Written};
use super::world::{World, leading};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an answer is waited for.
const WITHIN: Duration = Duration::from_secs(8);
/// Between two attempts of a writer.
const PAUSE: Duration = Duration::from_millis(60);
/// Between two looks of a reader.
const READ_PAUSE: Duration = Duration::from_millis(150);

/// How much of an answer is kept.
const TEXT_MAX: usize = 200;

/// What writers and readers have in common.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    attempts: Mutex<Vec<Attempt>>,
    /// The last app that was acknowledged.
    newest: Mutex<Option<String>>,
    stale: Mutex<Vec<String>>,
    reigns: Mutex<Vec<Reign>>,
}

/// Writers and readers under way.
pub struct Load {
    name: String,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// A writer and a reader through each of these nodes. `name` tells its values from those of other loads.
    pub fn begin(world: &World, nodes: &[usize], name: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for number in nodes {
            let host = world.net.host(*number).clone();
            let (all, each, at) = (Arc::clone(&shared), format!("{name}-h{number}"), host.clone());
            threads.push(std::thread::spawn(move || write(&all, &at, &each)));
            let all = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || read(&all, &host)));
        }
        Self { name: name.to_string(), shared, threads }
    }

    /// How many attempts succeeded so far, through any node.
    pub fn acknowledged(&self) -> usize {
        let attempts = self.shared.attempts.lock().unwrap();
        attempts.iter().filter(|a| a.outcome == Outcome::Acknowledged).count()
    }

    /// Stops them.
    pub fn end(self) -> Seen {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        let shared = &*self.shared;
        Seen {
            load: self.name,
            attempts: std::mem::take(&mut *shared.attempts.lock().unwrap()),
            stale: std::mem::take(&mut *shared.stale.lock().unwrap()),
            reigns: std::mem::take(&mut *shared.reigns.lock().unwrap()),
        }
    }
}

/// Writes one value after the other; one of which nothing is known is tried again until it is.
fn write(shared: &Shared, host: &Host, name: &str) {
    let mut n = 0;
    let mut again = None;
    while !shared.stop.load(Ordering::Relaxed) {
        let value = again.take().unwrap_or_else(|| {
            n += 1;
            let name = format!("{name}-{n}");
            if n % 2 == 0 { Written::Job(name) } else { Written::App(name) }
        });
        let begun = Instant::now();
        let answer = put(host, &value);
        let outcome = judge(&value, &answer);
        let text = match &answer {
            Ok(answer) => format!("{} {}", answer.status, answer.body),
            Err(e) => format!("after {:.1?}: {e}", begun.elapsed()),
        };
        let text = text.chars().take(TEXT_MAX).collect();
        let answer = answer.ok().map(|a| (a.status, a.says_when()));
        let node = host.number();
        if outcome == Outcome::Unknown {
            again = Some(value.clone());
        }
        if let (Outcome::Acknowledged, Written::App(app)) = (outcome, &value) {
            *shared.newest.lock().unwrap() = Some(app.clone());
        }
        let attempt = Attempt { node, value, begun, ended: Instant::now(), outcome, answer, text };
        shared.attempts.lock().unwrap().push(attempt);
        std::thread::sleep(PAUSE);
    }
}

fn put(host: &Host, value: &Written) -> std::io::Result<Answer> {
    let (port, what, body) = match value {
        Written::App(name) => {
            let body = json!({"id": format!("/w/{name}"), "cmd": "true", "instances": 0});
            (MARATHON, "POST /v2/apps", body)
        }
        Written::Job(name) => {
            let body = json!({"name": name, "command": "true", "schedule": "R1/2090-01-01T00:00:00Z/PT1H"});
            (CHRONOS, "POST /v1/scheduler/iso8601", body)
        }
    };
    ask::ask(host, port, what, &body.to_string(), WITHIN)
}

fn judge(value: &Written, answer: &std::io::Result<Answer>) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        // A node that is not there.
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => return Outcome::Refused,
        Err(_) => return Outcome::Unknown,
    };
    match (value, answer.status) {
        (Written::App(_), 201) | (Written::Job(_), 204) => Outcome::Acknowledged,
        // An earlier attempt has come through.
        (Written::App(_), 409) if answer.body.contains("already exists") => Outcome::Acknowledged,
        // The face of a node that does not lead says so of what it did not pass on.
        (_, 503) if answer.body.contains("nobody has led") => Outcome::Refused,
        (_, 500 | 502) if answer.body.contains("Connection refused") => Outcome::Refused,
        (_, 500..=599) => Outcome::Unknown,
        _ => panic!("{value:?}: {answer:?}"),
    }
}

/// Asks for what was written last, and who leads: whatever was acknowledged before must be seen.
fn read(shared: &Shared, host: &Host) {
    while !shared.stop.load(Ordering::Relaxed) {
        let newest = shared.newest.lock().unwrap().clone();
        if let Some(app) = newest {
            let what = format!("GET /v2/apps//w/{app}");
            let answer = ask::ask(host, MARATHON, &what, "", WITHIN);
            if answer.as_ref().is_ok_and(|a| a.status == 404) {
                let text = format!("{app} by h{}: {:?}", host.number(), answer.unwrap());
                shared.stale.lock().unwrap().push(text);
            }
        }
        let asked = Instant::now();
        let answer = ask::ask(host, MASTER, "GET /mesolith/v1/cluster", "", WITHIN);
        if let Ok(answer) = answer
            && answer.status == 200
        {
            let cluster: Value = answer.json();
            if let (Some(epoch), Some(leader)) = (cluster["epoch"].as_u64(), leading(&cluster)) {
                let answered = Instant::now();
                let by = host.number();
                shared.reigns.lock().unwrap().push(Reign { epoch, leader, asked, answered, by });
            }
        }
        std::thread::sleep(READ_PAUSE);
    }
}
