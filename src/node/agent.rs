//! The agent's role: containers found, core recovered and driven, the leading master dialled.

use super::lead::seed;
use super::settings::Options;
use crate::agent::containerizer::both::Both;
use crate::agent::containerizer::client::{self, Supervised};
use crate::agent::containerizer::docker::{self, Docker};
use crate::agent::containerizer::{Backend, Capabilities, Containerizer, Rotation};
use crate::agent::containers::{Containers, Making, found};
use crate::agent::core::AgentCore;
use crate::agent::core::io::Input;
use crate::agent::core::options as core;
use crate::agent::fetcher::{Cache, FetchOptions, Fetcher};
use crate::agent::gpus;
use crate::agent::images::Images;
use crate::agent::options::{Launcher, Options as Wanted};
use crate::agent::probe;
use crate::agent::provisioner::{self, Provisioner};
use crate::agent::service::{Agent, Tools};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use crate::base::resources::Resource;
use crate::base::rng::Rng;
use crate::base::version::MESOS_VERSION;
use crate::cluster::link::Link;
use crate::cluster::link::local::{AgentEnd, Switchboard};
use crate::cluster::roster::Place;
use crate::http::files::FileTable;
use crate::machine::control::{Control, Outcome};
use crate::machine::driver::{self, Clock};
use crate::machine::{Cx, Effects};
use crate::mesos::convert::{Format, attributes_to_v1, resources_to_v1};
use crate::mesos::v1;
use crate::store::{AgentStore, DataDir};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Between two looks for a master that leads, when nothing tells of one.
const DIAL_PAUSE: Duration = Duration::from_secs(1);
/// The first pause; doubles up to the longest: a leader that was just elected takes agents a moment later.
const DIAL_PAUSE_MIN: Duration = Duration::from_millis(20);

/// How long the docker engine is waited for that has tasks of an earlier run: machines start both at one time.
const ENGINE_WAIT: Duration = Duration::from_secs(30);
/// Between two looks for it.
const ENGINE_PAUSE: Duration = Duration::from_millis(500);

/// What starting needs.
pub struct Start<'a> {
    /// Settings.
    pub options: &'a Options,
    /// Where everything is kept.
    pub dir: &'a DataDir,
    /// Where cores run.
    pub control: &'a Control,
    /// How the leading master is reached.
    pub line: Line,
    /// The process's clocks.
    pub clock: Clock,
    /// Address of the agent's face.
    pub address: SocketAddr,
    /// Fires when the node stops.
    pub stopping: watch::Receiver<bool>,
}

/// The running role.
pub struct Role {
    /// The door to the core.
    pub agent: Agent,
    /// Makes and ends containers.
    pub containerizer: Arc<dyn Containerizer>,
    /// Images that need no engine.
    pub images: Images,
    /// Virtual paths of sandboxes.
    pub files: FileTable,
    /// Tasks of an earlier run that go on.
    pub tasks_found: usize,
    /// What this machine lacks.
    pub notes: Vec<String>,
    store: Arc<AgentStore>,
    supervised: Arc<Supervised>,
    docker: Option<Docker>,
    workers: Vec<JoinHandle<()>>,
}

impl Role {
    /// Completes when the core has stopped by itself; answers how many tasks go on.
    ///
    /// # Errors
    /// Why it ended without having stopped.
    pub async fn stopped(&self) -> Result<usize> {
        self.agent.stopped().await
    }

    /// Stops the core, its tasks first when they are to end; answers how many go on.
    ///
    /// # Errors
    /// When the core had ended otherwise.
    pub async fn stop(&self, kill_tasks: bool) -> Result<usize> {
        let left = self.agent.stop(kill_tasks).await;
        for worker in &self.workers {
            worker.abort();
        }
        if let Some(docker) = &self.docker {
            docker.close();
        }
        // The core has stopped, and said so after its last write.
        self.store.close();
        if matches!(left, Ok(0)) {
            // With nothing to hold it would go by itself, later.
            if let Err(e) = self.supervised.down(false).await {
                tracing::debug!("the supervisor stays: {e}");
            }
        }
        left
    }
}

/// Where the agent's files are below the data folder.
struct Paths {
    work: PathBuf,
    run: PathBuf,
    cache: PathBuf,
}

impl Paths {
    fn below(data_dir: &Path) -> Self {
        let below = |name: &str| data_dir.join(name);
        Self { work: below("agent"), run: below("run"), cache: below("fetched") }
    }
}

/// How the supervisor is reached that a node has left in a data folder.
pub fn supervisor(data_dir: &Path) -> client::Options {
    client::Options::left(Paths::below(data_dir).run)
}

/// What an agent of this machine would offer that several of them have to share.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Memory, in MB.
    pub mem: f64,
    /// Disk, in MB.
    pub disk: f64,
    /// The first and the last of the ports for tasks.
    pub ports: (u64, u64),
}

impl Machine {
    /// Looks, for an agent with that folder.
    ///
    /// # Errors
    /// [`Code::System`] when the machine does not tell.
    pub fn look(dir: &Path) -> Result<Self> {
        let found = probe::resources(None, "*", dir)?;
        let whole = |name: &str| found.scalar(name).as_f64();
        Ok(Self { mem: whole("mem"), disk: whole("disk"), ports: probe::PORTS })
    }
}

/// Starts the role.
///
/// # Errors
/// Resources that cannot be, a database that cannot be read, containers that cannot be asked for.
pub async fn start(start: Start<'_>) -> Result<Role> {
    let paths = Paths::below(start.dir.path());
    std::fs::create_dir_all(&paths.work).map_err(|e| {
        Error::new(Code::System, format!("cannot make {}: {e}", paths.work.display()))
    })?;
    let wanted = &start.options.agent;
    let options = client::Options::keep(&paths.run, wanted.cgroups_root.as_deref())?;
    let mut hints = Vec::new();
    if let Some(root) = wanted.cgroups_root.as_ref().filter(|root| **root != options.cgroup_root) {
        hints.push(format!(
            "containers of an earlier run are in the cgroup {}: {root} is used once they have ended",
            options.cgroup_root
        ));
    }
    let supervised = Arc::new(Supervised::new(options));
    let capabilities = supervised.probe().await?;
    let backend = backend(wanted.launcher, &capabilities)?;
    if backend == Backend::Posix && start.options.isolation.policy.isolation.ports {
        let cause = "the isolator network/ports finds out by cgroups who listens, and tasks are plain processes here";
        return Err(Error::new(Code::Invalid, cause).hint("leave it out of --isolation"));
    }
    let (store, records) = AgentStore::open(start.dir)?;
    let store = Arc::new(store);
    let rotation = Rotation { max_bytes: wanted.log_bytes_max, files: wanted.log_files_max };
    let docker = docker(&start, &paths, rotation)?;
    let containerizer: Arc<dyn Containerizer> = match &docker {
        Some(docker) => {
            let there = crate::agent::core::docker::has_containers(&records);
            hints.extend(engine(docker, wanted, there).await?);
            Arc::new(Both::new(supervised.clone(), docker.clone()))
        }
        None => supervised.clone(),
    };
    let at_hand = containerizer.recover().await?;
    let gpus = gpus(&start, backend)?;
    let options = core_options(&start, &paths, gpus.as_ref().map_or(0, |g| g.chosen.len()))?;
    let files = FileTable::new();
    let (handle, mailbox) = driver::mailbox();
    let io = tokio::runtime::Handle::current();
    let cache_dir = match &wanted.fetch_cache_dir {
        // Others may use that folder too.
        Some(dir) => dir.join(format!("agent-{}", start.address.port())),
        None => paths.cache.clone(),
    };
    let system = |e: String| Error::new(Code::System, e);
    let fetcher = Fetcher::new(FetchOptions {
        stall_timeout: wanted.fetch_stall_timeout,
        total_timeout: wanted.fetch_timeout,
        frameworks_home: wanted.frameworks_home.clone(),
        cache: Arc::new(Cache::open(&cache_dir, wanted.fetch_cache_bytes).map_err(system)?),
    });
    let alive: Vec<ContainerId> = at_hand.iter().map(|found| found.id.clone()).collect();
    let gpus = gpus.map(|g| g.leases(&paths, &alive)).transpose()?;
    let images = images(wanted, &paths, backend, alive).await?;
    let provided = images.as_ref().ok().cloned();
    if let Some(Err(why)) = provided.as_ref().map(Provisioner::overlays)
        && wanted.images.backend != provisioner::Backend::Copy
    {
        hints.push(format!("root file systems of images are copied: {why}"));
    }
    let images = Images::new(images, options.sandbox_directory.as_str());
    let policy = start.options.isolation.policy.clone();
    let making =
        Making { backend, rotation, docker: docker.clone(), images: images.clone(), policy, gpus };
    let containers = Containers::new(
        containerizer.clone(),
        fetcher,
        files.clone(),
        making,
        handle.clone(),
        io.clone(),
    );
    let tools = Tools {
        store: store.clone(),
        containers: containers.clone(),
        files: files.clone(),
        work_dir: paths.work,
    };
    let (agent, shell) = Agent::new(handle, tools, io);
    let at_hand = at_hand.iter().filter_map(found).collect();
    let (boot_id, clock, seed) = (probe::boot_id()?, start.clock.clone(), seed()?);
    let (tell, recovered) = oneshot::channel();
    let running = start
        .control
        .run(move || async move {
            let mut rng = Rng::new(seed);
            let mut cx = Cx { now: clock.mono(), wall: clock.wall(), rng: &mut rng };
            let mut out = Effects::default();
            let core = AgentCore::recover(options, records, at_hand, &boot_id, &mut cx, &mut out);
            match core {
                Ok(core) => {
                    drop(tell.send(Ok(())));
                    driver::run(core, shell, clock, rng, mailbox, out).await
                }
                Err(e) => {
                    drop(tell.send(Err(e)));
                    Ok(())
                }
            }
        })
        .await?;
    recovered
        .await
        .map_err(|_| Error::new(Code::Internal, "the agent's core ended while it was built"))??;
    if let Some(docker) = &docker {
        for container in docker.all() {
            if let Some(inspected) = docker.inspected(&container) {
                agent.handle().send(Input::Inspected { container, inspected }).await?;
            }
        }
    }
    let tasks_found = agent.handle().look(|core| core.tasks_live()).await?;
    let mut workers = vec![tokio::spawn(mourn(running, agent.clone()))];
    if let Some(events) = docker.as_ref().and_then(Docker::events) {
        workers.push(tokio::spawn(containers.clone().watch(events)));
    }
    if let Some(events) = containerizer.events() {
        workers.push(tokio::spawn(containers.watch(events)));
    }
    workers.extend(provided.clone().map(|images| tokio::spawn(images.watch())));
    workers.push(tokio::spawn(dial(agent.clone(), start.line, start.stopping)));
    Ok(Role {
        agent,
        containerizer,
        images,
        files,
        tasks_found,
        notes: hints.into_iter().chain(notes(backend, &capabilities)).collect(),
        store,
        supervised,
        docker,
        workers,
    })
}

/// The GPUs that this agent offers.
struct Gpus {
    chosen: Vec<gpus::Gpu>,
    control: Vec<gpus::Node>,
}

impl Gpus {
    fn leases(self, paths: &Paths, alive: &[ContainerId]) -> Result<Arc<gpus::Leases>> {
        let opened = gpus::Leases::open(paths.run.join("gpus"), self.chosen, self.control, alive);
        opened.map(Arc::new).map_err(|why| Error::new(Code::System, why))
    }
}

/// The GPUs to offer, if the operator wants the isolator that gives them to tasks.
fn gpus(start: &Start<'_>, backend: Backend) -> Result<Option<Gpus>> {
    let isolation = &start.options.isolation;
    if !isolation.policy.isolation.gpus {
        return Ok(None);
    }
    if backend == Backend::Posix {
        let cause = "the isolator gpu/nvidia needs containers, and tasks are plain processes here";
        return Err(Error::new(Code::Invalid, cause));
    }
    let wanted = &start.options.agent;
    let machine = gpus::Machine::look(Path::new("/"));
    let said = gpus::offer::Said {
        resources: wanted.resources.as_ref(),
        named: wanted.gpus_named,
        devices: isolation.gpu_devices.as_deref(),
    };
    let chosen = gpus::offer::choose(&machine, said).map_err(|e| Error::new(Code::Invalid, e))?;
    Ok(Some(Gpus { chosen, control: machine.control }))
}

/// What provides images without an engine; else why nothing does.
async fn images(
    wanted: &Wanted,
    paths: &Paths,
    backend: Backend,
    alive: Vec<ContainerId>,
) -> Result<std::result::Result<Provisioner, String>> {
    let own = &wanted.images;
    if !own.allowed {
        let why = "this agent provides no images: see --image_providers";
        return Ok(Err(why.into()));
    }
    if backend == Backend::Posix {
        let why = "a container of an image needs isolation, and tasks are plain processes here";
        return Ok(Err(why.into()));
    }
    let options = provisioner::Options {
        store_dir: own.store_dir.clone().unwrap_or_else(|| paths.work.join("store/docker")),
        containers_dir: paths.work.join("provisioner/containers"),
        home: own.home.clone(),
        credentials: own.credentials.clone(),
        backend: own.backend,
        stall_timeout: wanted.fetch_stall_timeout,
        pull_timeout: wanted.docker.pull_timeout,
        ignore_runtime: own.ignore_runtime,
        collection: own.collection.clone(),
    };
    let opened = tokio::task::spawn_blocking(move || Provisioner::open(options, &alive)).await;
    let opened = opened.map_err(|e| Error::new(Code::Internal, format!("images: {e}")))?;
    opened.map(Ok).map_err(|why| Error::new(Code::System, why))
}

/// The docker containerizer, if tasks may have it.
fn docker(start: &Start<'_>, paths: &Paths, rotation: Rotation) -> Result<Option<Docker>> {
    let wanted = &start.options.agent;
    if !wanted.containerizers.all.contains(&core::Containerizer::Docker) {
        return Ok(None);
    }
    let run_dir = paths.run.join("docker");
    std::fs::create_dir_all(&run_dir)
        .map_err(|e| Error::new(Code::System, format!("{}: {e}", run_dir.display())))?;
    Ok(Some(Docker::new(docker::Settings {
        socket: wanted.docker.socket.clone(),
        pull_timeout: wanted.docker.pull_timeout,
        credentials: wanted.docker.config.clone(),
        node: start.line.link.node().to_string(),
        run_dir,
        rotation,
    })))
}

/// Looks for the docker engine: it must be there if the operator named it, and is waited for a while if tasks of an earlier
/// run are with it (`awaited`). Otherwise it may come later.
async fn engine(docker: &Docker, wanted: &Wanted, awaited: bool) -> Result<Option<String>> {
    let named = wanted.containerizers.docker_named;
    if !named && !awaited && !docker.is_there() {
        return Ok(None);
    }
    let since = tokio::time::Instant::now();
    let why = loop {
        match docker.hello().await {
            Ok(()) => return Ok(None),
            Err(e) if !awaited || since.elapsed() > ENGINE_WAIT => break e,
            Err(e) => tracing::info!("tasks of an earlier run are docker containers: {e}"),
        }
        tokio::time::sleep(ENGINE_PAUSE).await;
    };
    if named {
        return Err(why.context("--containerizers names docker").hint(
            "start the engine, say where it listens by --docker_socket, or leave docker out of \
             --containerizers",
        ));
    }
    Ok(Some(format!("docker containers cannot be made now: {why}")))
}

fn backend(launcher: Launcher, capabilities: &Capabilities) -> Result<Backend> {
    let lacks = || {
        let missing: Vec<String> =
            capabilities.missing.iter().map(|(what, why)| format!("{what}: {why}")).collect();
        missing.join("; ")
    };
    match (launcher, capabilities.mesos) {
        (Launcher::Posix, _) | (Launcher::Auto, false) => Ok(Backend::Posix),
        (_, true) => Ok(Backend::Mesos),
        (Launcher::Linux, false) => {
            let cause = format!("this machine cannot make containers ({})", lacks());
            Err(Error::new(Code::System, cause).hint(
                "run as root, or with --launcher=posix for plain processes; see `mesolith doctor`",
            ))
        }
    }
}

fn notes(backend: Backend, capabilities: &Capabilities) -> Vec<String> {
    let mut notes = Vec::new();
    if backend == Backend::Posix {
        notes.push("tasks are plain processes here: not isolated, limits not enforced".into());
    } else if capabilities.user_namespace {
        let limits = if capabilities.cgroups.is_some() { "enforced" } else { "not enforced" };
        notes.push(format!("containers are made in a user namespace here, limits are {limits}"));
    }
    let lacks = |(what, why): &(String, String)| format!("{what} is not there: {why}");
    notes.extend(capabilities.missing.iter().map(lacks));
    notes
}

fn core_options(start: &Start<'_>, paths: &Paths, gpus: usize) -> Result<core::Options> {
    let wanted = &start.options.agent;
    let (named, role) = (wanted.resources.as_ref(), wanted.default_role.as_str());
    let mut resources = probe::resources(named, role, &paths.work)?;
    if !wanted.gpus_named {
        resources.add_one(probe::with_role(Resource::scalar("gpus", gpus as f64), role));
    }
    let info = v1::AgentInfo {
        hostname: start.options.hostname.clone(),
        port: Some(i32::from(start.address.port())),
        resources: resources_to_v1(&resources, Format::Post),
        attributes: attributes_to_v1(&wanted.attributes),
        id: None,
        domain: None,
    };
    let mut options = core::Options::new(info, start.address.ip().to_string(), &paths.work);
    options.version = MESOS_VERSION.into();
    options.containerizers = wanted.containerizers.all.clone();
    wanted.tuning.apply(&mut options);
    start.options.isolation.apply(&mut options);
    Ok(options)
}

/// How the leading master is reached: within this process, or over the link.
#[derive(Clone)]
pub struct Line {
    /// To a master of this process.
    pub switchboard: Switchboard,
    /// To other nodes.
    pub link: Link,
    /// Who leads.
    pub leader: watch::Receiver<Option<Place>>,
}

impl Line {
    async fn dial(&self) -> Result<AgentEnd> {
        let place = self.leader.borrow().clone();
        match place {
            Some(place) if place.node != self.link.node() => {
                self.link.peer(&place.address, Some(place.node)).dial_agent().await
            }
            _ => self.switchboard.dial(),
        }
    }
}

/// Keeps a connection with the leading master; with another leader it is made anew.
async fn dial(agent: Agent, line: Line, mut stopping: watch::Receiver<bool>) {
    let mut changed = line.switchboard.changed();
    let mut leader = line.leader.clone();
    let mut pause = DIAL_PAUSE_MIN;
    loop {
        changed.borrow_and_update();
        leader.borrow_and_update();
        match line.dial().await {
            Ok(connection) => {
                pause = DIAL_PAUSE;
                tokio::select! {
                    () = agent.serve(connection) => {}
                    _ = leader.changed() => {
                        pause = DIAL_PAUSE_MIN;
                        continue;
                    }
                }
            }
            Err(e) => tracing::debug!("no master is reached: {e}"),
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = changed.changed() => pause = DIAL_PAUSE_MIN,
            _ = leader.changed() => pause = DIAL_PAUSE_MIN,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(DIAL_PAUSE),
        }
    }
}

/// A core that ends by itself, its database failing, takes the node with it: what it knows is ahead of the disk.
async fn mourn(running: Outcome<Result<()>>, agent: Agent) {
    let outcome = running.wait().await.and_then(|outcome| outcome);
    let why = match outcome {
        Ok(()) => Error::new(Code::Unavailable, "the agent's core has ended"),
        Err(e) => e.context("the agent's core has ended"),
    };
    agent.give_up(why);
}
