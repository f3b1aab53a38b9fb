//! A node under measurement: the real binary, its supervisor, and what they use.

use crate::Result;
use crate::stamp::now;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary, as released.
pub const MESOLITH: &str = env!("CARGO_BIN_EXE_mesolith");
/// More than any row needs.
const RESOURCES: &str = "cpus:64;mem:65536;disk:65536;ports:[31000-32000]";
/// How long starting and stopping may take.
const WITHIN: Duration = Duration::from_secs(60);

/// A running `mesolith up`.
pub struct Node {
    child: Child,
    /// Where its master answers.
    pub master: SocketAddr,
    /// Where Marathon answers, if it runs.
    pub marathon: Option<SocketAddr>,
    /// Where Chronos answers, if it runs.
    pub chronos: Option<SocketAddr>,
    /// When it was started.
    pub started: u64,
    data_dir: PathBuf,
    _dir: tempfile::TempDir,
}

/// What a process uses, in bytes, and CPU in clock ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Use {
    /// Resident.
    pub rss: u64,
    /// Its part of what it shares, and all of the rest.
    pub pss: u64,
    /// Its own pages, written or not shared.
    pub private: u64,
    /// User and system time.
    pub ticks: u64,
}

impl Node {
    /// Starts a master and an agent on a fresh data folder; does not wait for it.
    pub fn start() -> Result<Self> {
        Self::with(false)
    }

    /// The same with Marathon and Chronos.
    pub fn whole() -> Result<Self> {
        Self::with(true)
    }

    fn with(frameworks: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("mesolith-bench-").tempdir()?;
        let data_dir = dir.path().join("data");
        let (master, agent) = (free_port()?, free_port()?);
        let log = std::fs::File::create(dir.path().join("log"))?;
        let mut command = Command::new(MESOLITH);
        command
            .args(["up", "--quiet", "--on-exit", "kill", "--resources", RESOURCES])
            .args(["--cluster-port=0", "--cluster-ip=127.0.0.1"])
            .args(["--master-port", &master.to_string(), "--agent-port", &agent.to_string()])
            .arg("--data-dir")
            .arg(&data_dir)
            .stdin(Stdio::null())
            .stderr(log);
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (mut marathon, mut chronos) = (None, None);
        if frameworks {
            let ports = [free_port()?, free_port()?];
            command.args(["--marathon-port", &ports[0].to_string()]);
            command.args(["--chronos-port", &ports[1].to_string()]);
            (marathon, chronos) = (Some(at(ports[0])), Some(at(ports[1])));
        } else {
            command.args(["--roles", "master,agent"]);
        }
        let started = now();
        let child = command.spawn()?;
        let master = at(master);
        Ok(Self { child, master, marathon, chronos, started, data_dir, _dir: dir })
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
    let ticks = stat(pid).map(|s| s.1).unwrap_or_default();
    let private = bytes("Private_Dirty:") + bytes("Private_Clean:");
    Ok(Use { rss: bytes("Rss:"), pss: bytes("Pss:"), private, ticks })
}

fn processes() -> Result<Vec<i32>> {
    let names = std::fs::read_dir("/proc")?.filter_map(|e| e.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

fn parent(pid: i32) -> Option<i32> {
    Some(stat(pid)?.0)
}

/// Parent, and user and system time in clock ticks.
fn stat(pid: i32) -> Option<(i32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
    let number = |n: usize| fields.get(n)?.parse::<u64>().ok();
    Some((fields.get(1)?.parse().ok()?, number(11)? + number(12)?))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
