//! Reads the agent's records back into tables. A record that cannot be read stops the agent:
//! guessing would lose or repeat tasks.

use super::checks::Checks;
use super::gc::Sandboxes;
use super::records;
use super::tables::{
    End, Executor, ExecutorKey, Framework, Kill, Named, Phase, Process, Tables, Task, TaskKey,
    is_terminal,
};
use super::updates::Streams;
use super::volumes::Remembered;
use crate::base::error::{Code, Error, Result};
use crate::base::ids::{ContainerId, ExecutorId, FrameworkId};
use crate::base::time::Wall;
use crate::mesos::internal::{
    AgentRecord, ExecutorRecord, HostedFramework, NestedRecord, SandboxRecord, TaskRecord,
    TaskStateRecord, UpdateRecord, executor_record, kill_record::Cause,
};
use crate::mesos::stored::decode;
use crate::mesos::v1::{self, TaskState, task_status::Reason};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

/// Everything the records say.
#[derive(Default)]
pub(super) struct Loaded {
    pub agent: Option<AgentRecord>,
    pub tables: Tables,
    pub streams: Streams,
    pub sandboxes: Sandboxes,
    pub remembered: Remembered,
}

fn corrupt(key: &str, why: &str) -> Error {
    Error::new(Code::Corrupt, format!("the record {key:?} {why}"))
}

/// Reads all records.
///
/// # Errors
/// [`Code::Corrupt`] for a key or value this program does not know.
pub(super) fn load(records: Vec<(String, Vec<u8>)>) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut states: BTreeMap<TaskKey, TaskStateRecord> = BTreeMap::new();
    // Sorted: the updates of a task come in the order of their numbers.
    let mut records = records;
    records.sort();
    for (key, value) in records {
        let parts: Vec<&str> = key.split('/').collect();
        match parts.as_slice() {
            [records::AGENT] => loaded.agent = Some(decode(&key, &value)?),
            [records::RESOURCES] => {
                let read = Remembered::read(&decode(&key, &value)?);
                loaded.remembered = read.map_err(|why| corrupt(&key, &why))?;
            }
            ["frameworks", id] => {
                let r: HostedFramework = decode(&key, &value)?;
                let framework = Framework {
                    info: Arc::new(r.framework_info),
                    ending: r.ending.unwrap_or(false),
                };
                loaded.tables.frameworks.insert((*id).into(), framework);
            }
            ["executors", f, e] => {
                let executor = executor(&key, decode(&key, &value)?)?;
                loaded.tables.executors.insert(((*f).into(), (*e).into()), executor);
            }
            ["tasks", f, t] => {
                let task = task(f, decode(&key, &value)?);
                loaded.tables.add_task(((*f).into(), (*t).into()), task);
            }
            ["states", f, t] => {
                states.insert(((*f).into(), (*t).into()), decode(&key, &value)?);
            }
            ["updates", f, t, number] => {
                let r: UpdateRecord = decode(&key, &value)?;
                let number = number.parse().map_err(|_| corrupt(&key, "has no number"))?;
                loaded.streams.restore(&((*f).into(), (*t).into()), number, r.status);
            }
            ["sandboxes", f, e, c] => {
                let r: SandboxRecord = decode(&key, &value)?;
                let executor: ExecutorKey = ((*f).into(), (*e).into());
                loaded.sandboxes.add(&executor, (*c).into(), r.path.into(), Wall(r.ended));
            }
            ["containers", c] => {
                let r: NestedRecord = decode(&key, &value)?;
                loaded.tables.named.insert((*c).into(), named(r));
            }
            _ => return Err(corrupt(&key, "has a name this program does not know")),
        }
    }
    for (key, state) in states {
        match loaded.tables.tasks.get_mut(&key) {
            Some(task) => apply(task, state)?,
            None => return Err(corrupt(&records::state_key(&key), "belongs to no task")),
        }
    }
    processes(&mut loaded.tables);
    for (key, executor) in loaded.tables.executors.iter() {
        if executor.phase != Phase::Gone {
            loaded.tables.containers.insert(executor.container.clone(), key.clone());
        }
    }
    Ok(loaded)
}

/// The tasks of containers, and the sandboxes of these.
fn processes(tables: &mut Tables) {
    let Tables { executors, tasks, processes, .. } = tables;
    for (key, task) in tasks.iter_mut() {
        let executor = executors.get(&(key.0.clone(), task.executor.clone()));
        if let (Some(process), Some(executor)) = (&mut task.process, executor) {
            process.sandbox = super::group::sandbox(&executor.sandbox, &process.container);
            if !is_terminal(task.shown.state()) {
                processes.insert(process.container.clone(), key.clone());
            }
        }
    }
}

fn executor(key: &str, r: ExecutorRecord) -> Result<Executor> {
    use executor_record::Phase as Stored;
    let phase = match r.phase() {
        Stored::Launching => Phase::Preparing,
        Stored::Running => Phase::Running,
        Stored::Ending => Phase::Ending,
        Stored::Gone => Phase::Gone,
    };
    let end = match r.end {
        None => None,
        Some(end) => Some(End {
            state: TaskState::try_from(end.state).map_err(|_| corrupt(key, "has no state"))?,
            reason: Reason::try_from(end.reason).map_err(|_| corrupt(key, "has no reason"))?,
            message: end.message,
        }),
    };
    Ok(Executor {
        info: Arc::new(r.executor_info),
        container: ContainerId::from(r.container_id),
        sandbox: PathBuf::from(r.sandbox),
        command_task: r.command_task,
        phase,
        pid: r.pid,
        inspected: None,
        networks: r.networks,
        disk_used: None,
        disk_limit: None,
        registered: r.registered.unwrap_or(false),
        session: None,
        ending: matches!(phase, Phase::Ending | Phase::Gone),
        end,
        told: false,
        used: false,
        volumes: r.volumes.into_iter().map(PathBuf::from).collect(),
        held: false,
        launch: None,
        limits: super::io::Limits::default(),
        resizing: None,
        messages: VecDeque::new(),
        launched: Wall(r.launched.unwrap_or(0)),
        completed: VecDeque::new(),
    })
}

fn named(r: NestedRecord) -> Named {
    Named {
        sandbox: PathBuf::from(r.sandbox),
        user: r.user,
        phase: if r.failed.is_some() { Phase::Gone } else { Phase::Preparing },
        pid: None,
        launch: None,
        exit: None,
        failed: r.failed,
        launching: Vec::new(),
        waiting: Vec::new(),
    }
}

fn task(framework: &str, r: TaskRecord) -> Task {
    let info = Arc::new(r.task);
    let framework = v1::FrameworkId { value: framework.into() };
    let mut shown = super::run::shown(&info, framework);
    if r.group.is_some() {
        shown.executor_id = Some(v1::ExecutorId { value: r.executor_id.clone() });
    }
    Task {
        checks: Checks::of(&info),
        executor: ExecutorId::from(r.executor_id),
        shown: Arc::new(shown),
        group: r.group,
        process: None,
        order: r.order.unwrap_or(0),
        info,
        delivered: false,
        started: None,
        kill: None,
        received: VecDeque::new(),
    }
}

fn apply(task: &mut Task, r: TaskStateRecord) -> Result<()> {
    let shown = Arc::make_mut(&mut task.shown);
    shown.state = r.state;
    shown.statuses = r.statuses;
    shown.status_update_state = r.status_update_state;
    shown.status_update_uuid = r.status_update_uuid;
    task.delivered = r.delivered.unwrap_or(false);
    task.started = r.started.map(Wall);
    task.received = r.received.into();
    task.process = r.container_id.map(|id| Process {
        container: ContainerId::from(id),
        // Known when its executor is.
        sandbox: PathBuf::new(),
        phase: Phase::Preparing,
        pid: None,
        launch: None,
    });
    task.kill = r.kill.map(|kill| Kill {
        cause: Cause::try_from(kill.cause).unwrap_or(Cause::Asked),
        deadline: Wall(kill.deadline),
        policy: kill.kill_policy,
    });
    if let Some(last) = task.shown.statuses.last() {
        let killed = task.kill.is_some();
        task.checks.restore(last, killed);
    }
    Ok(())
}

/// The user each task is shown with, now that frameworks are known.
pub(super) fn users(tables: &mut Tables) {
    let Tables { frameworks, tasks, .. } = tables;
    for ((framework, _), task) in tasks.iter_mut() {
        let own = task.info.command.as_ref().and_then(|c| c.user.clone());
        let info: Option<&Framework> = frameworks.get::<FrameworkId>(framework);
        let user = own.or_else(|| info.map(|f| f.info.user.clone()));
        Arc::make_mut(&mut task.shown).user = user;
    }
}
