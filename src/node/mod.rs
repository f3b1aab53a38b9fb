//! The composition root: which roles run in this process, in which order they start and stop. The only room that names
//! all others; it decides nothing about frameworks, tasks or agents.

mod again;
mod agent;
mod agent_files;
mod apart;
mod cluster;
pub mod doctor;
pub mod down;
mod faces;
mod frameworks;
mod hasten;
mod hosting;
mod lead;
mod leadership;
pub mod leaving;
pub mod memory;
pub mod recover;
pub mod settings;
pub mod standalone;

pub use agent::Machine;

use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::{NewToken, Roles, wall_now};
use crate::cluster::link::local::Switchboard;
use crate::http::Running;
use crate::machine::control::Control;
use crate::machine::driver::Clock;
use crate::master::api::identity::Identity;
use crate::master::service::Master;
use crate::store::DataDir;
use crate::telemetry::{Level, LogFile, LogFileOptions, LogFormat, Logging, LoggingOptions};
use cluster::{Cluster, Entry, Gone};
use faces::Addresses;
use frameworks::Frameworks;
use leadership::NodeLeadership;
use settings::{LoggingLevel, OnExit, Options};
use standalone::Led;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How many threads do HTTP and files at the most.
const IO_THREADS_MAX: usize = 4;
/// How long requests under way may take when the node stops.
const HTTP_STOP: Duration = Duration::from_millis(500);
/// How long leading may take to wind up when the node stops.
const LEAD_STOP: Duration = Duration::from_secs(5);

/// How long a node that leads may take until it can make tokens, when it has just started.
const SEAT_WAIT: Duration = Duration::from_secs(2);

/// The runtime on which everything but the cores runs.
///
/// # Errors
/// [`Code::System`] when the machine gives no threads.
pub fn io_runtime() -> Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(IO_THREADS_MAX))
        .thread_name("io")
        .enable_all()
        .build()
        .map_err(|e| Error::new(Code::System, format!("cannot start the I/O runtime: {e}")))
}

/// What there is to tell once a node is up.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where its faces are.
    pub at: Addresses,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where other nodes connect to.
    pub cluster: SocketAddr,
    /// Tasks of an earlier run that go on.
    pub tasks_found: usize,
    /// What this machine lacks, a sentence each.
    pub notes: Vec<String>,
}

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Tasks that go on without it.
    pub tasks_left: usize,
    /// It has left its cluster for good.
    pub left: bool,
}

/// A running node.
pub struct Node {
    ready: Ready,
    on_exit: OnExit,
    faces: Vec<Running>,
    agent: Option<agent::Role>,
    leading: JoinHandle<()>,
    frameworks: Frameworks,
    stop: watch::Sender<bool>,
    cluster: Cluster,
    temporary: Option<PathBuf>,
    _dir: Arc<DataDir>,
}

/// Runs a node until it is told to stop: by Ctrl-C, SIGTERM, or `mesolith down`; SIGUSR1 ends its tasks first.
///
/// # Errors
/// What kept it from starting; nothing is left running then.
pub async fn run(
    options: Options,
    say: impl Fn(&str) + Sync,
    ready: impl AsyncFnOnce(&Node),
) -> Result<Ended> {
    let mut signals = Signals::new()?;
    let node = tokio::select! {
        node = start(options, &say) => node?,
        // While it joins, or waits for others.
        _ = signals.stop() => return Ok(Ended { tasks_left: 0, left: false }),
    };
    ready(&node).await;
    let kill = tokio::select! {
        kill = signals.stop() => kill || node.on_exit == OnExit::Kill,
        left = node.agent_stopped() => {
            // The master did not want this agent; or its core was lost, which is what to tell then.
            if let Err(e) = &left
                && !again::is_writable(node.ready.data_dir.clone()).await
            {
                return wait_for_room(node, &e.to_string(), signals, &say).await;
            }
            let ended = node.stop(false).await;
            let tasks_left = left?;
            return ended.map(|ended| Ended { tasks_left, ..ended });
        }
        cause = again::failed(node.cluster.registry.clone()) => {
            return wait_for_room(node, &cause, signals, &say).await;
        }
        never = node.cluster.tell_waits(&say) => match never {},
        gone = node.cluster.gone() => {
            let ended = node.stop(true).await?;
            return match gone {
                Gone::Left => Ok(Ended { left: true, ..ended }),
                Gone::Removed => Err(cluster::removed()),
            };
        }
    };
    let stopping = node.stop(kill);
    tokio::select! {
        ended = stopping => ended,
        _ = signals.stop() => {
            Err(Error::new(Code::System, "stopped at once: tasks may go on")
                .hint("`mesolith down --kill` ends what is left"))
        }
    }
}

/// Waits until the data folder can be written, and starts the node again.
async fn wait_for_room(
    node: Node,
    cause: &str,
    mut signals: Signals,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Ended> {
    let dir = node.ready.data_dir.clone();
    tracing::error!(cause, "the data folder {} cannot be written", dir.display());
    say(&format!("{} cannot be written: this node starts again when it can be", dir.display()));
    tokio::select! {
        () = again::writable(&dir) => {}
        kill = signals.stop() => return node.stop(kill).await,
    }
    say("the data folder can be written: this node starts again");
    Err(again::start_again(node).await)
}

/// The signals that stop a node.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    user: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|e| Error::new(Code::System, format!("cannot take signals: {e}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            user: listen(SignalKind::user_defined1())?,
        })
    }

    /// Waits for one; whether it asks for the tasks to end too.
    async fn stop(&mut self) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => false,
            _ = self.terminate.recv() => false,
            _ = self.user.recv() => true,
        }
    }
}

/// Starts a node: everything that may be refused comes first, so that a refusal leaves nothing behind.
///
/// # Errors
/// What kept it from starting.
pub async fn start(mut options: Options, say: &(dyn Fn(&str) + Sync)) -> Result<Node> {
    let temporary = match options.ephemeral {
        true => Some(temporary_dir()?),
        false => None,
    };
    if let Some(dir) = &temporary {
        options.data_dir = dir.clone();
    }
    match start_in(options, say).await {
        Ok(mut node) => {
            node.temporary = temporary;
            Ok(node)
        }
        Err(e) => {
            if let Some(dir) = temporary {
                remove_dir(&dir);
            }
            Err(e)
        }
    }
}

async fn start_in(mut options: Options, say: &(dyn Fn(&str) + Sync)) -> Result<Node> {
    let clock = Clock::default();
    let mut doors = faces::open(&options).await?;
    let dir = Arc::new(DataDir::open(&options.data_dir)?);
    options.hostname = cluster::hostname(&options)?;
    let log_dir = options.log_dir.as_deref();
    let logging = start_logging(options.logging_level, log_dir, options.quiet)?;
    let (control, _thread) = Control::start()?;
    let between = doors
        .cluster
        .take()
        .ok_or_else(|| Error::new(Code::Internal, "the cluster port was not bound"))?;
    let mut cluster = Cluster::enter(Entry {
        options: &options,
        dir: &dir,
        listener: &between,
        faces: doors.addresses.by_role(),
        say,
    })
    .await?;
    let registry = cluster.registry.clone();
    let identity = Arc::new(Identity {
        hostname: options.hostname.clone(),
        ip: options.ip,
        port: doors.addresses.master.map_or(options.master_port, |at| at.port()),
        cluster: options.master.cluster.clone(),
        log_dir: options.log_dir.as_ref().map(|d| d.display().to_string()),
        start_time: clock.wall(),
        flags: options.flags.clone(),
    });
    let (stop, stopping) = watch::channel(false);
    let (leading_tx, leading) = watch::channel(None);
    let switchboard = Switchboard::new(cluster.link.node());
    let lead = match registry.clone() {
        Some(registry) => {
            let ground = lead::Ground {
                control: control.clone(),
                registry,
                switchboard: switchboard.clone(),
                identity: Arc::clone(&identity),
                options: options.master.clone(),
                clock: clock.clone(),
                company: cluster.company.clone(),
            };
            tokio::spawn(lead::run(ground, leading_tx, stopping.clone()))
        }
        // It never leads; that is known for as long as the node runs.
        None => tokio::spawn(never_leads(leading_tx, stopping.clone())),
    };
    let line = agent::Line {
        switchboard: switchboard.clone(),
        link: cluster.link.clone(),
        leader: cluster.leader.clone(),
    };
    let ground =
        frameworks::Ground { control: &control, clock: &clock, leading: &leading, stop: &stopping };
    let (at, asks) = (doors.addresses, &doors.authentication);
    let leadership = NodeLeadership::of(&cluster);
    let node = cluster.link.node().to_string();
    let led = Led { leadership, node, registry: cluster.registry.clone() };
    let mut frameworks = Frameworks::start(&options, at, asks, &led, &ground)?;
    let started = match doors.addresses.agent {
        Some(address) => {
            let start = agent::Start {
                options: &options,
                dir: &dir,
                control: &control,
                line,
                clock: clock.clone(),
                address,
                stopping: stopping.clone(),
            };
            agent::start(start).await.map(Some)
        }
        None => Ok(None),
    };
    let agent = match started {
        Ok(agent) => agent,
        Err(e) => {
            stop.send_replace(true);
            // It ends by itself at the first look at `stop`.
            let _ = lead.await;
            cluster.stop().await?;
            return Err(e);
        }
    };
    if let Some(at) = doors.addresses.agent {
        // The node runs well without; a next start that names no port may only get another.
        if let Err(e) = faces::remember_port(&options.data_dir, at.port()) {
            tracing::warn!("{e}");
        }
    }
    let agents_notes = agent.iter().flat_map(|agent| agent.notes.iter().cloned());
    let ready = Ready {
        at: doors.addresses,
        data_dir: options.data_dir.clone(),
        cluster: cluster.address,
        tasks_found: agent.as_ref().map_or(0, |agent| agent.tasks_found),
        notes: options.notes.iter().cloned().chain(agents_notes).collect(),
    };
    let own = [frameworks.marathon.take(), frameworks.chronos.take()];
    let about = faces::About { identity, leading, logging, clock, led, cluster: &cluster };
    let (running, inside) = faces::serve(doors, &options, about, agent.as_ref(), own)?;
    cluster.listen(between, switchboard, inside, stopping)?;
    Ok(Node {
        ready,
        on_exit: options.on_exit,
        faces: running,
        agent,
        leading: lead,
        frameworks,
        stop,
        cluster,
        temporary: None,
        _dir: dir,
    })
}

impl Node {
    /// What there is to tell.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// What to type on another machine to have it join, with a token that is made for it; nothing unless this node leads.
    pub async fn join_line(&self, life: Duration) -> Option<String> {
        let registry = self.cluster.registry.as_ref()?;
        if !registry.leadership().borrow().is_me {
            return None;
        }
        let mut seat = self.cluster.company.seat.subscribe();
        let taken = tokio::time::timeout(SEAT_WAIT, seat.wait_for(Option::is_some)).await;
        let seat = taken.ok()?.ok()?.clone()?;
        let note = "shown by `mesolith up`".to_string();
        let new = NewToken { roles: Roles::FULL, life: Some(life), note };
        let text = match seat.issue(new, wall_now()).await.and_then(|made| made.token.text()) {
            Ok(text) => text,
            Err(e) => {
                tracing::warn!("no join token could be made: {e}");
                return None;
            }
        };
        Some(format!("mesolith up --join {} --token {text}", self.cluster.address))
    }

    /// Completes when the agent has stopped by itself; answers how many tasks go on.
    async fn agent_stopped(&self) -> Result<usize> {
        match &self.agent {
            Some(agent) => agent.stopped().await,
            None => std::future::pending().await,
        }
    }

    /// Stops it: another leads first; then its tasks, if they are to end; then the faces, the master, the log.
    ///
    /// # Errors
    /// When the agent's core or the log could not stop in order.
    pub async fn stop(self, kill_tasks: bool) -> Result<Ended> {
        if let Some(registry) = &self.cluster.registry {
            hasten::hand_over(registry).await;
        }
        let kill_tasks = kill_tasks || self.temporary.is_some();
        let agent_stopped = match &self.agent {
            Some(agent) => agent.stop(kill_tasks).await,
            None => Ok(0),
        };
        for face in &self.faces {
            face.stop(HTTP_STOP).await;
        }
        self.stop.send_replace(true);
        self.frameworks.stopped().await;
        if tokio::time::timeout(LEAD_STOP, self.leading).await.is_err() {
            tracing::warn!("the master's core did not stop in time");
        }
        self.cluster.stop().await?;
        if let Some(dir) = &self.temporary {
            remove_dir(dir);
        }
        Ok(Ended { tasks_left: agent_stopped?, left: false })
    }
}

/// Holds that nobody leads here until the node stops.
async fn never_leads(leading: watch::Sender<Option<Master>>, mut stop: watch::Receiver<bool>) {
    // The node's end is the end of this, too.
    let _ = stop.wait_for(|stop| *stop).await;
    drop(leading);
}

fn start_logging(
    level: LoggingLevel,
    log_dir: Option<&Path>,
    quiet: bool,
) -> Result<Option<Logging>> {
    let (level, directive) = match level {
        LoggingLevel::Debug => (Level::Debug, "debug"),
        LoggingLevel::Info => (Level::Info, "info"),
        LoggingLevel::Warning => (Level::Warning, "warn"),
        LoggingLevel::Error => (Level::Error, "error"),
    };
    let file = match log_dir {
        Some(dir) => Some(LogFile::open(dir, LogFileOptions::default())?),
        None => None,
    };
    // The log's library tells of what is ordinary when a node starts alone or stops; what ends it, the registry tells.
    let usual = || format!("{directive},openraft=off");
    let filter = std::env::var("MESOLITH_LOG").ok().or_else(|| Some(usual()));
    let wanted = LoggingOptions { level, filter, format: LogFormat::Text, quiet, file };
    match Logging::start(wanted) {
        Ok(logging) => Ok(Some(logging)),
        // A second node in one process (tests) shares the first one's logging.
        Err(e) if e.code == Code::Conflict => Ok(None),
        Err(e) => Err(e),
    }
}

/// A new folder for what nobody keeps.
///
/// # Errors
/// [`Code::System`] when it cannot be made.
pub fn temporary_dir() -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("mesolith-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&path)
        .map_err(|e| Error::new(Code::System, format!("cannot make {}: {e}", path.display())))?;
    Ok(path)
}

fn remove_dir(dir: &Path) {
    if let Err(e) = std::fs::remove_dir_all(dir) {
        tracing::warn!("cannot remove the temporary folder {}: {e}", dir.display());
    }
}
