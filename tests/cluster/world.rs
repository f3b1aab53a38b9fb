//! A cluster of several hosts: it is founded, joined, looked at, and gone afterwards. One at a time on this machine.

use super::ask::{self, Answer, MARATHON, MASTER, PATIENCE};
use super::net::{self, Net};
use super::node::{Node, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Two clusters at once would only slow each other down.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Lines of each node's log that are shown when a test fails.
const SHOWN: usize = 60;

/// How much longer than in the short form everything is done.
pub fn rounds() -> u64 {
    let said = std::env::var("MESOLITH_CLUSTER_ROUNDS").ok();
    said.map_or(1, |n| n.parse().expect("MESOLITH_CLUSTER_ROUNDS is a number")).max(1)
}

/// A cluster.
pub struct World {
    pub nodes: Vec<Node>,
    pub net: Net,
    pub dir: tempfile::TempDir,
    flags: Vec<String>,
    token: String,
    /// Commands of this run have it in them.
    pub marker: String,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// Hosts, and on the first `size` of them nodes that have joined by the first. None where hosts cannot be made.
    #[track_caller]
    pub fn start(hosts: usize, size: usize, flags: &[&str]) -> Option<Self> {
        let mut world = Self::prepare(hosts, flags)?;
        world.found();
        for number in 2..=size {
            world.join(number);
        }
        world.wait_for_voters(size);
        world.wait_for_agents(size);
        Some(world)
    }

    /// Hosts without nodes.
    #[track_caller]
    pub fn prepare(hosts: usize, flags: &[&str]) -> Option<Self> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = net::lacks() {
            let needed = std::env::var_os("MESOLITH_REQUIRE_NAMESPACES").is_some();
            assert!(!needed, "no network namespaces: {why}");
            eprintln!("skipped: no network namespaces: {why}");
            return None;
        }
        let net = Net::new(hosts);
        let dir = tempfile::tempdir().unwrap();
        // Tasks of other users work in it.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self {
            nodes: (1..=hosts).map(|n| Node::new(net.host(n), dir.path())).collect(),
            net,
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
            token: String::new(),
            marker: format!("8{:07}", std::process::id()),
            dir,
            _turn: turn,
        })
    }

    /// The first node founds the cluster and makes a token.
    #[track_caller]
    pub fn found(&mut self) {
        self.up(1);
        until("a token is made", || {
            self.token = self.new_token(1, &json!({})).unwrap_or_default();
            !self.token.is_empty()
        });
    }

    /// A token, if one is made.
    pub fn new_token(&self, asked: usize, wanted: &Value) -> Option<String> {
        let what = "POST /mesolith/v1/cluster/tokens";
        let answer = self.ask(asked, MASTER, what, &wanted.to_string()).ok()?;
        (answer.status == 201).then(|| answer.json()["token"].as_str().unwrap().to_string())
    }

    /// The nth node, from 1 on.
    pub fn node(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number - 1]
    }

    /// Starts a node that joins by the first.
    #[track_caller]
    pub fn join(&mut self, number: usize) {
        self.begin_to_join(number);
        self.node(number).is_up();
    }

    /// The same without waiting.
    pub fn begin_to_join(&mut self, number: usize) {
        let mut flags = self.flags.clone();
        flags.push(format!("--join={}", self.net.host(1).address()));
        flags.push(format!("--token={}", self.token));
        self.node(number).begin(&flags);
    }

    /// Starts a node on what it has.
    #[track_caller]
    pub fn up(&mut self, number: usize) {
        self.begin(number);
        self.node(number).is_up();
    }

    /// Restarts all nodes, one after the other, with one flag more.
    #[track_caller]
    pub fn restart_with(&mut self, flag: &str) {
        self.flags.push(flag.into());
        let count = self.nodes.len();
        for number in 1..=count {
            self.node(number).stop();
            self.up(number);
            self.wait_for_voters(count);
            self.wait_for_agents(count);
        }
    }

    /// The same without waiting.
    pub fn begin(&mut self, number: usize) {
        let flags = self.flags.clone();
        self.node(number).begin(&flags);
    }

    /// Asks a node.
    pub fn ask(&self, node: usize, port: u16, what: &str, body: &str) -> std::io::Result<Answer> {
        ask::ask(self.net.host(node), port, what, body, PATIENCE)
    }

    pub fn look(&self, node: usize, port: u16, path: &str) -> Value {
        ask::look(self.net.host(node), port, path)
    }

    /// The cluster as its leader tells it to the node; null without a leader.
    pub fn cluster(&self, node: usize) -> Value {
        self.look(node, MASTER, "/mesolith/v1/cluster")
    }

    /// The nodes that live and stand so, by number, as the node is told.
    pub fn standing(&self, asked: usize, wanted: &[&str]) -> BTreeSet<usize> {
        let seen = self.cluster(asked);
        let nodes = seen["nodes"].as_array().into_iter().flatten();
        let so = nodes.filter(|n| {
            n["alive"] == true && wanted.contains(&n["standing"].as_str().unwrap_or_default())
        });
        so.map(number).collect()
    }

    /// Waits until so many nodes vote, as each of the first `count` says.
    #[track_caller]
    pub fn wait_for_voters(&self, count: usize) {
        for node in 1..=count {
            until(&format!("h{node} sees {count} voters"), || {
                self.standing(node, &["voter", "leader"]).len() == count
            });
        }
    }

    /// The agents that are there, by number, as the node is told.
    pub fn agents(&self, asked: usize) -> BTreeSet<usize> {
        let seen = self.look(asked, MASTER, "/slaves");
        let all = seen["slaves"].as_array().into_iter().flatten();
        all.filter(|agent| agent["active"] == true).map(number).collect()
    }

    #[track_caller]
    pub fn wait_for_agents(&self, count: usize) {
        for node in 1..=count {
            until(&format!("h{node} sees {count} agents"), || self.agents(node).len() == count);
        }
    }

    /// All nodes but these.
    pub fn others(&self, these: &[usize]) -> Vec<usize> {
        (1..=self.nodes.len()).filter(|n| !these.contains(n)).collect()
    }

    /// Who leads, as these agree.
    #[track_caller]
    pub fn leader_among(&self, asked: &[usize]) -> usize {
        let mut leader = 0;
        until(&format!("{asked:?} agree on a leader"), || {
            let said: BTreeSet<usize> =
                asked.iter().map(|node| leading(&self.cluster(*node)).unwrap_or(0)).collect();
            leader = said.first().copied().unwrap_or(0);
            said.len() == 1 && leader != 0
        });
        leader
    }
}

/// Which host a thing with a host's name is on.
fn number(of: &Value) -> usize {
    host_number(of["hostname"].as_str().unwrap_or_default())
}

pub fn host_number(name: &str) -> usize {
    name.strip_prefix('h').and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Who leads, by number, as that says.
pub fn leading(cluster: &Value) -> Option<usize> {
    let leader = cluster["leader"]["node"].as_str()?;
    let nodes = cluster["nodes"].as_array()?;
    nodes.iter().find(|n| n["node"] == leader).map(number)
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.nodes {
                let said = node.said();
                let lines: Vec<&str> = said.lines().collect();
                let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
                eprintln!("---- {} said last:\n{last}", node.name());
            }
            let last = self.nodes.iter_mut().rposition(Node::runs);
            let shown = ["/v2/apps//web/tasks", "/v2/queue", "/v2/deployments"];
            let shown = shown.map(|path| (MARATHON, path)).into_iter().chain([(MASTER, "/slaves")]);
            for (port, path) in shown.filter(|_| last.is_some()) {
                let seen = self.look(last.unwrap_or(0) + 1, port, path);
                eprintln!("---- {path}: {seen}");
            }
        }
        self.net.heal();
        self.nodes.iter_mut().for_each(Node::clear);
    }
}
