//! One node on a host: the real program, what is done to it, and what it has said in all its lives.

use super::net::Host;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at what tells of nothing by itself.
pub const LOOK: Duration = Duration::from_millis(20);

/// Waits until `done`.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < DEADLINE, "never: {what}");
        std::thread::sleep(LOOK);
    }
}

/// The program, with no settings of whoever runs the tests.
pub fn mesolith() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesolith"));
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        let ours = ["MESOS_", "MESOLITH_", "MARATHON_", "CHRONOS_"];
        if ours.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// The library that gives a process another clock, where there is one.
pub fn faketime() -> Option<PathBuf> {
    let below = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut paths = below.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    paths.find(|path| path.exists())
}

/// A node; it may run or not.
pub struct Node {
    pub host: Host,
    data: PathBuf,
    log: PathBuf,
    cgroup: String,
    clock: Option<&'static str>,
    child: Option<Child>,
    /// How much of the log was there when it was started last.
    seen: usize,
}

impl Node {
    pub fn new(host: &Host, below: &Path) -> Self {
        let name = format!("h{}", host.number());
        Self {
            host: host.clone(),
            data: below.join(&name),
            log: below.join(format!("{name}.log")),
            cgroup: format!("mesolith-t{}-{name}", std::process::id()),
            clock: None,
            child: None,
            seen: 0,
        }
    }

    pub fn name(&self) -> String {
        format!("h{}", self.host.number())
    }

    /// Keeps its data there.
    pub fn keep_in(&mut self, data: PathBuf) {
        self.data = data;
    }

    /// From its next start on its clock is off by that.
    pub fn set_clock(&mut self, offset: Option<&'static str>) {
        self.clock = offset;
    }

    /// All it has said on stderr, in all its lives.
    pub fn said(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    fn said_now(&self) -> String {
        self.said().get(self.seen..).unwrap_or_default().to_string()
    }

    /// Starts it, without waiting for anything.
    pub fn begin(&mut self, flags: &[String]) {
        assert!(self.child.is_none(), "{} runs", self.name());
        self.seen = self.said().len();
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let mut command = mesolith();
        command.args(["up", "--config=/dev/null", "--logging-level=INFO"]);
        command.arg(format!("--data-dir={}", self.data.display()));
        command.arg(format!("--cgroups_root={}", self.cgroup));
        command.arg(format!("--hostname={}", self.name()));
        command.arg("--resources=cpus:8;mem:8192;disk:8192;ports:[31000-31999]");
        if let (Some(offset), Some(library)) = (self.clock, faketime()) {
            command.env("LD_PRELOAD", library).env("FAKETIME", offset);
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        command.args(flags).stdout(Stdio::null()).stderr(log);
        self.child = Some(self.host.command(&mut command).spawn().unwrap());
    }

    /// Waits until it has said that it is up.
    #[track_caller]
    pub fn is_up(&mut self) {
        let since = Instant::now();
        while !self.said_now().contains("Stop: Ctrl-C") {
            assert!(self.runs(), "{} has ended: {}", self.name(), self.said_now());
            assert!(since.elapsed() < DEADLINE, "{} not up: {}", self.name(), self.said_now());
            std::thread::sleep(LOOK);
        }
    }

    /// Whether its process is there.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.as_ref().expect("it runs").id()).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Its process dies of what is not seen coming; tasks and their supervisor go on.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.take().unwrap().wait().unwrap();
    }

    /// The machine dies: every process on the host.
    pub fn kill_everything(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
        until("nothing runs there", || {
            let all = self.host.processes();
            for pid in &all {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            all.is_empty()
        });
    }

    /// Told to stop; its tasks go on.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        self.ended();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) {
        until(&format!("{} stops", self.name()), || !self.runs());
        self.child = None;
    }

    /// The processes on the host that run such a command (by a part of it), and their task ids.
    pub fn tasks(&self, command: &str) -> BTreeMap<i32, String> {
        let mut found = BTreeMap::new();
        for pid in self.host.processes() {
            let read = |what: &str| {
                let bytes = std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            if read("cmdline").replace('\0', " ").trim_end() == command {
                let environment = read("environ");
                let mut all = environment.split('\0');
                let id = all.find_map(|e| e.strip_prefix("MESOS_TASK_ID=")).unwrap_or_default();
                found.insert(pid, id.to_string());
            }
        }
        found
    }

    /// Ends it with its tasks, however that is done, and takes away what its containers were in.
    pub fn clear(&mut self) {
        if self.runs() {
            let pid = Pid::from_raw(self.pid());
            let _ = kill(pid, Signal::SIGCONT);
            let _ = kill(pid, Signal::SIGUSR1);
            let since = Instant::now();
            while self.runs() && since.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(LOOK);
            }
        }
        self.kill_everything();
        let Ok(controllers) = std::fs::read_dir("/sys/fs/cgroup") else { return };
        let mut bases: Vec<PathBuf> = controllers.flatten().map(|e| e.path()).collect();
        bases.push("/sys/fs/cgroup".into());
        for base in bases {
            remove_cgroups(&base.join(&self.cgroup));
        }
    }
}

/// Cgroups are removed from the leaves on; their files are not files.
fn remove_cgroups(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(dir);
}
