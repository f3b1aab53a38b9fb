//! An immutable picture of the agent between two steps, from which `/state` and its kin are written
//! elsewhere. Making one costs an `Arc` clone for each executor, and more only for those that were
//! changed since the last. Also what has ended, kept in bounds.

use super::AgentCore;
use super::changing::Changed;
use super::io::Limits;
use super::limits::scalar;
use super::tables::{Executor, ExecutorKey, Phase, Tables};
use crate::base::ids::{AgentId, ContainerId, FrameworkId};
use crate::base::resources::Resources;
use crate::base::time::Wall;
use crate::mesos::v1::{self, TaskState};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Ended frameworks remembered.
pub const COMPLETED_FRAMEWORKS_MAX: usize = 50;
/// Ended tasks remembered for each executor.
pub const COMPLETED_TASKS_MAX: usize = 200;

/// Where an executor stands, in the original's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutorState {
    /// Its container is on its way, or it has not subscribed yet.
    Registering,
    /// It runs.
    Running,
    /// It is being ended.
    Terminating,
    /// Its container is gone.
    Terminated,
}

/// One executor.
#[derive(Clone, Debug)]
pub struct ExecutorView {
    /// With id, name, source, resources, labels, type.
    pub info: Arc<v1::ExecutorInfo>,
    /// Made by the agent for a command task.
    pub command_task: bool,
    /// Where it stands.
    pub state: ExecutorState,
    /// Its container.
    pub container: ContainerId,
    /// Pid of the container's first process.
    pub pid: Option<u32>,
    /// What its container may use.
    pub limits: Limits,
    /// What its sandbox took when it was last measured, in bytes.
    pub disk_used: Option<u64>,
    /// What it might take then, in bytes.
    pub disk_limit: Option<u64>,
    /// Absolute path of its sandbox.
    pub directory: PathBuf,
    /// When it was accepted.
    pub launched: Wall,
    /// Tasks it was given, by id; also ended ones whose last update is not acknowledged.
    pub tasks: Vec<Arc<v1::Task>>,
    /// Tasks that wait for it.
    pub queued_tasks: Vec<Arc<v1::TaskInfo>>,
    /// Tasks that are done, oldest first.
    pub completed_tasks: Vec<Arc<v1::Task>>,
}

/// One framework.
#[derive(Clone, Debug)]
pub struct FrameworkView {
    /// Its id.
    pub id: FrameworkId,
    /// As the master told last.
    pub info: Arc<v1::FrameworkInfo>,
    /// Executors, by id.
    pub executors: Vec<Arc<ExecutorView>>,
    /// Ended executors, oldest first.
    pub completed_executors: Vec<Arc<ExecutorView>>,
}

/// The whole picture.
#[derive(Clone, Debug)]
pub struct View {
    /// With its id once it has one.
    pub agent: Arc<v1::AgentInfo>,
    /// All it has, with what is reserved and the volumes.
    pub total: Resources,
    /// A master has answered on the present connection.
    pub registered: bool,
    /// Custom executors still have time to come back.
    pub recovering: bool,
    /// The newest epoch obeyed.
    pub epoch: u64,
    /// How it is drained, and since when it knows.
    pub drain: Option<(v1::DrainConfig, Wall)>,
    /// Frameworks, by id.
    pub frameworks: Vec<Arc<FrameworkView>>,
    /// Ended frameworks, oldest first.
    pub completed_frameworks: Vec<Arc<FrameworkView>>,
    /// Gauges and counters under their whole names: `slave/tasks_running`,
    /// `gc/path_removals_pending` …
    pub metrics: BTreeMap<String, f64>,
    /// How old sandboxes may get just now.
    pub allowed_age: Duration,
}

/// What has ended, kept in bounds and not stored: a restart forgets it.
#[derive(Default)]
pub(super) struct History {
    executors: BTreeMap<FrameworkId, VecDeque<Arc<ExecutorView>>>,
    frameworks: VecDeque<Arc<FrameworkView>>,
}

impl History {
    /// An executor is done.
    pub fn completed_executor(&mut self, framework: &FrameworkId, executor: &Executor, max: usize) {
        let ended = self.executors.entry(framework.clone()).or_default();
        ended.push_back(Arc::new(picture(executor)));
        while ended.len() > max {
            ended.pop_front();
        }
    }

    /// A framework has nothing here any more.
    pub fn completed_framework(&mut self, id: &FrameworkId, info: Arc<v1::FrameworkInfo>) {
        let completed = self.executors.remove(id).unwrap_or_default();
        let view = FrameworkView {
            id: id.clone(),
            info,
            executors: Vec::new(),
            completed_executors: completed.into(),
        };
        if self.frameworks.len() >= COMPLETED_FRAMEWORKS_MAX {
            self.frameworks.pop_front();
        }
        self.frameworks.push_back(Arc::new(view));
    }

    /// A framework is back, with its ended executors.
    pub fn revive(&mut self, id: &FrameworkId) {
        if let Some(at) = self.frameworks.iter().position(|f| f.id == *id)
            && let Some(old) = self.frameworks.remove(at)
        {
            self.executors.insert(id.clone(), old.completed_executors.iter().cloned().collect());
        }
    }
}

/// A task is done: its executor remembers it for a while.
pub(super) fn completed_task(executor: &mut Executor, task: Arc<v1::Task>) {
    if executor.completed.len() >= COMPLETED_TASKS_MAX {
        executor.completed.pop_front();
    }
    executor.completed.push_back(task);
}

fn picture(executor: &Executor) -> ExecutorView {
    let state = match executor.phase {
        Phase::Gone => ExecutorState::Terminated,
        Phase::Ending => ExecutorState::Terminating,
        _ if executor.ending => ExecutorState::Terminating,
        Phase::Running if executor.command_task || executor.registered => ExecutorState::Running,
        _ => ExecutorState::Registering,
    };
    ExecutorView {
        info: executor.info.clone(),
        command_task: executor.command_task,
        state,
        container: executor.container.clone(),
        pid: executor.pid,
        limits: executor.limits,
        disk_used: executor.disk_used,
        disk_limit: executor.disk_limit,
        directory: executor.sandbox.clone(),
        launched: executor.launched,
        tasks: Vec::new(),
        queued_tasks: Vec::new(),
        completed_tasks: executor.completed.iter().cloned().collect(),
    }
}

impl AgentCore {
    /// This agent's id, once a master gave it one.
    pub fn agent_id(&self) -> Option<AgentId> {
        self.identity.id()
    }

    /// How many tasks have not ended.
    pub fn tasks_live(&self) -> usize {
        self.tables.tasks.values().filter(|task| !task.is_terminal()).count()
    }

    /// The containers whose command was started and has not been told to have ended.
    pub fn containers_started(&self) -> Vec<ContainerId> {
        let tables = &self.tables;
        let executors = tables.executors.values().map(|e| &e.container);
        let all = executors.chain(tables.processes.keys()).chain(tables.named.keys());
        all.filter(|id| tables.runs(id)).cloned().collect()
    }

    /// Whether commands can be run in a container just now, and if so whether as another user than its own.
    pub fn place_in(&self, container: &ContainerId) -> Option<bool> {
        self.tables.runs(container).then_some(self.options.switch_user)
    }

    /// The agent as it is between two steps. Of executors without a change since the last one, the picture is the same.
    pub fn view(&self) -> View {
        // Borrowed here alone, and not across calls that come back here.
        let mut pictures = self.pictures.borrow_mut();
        pictures.refresh(&self.tables);
        let mut by_framework: BTreeMap<&FrameworkId, Vec<Arc<ExecutorView>>> = BTreeMap::new();
        for (key, picture) in &pictures.0 {
            by_framework.entry(&key.0).or_default().push(picture.view.clone());
        }
        let frameworks = self.tables.frameworks.iter().map(|(id, framework)| {
            Arc::new(FrameworkView {
                id: id.clone(),
                info: framework.info.clone(),
                executors: by_framework.remove(id).unwrap_or_default(),
                completed_executors: self
                    .history
                    .executors
                    .get(id)
                    .map_or_else(Vec::new, |e| e.iter().cloned().collect()),
            })
        });
        View {
            agent: self.identity.info.clone(),
            total: self.total(),
            registered: self.master.registered,
            recovering: self.reconnecting,
            epoch: self.identity.epoch,
            drain: self.identity.drain.map(|d| (d.config, Wall(d.since))),
            frameworks: frameworks.collect(),
            completed_frameworks: self.history.frameworks.iter().cloned().collect(),
            metrics: self.metrics(&pictures),
            allowed_age: self.sandboxes.allowed_age(&self.options),
        }
    }

    /// The same with every picture made anew; those that were there stay for the next look.
    #[cfg(test)]
    pub fn view_anew(&mut self) -> View {
        self.tables.executors.mark_all();
        let kept = self.pictures.take();
        let view = self.view();
        self.pictures.replace(kept);
        view
    }

    fn metrics(&self, pictures: &Pictures) -> BTreeMap<String, f64> {
        let mut all = BTreeMap::new();
        for name in COUNTERS {
            all.insert(format!("slave/{name}"), 0.0);
        }
        for (name, n) in &self.counters {
            all.insert(format!("slave/{name}"), *n as f64);
        }
        let mut sums = Sums::default();
        pictures.0.values().for_each(|p| sums.add(&p.sums));
        let tasks = |state: TaskState| sums.tasks.get(&state).copied().unwrap_or(0) as f64;
        let in_state = |state: ExecutorState| {
            pictures.0.values().filter(|p| p.view.state == state).count() as f64
        };
        let gauges = [
            ("slave/registered", f64::from(u8::from(self.master.registered))),
            ("slave/frameworks_active", self.tables.frameworks.len() as f64),
            ("slave/tasks_staging", tasks(TaskState::TaskStaging)),
            ("slave/tasks_starting", tasks(TaskState::TaskStarting)),
            ("slave/tasks_running", tasks(TaskState::TaskRunning)),
            ("slave/tasks_killing", tasks(TaskState::TaskKilling)),
            ("slave/executors_registering", in_state(ExecutorState::Registering)),
            ("slave/executors_running", in_state(ExecutorState::Running)),
            ("slave/executors_terminating", in_state(ExecutorState::Terminating)),
            (
                "slave/executor_directory_max_allowed_age_secs",
                self.sandboxes.allowed_age(&self.options).as_secs_f64(),
            ),
            ("gc/path_removals_pending", self.sandboxes.pending() as f64),
            ("gc/path_removals_succeeded", self.sandboxes.removed as f64),
            ("gc/path_removals_failed", self.sandboxes.failed as f64),
        ];
        all.extend(gauges.map(|(name, value)| (name.to_string(), value)));
        if let Some(took) = self.recovery.1 {
            all.insert("slave/recovery_time_secs".into(), took.as_secs_f64());
        }
        for (name, used) in MEASURED.iter().zip(sums.used) {
            let total = scalar(&self.identity.info.resources, name);
            let percent = if total > 0.0 { used / total } else { 0.0 };
            all.insert(format!("slave/{name}_total"), total);
            all.insert(format!("slave/{name}_used"), used);
            all.insert(format!("slave/{name}_percent"), percent);
            // This agent offers nothing that can be taken back.
            for kind in ["total", "used", "percent"] {
                all.insert(format!("slave/{name}_revocable_{kind}"), 0.0);
            }
        }
        all
    }
}

/// Resources that are summed up.
const MEASURED: [&str; 4] = ["cpus", "gpus", "mem", "disk"];

/// What one executor and its tasks add to the gauges.
#[derive(Clone, Debug, Default)]
struct Sums {
    tasks: BTreeMap<TaskState, u64>,
    /// Used by what lives, as the master counts it, in the order of [`MEASURED`].
    used: [f64; 4],
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        for (state, n) in &other.tasks {
            *self.tasks.entry(*state).or_default() += n;
        }
        for (sum, used) in self.used.iter_mut().zip(other.used) {
            *sum += used;
        }
    }

    fn uses(&mut self, resources: &[v1::Resource]) {
        for (sum, name) in self.used.iter_mut().zip(MEASURED) {
            *sum += scalar(resources, name);
        }
    }
}

#[derive(Clone, Debug)]
struct Picture {
    view: Arc<ExecutorView>,
    sums: Sums,
}

impl Picture {
    fn of(key: &ExecutorKey, executor: &Executor, tables: &Tables) -> Self {
        let (mut view, mut sums) = (picture(executor), Sums::default());
        if !executor.command_task && !executor.is_over() {
            sums.uses(&executor.info.resources);
        }
        for task in tables.tasks_of(key).iter().filter_map(|k| tables.tasks.get(k)) {
            *sums.tasks.entry(task.state()).or_default() += 1;
            if !task.is_terminal() {
                sums.uses(&task.info.resources);
            }
            if executor.command_task || task.delivered || task.is_terminal() {
                view.tasks.push(task.shown.clone());
            } else {
                view.queued_tasks.push(task.info.clone());
            }
        }
        Self { view: Arc::new(view), sums }
    }
}

/// Pictures of the executors as they were at the last look.
#[derive(Debug, Default)]
pub(super) struct Pictures(BTreeMap<ExecutorKey, Picture>);

impl Pictures {
    /// Makes those anew whose executor or task was changed.
    fn refresh(&mut self, tables: &Tables) {
        let changed = (tables.executors.take_changed(), tables.tasks.take_changed());
        let (Changed::Some(mut stale), Changed::Some(tasks)) = changed else {
            let all = tables.executors.iter();
            self.0 = all.map(|(k, e)| (k.clone(), Picture::of(k, e, tables))).collect();
            return;
        };
        // The executor of a task that is gone was marked itself.
        stale.extend(tasks.iter().filter_map(|key| tables.executor_of(key)));
        for key in stale {
            match tables.executors.get(&key) {
                Some(executor) => {
                    let picture = Picture::of(&key, executor, tables);
                    self.0.insert(key, picture);
                }
                None => drop(self.0.remove(&key)),
            }
        }
    }
}

/// Counters that are shown from the start.
const COUNTERS: [&str; 13] = [
    // An agent whose records cannot be read does not start: there is never one.
    "recovery_errors",
    "tasks_finished",
    "tasks_failed",
    "tasks_killed",
    "tasks_lost",
    "tasks_gone",
    "executors_terminated",
    "executors_preempted",
    "valid_status_updates",
    "invalid_status_updates",
    "valid_framework_messages",
    "invalid_framework_messages",
    "container_launch_errors",
];
