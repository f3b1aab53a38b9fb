//! Data folders, nodes and commands, and that nothing of them is left on the machine afterwards.

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at something that tells of nothing by itself.
const LOOK: Duration = Duration::from_millis(10);

static HOMES: AtomicU32 = AtomicU32::new(0);

/// Waits until `done`.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < DEADLINE, "never: {what}");
        std::thread::sleep(LOOK);
    }
}

/// The binary, with no settings of the one who runs the tests.
pub fn mesolith<S: AsRef<OsStr>>(args: &[S]) -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_mesolith")), args)
}

/// The same for the binary under another name.
pub fn program<S: AsRef<OsStr>>(path: &Path, args: &[S]) -> Command {
    let mut command = Command::new(path);
    command.args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        let ours = ["MESOS_", "MESOLITH_", "MARATHON_", "CHRONOS_"];
        if ours.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    // Each node of a test has a cluster of its own, of which nobody else hears.
    command.env("MESOLITH_CLUSTER_PORT", "0").env("MESOLITH_CLUSTER_IP", "127.0.0.1");
    command
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// It must have ended so.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn finish(command: &mut Command) -> Said {
    Talk::start(command).end()
}

/// Runs a verb to its end.
#[track_caller]
pub fn verb<S: AsRef<OsStr>>(args: &[S]) -> Said {
    finish(&mut mesolith(args))
}

/// A child whose words are read as they come.
pub struct Talk {
    pub child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

fn listen(
    from: impl Read + Send + 'static,
    to: &Arc<Mutex<String>>,
) -> std::thread::JoinHandle<()> {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            to.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

impl Talk {
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            listen(child.stdout.take().unwrap(), &stdout),
            listen(child.stderr.take().unwrap(), &stderr),
        ];
        Self { child, stdout, stderr, readers }
    }

    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    pub fn signal(&self, signal: i32) {
        signal_to(self.child.id() as i32, signal);
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Said {
        let since = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if since.elapsed() > DEADLINE {
                let _ = self.child.kill();
                panic!("does not end: {} {}", self.stdout(), self.stderr());
            }
            std::thread::sleep(LOOK);
        };
        // What it wrote last is still on its way. A pipe that another process holds is none of its words.
        let since = Instant::now();
        while self.readers.iter().any(|r| !r.is_finished()) && since.elapsed() < DEADLINE {
            std::thread::sleep(LOOK);
        }
        Said { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what process {} said:\n{}", self.child.id(), self.stderr());
        }
        if self.child.try_wait().is_ok_and(|s| s.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

pub fn signal_to(pid: i32, signal: i32) {
    // SAFETY: kill has no preconditions.
    unsafe { libc::kill(pid, signal) };
}

/// A folder for a node's data, and room beside it.
pub struct Home {
    dir: tempfile::TempDir,
    marker: String,
    /// An agent keeps its port: it is part of what it is.
    ports: [u16; 2],
}

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    [(); 2]
        .map(|()| TcpListener::bind("127.0.0.1:0").unwrap())
        .map(|l| l.local_addr().unwrap().port())
}

/// Whether tasks can be isolated here.
pub fn isolates() -> bool {
    nix::unistd::geteuid().is_root()
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Tasks of other users work in it.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let n = HOMES.fetch_add(1, Ordering::Relaxed);
        Self { dir, marker: format!("9{:06}{n:03}", std::process::id()), ports: free_ports() }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A path beside the data.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The flag that names the folder.
    pub fn data_dir(&self) -> String {
        format!("--data-dir={}", self.data().display())
    }

    /// `mesolith up` on it, not yet started.
    pub fn command(&self, more: &[&str]) -> Command {
        self.command_as("master,agent", more)
    }

    /// The same with other roles.
    pub fn command_as(&self, roles: &str, more: &[&str]) -> Command {
        let [master, agent] = self.ports;
        let mut command = mesolith(&["up", &self.data_dir()]);
        command.arg(format!("--master-port={master}")).arg(format!("--agent-port={agent}"));
        command.arg(format!("--roles={roles}"));
        if !isolates() {
            eprintln!("not root: tasks are plain processes in this test");
            command.arg("--launcher=posix");
        }
        command.args(more);
        command
    }

    /// A node on it.
    #[track_caller]
    pub fn up(&self) -> Node {
        self.up_with(&[])
    }

    #[track_caller]
    pub fn up_with(&self, more: &[&str]) -> Node {
        Node::start(&mut self.command(more))
    }

    /// A node on it again; it must find these tasks running, and again be registered.
    #[track_caller]
    pub fn up_again(&self, sleepers: &BTreeMap<i32, usize>) -> Node {
        let node = self.up().with_agent();
        assert_eq!(self.sleepers(), *sleepers, "the same processes");
        node
    }

    pub fn down(&self, more: &[&str]) -> Said {
        let data_dir = self.data_dir();
        let mut args = vec!["down", data_dir.as_str()];
        args.extend(more);
        verb(&args)
    }

    /// A command that sleeps for days and can be told from all others on the machine.
    pub fn long(&self, n: usize) -> String {
        format!("exec sleep {}.{n:03}", self.marker)
    }

    /// The processes of [`Home::long`] commands: pid → n.
    pub fn sleepers(&self) -> BTreeMap<i32, usize> {
        let wanted = format!("sleep\0{}.", self.marker);
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
                continue;
            };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(rest) = line.strip_prefix(&wanted) {
                found.insert(pid, rest.trim_end_matches('\0').parse().unwrap());
            }
        }
        found
    }

    /// The supervisor of its containers, if one runs.
    pub fn supervisor(&self) -> Option<i32> {
        supervisor_below(&self.data())
    }
}

/// The supervisor of containers with its run directory below `dir`.
pub fn supervisor_below(dir: &Path) -> Option<i32> {
    let wanted = format!("{}/", dir.display());
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()).find(|pid| {
        let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&read("comm")).trim() == "mesolith-superv"
            && String::from_utf8_lossy(&read("cmdline")).contains(&wanted)
    })
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.data().join("IDENTITY").exists() {
            // A node that was told to stop already, or never was there, is no fault here.
            let _ = mesolith(&["down", "--kill", &self.data_dir()]).output();
        }
        for pid in self.sleepers().keys() {
            signal_to(*pid, libc::SIGKILL);
        }
    }
}

/// A running node. Dropped, it is stopped with its tasks.
pub struct Node {
    pub talk: Talk,
    pub master: String,
    pub agent: String,
}

impl Node {
    /// Starts it and waits until it has said where it is.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let mut talk = Talk::start(command);
        let since = Instant::now();
        while !talk.stderr().contains("Stop: Ctrl-C") {
            assert!(!talk.has_ended(), "ended at once: {}", talk.stderr());
            assert!(since.elapsed() < DEADLINE, "never up: {}", talk.stderr());
            std::thread::sleep(LOOK);
        }
        let said = talk.stderr();
        let address = |face: &str| {
            let line = said.lines().find(|l| l.trim_start().starts_with(face));
            // Not every node serves all.
            line.map(|l| l.split_once("http://").unwrap().1.to_string()).unwrap_or_default()
        };
        Self { master: address("master "), agent: address("agent "), talk }
    }

    /// What it dies of is not seen coming.
    pub fn kill9(mut self) {
        self.talk.child.kill().unwrap();
        self.talk.child.wait().unwrap();
    }

    /// Stops it by a signal.
    #[track_caller]
    pub fn stop(self, signal: i32) -> Said {
        self.talk.signal(signal);
        self.ended()
    }

    /// Waits until it has stopped.
    #[track_caller]
    pub fn ended(mut self) -> Said {
        let since = Instant::now();
        while !self.talk.has_ended() {
            assert!(since.elapsed() < DEADLINE, "does not stop: {}", self.talk.stderr());
            std::thread::sleep(LOOK);
        }
        let code = self.talk.child.wait().unwrap().code();
        Said { code, stdout: self.talk.stdout(), stderr: self.talk.stderr() }
    }

    /// A verb asked of this node's master.
    #[track_caller]
    pub fn ask(&self, args: &[&str]) -> Said {
        finish(&mut self.asking(args))
    }

    /// A verb to be asked of this node's master.
    pub fn asking(&self, args: &[&str]) -> Command {
        let mut command = mesolith(args);
        command.env("MESOLITH_MASTER", &self.master).env("MESOS_MASTER", &self.master);
        command
    }

    pub fn state(&self) -> Value {
        get(&self.master, "/state")
    }

    /// Waits until the agent is registered.
    #[track_caller]
    pub fn with_agent(mut self) -> Self {
        until("the agent registers", || {
            let ended = self.talk.has_ended();
            assert!(!ended, "the node has ended: {}", self.talk.stderr());
            // The master may not lead yet.
            let asked = request(&self.master, "GET /state", "");
            asked.is_ok_and(|(status, body)| {
                status == 200 && body.contains("\"activated_slaves\":1")
            })
        });
        self
    }

    /// A task's state as `/state` has it, of running and ended tasks.
    pub fn task(&self, id: &str) -> Value {
        let state = self.state();
        for frameworks in ["frameworks", "completed_frameworks"] {
            for framework in state[frameworks].as_array().unwrap() {
                for list in ["tasks", "completed_tasks", "unreachable_tasks"] {
                    let tasks = framework[list].as_array().into_iter().flatten();
                    if let Some(task) = tasks.into_iter().find(|t| t["id"] == id) {
                        return task.clone();
                    }
                }
            }
        }
        Value::Null
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.talk.has_ended() {
            return;
        }
        self.talk.signal(libc::SIGUSR1);
        let since = Instant::now();
        while !self.talk.has_ended() && since.elapsed() < DEADLINE {
            std::thread::sleep(LOOK);
        }
    }
}

/// One request; the answer's status and body. Spoken as HTTP/1.0, so that bodies come as they are.
pub fn request(address: &str, head: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let length = body.len();
    write!(stream, "{head} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\n")?;
    write!(stream, "Content-Length: {length}\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Ok((status, body.to_string()))
}

/// JSON from a path.
#[track_caller]
pub fn get(address: &str, path: &str) -> Value {
    let (status, body) = request(address, &format!("GET {path}"), "").unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The host's mounts below a folder.
pub fn mounts_below(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let wanted = dir.display().to_string();
    text.lines().filter(|l| l.contains(&wanted)).map(String::from).collect()
}

/// Every cgroup of the machine named `mesolith…`, in all hierarchies.
pub fn cgroups() -> Vec<PathBuf> {
    let Ok(all) = std::fs::read_dir("/sys/fs/cgroup") else { return Vec::new() };
    let mut bases: Vec<_> = all.flatten().map(|e| e.path()).collect();
    bases.push("/sys/fs/cgroup".into());
    let below = bases.iter().filter_map(|b| std::fs::read_dir(b).ok()).flatten().flatten();
    let named = |p: &PathBuf| {
        p.is_dir() && p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("mesolith"))
    };
    below.map(|e| e.path()).filter(named).collect()
}
