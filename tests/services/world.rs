//! A node with Marathon and Chronos, and no process left behind.

use super::wire::{self, Answer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at something that is asked for.
const LOOK: Duration = Duration::from_millis(20);

const RESOURCES: &str = "--resources=cpus:8;mem:4096;disk:4096;ports:[31000-31999]";

/// Worlds of this process: each has commands that can be told from those of the others.
static WORLDS: AtomicU32 = AtomicU32::new(0);

/// A run that failed is tried again soon: its default is as long as a test may take.
const RETRY: &str = "failure-retry=500";

/// Where the frameworks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the node's process.
    Hosted,
    /// Each in a process of its own, over HTTP.
    Apart,
}

/// A child and the addresses it told.
struct Process {
    child: Child,
    urls: BTreeMap<String, String>,
}

impl Process {
    fn start(args: &[String]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesolith"));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        for (name, _) in std::env::vars() {
            if ["MESOS_", "MESOLITH_", "MARATHON_", "CHRONOS_"].iter().any(|p| name.starts_with(p))
            {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let (mut urls, mut all) = (BTreeMap::new(), String::new());
        loop {
            let mut line = String::new();
            let end = said.read_line(&mut line).unwrap() == 0;
            if let Some((face, url)) = line.trim().split_once(' ')
                && let Some(address) = url.trim().strip_prefix("http://")
            {
                urls.insert(face.to_string(), address.to_string());
            }
            all.push_str(&line);
            if end {
                let _ = child.wait();
                panic!("it did not start: {all}");
            }
            if line.starts_with("Stop:") {
                break;
            }
        }
        // A full pipe must not hold it up.
        std::thread::spawn(move || {
            let mut rest = String::new();
            let _ = said.read_to_string(&mut rest);
            if rest.lines().any(|l| l.contains("panicked") || l.contains("WARN")) {
                eprintln!("it said: {rest}");
            }
        });
        Self { child, urls }
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        // It may have ended by itself.
        let _ = nix::sys::signal::kill(pid, signal);
    }

    fn ended(&mut self, within: Duration) -> bool {
        let since = Instant::now();
        while since.elapsed() < within {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

/// A cluster of one machine.
pub struct World {
    form: Form,
    node: Process,
    frameworks: Vec<Process>,
    /// A second machine, with an agent alone.
    other: Option<Process>,
    flags: Vec<String>,
    dir: tempfile::TempDir,
    number: u32,
    pub master: String,
    pub agent: String,
    pub marathon: String,
    pub chronos: String,
}

impl World {
    pub fn start(form: Form) -> Self {
        Self::start_with(form, &[])
    }

    pub fn start_with(form: Form, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Tasks of other users work in it.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut flags = vec![RESOURCES.to_string()];
        flags.extend(more.iter().map(|flag| flag.to_string()));
        if !nix::unistd::geteuid().is_root() {
            eprintln!("not root: tasks are plain processes in this test");
            flags.push("--launcher=posix".to_string());
        }
        let any = "127.0.0.1:0".to_string();
        let node = Self::node(form, dir.path(), &flags, [&any; 4]);
        let of = |node: &Process, face: &str| node.urls.get(face).cloned().unwrap_or_default();
        let mut world = Self {
            form,
            master: of(&node, "master"),
            agent: of(&node, "agent"),
            marathon: of(&node, "marathon"),
            chronos: of(&node, "chronos"),
            node,
            frameworks: Vec::new(),
            other: None,
            flags,
            dir,
            number: WORLDS.fetch_add(1, Ordering::Relaxed),
        };
        world.start_frameworks();
        world
    }

    fn node(form: Form, dir: &Path, flags: &[String], at: [&String; 4]) -> Process {
        let mut args = vec!["up".to_string(), "--config=/dev/null".to_string()];
        for (face, address) in ["master", "agent", "marathon", "chronos"].iter().zip(at) {
            let port = address.rsplit(':').next().unwrap();
            args.push(format!("--{face}-port={port}"));
        }
        match form {
            Form::Apart => args.push("--roles=master,agent".to_string()),
            Form::Hosted => args.push(format!("--chronos-{RETRY}")),
        }
        args.push("--cluster-port=0".to_string());
        args.push("--cluster-ip=127.0.0.1".to_string());
        args.push(format!("--data-dir={}", dir.join("data").display()));
        args.extend(flags.iter().cloned());
        Process::start(&args)
    }

    fn start_frameworks(&mut self) {
        if self.form == Form::Hosted {
            return;
        }
        for (name, address) in [("marathon", &mut self.marathon), ("chronos", &mut self.chronos)] {
            let port = address.rsplit(':').next().filter(|p| !p.is_empty()).unwrap_or("0");
            let mut args = vec![
                name.to_string(),
                "--config=/dev/null".to_string(),
                format!("--master={}", self.master),
                format!("--http-port={port}"),
            ];
            if name == "chronos" {
                args.push(format!("--{RETRY}"));
            }
            let process = Process::start(&args);
            *address = process.urls[name].clone();
            self.frameworks.push(process);
        }
    }

    /// Joins a second machine, which runs tasks and nothing else.
    pub async fn join_agent(&mut self) {
        let json = [("content-type", "application/json")];
        let tokens = "/mesolith/v1/cluster/tokens";
        let made = wire::ask(&self.master, "POST", tokens, &json, "{}").await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made: Value = serde_json::from_slice(&made.body).unwrap();
        let cluster = wire::get(&self.master, "/mesolith/v1/cluster").await;
        let mut args: Vec<String> =
            ["up", "--config=/dev/null", "--roles=agent", "--agent-port=0", "--cluster-port=0"]
                .map(String::from)
                .into();
        args.extend(["--master-port=0", "--cluster-ip=127.0.0.1"].map(String::from));
        args.push(format!("--join={}", cluster["nodes"][0]["address"].as_str().unwrap()));
        args.push(format!("--token={}", made["token"].as_str().unwrap()));
        args.push(format!("--data-dir={}", self.dir.path().join("other").display()));
        args.extend(self.flags.iter().cloned());
        self.other = Some(Process::start(&args));
    }

    /// Whether the second machine's node has ended by itself.
    pub fn other_ended(&mut self) -> bool {
        self.other.as_mut().is_none_or(|other| other.ended(DEADLINE))
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Loses all its processes without a word and starts them again on their data and ports.
    pub fn crash(&mut self) {
        let processes = std::iter::once(&mut self.node).chain(&mut self.frameworks);
        for process in processes {
            process.signal(nix::sys::signal::SIGKILL);
            assert!(process.ended(DEADLINE), "it did not die");
        }
        self.frameworks.clear();
        let at = [&self.master, &self.agent, &self.marathon, &self.chronos];
        self.node = Self::node(self.form, self.dir.path(), &self.flags, at);
        self.start_frameworks();
    }

    /// How long the nth sleeper sleeps: days, and told from all others on the machine.
    pub fn span(&self, n: u64) -> String {
        format!("7{:06}{:02}.{n:03}", std::process::id(), self.number)
    }

    /// A command that sleeps so long.
    pub fn sleeper(&self, n: u64) -> String {
        format!("exec sleep {}", self.span(n))
    }

    /// The processes that sleep so long.
    pub fn sleepers(&self, n: u64) -> Vec<i32> {
        pids_of(&format!("sleep {}", self.span(n)))
    }

    /// Asks Marathon.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let json = [("content-type", "application/json")];
        wire::ask(&self.marathon, method, path, &json, body).await
    }

    /// GET at Marathon, for the JSON of a 200.
    pub async fn get(&self, path: &str) -> Value {
        wire::get(&self.marathon, path).await
    }

    /// Creates an app, and waits until its deployment is over.
    pub async fn deploy(&self, app: Value) {
        let answer = self.ask("POST", "/v2/apps", app).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.deployed().await;
    }

    /// Waits until no deployment is under way.
    pub async fn deployed(&self) {
        self.until("/v2/deployments", "all is deployed", |d| d.as_array().unwrap().is_empty())
            .await;
    }

    /// Asks Marathon until it shows that. Answers that are no 200 do not count: it may just be starting.
    pub async fn until(&self, path: &str, what: &str, shows: impl Fn(&Value) -> bool) -> Value {
        until(&self.marathon, path, what, shows).await
    }

    /// The tasks of an app that run.
    pub async fn running(&self, app: &str, count: usize) -> Vec<Value> {
        let path = format!("/v2/apps{app}/tasks");
        let runs = |task: &&Value| task["state"] == "TASK_RUNNING";
        let seen = self
            .until(&path, &format!("{count} tasks of {app} run"), |seen| {
                seen["tasks"].as_array().unwrap().iter().filter(runs).count() == count
            })
            .await;
        seen["tasks"].as_array().unwrap().iter().filter(runs).cloned().collect()
    }
}

/// Asks until the answer is a 200 that shows it.
pub async fn until(address: &str, path: &str, what: &str, shows: impl Fn(&Value) -> bool) -> Value {
    let since = Instant::now();
    loop {
        let answer = wire::ask(address, "GET", path, &[("accept", "application/json")], "").await;
        let seen: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status == 200 && shows(&seen) {
            return seen;
        }
        let (status, text) = (answer.status, answer.text());
        assert!(since.elapsed() < DEADLINE, "never: {what}; {path} answers {status}: {text}");
        tokio::time::sleep(LOOK).await;
    }
}

/// The processes whose command line has that in it.
fn pids_of(marker: &str) -> Vec<i32> {
    let me = i32::try_from(std::process::id()).unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if pid != me && line.contains(marker) {
            found.push(pid);
        }
    }
    found.sort_unstable();
    found
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut other) = self.other.take() {
            other.signal(nix::sys::signal::SIGUSR1);
            if !other.ended(Duration::from_secs(20)) {
                eprintln!("the second machine does not stop: it is ended now");
                other.signal(nix::sys::signal::SIGKILL);
            }
        }
        for process in &mut self.frameworks {
            process.signal(nix::sys::signal::SIGTERM);
            if !process.ended(Duration::from_secs(20)) {
                eprintln!("a framework does not stop: it is ended now");
                process.signal(nix::sys::signal::SIGKILL);
                let _ = process.child.wait();
            }
        }
        let lost = self.node.child.try_wait().unwrap().is_some();
        self.node.signal(nix::sys::signal::SIGUSR1);
        if lost || !self.node.ended(Duration::from_secs(20)) {
            eprintln!("the node was lost or did not end its tasks in time: they are ended now");
            self.node.signal(nix::sys::signal::SIGKILL);
            let down = Command::new(env!("CARGO_BIN_EXE_mesolith"))
                .args(["down", "--kill"])
                .arg(format!("--data-dir={}", self.data().display()))
                .output();
            eprintln!("{down:?} {:?}", self.node.child.wait());
        }
    }
}
