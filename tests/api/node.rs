//! The real binary as a child: `mesolith up` on free ports, with a data folder of its own, and no process left behind.

use super::wire::{self, Answer, DEADLINE};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

/// What an agent offers unless a test says otherwise.
const RESOURCES: &str = "--resources=cpus:2;mem:512;disk:1024;ports:[31000-31009]";
/// Two heartbeats are the proof that nothing else has come.
const HEARTBEAT: &str = "--heartbeat-interval=300ms";

/// Whether tasks run in real containers here; told once.
pub fn contained() -> bool {
    static TOLD: Once = Once::new();
    let root = nix::unistd::geteuid().is_root();
    TOLD.call_once(|| match root {
        true => eprintln!("tasks run in containers"),
        false => eprintln!("not root: tasks run as plain processes (--launcher=posix)"),
    });
    root
}

/// A node, ended with all its tasks when it is dropped.
pub struct Node {
    pub master: String,
    pub agent: String,
    child: Child,
    flags: Vec<String>,
    pub dir: tempfile::TempDir,
}

impl Node {
    /// A node with these settings besides the usual ones.
    pub fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Tasks of other users work in it.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut all: Vec<String> = flags.iter().map(|f| (*f).to_string()).collect();
        for usual in [RESOURCES, HEARTBEAT] {
            let name = usual.split('=').next().unwrap();
            if !flags.iter().any(|f| f.starts_with(name)) {
                all.push(usual.to_string());
            }
        }
        if !contained() {
            all.push("--launcher=posix".to_string());
        }
        let any = ["127.0.0.1:0", "127.0.0.1:0"];
        let (child, master, agent) = spawn(&dir.path().join("data"), &all, any);
        Self { master, agent, child, flags: all, dir }
    }

    /// Stops it (its tasks go on) and starts another on its data.
    pub fn restart(&mut self) {
        self.signal("TERM");
        assert!(self.ended(DEADLINE), "the node did not stop");
        self.start_again();
    }

    /// Loses it without a word and starts another on its data.
    pub fn crash(&mut self) {
        self.signal("KILL");
        assert!(self.ended(DEADLINE), "the node did not die");
        self.start_again();
    }

    /// Waits until it has ended by itself, and starts another on its data.
    pub fn start_after_end(&mut self) {
        assert!(self.ended(DEADLINE), "the node did not end");
        self.start_again();
    }

    /// On the same ports: an agent that moves is another agent.
    fn start_again(&mut self) {
        (self.child, self.master, self.agent) =
            spawn(&self.data(), &self.flags, [&self.master, &self.agent]);
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// GET at the master.
    pub async fn get(&self, path: &str) -> Value {
        wire::get(&self.master, path).await
    }

    /// GET at the agent.
    pub async fn get_agent(&self, path: &str) -> Value {
        wire::get(&self.agent, path).await
    }

    /// POST at the master.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        wire::ask(&self.master, "POST", path, headers, body.to_string()).await
    }

    /// Asks the master until it shows that.
    pub async fn until(&self, path: &str, what: &str, shows: impl Fn(&Value) -> bool) -> Value {
        until(&self.master, path, what, shows).await
    }

    /// Asks the agent until it shows that.
    pub async fn until_agent(
        &self,
        path: &str,
        what: &str,
        shows: impl Fn(&Value) -> bool,
    ) -> Value {
        until(&self.agent, path, what, shows).await
    }

    fn signal(&self, name: &str) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let signal = match name {
            "TERM" => nix::sys::signal::SIGTERM,
            "KILL" => nix::sys::signal::SIGKILL,
            _ => nix::sys::signal::SIGUSR1,
        };
        // It may have ended by itself; then there is nothing to signal.
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

async fn until(address: &str, path: &str, what: &str, shows: impl Fn(&Value) -> bool) -> Value {
    let since = Instant::now();
    loop {
        let seen = wire::get(address, path).await;
        if shows(&seen) {
            return seen;
        }
        assert!(since.elapsed() < DEADLINE, "never: {what}; {path} shows {seen:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn spawn(data: &Path, flags: &[String], addresses: [&str; 2]) -> (Child, String, String) {
    let [master, agent] = addresses.map(|a| a.rsplit(':').next().unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_mesolith"))
        .args(["up", "--config=/dev/null"])
        .arg(format!("--master-port={master}"))
        .arg(format!("--agent-port={agent}"))
        .arg("--roles=master,agent")
        .args(["--cluster-port=0", "--cluster-ip=127.0.0.1"])
        .arg(format!("--data-dir={}", data.display()))
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let (mut urls, mut all) = ([None, None], String::new());
    loop {
        let mut line = String::new();
        let end = said.read_line(&mut line).unwrap() == 0;
        for (url, name) in urls.iter_mut().zip(["master", "agent"]) {
            if let Some((face, rest)) = line.trim().split_once(' ')
                && face == name
            {
                *url = rest.trim().strip_prefix("http://").map(String::from);
            }
        }
        all.push_str(&line);
        if end {
            let _ = child.wait();
            panic!("the node did not start: {all}");
        }
        if line.starts_with("Stop:") {
            break;
        }
    }
    // What it says later is shown where the test fails; a full pipe must not hold it up.
    std::thread::spawn(move || {
        let mut rest = String::new();
        let _ = said.read_to_string(&mut rest);
        if rest.lines().any(|l| l.contains("panicked")) {
            eprintln!("the node said: {rest}");
        }
    });
    let [Some(master), Some(agent)] = urls else { panic!("no addresses: {all}") };
    (child, master, agent)
}

impl Drop for Node {
    fn drop(&mut self) {
        let lost = self.child.try_wait().unwrap().is_some();
        self.signal("USR1");
        if lost || !self.ended(Duration::from_secs(20)) {
            eprintln!("the node was lost or did not end its tasks in time: they are ended now");
            self.signal("KILL");
            let down = Command::new(env!("CARGO_BIN_EXE_mesolith"))
                .args(["down", "--kill"])
                .arg(format!("--data-dir={}", self.data().display()))
                .output();
            eprintln!("{down:?} {:?}", self.child.wait());
        }
    }
}
