//! What happens to the agent's core, and what it asks its shell to do.

use super::docker;
use crate::base::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use crate::base::resources::Ranges;
use crate::base::time::Wall;
use crate::mesos::internal::{AgentMessage, MasterMessage};
use crate::mesos::v1::{self, executor};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One connection with a master; a number never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One waiting request of a client; a number never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One event stream of a custom executor; a number never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// How a container's first process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The raw wait status; `None` when nobody could collect it.
    pub status: Option<i32>,
    /// The container hit its memory limit.
    pub oom: Option<Oom>,
    /// How many processes and threads it may have, if it was refused more.
    pub crowded: Option<u64>,
    /// When.
    pub time: Wall,
}

/// What is known of a container that hit its memory limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Oom {
    /// The limit, in bytes.
    pub limit_bytes: u64,
    /// The most that was used, in bytes.
    pub max_usage_bytes: u64,
    /// The kernel's own account (`memory.stat`).
    pub statistics: String,
}

/// A container that the supervisor had when the agent started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: ContainerId,
    /// What it is doing.
    pub state: FoundState,
}

/// The state of a container found at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundState {
    /// Built, its command not started.
    Created,
    /// Running; the pid of its first process.
    Running(u32),
    /// Ended, status kept.
    Exited(Exit),
}

/// The outcome of one check or health check.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckOutcome {
    /// A command ended with this exit code.
    Command(i32),
    /// An HTTP request got this status.
    Http(u32),
    /// A TCP connection was (not) made.
    Tcp(bool),
    /// It could not be done, or not in time; says why.
    Failed(String),
}

/// What may happen to the agent. Results of acts are inputs too: nothing is assumed done before it
/// is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A connection with the leading master was made: register.
    MasterConnected {
        /// The connection.
        link: LinkId,
    },
    /// The connection has ended.
    MasterLost {
        /// Which.
        link: LinkId,
    },
    /// A message of a master; older epochs are refused by the core.
    FromMaster {
        /// The connection.
        link: LinkId,
        /// The message.
        message: Box<MasterMessage>,
    },
    /// How far the preparation of a container has come.
    Progress {
        /// Which.
        container: ContainerId,
        /// For the status of its task.
        message: String,
    },
    /// What the docker engine says of a container that was started or found again.
    Inspected {
        /// Which.
        container: ContainerId,
        /// Its account.
        inspected: Arc<docker::Inspected>,
    },
    /// A container that bears this agent's mark was found late; it may be nobody's.
    Stray {
        /// Which.
        container: ContainerId,
    },
    /// Sandbox made and URIs fetched, image pulled, or why not.
    Prepared {
        /// Which container.
        container: ContainerId,
        /// The text of a failure goes into the status message.
        result: Result<(), String>,
    },
    /// A container has joined networks of its own; told before it is said to be built.
    Joined {
        /// Which.
        container: ContainerId,
        /// The networks, with its addresses.
        networks: Vec<v1::NetworkInfo>,
    },
    /// What the sandbox of a container takes.
    SandboxUsage {
        /// Of which container.
        container: ContainerId,
        /// In bytes; `None` when it could not be measured.
        bytes: Option<u64>,
    },
    /// The TCP ports of the agent's network that containers listen on.
    Listening {
        /// Those that listen on any.
        all: Vec<(ContainerId, Ranges)>,
    },
    /// The container was built, its command not started yet.
    Created {
        /// Which.
        container: ContainerId,
        /// Or why not.
        result: Result<(), String>,
    },
    /// The command was started.
    Started {
        /// Which.
        container: ContainerId,
        /// The pid of the command, or why not.
        result: Result<u32, String>,
    },
    /// The limits of a container were changed.
    Resized {
        /// Which.
        container: ContainerId,
        /// Or why not.
        result: Result<(), String>,
    },
    /// The first process of a container ended.
    Exited {
        /// Which.
        container: ContainerId,
        /// How.
        exit: Exit,
    },
    /// Nothing is left of a container but its sandbox.
    Destroyed {
        /// Which.
        container: ContainerId,
    },
    /// A check has an outcome.
    Checked {
        /// Of which container.
        container: ContainerId,
        /// Of which task.
        task_id: TaskId,
        /// Which of the task's.
        which: WhichCheck,
        /// Its outcome.
        outcome: CheckOutcome,
    },
    /// A custom executor subscribes: answered with [`Answer::Accepted`] before the first event, or
    /// refused.
    ExecutorSubscribe {
        /// To be answered.
        request: RequestId,
        /// The new session, if accepted.
        session: SessionId,
        /// `call.type` is SUBSCRIBE.
        call: Box<executor::Call>,
    },
    /// Any other call of an executor.
    ExecutorCall {
        /// To be answered.
        request: RequestId,
        /// The call.
        call: Box<executor::Call>,
    },
    /// An executor's event stream has ended.
    ExecutorClosed {
        /// Which.
        session: SessionId,
    },
    /// A container is launched by its name: answered when it runs.
    LaunchContainer {
        /// To be answered.
        request: RequestId,
        /// The container.
        wanted: Box<Wanted>,
    },
    /// Somebody waits for its end.
    WaitContainer {
        /// To be answered.
        request: RequestId,
        /// Which.
        id: ContainerId,
    },
    /// It is to be signalled.
    KillContainer {
        /// To be answered.
        request: RequestId,
        /// Which.
        id: ContainerId,
        /// The number.
        signal: i32,
    },
    /// What is left of it after its end is to be removed.
    RemoveContainer {
        /// To be answered.
        request: RequestId,
        /// Which.
        id: ContainerId,
    },
    /// How full the disk of the work directory is, 0 to 1.
    DiskUsage {
        /// Used part.
        used: f64,
    },
    /// Volumes are as they were to be, as far as that was possible.
    VolumesSettled {
        /// Of those that were to be removed: the ones of which nothing is left.
        removed: Vec<PathBuf>,
    },
    /// A sandbox directory was removed, or why not.
    SandboxRemoved {
        /// Which.
        path: PathBuf,
        /// Or why not.
        result: Result<(), String>,
    },
    /// The node stops: end all tasks first (`true`), or leave them to the next start.
    Stop {
        /// Whether to end the tasks.
        kill_tasks: bool,
    },
}

/// What to prepare and build for an executor or a command task.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The new container.
    pub container: ContainerId,
    /// Its framework, with id, user, capabilities, principal.
    pub framework: Arc<v1::FrameworkInfo>,
    /// Its executor: a custom one, or the one made for a command task (id = task id).
    pub executor: Arc<v1::ExecutorInfo>,
    /// The command task, when it is one.
    pub task: Option<Arc<v1::TaskInfo>>,
    /// The command that runs: the task's or the executor's.
    pub command: Arc<v1::CommandInfo>,
    /// Host path of the sandbox (`…/runs/<container>`).
    pub sandbox: PathBuf,
    /// Who it runs as; `None` is who the agent runs as.
    pub user: Option<String>,
    /// The whole environment, in order.
    pub environment: Vec<(String, String)>,
    /// What it may use.
    pub limits: Limits,
    /// The container it is nested in; none: it is by itself.
    pub nested: Option<Nested>,
    /// The persistent volumes it sees.
    pub volumes: Vec<PersistentVolume>,
    /// No command runs in it: it is there for those nested in it.
    pub pause: bool,
    /// What it is to be, where the docker engine makes it.
    pub docker: Option<Arc<docker::Run>>,
}

impl Launch {
    /// What its container is asked to be.
    pub fn container_info(&self) -> Option<&v1::ContainerInfo> {
        match &self.task {
            Some(task) if self.nested.is_some() => task.container.as_ref(),
            // A command task's is its executor's, or the operator's.
            _ => self.executor.container.as_ref(),
        }
    }
}

/// A persistent volume, as a container sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistentVolume {
    /// Where it is on the host.
    pub path: PathBuf,
    /// Where it is seen: below the sandbox, or absolute.
    pub container_path: String,
    /// Whether it may only be read.
    pub read_only: bool,
    /// Whether others may use it at the same time.
    pub shared: bool,
    /// Whether it becomes the task's user's.
    pub give: bool,
}

/// The directory of a persistent volume.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VolumeDirectory {
    /// Host path.
    pub path: PathBuf,
    /// It is a disk of its own: emptied, never removed.
    pub whole: bool,
}

/// A container in another.
#[derive(Clone, Debug, PartialEq)]
pub struct Nested {
    /// Which.
    pub parent: ContainerId,
    /// Host path of the parent's sandbox.
    pub parent_sandbox: PathBuf,
    /// The persistent volumes that the parent sees.
    pub parent_volumes: Vec<PersistentVolume>,
    /// Whether it sees the parent's processes.
    pub share_pid: bool,
    /// Whether its limits are its own, within the parent's.
    pub own_limits: bool,
}

/// A container that somebody launches by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its name, with those of all it is in.
    pub id: ContainerId,
    /// The one it is in; none: it is by itself.
    pub parent: Option<ContainerId>,
    /// What runs.
    pub command: v1::CommandInfo,
    /// What it is to be.
    pub container: Option<v1::ContainerInfo>,
    /// What it may use; of one by itself.
    pub resources: Vec<v1::Resource>,
    /// How much more than that.
    pub limits: std::collections::BTreeMap<String, v1::value::Scalar>,
}

/// What a container may use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Cpu weight in cpus.
    pub cpus: f64,
    /// Hard cpu limit in cpus, if any.
    pub cpus_hard: Option<f64>,
    /// Hard memory limit, in bytes; `None` is none.
    pub memory_bytes: Option<u64>,
    /// Soft memory limit, in bytes.
    pub memory_soft_bytes: Option<u64>,
    /// Processes and threads; `None` is none.
    pub pids: Option<u64>,
}

/// What the agent asks its shell to do.
#[derive(Clone, Debug)]
pub enum Act {
    /// Send to the master.
    ToMaster {
        /// The connection.
        link: LinkId,
        /// The message.
        message: Box<AgentMessage>,
    },
    /// Give this connection up and look for the leading master again.
    LeaveMaster {
        /// Which.
        link: LinkId,
    },
    /// Make the sandbox, fetch the command's URIs, pull its image: answered by [`Input::Prepared`].
    Prepare(Arc<Launch>),
    /// Build the container: answered by [`Input::Created`].
    Create(Arc<Launch>),
    /// Start its command: answered by [`Input::Started`].
    Start {
        /// Which container.
        container: ContainerId,
    },
    /// Set new limits (a hard memory limit is never lowered): answered by [`Input::Resized`].
    Resize {
        /// Which container.
        container: ContainerId,
        /// The new limits.
        limits: Limits,
    },
    /// Send a signal to all its processes.
    Signal {
        /// Which container.
        container: ContainerId,
        /// The number.
        signal: i32,
    },
    /// End what is left of it and remove it (not its sandbox): answered by [`Input::Destroyed`],
    /// also when there is no such container. A `Prepare` or `Create` under way for it is given up
    /// first. May be asked again.
    Destroy {
        /// Which container.
        container: ContainerId,
    },
    /// The exit record is stored here: the supervisor may drop its own.
    Forget {
        /// Which container.
        container: ContainerId,
    },
    /// Do one check, once: answered by [`Input::Checked`].
    Check {
        /// In the namespaces of this container.
        container: ContainerId,
        /// Of which task.
        task_id: TaskId,
        /// The check, as what kind it is.
        check: Arc<CheckKind>,
        /// Which of the task's.
        which: WhichCheck,
        /// After which it has failed; `None` is never.
        timeout: Option<Duration>,
    },
    /// Send to an executor.
    ExecutorEvent {
        /// Its session.
        session: SessionId,
        /// The event.
        event: Box<executor::Event>,
    },
    /// End an executor's session after what was sent before.
    CloseExecutor {
        /// Which.
        session: SessionId,
    },
    /// Answer an executor's request.
    Answer {
        /// The request.
        request: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// Make a sandbox readable under its virtual paths.
    AttachSandbox {
        /// Its framework.
        framework_id: FrameworkId,
        /// Its executor.
        executor_id: ExecutorId,
        /// Its container.
        container: ContainerId,
        /// Host path.
        sandbox: PathBuf,
    },
    /// Remove a directory below the work directory, whole (but nothing behind a mount in it; no
    /// error when it is not there): answered by [`Input::SandboxRemoved`].
    RemoveSandbox {
        /// Host path.
        path: PathBuf,
    },
    /// Remove these volumes, then have those, in the order in which this is asked: answered by
    /// [`Input::VolumesSettled`].
    SettleVolumes {
        /// To be there, made if they are not.
        make: Vec<VolumeDirectory>,
        /// Not to be there, with all that is in them.
        remove: Vec<VolumeDirectory>,
        /// Disks with volumes: what was put aside there to be removed goes.
        roots: Vec<PathBuf>,
    },
    /// Measure what a sandbox takes: answered by [`Input::SandboxUsage`].
    MeasureSandbox {
        /// Of which container.
        container: ContainerId,
        /// Host path.
        path: PathBuf,
    },
    /// Look at which ports of the agent's network these listen on: answered by [`Input::Listening`].
    LookAtPorts {
        /// Which containers.
        containers: Vec<ContainerId>,
    },
    /// Write a warning to the log.
    Warn {
        /// A sentence.
        text: String,
    },
    /// Measure the disk of the work directory: answered by [`Input::DiskUsage`].
    MeasureDisk,
    /// All that was asked is done: the process may end.
    Stopped {
        /// How many tasks go on.
        tasks_left: usize,
    },
}

/// One of a task's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhichCheck {
    /// The health check at this place.
    Health(usize),
    /// The check that says nothing of health.
    Check,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckKind {
    /// Runs a command in the task's namespaces, environment and directory.
    Command(v1::CommandInfo),
    /// Requests `scheme://127.0.0.1:port path` from within the task's network, or the agent's where the port is mapped.
    Http {
        /// `http` or `https`.
        scheme: String,
        /// Whether to use `::1`.
        ipv6: bool,
        /// Port.
        port: u16,
        /// Begins with `/`.
        path: String,
        /// The port is the agent's, and leads to one of the task's.
        mapped: bool,
    },
    /// Connects to the port.
    Tcp {
        /// Whether to use `::1`.
        ipv6: bool,
        /// Port.
        port: u16,
        /// The port is the agent's, and leads to one of the task's.
        mapped: bool,
    },
}

/// The answer to an executor, in HTTP's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 202, or for SUBSCRIBE: the stream is open.
    Accepted,
    /// 200: it is done.
    Done,
    /// A container has ended.
    Ended(Box<Exit>),
    /// Refused; nothing was changed.
    Refused {
        /// 400, 403 or 503.
        status: u16,
        /// The body, in the original's words.
        text: String,
    },
}
