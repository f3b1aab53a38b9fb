//! `mesolith up --nodes N`: a cluster of several nodes on this machine, to try things out. Each is a process of its own, on
//! 127.0.0.1, .2, .3, …, with the same ports, its own folder, cgroup and range of task ports; memory and disk are divided
//! between them. One that ends is told and not started again: what becomes of a cluster then is what is tried out.

use super::client::{Client, Method, Service};
use super::flags;
use super::output::{list, text};
use super::up::UpArgs;
use crate::base::error::{Code, Error, Result};
use crate::config;
use crate::node::settings::{self, OnExit, Options};
use crate::node::{Machine, down, temporary_dir};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// The most nodes; more than so many on one machine try out nothing else.
pub const NODES_MAX: u8 = 9;
/// How long they may take to be up together.
const UP_MAX: Duration = Duration::from_secs(60);
/// Between two looks whether they are.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How long a token is good for that lets the others in.
const TOKEN_SECONDS: u64 = 600;
/// Settings that each node has its own of.
const OWN: &[&str] = &["ip", "cluster_ip", "hostname", "resources", "join", "zk", "token"];

/// Runs the nodes until they are told to stop.
///
/// # Errors
/// All that is wrong with the settings; what kept a node from starting.
pub fn run(args: UpArgs, n: u8, principal: Option<&str>) -> Result<ExitCode> {
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let sources = config::standard_sources(args.config.as_deref());
    let options = settings::read(&sources, &env, &args.settings.0)?;
    check(&args, &options)?;
    let master = format!("{}:{}", Ipv4Addr::LOCALHOST, options.master_port);
    let client = Client::new(Service::Master, &master, principal)?;
    let temporary = match options.ephemeral {
        true => Some(temporary_dir()?),
        false => None,
    };
    let dir = temporary.clone().unwrap_or_else(|| options.data_dir.clone());
    let nodes = plan(&args, &options, &dir, n)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| system("start", e))?;
    let ended = runtime.block_on(tend(&nodes, &client, &options));
    // What somebody has started again by hand belongs to it as well.
    for node in &nodes {
        match down::run(&node.dir, temporary.is_some()) {
            Err(e) if e.code != Code::NotFound => eprintln!("note: {}: {e}", node.name),
            _ => {}
        }
    }
    if let Some(dir) = temporary
        && let Err(e) = std::fs::remove_dir_all(&dir)
    {
        eprintln!("note: cannot remove {}: {e}", dir.display());
    }
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Stops the nodes that were started together on a folder; none: it is the folder of one node, or of none.
///
/// # Errors
/// As [`down::run`].
pub fn down(dir: &Path, kill_tasks: bool) -> Option<Result<String>> {
    let dirs: Vec<PathBuf> = (1..=NODES_MAX).map(|i| folder(dir, i)).collect();
    let there: Vec<&PathBuf> = dirs.iter().filter(|dir| dir.join("IDENTITY").exists()).collect();
    if there.is_empty() || dir.join("IDENTITY").exists() {
        return None;
    }
    let mut told = Vec::new();
    let mut failed = None;
    for dir in there {
        match down::run(dir, kill_tasks) {
            Ok(text) => told.push(text),
            Err(e) => failed = Some(e),
        }
    }
    match failed {
        Some(e) if told.is_empty() => Some(Err(e)),
        _ => Some(Ok(told.join("\n"))),
    }
}

fn system(doing: &str, e: impl std::fmt::Display) -> Error {
    Error::new(Code::System, format!("cannot {doing} a node: {e}"))
}

fn folder(dir: &Path, i: u8) -> PathBuf {
    dir.join(format!("node-{i}"))
}

/// What several nodes of one machine cannot have.
fn check(args: &UpArgs, options: &Options) -> Result<()> {
    let given = |name: &&&str| args.settings.0.contains_key(**name);
    if let Some(name) = OWN.iter().find(given) {
        let cause = format!("--{} is each node's own with --nodes", name.replace('_', "-"));
        return Err(Error::new(Code::Invalid, cause)
            .hint("start the nodes one by one to choose it: mesolith up, mesolith join"));
    }
    if options.agent.resources.is_some() {
        let cause = "with --nodes the resources of this machine are divided: they cannot be set";
        return Err(Error::new(Code::Invalid, cause));
    }
    let ports = [
        options.master_port,
        options.agent_port,
        options.marathon_port,
        options.chronos_port,
        options.cluster_port,
    ];
    if ports.contains(&0) {
        let cause = "with --nodes all nodes have the same ports: none of them can be 0";
        return Err(Error::new(Code::Invalid, cause));
    }
    Ok(())
}

/// A node that is to run.
struct Node {
    name: String,
    ip: Ipv4Addr,
    dir: PathBuf,
    args: Vec<String>,
}

impl Node {
    /// Whether it is in a cluster already.
    fn is_member(&self) -> bool {
        self.dir.join("identity/membership").exists()
    }
}

fn plan(args: &UpArgs, options: &Options, dir: &Path, n: u8) -> Result<Vec<Node>> {
    std::fs::create_dir_all(dir).map_err(|e| system("make a folder for", e))?;
    let machine = Machine::look(dir)?;
    let share = |whole: f64| (whole / f64::from(n)).floor();
    let (mem, disk) = (share(machine.mem), share(machine.disk));
    let root = options.agent.cgroups_root.clone().unwrap_or_else(|| "mesolith".into());
    let node = |i: u8| {
        let ip = Ipv4Addr::new(127, 0, 0, i);
        let name = format!("node-{i}");
        let dir = folder(dir, i);
        let ports = range(machine.ports, i, n);
        let mut own = args.settings.0.clone();
        own.remove("ephemeral");
        own.extend(
            [
                ("data_dir", dir.display().to_string()),
                ("ip", ip.to_string()),
                ("cluster_ip", ip.to_string()),
                ("hostname", ip.to_string()),
                ("cgroups_root", format!("{root}-{i}")),
                ("resources", format!("mem:{mem};disk:{disk};ports:[{}-{}]", ports.0, ports.1)),
                ("quiet", "true".to_string()),
                ("on_exit", if options.ephemeral { "kill" } else { "keep" }.to_string()),
            ]
            .map(|(name, text)| (name.to_string(), text)),
        );
        if !options.ephemeral && args.settings.0.contains_key("on_exit") {
            own.insert("on_exit".into(), args.settings.0["on_exit"].clone());
        }
        let mut argv = vec!["up".to_string()];
        argv.extend(args.config.iter().map(|file| format!("--config={file}")));
        argv.extend(flags::arguments(&own));
        Node { name, ip, dir, args: argv }
    };
    Ok((1..=n).map(node).collect())
}

/// The task ports of a node: its part of all.
fn range((first, last): (u64, u64), i: u8, n: u8) -> (u64, u64) {
    let (i, n) = (u64::from(i), u64::from(n));
    let begin = |i: u64| first + (last - first + 1) / n * i;
    (begin(i - 1), if i == n { last } else { begin(i) - 1 })
}

fn start(node: &Node, token: Option<&str>, seed: &str) -> Result<Child> {
    let program = std::env::current_exe().map_err(|e| system("find the program of", e))?;
    let mut command = Command::new(program);
    command.args(&node.args).stdin(Stdio::null()).stderr(Stdio::piped());
    // Ctrl-C at the terminal is for this process alone, which tells them in order.
    command.process_group(0);
    if let Some(token) = token {
        // Arguments are seen by everybody on the machine.
        command.arg(format!("--join={seed}")).env("MESOLITH_TOKEN", token);
    }
    let mut child = command.spawn().map_err(|e| system("start", e))?;
    if let Some(stderr) = child.stderr.take() {
        let name = node.name.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("{name}: {line}");
            }
        });
    }
    Ok(child)
}

/// All nodes, running or ended.
struct Nodes<'a> {
    nodes: &'a [Node],
    children: Vec<Option<Child>>,
}

impl Nodes<'_> {
    fn signal(&self, signal: Signal) {
        for child in self.children.iter().flatten() {
            let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
            if let Some(pid) = pid {
                // One that has ended meanwhile needs none.
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
    }

    /// Completes when one of them ends: which, and how.
    async fn ended(&mut self) -> Result<(usize, ExitStatus)> {
        let waiting = self.children.iter_mut().enumerate().filter_map(|(i, child)| {
            let child = child.as_mut()?;
            Some(Box::pin(async move { (i, child.wait().await) }))
        });
        let waiting: Vec<_> = waiting.collect();
        if waiting.is_empty() {
            return std::future::pending().await;
        }
        let ((i, status), ..) = futures_util::future::select_all(waiting).await;
        self.children[i] = None;
        Ok((i, status.map_err(|e| system("wait for", e))?))
    }

    fn is_over(&self) -> bool {
        self.children.iter().all(Option::is_none)
    }
}

/// Starts them, tells what happens, stops them.
async fn tend(nodes: &[Node], client: &Client, options: &Options) -> Result<()> {
    let take = |kind| signal(kind).map_err(|e| system("take signals for", e));
    let mut interrupt = take(SignalKind::interrupt())?;
    let mut terminate = take(SignalKind::terminate())?;
    let mut user = take(SignalKind::user_defined1())?;
    let mut all = Nodes { nodes, children: nodes.iter().map(|_| None).collect() };
    let up = tokio::select! {
        up = rise(&mut all, client, options) => up,
        _ = interrupt.recv() => Ok(false),
        _ = terminate.recv() => Ok(false),
    };
    let mut stopping = !matches!(up, Ok(true));
    if stopping {
        all.signal(Signal::SIGTERM);
    } else if !options.quiet {
        announce(&all, options);
    }
    while !all.is_over() {
        tokio::select! {
            ended = all.ended() => {
                let (i, status) = ended?;
                if !stopping {
                    tell(&nodes[i], &status);
                }
            }
            _ = interrupt.recv() => {
                all.signal(if stopping { Signal::SIGKILL } else { Signal::SIGTERM });
                stopping = true;
            }
            _ = terminate.recv() => {
                all.signal(Signal::SIGTERM);
                stopping = true;
            }
            _ = user.recv() => {
                all.signal(Signal::SIGUSR1);
                stopping = true;
            }
        }
    }
    if up.is_ok() && !options.quiet {
        match options.ephemeral || options.on_exit == OnExit::Kill {
            true => eprintln!("stopped"),
            false => eprintln!(
                "stopped; tasks go on (the same command finds them again, `mesolith down --kill` ends them)"
            ),
        }
    }
    up.map(drop)
}

/// That a node has ended, and what starts it again if it was not asked to.
fn tell(node: &Node, status: &ExitStatus) {
    let Node { name, ip, .. } = node;
    if status.success() {
        eprintln!("{name} ({ip}) was stopped");
        return;
    }
    eprintln!("{name} ({ip}) has ended ({status}); the others go on. Start it again with");
    eprintln!("  {}", again(node));
}

/// What starts a node again.
fn again(node: &Node) -> String {
    let quoted = node.args.iter().filter(|arg| *arg != "--quiet=true").map(|arg| {
        match arg.contains([';', '[', ' ']) {
            true => format!("'{arg}'"),
            false => arg.clone(),
        }
    });
    format!("mesolith {}", quoted.collect::<Vec<_>>().join(" "))
}

/// Starts those that are members together, for it takes most of them to lead; then lets the others in.
async fn rise(all: &mut Nodes<'_>, client: &Client, options: &Options) -> Result<bool> {
    let seed = format!("{}:{}", all.nodes[0].ip, options.cluster_port);
    let founded = all.nodes[0].is_member();
    for i in 0..all.nodes.len() {
        if i == 0 || (founded && all.nodes[i].is_member()) {
            all.children[i] = Some(start(&all.nodes[i], None, &seed)?);
        }
    }
    let running = all.children.iter().flatten().count();
    wait(all, client, running).await?;
    if running < all.nodes.len() {
        let body =
            json!({"roles": "node", "ttl_seconds": TOKEN_SECONDS, "note": "mesolith up --nodes"});
        let path = "/mesolith/v1/cluster/tokens";
        let answer = client.change(Method::POST, path, &[], Some(&body)).await?.json();
        let token = text(&answer, "token");
        for i in 0..all.nodes.len() {
            if all.children[i].is_none() {
                all.children[i] = Some(start(&all.nodes[i], Some(&token), &seed)?);
            }
        }
        wait(all, client, all.nodes.len()).await?;
    }
    Ok(true)
}

/// Waits until so many nodes are seen; one that ends meanwhile ends the start.
async fn wait(all: &mut Nodes<'_>, client: &Client, wanted: usize) -> Result<()> {
    let deadline = Instant::now() + UP_MAX;
    let mut seen = 0;
    while seen < wanted {
        if let Ok(cluster) = client.get("/mesolith/v1/cluster", &[]).await {
            let alive = |node: &&Value| node["alive"] == true;
            seen = list(&cluster, "nodes").iter().filter(alive).count();
        }
        if seen >= wanted {
            break;
        }
        if Instant::now() > deadline {
            let cause = format!("{seen} of {wanted} nodes are up after {} s", UP_MAX.as_secs());
            return Err(Error::new(Code::Timeout, cause));
        }
        tokio::select! {
            ended = all.ended() => {
                let (i, how) = ended?;
                let cause = format!("{} ({}) could not start: {how}", all.nodes[i].name, all.nodes[i].ip);
                return Err(Error::new(Code::Unavailable, cause)
                    .hint("what it said is above; its address must be free, 127.0.0.0/8 is loopback on Linux only"));
            }
            () = tokio::time::sleep(LOOK_PAUSE) => {}
        }
    }
    Ok(())
}

fn announce(all: &Nodes<'_>, options: &Options) {
    let mut out = format!(
        "mesolith {} is up: {} nodes\n\n",
        crate::base::version::MESOLITH_VERSION,
        all.nodes.len()
    );
    for (node, child) in all.nodes.iter().zip(&all.children) {
        let pid = child.as_ref().and_then(Child::id).map_or("-".into(), |pid| pid.to_string());
        let Node { name, ip, dir, .. } = node;
        out.push_str(&format!("  {name}  {ip:<10}  process {pid:<8}  {}\n", dir.display()));
    }
    out.push_str("\non each of them\n");
    let faces = [
        ("master", options.faces.master, options.master_port),
        ("agent", options.roles.agent, options.agent_port),
        ("marathon", options.faces.marathon, options.marathon_port),
        ("chronos", options.faces.chronos, options.chronos_port),
    ];
    for (name, _, port) in faces.into_iter().filter(|(_, served, _)| *served) {
        out.push_str(&format!("  {name:<8}  http://{}:{port}\n", all.nodes[0].ip));
    }
    out.push_str("\nTry:  mesolith cluster status\n");
    if let Some(pid) = all.children[0].as_ref().and_then(Child::id) {
        out.push_str(&format!(
            "      kill -9 {pid}; mesolith cluster status --master 127.0.0.2:{}\n",
            options.master_port
        ));
    }
    out.push_str("Stop: Ctrl-C\n");
    eprint!("{out}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_ports_are_divided_without_overlap_or_gap() {
        for n in 1..=NODES_MAX {
            let mut next = 31_000;
            for i in 1..=n {
                let (begin, end) = range((31_000, 32_000), i, n);
                assert_eq!(begin, next);
                assert!(end >= begin);
                next = end + 1;
            }
            assert_eq!(next, 32_001);
        }
    }
}
