//! What runs here: frameworks, executors with their containers, tasks. Plain state and questions to
//! it.

use super::changing::Changing;
use super::checks::Checks;
use super::docker::{self, Inspected};
use super::io::{Launch, Limits, SessionId};
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
    /// Its preparation waits until a directory above it is removed.
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
