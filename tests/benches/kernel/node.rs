//! A node under measurement: the real binary, its supervisor, and what they use.

use crate::Result;
use crate::stamp::now;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary, as released.
pub const MESOLITH: &str = env!("CARGO_BIN_EXE_mesolith");
/// More than any row needs.
const RESOURCES: &str = "cpus:256;mem:262144;disk:65536;ports:[31000-32000]";
/// How long starting and stopping may take.
const WITHIN: Duration = Duration::from_secs(60);

/// A running `mesolith up`.
pub struct Node {
    child: Child,
    arguments: Vec<String>,
    /// Where its master answers.
    pub master: SocketAddr,
    /// Where its agent answers.
    pub agent: SocketAddr,
    /// Where Marathon answers, if it runs.
    pub marathon: Option<SocketAddr>,
    /// Where Chronos answers, if it runs.
    pub chronos: Option<SocketAddr>,
    /// When it was started.
    pub started: u64,
    data_dir: PathBuf,
    _dir: tempfile::TempDir,
}

/// What processes use, in bytes, and CPU in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Use {
    /// Resident.
    pub rss: u64,
    /// Its part of what it shares, and all of the rest.
    pub pss: u64,
    /// Its own pages, written or not shared.
    pub private: u64,
    /// Time on a CPU, of the threads that live.
    pub cpu: u64,
}

impl std::ops::AddAssign for Use {
    fn add_assign(&mut self, more: Self) {
        self.rss += more.rss;
        self.pss += more.pss;
        self.private += more.private;
        self.cpu += more.cpu;
    }
}

impl Node {
    /// Starts a master and an agent on a fresh data folder; does not wait for it.
    pub fn start() -> Result<Self> {
        Self::with(false, &[])
    }

    /// The same with these options more.
    pub fn start_with(options: &[String]) -> Result<Self> {
        Self::with(false, options)
    }

    /// The same with Marathon and Chronos.
    pub fn whole() -> Result<Self> {
        Self::with(true, &[])
    }

    fn with(frameworks: bool, options: &[String]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("mesolith-bench-").tempdir()?;
        let data_dir = dir.path().join("data");
        let (master, agent) = (free_port()?, free_port()?);
        let mut arguments: Vec<String> =
            ["up", "--quiet", "--on-exit", "kill", "--resources", RESOURCES]
                .map(String::from)
                .into();
        arguments.extend(["--cluster-port=0", "--cluster-ip=127.0.0.1"].map(String::from));
        arguments.push(format!("--data-dir={}", data_dir.display()));
        arguments.extend([format!("--master-port={master}"), format!("--agent-port={agent}")]);
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (mut marathon, mut chronos) = (None, None);
        if frameworks {
            let ports = [free_port()?, free_port()?];
            arguments.push(format!("--marathon-port={}", ports[0]));
            arguments.push(format!("--chronos-port={}", ports[1]));
            (marathon, chronos) = (Some(at(ports[0])), Some(at(ports[1])));
        } else {
            arguments.push("--roles=master,agent".into());
        }
        arguments.extend_from_slice(options);
        let started = now();
        let child = spawn(&arguments, &dir.path().join("log"))?;
        let (master, agent) = (at(master), at(agent));
        Ok(Self {
            child,
            arguments,
            master,
            agent,
            marathon,
            chronos,
            started,
            data_dir,
            _dir: dir,
        })
    }

    /// Kills its process, and nothing else of it, and starts it again on what it left; does not wait for it.
    pub fn crash(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.started = now();
        self.child = spawn(&self.arguments, &self._dir.path().join("log"))?;
        Ok(())
    }

    /// Waits until the master's port is open.
    pub async fn answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + WITHIN;
        while TcpStream::connect(self.master).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the node ended with {status}: {}", self.log()).into());
            }
            if Instant::now() > deadline {
                return Err(format!("nobody answers at {}: {}", self.master, self.log()).into());
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        Ok(())
    }

    /// What it said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self._dir.path().join("log")).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Its supervisor's process.
    pub fn supervisor(&self) -> Result<i32> {
        let run = self.data_dir.join("run").display().to_string();
        let is_it = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
            words.get(1) == Some(&&b"supervisor"[..]) && words.get(2) == Some(&run.as_bytes())
        };
        // A keeper is forked from it and has its command line: the supervisor is the one whose parent is none of them.
        let all: Vec<i32> = processes()?.into_iter().filter(is_it).collect();
        let root = all.iter().find(|pid| parent(**pid).is_none_or(|p| !all.contains(&p)));
        root.copied().ok_or_else(|| "no supervisor".into())
    }

    /// The keepers of its containers.
    pub fn keepers(&self) -> Result<Vec<i32>> {
        let supervisor = self.supervisor()?;
        Ok(processes()?.into_iter().filter(|pid| parent(*pid) == Some(supervisor)).collect())
    }

    /// What its own processes use together, those of its containers left out: itself, its supervisor, its keepers.
    pub fn whole_use(&self) -> Result<Use> {
        let mut sum = usage(self.pid())?;
        sum += usage(self.supervisor()?)?;
        for keeper in self.keepers()? {
            sum += usage(keeper)?;
        }
        Ok(sum)
    }

    /// Tells it to stop and waits.
    pub fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM)?;
        let deadline = Instant::now() + WITHIN;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("{status}: {}", self.log()).into()),
                None if Instant::now() > deadline => return Err("it does not stop".into()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Node {
    /// Whatever went wrong, nothing of it stays.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            eprintln!("a node is killed; it said: {}", self.log());
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if self.supervisor().is_ok() {
            let down = ["down", "--kill", "--data-dir"];
            let _ = Command::new(MESOLITH).args(down).arg(&self.data_dir).status();
        }
    }
}

/// What a process uses.
pub fn usage(pid: i32) -> Result<Use> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let bytes = |name: &str| {
        let of =
            |line: &str| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok();
        rollup.lines().find_map(of).unwrap_or_default() * 1024
    };
    let private = bytes("Private_Dirty:") + bytes("Private_Clean:");
    Ok(Use { rss: bytes("Rss:"), pss: bytes("Pss:"), private, cpu: on_cpu(pid)? })
}

/// Clock ticks are too coarse for what rests.
fn on_cpu(pid: i32) -> Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that has just ended has no such file any more.
        let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let time = text.split(' ').next().and_then(|time| time.parse::<u64>().ok());
        sum += time.unwrap_or_default();
    }
    Ok(sum)
}

fn spawn(arguments: &[String], log: &Path) -> Result<Child> {
    let log = std::fs::File::options().append(true).create(true).open(log)?;
    Ok(Command::new(MESOLITH).args(arguments).stdin(Stdio::null()).stderr(log).spawn()?)
}

fn processes() -> Result<Vec<i32>> {
    let names = std::fs::read_dir("/proc")?.filter_map(|e| e.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// A process's parent, if there is such a process.
pub fn parent(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.get(text.rfind(')')? + 2..)?.split(' ').nth(1)?.parse().ok()
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
