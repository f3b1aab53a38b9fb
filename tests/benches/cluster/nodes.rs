//! Nodes of one cluster under measurement: the real binary, each on an address of its own.

use crate::ask::{Faces, get, must, until};
use crate::{Plan, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The binary, as released.
const MESOLITH: &str = env!("CARGO_BIN_EXE_mesolith");
/// Enough for every row.
const RESOURCES: &str = "cpus:32;mem:16384;disk:16384;ports:[31000-32000]";
const LOOK: Duration = Duration::from_millis(5);

/// A node, running or not.
pub struct Node {
    ip: Ipv4Addr,
    /// Master, agent, Marathon, Chronos, cluster.
    ports: [u16; 5],
    dir: PathBuf,
    child: Option<Child>,
}

impl Node {
    fn new(dir: &Path, n: u8) -> Result<Self> {
        let ip = Ipv4Addr::new(127, 0, 0, n);
        let free = [(); 5].map(|()| TcpListener::bind((ip, 0)));
        let mut ports = [0; 5];
        for (port, bound) in ports.iter_mut().zip(free) {
            *port = bound?.local_addr()?.port();
        }
        Ok(Self { ip, ports, dir: dir.join(n.to_string()), child: None })
    }

    fn at(&self, n: usize) -> SocketAddr {
        SocketAddr::from((self.ip, self.ports[n]))
    }

    /// Where its faces are.
    pub fn faces(&self) -> Faces {
        Faces { master: self.at(0), marathon: self.at(2) }
    }

    /// What it calls itself.
    pub fn hostname(&self) -> String {
        self.ip.to_string()
    }

    fn cluster(&self) -> String {
        self.at(4).to_string()
    }

    /// Starts it, and waits for nothing.
    pub fn start(&mut self, plan: &Plan, more: &[String]) -> Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let log = std::fs::File::options().append(true).create(true).open(self.dir.join("log"))?;
        let mut command = Command::new(MESOLITH);
        command.arg("up").arg("--quiet").arg("--data-dir").arg(self.dir.join("data"));
        command.arg(format!("--ip={}", self.ip)).arg(format!("--cluster-ip={}", self.ip));
        let names = ["master", "agent", "marathon", "chronos", "cluster"];
        for (name, port) in names.iter().zip(self.ports) {
            command.arg(format!("--{name}-port={port}"));
        }
        command.args(["--resources", RESOURCES, "--election-timeout", &plan.election]);
        command.args(more);
        self.child = Some(command.stdin(Stdio::null()).stderr(log).spawn()?);
        Ok(())
    }

    /// Sends a signal to its process.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().ok_or("it does not run")?;
        Ok(kill(Pid::from_raw(child.id() as i32), signal)?)
    }

    /// Waits for its end, after a signal.
    pub fn ended(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        Ok(())
    }

    /// Ends it and its tasks.
    pub fn down(&mut self) {
        let down = ["down", "--kill", "--data-dir"];
        if let Some(child) = &mut self.child {
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGCONT);
        }
        let data = self.dir.join("data");
        let _ = Command::new(MESOLITH)
            .args(down)
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The last lines it said.
    fn said(&self) -> String {
        let all = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = all.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Three nodes that vote, and those that joined later.
pub struct Nodes {
    /// All of them.
    pub nodes: Vec<Node>,
    plan: Plan,
    more: Vec<String>,
    token: String,
    dir: tempfile::TempDir,
}

impl Nodes {
    /// Starts three with further flags; all of them vote and have their agents when this returns.
    pub fn three(plan: &Plan, more: &[String]) -> Result<Self> {
        // Not in /tmp, which may be memory.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
        let mut all = Self {
            nodes: Vec::new(),
            plan: plan.clone(),
            more: more.to_vec(),
            token: String::new(),
            dir,
        };
        let mut first = Node::new(all.dir.path(), 1)?;
        first.start(plan, more)?;
        all.nodes.push(first);
        let at = all.nodes[0].faces().master;
        until("the first node leads", LOOK, || Ok(!get(at, "/mesolith/v1/cluster").is_null()))?;
        let made = must(at, "POST /mesolith/v1/cluster/tokens", "{}")?;
        let made: Value = serde_json::from_str(&made)?;
        all.token = made["token"].as_str().ok_or("no token")?.to_string();
        for n in [2, 3] {
            let node = all.joining(n)?;
            all.nodes.push(node);
        }
        if let Err(e) = all.settle() {
            all.nodes.iter().for_each(|node| eprintln!("{} said:\n{}", node.ip, node.said()));
            return Err(e);
        }
        Ok(all)
    }

    /// A file beside the nodes' data that tasks can write to.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts another node, on that address; waits for nothing.
    pub fn joining(&self, n: u8) -> Result<Node> {
        let mut node = Node::new(self.dir.path(), n)?;
        let mut more = self.more.clone();
        let seed = &self.nodes[self.leader().unwrap_or(0)];
        more.extend([format!("--join={}", seed.cluster()), format!("--token={}", self.token)]);
        node.start(&self.plan, &more)?;
        Ok(node)
    }

    /// Starts one that has ended again.
    pub fn again(&mut self, n: usize) -> Result<()> {
        let (plan, more) = (self.plan.clone(), self.more.clone());
        self.nodes[n].start(&plan, &more)
    }

    /// The cluster as that node shows it; null while nobody leads.
    pub fn seen(&self, n: usize) -> Value {
        get(self.nodes[n].faces().master, "/mesolith/v1/cluster")
    }

    /// Which one leads, as it says itself.
    pub fn leader(&self) -> Option<usize> {
        (0..self.nodes.len())
            .find(|n| self.seen(*n)["leader"]["address"] == self.nodes[*n].cluster().as_str())
    }

    /// Waits until all are as they should be: three vote, all agents are there, Marathon answers.
    pub fn settle(&self) -> Result<()> {
        let all = self.nodes.len();
        until("all is settled", Duration::from_millis(20), || {
            Ok((0..all).all(|n| {
                let seen = self.seen(n);
                let voting = seen["nodes"].as_array().into_iter().flatten().filter(|node| {
                    let standing = node["standing"].as_str().unwrap_or_default();
                    node["alive"] == true && (standing == "voter" || standing == "leader")
                });
                let at = self.nodes[n].faces();
                let agents = get(at.master, "/slaves");
                let agents = agents["slaves"].as_array().into_iter().flatten();
                voting.count() == 3
                    && agents.filter(|agent| agent["active"] == true).count() == all
                    && get(at.marathon, "/v2/info")["frameworkId"].is_string()
            }))
        })?;
        // What was started for it comes to rest.
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    /// A node that does not lead, the `n`th of them.
    pub fn other_than(&self, leader: usize, n: usize) -> usize {
        let others: Vec<usize> = (0..self.nodes.len()).filter(|node| *node != leader).collect();
        others[n % others.len()]
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.nodes.iter().for_each(|node| eprintln!("{} said:\n{}", node.ip, node.said()));
        }
        self.nodes.iter_mut().for_each(Node::down);
    }
}
