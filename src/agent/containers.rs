//! Carries out what the core asks of containers: one queue a container, so that its operations keep their order while
//! different containers go on side by side. A destroy gives up whatever is being prepared.

use crate::agent::containerizer::docker::{Docker, DockerSpec};
use crate::agent::containerizer::linux::Linux;
use crate::agent::containerizer::{
    Backend, CapabilitySets, Command, ContainerSpec, Containerizer, Event, ExitRecord, Found,
    Limits, Nested, Network, Rotation, Scope, State, Window,
};
use crate::agent::core::AgentCore;
use crate::agent::core::io::{self, Exit, Input, Launch, Oom};
use crate::agent::fetcher::{Counts, Fetcher};
use crate::agent::gpus::{Leases, grant};
use crate::agent::images::Images;
use crate::agent::isolation::{self, Policy};
use crate::agent::sandbox;
use crate::agent::volumes;
use crate::base::error::{Code, Error};
use crate::base::ids::ContainerId;
use crate::http::files::FileTable;
use crate::machine::driver::Handle;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Between two tries to destroy a container that resists.
const DESTROY_PAUSE: Duration = Duration::from_secs(1);

/// Something to do with one container.
pub enum Op {
    /// Make the sandbox, fetch URIs.
    Prepare(Arc<Launch>),
    /// Build it, its command not started.
    Create(Arc<Launch>),
    /// Start the command.
    Start,
    /// Set limits.
    Resize(io::Limits),
    /// Signal all processes.
    Signal(i32),
    /// End and remove it.
    Destroy,
    /// Drop its exit record.
    Forget,
}

/// How containers are made here.
#[derive(Clone)]
pub struct Making {
    /// Which kind.
    pub backend: Backend,
    /// How task output is rotated.
    pub rotation: Rotation,
    /// Who makes those of the docker engine, if this agent takes such tasks.
    pub docker: Option<Docker>,
    /// Where the images of those that need no engine come from.
    pub images: Images,
    /// What tasks may ask of containers.
    pub policy: Policy,
    /// The GPUs that are given to tasks, if any are.
    pub gpus: Option<Arc<Leases>>,
}

struct Shared {
    containerizer: Arc<dyn Containerizer>,
    fetcher: Fetcher,
    files: FileTable,
    making: Making,
    core: Handle<AgentCore>,
    queues: Mutex<HashMap<ContainerId, Queue>>,
    /// To those who pass events on: what has come is to be told now.
    watches: Mutex<Vec<mpsc::UnboundedSender<oneshot::Sender<()>>>>,
    io: tokio::runtime::Handle,
}

/// The operations that wait for one container. The core has few under way for each.
struct Queue {
    ops: mpsc::UnboundedSender<Op>,
    give_up: Arc<Notify>,
}

/// All containers of the agent.
#[derive(Clone)]
pub struct Containers(Arc<Shared>);

impl Containers {
    /// Works with `containerizer`; results go to `core`.
    pub fn new(
        containerizer: Arc<dyn Containerizer>,
        fetcher: Fetcher,
        files: FileTable,
        making: Making,
        core: Handle<AgentCore>,
        io: tokio::runtime::Handle,
    ) -> Self {
        let (queues, watches) = Default::default();
        let shared = Shared { containerizer, fetcher, files, making, core, queues, watches, io };
        Self(Arc::new(shared))
    }

    /// What makes and ends containers.
    pub fn containerizer(&self) -> Arc<dyn Containerizer> {
        Arc::clone(&self.0.containerizer)
    }

    /// What the fetcher has done so far.
    pub fn fetched(&self) -> Arc<Counts> {
        Arc::clone(self.0.fetcher.counts())
    }

    /// Puts an operation behind those that wait for this container.
    pub fn ask(&self, id: &ContainerId, op: Op) {
        let mut queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(id.clone()).or_insert_with(|| self.open(id.clone()));
        if matches!(op, Op::Destroy) {
            // Stays set until the prepare that it ends looks at it.
            queue.give_up.notify_one();
        }
        // The worker ends only after it has removed its queue under this lock.
        let _ = queue.ops.send(op);
    }

    fn open(&self, id: ContainerId) -> Queue {
        let (ops, waiting) = mpsc::unbounded_channel();
        let give_up = Arc::new(Notify::new());
        let worker = Worker { shared: Arc::clone(&self.0), id, give_up: Arc::clone(&give_up) };
        self.0.io.spawn(worker.run(waiting));
        Queue { ops, give_up }
    }

    /// Tells the core what containers do, until the supervisor's events end for good.
    pub async fn watch(self, mut events: mpsc::Receiver<Event>) {
        let (ask, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        self.0.watches.lock().unwrap_or_else(PoisonError::into_inner).push(ask);
        loop {
            let (event, told) = tokio::select! {
                event = events.recv() => (event, None),
                told = asked.recv() => (events.try_recv().ok(), told),
            };
            let mut next = match (event, &told) {
                (None, None) => return,
                (event, _) => event,
            };
            while let Some(event) = next {
                if self.tell(event).await.is_err() {
                    return;
                }
                next = told.as_ref().and_then(|_| events.try_recv().ok());
            }
            if let Some(told) = told {
                // Whoever asked may have gone away.
                let _ = told.send(());
            }
        }
    }

    /// Tells the core what came to pass.
    async fn tell(&self, event: Event) -> Result<(), Error> {
        let input = match event {
            Event::Exited { id, record } => Input::Exited { container: id, exit: exit(&record) },
            Event::Stray { id } => Input::Stray { container: id },
            Event::SupervisorLost => {
                tracing::error!("the supervisor of containers was lost; another takes over");
                return self.look_for_lost().await;
            }
        };
        self.0.core.send(input).await
    }

    /// Asks the new supervisor what it has adopted; what it does not know has ended, nobody knows how.
    async fn look_for_lost(&self) -> Result<(), Error> {
        let known = loop {
            match self.0.containerizer.recover().await {
                Ok(known) => break known,
                Err(e) => tracing::error!("no supervisor of containers: {e}"),
            }
            tokio::time::sleep(DESTROY_PAUSE).await;
        };
        let has = |id: &ContainerId| {
            known.iter().any(|found| found.id == *id && !matches!(found.state, State::Gone))
        };
        for container in self.0.core.look(|core| core.containers_started()).await? {
            if !has(&container) {
                let exit = Exit::default();
                self.0.core.send(Input::Exited { container, exit }).await?;
            }
        }
        Ok(())
    }
}

/// A container found at start in the core's terms; nothing for one of which nothing is left.
pub fn found(found: &Found) -> Option<io::Found> {
    let state = match &found.state {
        State::Created => io::FoundState::Created,
        State::Running { pid } => io::FoundState::Running(u32::try_from(*pid).unwrap_or(0)),
        State::Exited(record) => io::FoundState::Exited(exit(record)),
        State::Gone => return None,
    };
    Some(io::Found { id: found.id.clone(), state })
}

/// An exit record in the core's terms.
pub fn exit(record: &ExitRecord) -> Exit {
    Exit {
        status: record.status,
        oom: record.oom.as_ref().map(|oom| Oom {
            limit_bytes: oom.limit_bytes,
            max_usage_bytes: oom.max_usage_bytes,
            statistics: oom.memory_stat.clone(),
        }),
        crowded: record.pids,
        time: record.at,
    }
}

struct Worker {
    shared: Arc<Shared>,
    id: ContainerId,
    give_up: Arc<Notify>,
}

impl Worker {
    async fn run(self, mut waiting: mpsc::UnboundedReceiver<Op>) {
        loop {
            let op = match waiting.try_recv() {
                Ok(op) => op,
                Err(_) => {
                    let mut queues =
                        self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
                    // Asked again under the lock: nothing can be added now.
                    match waiting.try_recv() {
                        Ok(op) => op,
                        Err(_) => {
                            queues.remove(&self.id);
                            return;
                        }
                    }
                }
            };
            if let Some(input) = self.carry_out(op).await
                && self.shared.core.send(input).await.is_err()
            {
                return;
            }
        }
    }

    /// Waits until the core has heard all that came to pass before.
    async fn caught_up(&self) {
        let watches = self.shared.watches.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for watch in watches {
            let (told, heard) = oneshot::channel();
            if watch.send(told).is_ok() {
                // One that has ended meanwhile has nothing to tell.
                let _ = heard.await;
            }
        }
    }

    async fn carry_out(&self, op: Op) -> Option<Input> {
        let container = self.id.clone();
        let containerizer = &self.shared.containerizer;
        match op {
            Op::Prepare(launch) => {
                let result = self.or_given_up(self.prepare(&launch)).await;
                Some(Input::Prepared { container, result })
            }
            Op::Create(launch) => {
                let result = self.create(&launch).await.map_err(|e| text(&e));
                self.tell_networks(&result).await;
                Some(Input::Created { container, result })
            }
            Op::Start => {
                let result = containerizer.start(&container).await.map_err(|e| text(&e));
                let result = result.map(|pid| u32::try_from(pid).unwrap_or(0));
                self.inspected().await;
                Some(Input::Started { container, result })
            }
            Op::Resize(limits) => {
                let result = containerizer.resize(&container, limits_of(&limits)).await;
                Some(Input::Resized { container, result: result.map_err(|e| text(&e)) })
            }
            Op::Signal(signal) => {
                // It may have ended meanwhile, which its exit record says.
                if let Err(e) = containerizer.signal(&container, signal, Scope::Tree).await {
                    tracing::debug!("cannot signal container {container}: {e}");
                }
                None
            }
            Op::Destroy => {
                while let Err(e) = containerizer.destroy(&container).await {
                    tracing::warn!("cannot destroy container {container} yet: {e}");
                    tokio::time::sleep(DESTROY_PAUSE).await;
                }
                while let Err(e) = self.shared.making.images.release(&container).await {
                    tracing::warn!("cannot remove the image's files of container {container}: {e}");
                    tokio::time::sleep(DESTROY_PAUSE).await;
                }
                let gpus = &self.shared.making.gpus;
                while let Some(Err(e)) = gpus.as_ref().map(|gpus| gpus.release(&container)) {
                    tracing::warn!("cannot take the GPUs of container {container} back: {e}");
                    tokio::time::sleep(DESTROY_PAUSE).await;
                }
                // How it ended comes first: after this nobody asks for it any more.
                self.caught_up().await;
                Some(Input::Destroyed { container })
            }
            Op::Forget => {
                if let Err(e) = containerizer.forget(&container).await {
                    // It is found again, and forgotten, at the next start.
                    tracing::warn!("cannot drop the exit record of container {container}: {e}");
                }
                None
            }
        }
    }

    /// What is asked, as the supervisor makes it. Reads the operator's files, so not on this thread.
    async fn spec(&self, launch: &Launch) -> Result<ContainerSpec, String> {
        let (launch, shared) = (launch.clone(), Arc::clone(&self.shared));
        let made = tokio::task::spawn_blocking(move || spec(&launch, &shared.making)).await;
        made.unwrap_or_else(|e| Err(format!("its container could not be thought of: {e}")))
    }

    /// Tells the core which networks a container has joined, before it hears that it was made.
    async fn tell_networks(&self, result: &Result<(), String>) {
        let joined = self.shared.containerizer.joined(&self.id);
        if result.is_ok() && !joined.is_empty() {
            let networks = joined.iter().map(isolation::status).collect();
            let container = self.id.clone();
            // A core that has ended needs no news.
            let _ = self.shared.core.send(Input::Joined { container, networks }).await;
        }
    }

    async fn prepare(&self, launch: &Launch) -> Result<(), String> {
        // What cannot be is refused before anything is fetched for it.
        if launch.docker.is_none() {
            self.spec(launch).await?;
        }
        if launch.nested.is_some() {
            self.make_nested(launch).await?;
        } else if launch.framework.id.is_none() {
            self.make_alone(launch).await?;
        } else {
            self.make(launch).await?;
        }
        self.volumes(launch).await?;
        self.shared.fetcher.fetch(launch).await?;
        let (told, mut heard) = watch::channel(String::new());
        let mut pulling = std::pin::pin!(self.pull(launch, &told));
        loop {
            tokio::select! {
                outcome = &mut pulling => return outcome,
                Ok(()) = heard.changed() => {
                    let message = heard.borrow_and_update().clone();
                    let container = self.id.clone();
                    // A core that has ended needs no news.
                    let _ = self.shared.core.send(Input::Progress { container, message }).await;
                }
            }
        }
    }

    /// Has its persistent volumes ready; those of a plain process are links.
    async fn volumes(&self, launch: &Launch) -> Result<(), String> {
        if launch.volumes.is_empty() {
            return Ok(());
        }
        let (launch, backend) = (launch.clone(), self.shared.making.backend);
        let made = tokio::task::spawn_blocking(move || {
            volumes::ready(&launch.volumes, launch.user.as_deref())?;
            match (backend, &launch.docker) {
                (Backend::Posix, None) => volumes::link(&launch.volumes, &launch.sandbox),
                _ => Ok(()),
            }
        });
        let made = made.await.map_err(|e| format!("its volumes could not be made ready: {e}"))?;
        made.map_err(|e| text(&e))
    }

    /// Has the image, if it needs one, and tells how far it is.
    async fn pull(&self, launch: &Launch, told: &watch::Sender<String>) -> Result<(), String> {
        match &launch.docker {
            Some(run) => {
                let docker = self.docker().map_err(|e| text(&e))?;
                docker.pull(run, &launch.sandbox, told).await.map_err(|e| text(&e))
            }
            None => self.shared.making.images.provide(launch, told).await,
        }
    }

    fn docker(&self) -> Result<&Docker, Error> {
        self.shared.making.docker.as_ref().ok_or_else(|| {
            Error::new(Code::Unavailable, "this agent does not make docker containers")
        })
    }

    async fn create(&self, launch: &Launch) -> Result<(), Error> {
        let making = &self.shared.making;
        let Some(run) = &launch.docker else {
            let failed = |why| Error::new(Code::Invalid, why);
            let mut spec = making.images.put(launch, self.spec(launch).await.map_err(failed)?)?;
            if let Some(gpus) = &making.gpus {
                grant::put(gpus, launch, &mut spec).map_err(failed)?;
            }
            return self.shared.containerizer.create(spec).await;
        };
        if making.gpus.is_some() && grant::wanted(launch) > 0 {
            let why = "gpu/nvidia gives GPUs to containers of the mesos containerizer alone";
            return Err(Error::new(Code::Invalid, why));
        }
        let spec = DockerSpec {
            id: launch.container.clone(),
            run: Arc::clone(run),
            sandbox: launch.sandbox.clone(),
            env: launch.environment.clone(),
            limits: limits_of(&launch.limits),
            rotation: making.rotation,
        };
        self.docker()?.make(spec).await
    }

    /// Tells the core what the docker engine says of a container that was started, before it hears that it was.
    async fn inspected(&self) {
        let docker = self.shared.making.docker.as_ref();
        if let Some(inspected) = docker.and_then(|docker| docker.inspected(&self.id)) {
            let container = self.id.clone();
            // A core that has ended needs no news.
            let _ = self.shared.core.send(Input::Inspected { container, inspected }).await;
        }
    }

    /// The sandbox of an executor or a command task.
    async fn make(&self, launch: &Launch) -> Result<(), String> {
        sandbox::make(launch.sandbox.clone(), launch.user.clone()).await.map_err(|e| text(&e))?;
        let framework = launch.framework.id.as_ref().map_or("", |id| id.value.as_str());
        sandbox::attach(
            &self.shared.files,
            &framework.into(),
            &launch.executor.executor_id.value.as_str().into(),
            &self.id,
            &launch.sandbox,
        );
        Ok(())
    }

    /// Below its parent's sandbox, by which it is shown; of a task also under the task's name.
    async fn make_nested(&self, launch: &Launch) -> Result<(), String> {
        let Some(nested) = &launch.nested else { return Ok(()) };
        let link = launch
            .task
            .as_ref()
            .map(|task| nested.parent_sandbox.join("tasks").join(&task.task_id.value));
        let made = sandbox::make_nested(launch.sandbox.clone(), launch.user.clone(), link).await;
        made.map_err(|e| text(&e))
    }

    /// Of a container that is nobody's task or executor: shown under its own path.
    async fn make_alone(&self, launch: &Launch) -> Result<(), String> {
        let made = sandbox::make_nested(launch.sandbox.clone(), launch.user.clone(), None).await;
        made.map_err(|e| text(&e))?;
        let shown = launch.sandbox.display().to_string();
        self.shared.files.attach(&shown, &launch.sandbox).map_err(|e| text(&e))
    }

    async fn or_given_up(
        &self,
        work: impl Future<Output = Result<(), String>>,
    ) -> Result<(), String> {
        tokio::select! {
            biased;
            () = self.give_up.notified() => Err("given up: the task was killed".into()),
            outcome = work => outcome,
        }
    }
}

/// What failed, with its hint, in one line of a status message.
fn text(e: &Error) -> String {
    match &e.hint {
        Some(hint) => format!("{}; {hint}", e.cause),
        None => e.cause.clone(),
    }
}

fn limits_of(limits: &io::Limits) -> Limits {
    Limits {
        cpus: limits.cpus,
        cpu_hard: limits.cpus_hard,
        mem_bytes: limits.memory_bytes,
        mem_soft_bytes: limits.memory_soft_bytes,
        pids_max: limits.pids,
    }
}

/// The container that the launch asks for.
fn spec(launch: &Launch, making: &Making) -> Result<ContainerSpec, String> {
    let command = match launch.command.shell() {
        _ if launch.pause => Command::Pause,
        true => Command::Shell(launch.command.value().to_string()),
        false => Command::Exec {
            program: launch.command.value().to_string(),
            argv: launch.command.arguments.clone(),
        },
    };
    let mut spec = ContainerSpec {
        id: launch.container.clone(),
        backend: making.backend,
        sandbox: launch.sandbox.clone(),
        command,
        env: launch.environment.clone(),
        user: launch.user.clone(),
        limits: limits_of(&launch.limits),
        rlimits: Vec::new(),
        network: Network::Host,
        hostname: None,
        capabilities: CapabilitySets::default(),
        no_new_privs: true,
        stdout: Some(making.rotation),
        stderr: Some(making.rotation),
        host_root: true,
        mounts: Vec::new(),
        image: None,
        image_volumes: Vec::new(),
        nested: nested(launch),
        terminal: terminal(launch),
        linux: Linux::default(),
    };
    if making.backend != Backend::Posix {
        let volumes = launch.volumes.iter().map(isolation::persistent);
        spec.linux.volumes = volumes.collect::<Result<_, _>>()?;
    }
    let resources = launch.executor.resources.iter();
    let resources = resources.chain(launch.task.iter().flat_map(|task| &task.resources));
    let resources: Vec<_> = resources.collect();
    let parent = launch.nested.as_ref().map(|nested| nested.parent_sandbox.as_path());
    making.policy.apply(launch.container_info(), &resources, parent, &mut spec)?;
    if let Some(nested) = &launch.nested {
        let volumes = &mut spec.linux.volumes;
        isolation::through(volumes, &nested.parent_sandbox, &nested.parent_volumes);
    }
    Ok(spec)
}

/// What it has of the container that it is in.
fn nested(launch: &Launch) -> Option<Nested> {
    launch.nested.as_ref().map(|nested| Nested {
        parent: nested.parent.clone(),
        share_pid: nested.share_pid,
        own_limits: nested.own_limits,
    })
}

/// The terminal that it asks for.
fn terminal(launch: &Launch) -> Option<Window> {
    let tty = launch.container_info()?.tty_info.as_ref()?;
    let small = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    Some(tty.window_size.as_ref().map_or_else(Window::default, |size| Window {
        rows: small(size.rows),
        columns: small(size.columns),
    }))
}
