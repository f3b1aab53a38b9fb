//! What runs here: frameworks, executors with their containers, tasks. Plain state and questions to
//! it.

use super::changing::Changing;
use super::checks::Checks;
use super::docker::{self, Inspected};
use super::io::{Exit, Launch, Limits, RequestId, SessionId};
use crate::base::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use crate::base::time::Wall;
use crate::mesos::internal::kill_record::Cause;
use crate::mesos::v1::{self, TaskState, framework_info::capability, task_status::Reason};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

/// The most tasks (also ended ones not yet acknowledged) an agent holds.
pub const TASKS_MAX: usize = 8192;
/// The most executors an agent holds.
pub const EXECUTORS_MAX: usize = 8192;
/// The most tasks one custom executor holds.
pub const TASKS_PER_EXECUTOR_MAX: usize = 1024;
/// The most messages kept for an executor that has not subscribed yet.
pub const QUEUED_MESSAGES_MAX: usize = 64;

/// Names an executor.
pub type ExecutorKey = (FrameworkId, ExecutorId);
/// Names a task.
pub type TaskKey = (FrameworkId, TaskId);

/// A framework that has something here.
#[derive(Clone, Debug)]
pub(super) struct Framework {
    pub info: Arc<v1::FrameworkInfo>,
    /// It is being shut down: nothing of it is reported any more.
    pub ending: bool,
}

/// Where an executor's container is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its sandbox is made (or waits for an old directory to be removed first).
    Preparing,
    /// It is built.
    Creating,
    /// Its command is being started.
    Starting,
    /// Its command was started.
    Running,
    /// It is being destroyed.
    Ending,
    /// Nothing is left but the sandbox.
    Gone,
}

/// What the tasks of an executor that the agent ended are told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct End {
    pub state: TaskState,
    pub reason: Reason,
    pub message: String,
}

/// An executor and its container: a custom one, or the one of a command task.
#[derive(Clone, Debug)]
pub(super) struct Executor {
    pub info: Arc<v1::ExecutorInfo>,
    pub container: ContainerId,
    pub sandbox: PathBuf,
    /// Made by the agent for a task with a command: its id is the task's.
    pub command_task: bool,
    pub phase: Phase,
    pub pid: Option<u32>,
    /// What the docker engine says of it, once it was started.
    pub inspected: Option<Arc<Inspected>>,
    /// The networks of its own that it has joined.
    pub networks: Vec<v1::NetworkInfo>,
    /// What its sandbox took when it was last measured, in bytes.
    pub disk_used: Option<u64>,
    /// What it might take then, in bytes; none where no disk was asked for.
    pub disk_limit: Option<u64>,
    /// A custom executor has subscribed at least once.
    pub registered: bool,
    pub session: Option<SessionId>,
    /// SHUTDOWN was sent (or its container is being destroyed): no new tasks.
    pub ending: bool,
    pub end: Option<End>,
    /// Its master knows that it ended.
    pub told: bool,
    /// It was given a task.
    pub used: bool,
    /// Host paths of the persistent volumes its container sees.
    pub volumes: Vec<PathBuf>,
    /// Its preparation waits until a directory above it is removed, or for its volumes.
    pub held: bool,
    /// Until the container is built.
    pub launch: Option<Arc<Launch>>,
    /// The limits in force.
    pub limits: Limits,
    /// New limits are being set.
    pub resizing: Option<Limits>,
    pub messages: VecDeque<Vec<u8>>,
    pub launched: Wall,
    /// Its tasks whose last update was acknowledged, oldest first.
    pub completed: VecDeque<Arc<v1::Task>>,
}

impl Executor {
    /// The agent's own, for groups of tasks that each have a container.
    pub fn is_default(&self) -> bool {
        self.info.r#type == Some(v1::executor_info::Type::Default as i32)
    }

    /// A framework's own: it is told what to do, and tells what it did.
    pub fn is_custom(&self) -> bool {
        !self.command_task && !self.is_default()
    }

    /// Whether the docker engine makes its container.
    pub fn in_docker(&self) -> bool {
        docker::is_docker(self.info.container.as_ref())
    }

    /// No process of it can run any more.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Gone
    }
}

/// A kill under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kill {
    pub cause: Cause,
    pub deadline: Wall,
    pub policy: Option<v1::KillPolicy>,
}

/// The container of a task of a default executor.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub container: ContainerId,
    pub sandbox: PathBuf,
    pub phase: Phase,
    pub pid: Option<u32>,
    /// Until it is built.
    pub launch: Option<Arc<Launch>>,
}

/// A container that was launched by its name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub sandbox: PathBuf,
    /// Whom it runs as; none: as the agent.
    pub user: Option<String>,
    pub phase: Phase,
    pub pid: Option<u32>,
    /// Until it is built.
    pub launch: Option<Arc<Launch>>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// Why it never ran.
    pub failed: Option<String>,
    /// Who waits for it to run.
    pub launching: Vec<RequestId>,
    /// Who waits for its end.
    pub waiting: Vec<RequestId>,
}

/// A task, until its last update is acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub info: Arc<v1::TaskInfo>,
    pub executor: ExecutorId,
    /// Tasks are handed over in this order.
    pub order: u64,
    /// As it is shown and told to a new master: state, statuses.
    pub shown: Arc<v1::Task>,
    /// Given to its custom executor.
    pub delivered: bool,
    pub started: Option<Wall>,
    pub kill: Option<Kill>,
    pub checks: Checks,
    /// Uuids of the newest updates of a custom executor.
    pub received: VecDeque<Vec<u8>>,
    /// The group it was launched with.
    pub group: Option<u64>,
    /// Its own container, in that of a default executor.
    pub process: Option<Process>,
}

impl Task {
    pub fn state(&self) -> TaskState {
        self.shown.state()
    }

    pub fn is_terminal(&self) -> bool {
        is_terminal(self.state())
    }
}

/// Whether no state can follow.
pub fn is_terminal(state: TaskState) -> bool {
    use TaskState::*;
    matches!(
        state,
        TaskFinished
            | TaskFailed
            | TaskKilled
            | TaskError
            | TaskLost
            | TaskDropped
            | TaskGone
            | TaskGoneByOperator
    )
}

/// Whether a framework has a capability.
pub(super) fn capable(info: &v1::FrameworkInfo, wanted: capability::Type) -> bool {
    info.capabilities.iter().any(|c| c.r#type == Some(wanted as i32))
}

/// The state, or TASK_LOST for a framework that does not know it.
pub(super) fn aware(info: Option<&v1::FrameworkInfo>, state: TaskState) -> TaskState {
    let aware = info.is_some_and(|i| capable(i, capability::Type::PartitionAware));
    match state {
        TaskState::TaskDropped | TaskState::TaskGone if !aware => TaskState::TaskLost,
        other => other,
    }
}

/// All of it, by id.
#[derive(Default)]
pub(super) struct Tables {
    pub frameworks: BTreeMap<FrameworkId, Framework>,
    pub executors: Changing<ExecutorKey, Executor>,
    pub tasks: Changing<TaskKey, Task>,
    /// The tasks of each executor.
    by_executor: BTreeSet<(FrameworkId, ExecutorId, TaskId)>,
    pub containers: BTreeMap<ContainerId, ExecutorKey>,
    pub sessions: BTreeMap<SessionId, ExecutorKey>,
    /// The tasks whose own containers these are.
    pub processes: BTreeMap<ContainerId, TaskKey>,
    /// Containers that were launched by their names.
    pub named: BTreeMap<ContainerId, Named>,
}

impl Tables {
    /// The framework's info, if it is known here.
    pub fn framework(&self, id: &FrameworkId) -> Option<&v1::FrameworkInfo> {
        self.frameworks.get(id).map(|f| &*f.info)
    }

    /// The executor a container belongs to.
    pub fn of_container(&self, container: &ContainerId) -> Option<ExecutorKey> {
        self.containers.get(container).cloned()
    }

    /// The executor of a task.
    pub fn executor_of(&self, key: &TaskKey) -> Option<ExecutorKey> {
        self.tasks.get(key).map(|t| (key.0.clone(), t.executor.clone()))
    }

    /// The container that a task runs in, and how far it is.
    pub fn container_of(&self, key: &TaskKey) -> Option<(ContainerId, Phase)> {
        let task = self.tasks.get(key)?;
        let executor = self.executors.get(&(key.0.clone(), task.executor.clone()))?;
        match &task.process {
            Some(process) => Some((process.container.clone(), process.phase)),
            None => Some((executor.container.clone(), executor.phase)),
        }
    }

    /// The tasks that were launched together with one, itself among them.
    pub fn group_of(&self, key: &TaskKey) -> Vec<TaskKey> {
        let Some(task) = self.tasks.get(key) else { return Vec::new() };
        let executor = (key.0.clone(), task.executor.clone());
        let Some(group) = task.group else { return vec![key.clone()] };
        let mut all = self.tasks_of(&executor);
        all.retain(|k| self.tasks.get(k).is_some_and(|t| t.group == Some(group)));
        all
    }

    /// Whether a container runs, whatever it is.
    pub fn runs(&self, container: &ContainerId) -> bool {
        if let Some(executor) = self.containers.get(container) {
            return self.executors.get(executor).is_some_and(|e| e.phase == Phase::Running);
        }
        if let Some(task) = self.processes.get(container) {
            return self.container_of(task).is_some_and(|(_, phase)| phase == Phase::Running);
        }
        self.named.get(container).is_some_and(|named| named.phase == Phase::Running)
    }

    /// The executor whose container this is, or that it is in.
    pub fn outermost(&self, container: &ContainerId) -> Option<ExecutorKey> {
        let root = container.as_str().split('.').next()?;
        self.containers.get(&ContainerId::from(root)).cloned()
    }

    /// Adds a task.
    pub fn add_task(&mut self, key: TaskKey, task: Task) {
        self.by_executor.insert((key.0.clone(), task.executor.clone(), key.1.clone()));
        self.tasks.insert(key, task);
    }

    /// Takes a task out.
    pub fn take_task(&mut self, key: &TaskKey) -> Option<Task> {
        let task = self.tasks.remove(key)?;
        // Whose picture changes by that cannot be told by the task any more.
        self.executors.mark(&(key.0.clone(), task.executor.clone()));
        self.by_executor.remove(&(key.0.clone(), task.executor.clone(), key.1.clone()));
        Some(task)
    }

    /// The tasks of an executor, by id.
    pub fn tasks_of(&self, (framework, executor): &ExecutorKey) -> Vec<TaskKey> {
        let from = (framework.clone(), executor.clone(), TaskId::from(""));
        self.by_executor
            .range(from..)
            .take_while(|(f, e, _)| f == framework && e == executor)
            .map(|(f, _, t)| (f.clone(), t.clone()))
            .collect()
    }

    /// The task of a command task's executor.
    pub fn command_task(&self, key: &ExecutorKey) -> Option<TaskKey> {
        let task = (key.0.clone(), TaskId::from(key.1.as_str()));
        let command = self.executors.get(key).is_some_and(|e| e.command_task);
        (command && self.tasks.contains_key(&task)).then_some(task)
    }

    /// The tasks of a framework.
    pub fn of_framework<'a>(
        &'a self,
        id: &'a FrameworkId,
    ) -> impl Iterator<Item = (&'a TaskKey, &'a Task)> {
        let from = (id.clone(), TaskId::from(""));
        self.tasks.range(from..).take_while(move |((f, _), _)| f == id)
    }

    /// Whether a framework has an executor or a task.
    pub fn uses(&self, id: &FrameworkId) -> bool {
        let executor = self.executors.range((id.clone(), ExecutorId::from(""))..).next();
        executor.is_some_and(|((f, _), _)| f == id) || self.of_framework(id).next().is_some()
    }

    /// The executors of a framework.
    pub fn executors_of(&self, id: &FrameworkId) -> Vec<ExecutorKey> {
        let from = (id.clone(), ExecutorId::from(""));
        self.executors
            .range(from..)
            .take_while(|((f, _), _)| f == id)
            .map(|(k, _)| k.clone())
            .collect()
    }
}
