//! The docker containerizer: containers made, watched and removed by a docker engine, on behalf of this agent.
//!
//! Containers bear this node's identity in a label: by it they are found again after a restart, and nothing that does not
//! bear it is ever touched. The engine may be away or hang: every call has a limit of time, and what a dead engine cannot end
//! is ended by its processes. What an end means is decided by the core.

mod auth;
mod create;
mod engine;
mod exec;
mod image;
mod inspect;
mod life;
mod output;
mod pull;
mod session;
mod usage;
mod watch;

use super::record::{Capabilities, ExecOutcome, ExitRecord, Found, Scope, Usage};
use super::spec::{ContainerSpec, Limits, Rotation};
use super::{Answer, Containerizer, Event, ExecRequest, Session, SessionRequest};
use crate::agent::core::docker::{Inspected, Run, name};
use crate::agent::probe;
use crate::agent::provisioner::credentials::Credentials;
use crate::base::error::{Code, Error, Result};
use crate::base::ids::{self, ContainerId};
use crate::base::time::Wall;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, StatsOptionsBuilder,
};
use engine::{Engine, QUICK_MAX, SLOW_MAX};
use futures_util::StreamExt as _;
use inspect::Account;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch as signal};

/// Whose container it is: this node's identity.
const LABEL_NODE: &str = "org.mesolith.node";
/// The container's id.
const LABEL_CONTAINER: &str = "org.mesolith.container";
/// Its sandbox on the host.
const LABEL_SANDBOX: &str = "org.mesolith.sandbox";

/// Events that wait to be taken; the watch waits beyond that.
const EVENTS_MAX: usize = 4096;
/// How the engine is found and used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub socket: PathBuf,
    /// How long pulling an image may take.
    pub pull_timeout: Duration,
    /// Whose rights images are pulled with when a task brings none of its own.
    pub credentials: Option<Credentials>,
    /// This node's identity.
    pub node: String,
    /// A directory for what is remembered of each container.
    pub run_dir: PathBuf,
    /// How output is rotated.
    pub rotation: Rotation,
}

/// A container to be made.
#[derive(Clone, Debug)]
pub struct DockerSpec {
    /// Never used twice.
    pub id: ContainerId,
    /// What it is to be.
    pub run: Arc<Run>,
    /// Its sandbox on the host, an existing directory.
    pub sandbox: PathBuf,
    /// What is added to the environment of the image.
    pub env: Vec<(String, String)>,
    /// What it may use.
    pub limits: Limits,
    /// How its output is rotated.
    pub rotation: Rotation,
}

/// Asks who listens at a socket; the engine's version and the API's that both speak.
///
/// # Errors
/// `Unavailable` when nobody answers, `Timeout` when nobody answers in time.
pub async fn look(socket: &Path) -> Result<String> {
    let engine = Engine::new(socket.to_path_buf());
    let client = engine.client().await?;
    let told = engine.call(engine::QUICK_MAX, |client| async move { client.version().await });
    let version = told.await?.version.unwrap_or_else(|| "of no version".into());
    Ok(format!("engine {version}, API {}", client.client_version()))
}

/// What is known of a container.
#[derive(Default)]
struct Entry {
    sandbox: PathBuf,
    tty: bool,
    started: bool,
    /// Its memory limit, in bytes.
    memory: Option<u64>,
    facts: Option<Facts>,
    inspected: Option<Arc<Inspected>>,
    /// Set when all its output was read.
    output: Option<signal::Receiver<bool>>,
    follower: Option<Follower>,
    /// Its end is being looked at.
    ending: bool,
    exit: Option<ExitRecord>,
}

/// What has to be known of a container that was started, also when the engine is away.
#[derive(Clone, Debug)]
struct Facts {
    /// The engine's id of it.
    id: String,
    /// Its first process.
    pid: Option<i32>,
    /// What ends it politely.
    stop_signal: String,
    /// Whether its network is not the host's.
    own_network: bool,
}

impl Facts {
    fn of(account: &Account) -> Self {
        Self {
            id: account.id().to_string(),
            pid: account.pid(),
            stop_signal: account.stop_signal().to_string(),
            own_network: account.own_network(),
        }
    }
}

/// Work that ends with whoever holds this.
struct Follower(tokio::task::AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Shared {
    settings: Settings,
    engine: Arc<Engine>,
    pulls: pull::Pulls,
    known: Mutex<BTreeMap<ContainerId, Entry>>,
    tell: mpsc::Sender<Event>,
    events: Mutex<Option<mpsc::Receiver<Event>>>,
    watching: AtomicBool,
    watch: Mutex<Option<tokio::task::AbortHandle>>,
}

/// The containerizer. Must be used within a tokio runtime.
#[derive(Clone)]
pub struct Docker(Arc<Shared>);

fn wall() -> Wall {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

impl Shared {
    /// What is under it is whole between any two statements.
    fn known(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The containers that were started and whose end was not told.
    fn started(&self) -> Vec<ContainerId> {
        let known = self.known();
        known
            .iter()
            .filter(|(_, e)| e.started && e.exit.is_none())
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Begins to look at a container's end: once, and with its output to be waited for.
    fn ending(&self, id: &ContainerId) -> Option<Option<signal::Receiver<bool>>> {
        let mut known = self.known();
        let entry = known.get_mut(id).filter(|e| e.started && !e.ending)?;
        entry.ending = true;
        Some(entry.output.clone())
    }

    /// It has not ended after all.
    fn goes_on(&self, id: &ContainerId) {
        if let Some(entry) = self.known().get_mut(id) {
            entry.ending = false;
        }
    }

    /// Notes an end; whether it is to be told.
    fn ended(&self, id: &ContainerId, record: ExitRecord) -> bool {
        match self.known().get_mut(id) {
            Some(entry) => entry.exit.replace(record).is_none(),
            None => false,
        }
    }
}

impl Docker {
    /// Nothing is asked of the engine yet.
    pub fn new(settings: Settings) -> Self {
        let (tell, events) = mpsc::channel(EVENTS_MAX);
        let engine = Engine::new(settings.socket.clone());
        let pulls = pull::Pulls::new(
            Arc::clone(&engine),
            settings.pull_timeout,
            settings.credentials.clone(),
        );
        Self(Arc::new(Shared {
            settings,
            engine,
            pulls,
            known: Mutex::default(),
            tell,
            events: Mutex::new(Some(events)),
            watching: AtomicBool::new(false),
            watch: Mutex::default(),
        }))
    }

    /// Watches no more; containers go on.
    pub fn close(&self) {
        if let Some(watch) = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner).take() {
            watch.abort();
        }
        self.0.known().clear();
    }

    /// Whether the engine answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn hello(&self) -> Result<()> {
        self.0.engine.client().await.map(drop)
    }

    /// Whether there is something where the engine would listen.
    pub fn is_there(&self) -> bool {
        self.0.engine.socket().exists()
    }

    /// Whether a container is one of its own.
    pub fn knows(&self, id: &ContainerId) -> bool {
        self.0.known().contains_key(id)
    }

    /// Has the image of a container; `told` gets a sentence now and then while that takes time.
    ///
    /// # Errors
    /// With image, registry and what was answered.
    pub async fn pull(
        &self,
        run: &Run,
        sandbox: &std::path::Path,
        told: &signal::Sender<String>,
    ) -> Result<()> {
        self.0.pulls.have(&run.image, run.force_pull, sandbox, told).await
    }

    /// Makes a container, its command not started.
    ///
    /// # Errors
    /// What the engine answers.
    pub async fn make(&self, spec: DockerSpec) -> Result<()> {
        watch::begin(&self.0);
        let body = create::body(&spec, &self.0.settings.node, probe::memory()?)?;
        let run = Arc::clone(&spec.run);
        let made = tokio::task::spawn_blocking(move || create::make_directories(&run)).await;
        made.map_err(|e| Error::new(Code::Internal, format!("file work: {e}")))??;
        let entry = Entry {
            sandbox: spec.sandbox,
            tty: body.tty == Some(true),
            memory: spec.limits.mem_bytes,
            ..Entry::default()
        };
        self.0.known().insert(spec.id.clone(), entry);
        let options = CreateContainerOptionsBuilder::new().name(&name(&spec.id)).build();
        let call = |client: bollard::Docker| async move {
            client.create_container(Some(options), body).await
        };
        self.0.engine.call(SLOW_MAX, call).await.map(drop)
    }

    /// What the engine says of a container that was started; once, since it is long.
    pub fn inspected(&self, id: &ContainerId) -> Option<Arc<Inspected>> {
        self.0.known().get_mut(id)?.inspected.take()
    }

    /// The ids of all containers that were found or made.
    pub fn all(&self) -> Vec<ContainerId> {
        self.0.known().keys().cloned().collect()
    }

    /// Follows a container's output from where it was read to.
    fn follow(&self, id: &ContainerId) {
        let mut known = self.0.known();
        let Some(entry) = known.get_mut(id).filter(|e| e.output.is_none()) else { return };
        let job = output::Job {
            engine: Arc::clone(&self.0.engine),
            name: name(id),
            sandbox: entry.sandbox.clone(),
            rotation: self.0.settings.rotation,
            position: self.position(id),
            tty: entry.tty,
        };
        let (done, output) = signal::channel(false);
        let work = tokio::spawn(async move {
            output::follow(job).await;
            done.send_replace(true);
        });
        (entry.output, entry.follower) = (Some(output), Some(Follower(work.abort_handle())));
    }

    fn position(&self, id: &ContainerId) -> PathBuf {
        self.0.settings.run_dir.join(format!("{id}.json"))
    }

    /// This node's containers, and whether each has ended.
    async fn list(&self) -> Result<Vec<(ContainerId, bool)>> {
        let label = format!("{LABEL_NODE}={}", self.0.settings.node);
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let list =
            |client: bollard::Docker| async move { client.list_containers(Some(options)).await };
        let all = self.0.engine.call(QUICK_MAX, list).await?;
        let mut found = Vec::with_capacity(all.len());
        for container in all {
            use bollard::models::ContainerSummaryStateEnum as S;
            let id = container.labels.as_ref().and_then(|labels| labels.get(LABEL_CONTAINER));
            let ended = matches!(container.state, Some(S::EXITED | S::DEAD | S::REMOVING));
            // Who forges labels may not lead us to other files.
            if let Some(id) = id.filter(|id| ids::check(id).is_ok()) {
                found.push((ContainerId::from(id.as_str()), ended));
            }
        }
        Ok(found)
    }
}

impl Containerizer for Docker {
    fn probe(&self) -> Answer<'_, Capabilities> {
        Box::pin(async {
            let cause = "the docker engine does not say what this machine can do";
            Err(Error::new(Code::Invalid, cause))
        })
    }

    fn recover(&self) -> Answer<'_, Vec<Found>> {
        Box::pin(async {
            if !self.all().is_empty() {
                return Ok(self.remembered());
            }
            let found = self.take_up().await?;
            watch::begin(&self.0);
            Ok(found)
        })
    }

    fn create(&self, _: ContainerSpec) -> Answer<'_, ()> {
        Box::pin(async {
            let cause = "a container of the docker engine is made of an image";
            Err(Error::new(Code::Invalid, cause))
        })
    }

    fn start(&self, id: &ContainerId) -> Answer<'_, i32> {
        let id = id.clone();
        Box::pin(async move { self.start_container(&id).await })
    }

    fn signal(&self, id: &ContainerId, signal: i32, _: Scope) -> Answer<'_, ()> {
        let id = id.clone();
        Box::pin(async move { self.kill(&id, signal).await })
    }

    fn destroy(&self, id: &ContainerId) -> Answer<'_, ()> {
        let id = id.clone();
        Box::pin(async move { self.remove(&id).await })
    }

    fn resize(&self, id: &ContainerId, limits: Limits) -> Answer<'_, ()> {
        let mut limits = limits;
        {
            let mut known = self.0.known();
            // Never lowered under a task's feet.
            let memory = known.get_mut(id).map(|entry| &mut entry.memory);
            if let (Some(memory), Some(wanted)) = (memory, &mut limits.mem_bytes) {
                *wanted = memory.map_or(*wanted, |now| now.max(*wanted));
                *memory = Some(*wanted);
            }
        }
        let (container, mut body) = (name(id), create::limits(&limits));
        // The engine sets as much swap when it makes a container, and refuses to be left behind.
        body.memory_swap = body.memory.map(|bytes| bytes.saturating_mul(2));
        Box::pin(async move {
            let call = |client: bollard::Docker| async move {
                client.update_container(&container, body).await
            };
            self.0.engine.call(QUICK_MAX, call).await
        })
    }

    fn usage(&self, id: &ContainerId) -> Answer<'_, Usage> {
        let (container, pid) =
            (name(id), self.0.known().get(id).and_then(|entry| entry.facts.as_ref()?.pid));
        Box::pin(async move {
            let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
            let call = |client: bollard::Docker| async move {
                let mut stats = std::pin::pin!(client.stats(&container, Some(options)));
                stats.next().await.transpose()
            };
            let stats = self.0.engine.call(QUICK_MAX, call).await?;
            let stats = stats
                .ok_or_else(|| Error::new(Code::Corrupt, "the docker engine gave no statistics"))?;
            Ok(usage::usage(&stats, pid.and_then(usage::processes)))
        })
    }

    fn exec(&self, id: &ContainerId, request: ExecRequest) -> Answer<'_, ExecOutcome> {
        let container = name(id);
        Box::pin(async move { exec::run(&self.0.engine, &container, request).await })
    }

    fn session(&self, id: &ContainerId, request: SessionRequest) -> Answer<'_, Session> {
        let container = name(id);
        Box::pin(async move { session::open(&self.0.engine, &container, request).await })
    }

    fn forget(&self, _: &ContainerId) -> Answer<'_, ()> {
        // The engine keeps the exit record, and drops it with the container.
        Box::pin(async { Ok(()) })
    }

    fn events(&self) -> Option<mpsc::Receiver<Event>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn network(&self, id: &ContainerId) -> Option<i32> {
        let known = self.0.known();
        let facts = known.get(id)?.facts.as_ref()?;
        facts.pid.filter(|_| facts.own_network)
    }
}
