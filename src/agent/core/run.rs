//! A task arrives: refused with a status, or written down as launching and put on its way.

use super::io::{Act, Launch};
use super::options::Containerizer;
use super::tables::{
    EXECUTORS_MAX, Executor, ExecutorKey, Framework, Phase, TASKS_MAX, TASKS_PER_EXECUTOR_MAX,
    Task, TaskKey, aware,
};
use super::{AgentCore, Step, command, docker, environment, limits, records};
use crate::base::ids::{self, ContainerId, ExecutorId, FrameworkId, TaskId};
use crate::mesos::internal::RunTask;
use crate::mesos::v1::{self, TaskState, task_status::Reason};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a task is not launched.
struct Refusal {
    state: TaskState,
    reason: Reason,
    message: String,
}

fn invalid(message: impl Into<String>) -> Refusal {
    let message = message.into();
    Refusal { state: TaskState::TaskError, reason: Reason::TaskInvalid, message }
}

fn dropped(reason: Reason, message: impl Into<String>) -> Refusal {
    Refusal { state: TaskState::TaskDropped, reason, message: message.into() }
}

/// A task as it is shown and told to masters, before anything became of it.
pub(super) fn shown(info: &v1::TaskInfo, framework_id: v1::FrameworkId) -> v1::Task {
    v1::Task {
        name: info.name.clone(),
        task_id: info.task_id.clone(),
        framework_id,
        executor_id: info.executor.as_ref().map(|e| e.executor_id.clone()),
        agent_id: info.agent_id.clone(),
        state: TaskState::TaskStaging as i32,
        resources: info.resources.clone(),
        labels: info.labels.clone(),
        discovery: info.discovery.clone(),
        container: info.container.clone(),
        health_check: info.health_check.clone(),
        kill_policy: info.kill_policy,
        limits: info.limits.clone(),
        ..Default::default()
    }
}

/// A refusal as it is told.
pub(super) struct Told {
    pub state: TaskState,
    pub reason: Reason,
    pub message: String,
}

impl AgentCore {
    pub(super) fn run_task(&mut self, s: &mut Step<'_>, run: RunTask) {
        let RunTask { framework_info, task } = run;
        let Some(fid) = framework_info.id.clone() else {
            return self.count("unexpected_messages");
        };
        let (f, t) = (FrameworkId::from(fid.value.as_str()), TaskId::from(&*task.task_id.value));
        if ids::check(f.as_str()).is_err() || ids::check(t.as_str()).is_err() {
            // Not even a status could be stored under such a name; masters check this too.
            return self.count("unexpected_messages");
        }
        let key = (f.clone(), t);
        if self.tables.tasks.contains_key(&key) || self.streams.has(&key) {
            // Said twice: it is here, or its end is on the way.
            return self.count("repeated_launches");
        }
        let executor = task.executor.as_ref().map_or(&task.task_id.value, |e| &e.executor_id.value);
        let executor_key = (f.clone(), ExecutorId::from(executor.as_str()));
        if let Err(refusal) = self.admit(&task, &executor_key) {
            let state = aware(Some(&framework_info), refusal.state);
            let executor = task.executor.is_some().then_some(&executor_key.1);
            let Refusal { reason, message, .. } = refusal;
            return self.report_unknown(s, &key, executor, state, reason, message);
        }
        self.framework(s, &f, framework_info);
        self.add_task(s, &key, task, &executor_key, None);
        if self.tables.executors.contains_key(&executor_key) {
            self.fit(s, &executor_key);
        } else {
            self.launch(s, &fid, &key, &executor_key, None);
        }
    }

    fn admit(&self, task: &v1::TaskInfo, executor: &ExecutorKey) -> Result<(), Refusal> {
        let own = self.identity.info.id.as_ref().map_or("", |id| &id.value);
        if task.agent_id.value != own {
            let given = &task.agent_id.value;
            return Err(invalid(format!(
                "Task uses invalid agent {given} while agent {own} is expected"
            )));
        }
        match (&task.command, &task.executor) {
            (Some(_), None) => {}
            (None, Some(info)) => {
                ids::check(&info.executor_id.value).map_err(invalid)?;
                if info.r#type == Some(v1::executor_info::Type::Default as i32) {
                    return Err(invalid(
                        "This agent runs command tasks and executors of type CUSTOM, \
                         not of type DEFAULT",
                    ));
                }
                if info.command.is_none() {
                    return Err(invalid("'ExecutorInfo.command' must be set"));
                }
            }
            _ => {
                return Err(invalid(
                    "Task should have at least one (but not both) of CommandInfo or ExecutorInfo \
                     present",
                ));
            }
        }
        self.admit_any(task, executor)
    }

    /// What holds for a task of a group as for any other.
    pub(super) fn admit_grouped(
        &self,
        task: &v1::TaskInfo,
        info: &v1::ExecutorInfo,
        executor: &ExecutorKey,
    ) -> Result<(), Told> {
        let checked = || {
            ids::check(executor.1.as_str()).map_err(invalid)?;
            let own = info.r#type == Some(v1::executor_info::Type::Default as i32);
            if own && task.command.is_none() {
                return Err(invalid("A task of a group for a 'DEFAULT' executor needs a command"));
            }
            if !self.remembers(&info.resources) {
                let text = "The checkpointed resources being used by the executor are unknown to the agent";
                return Err(dropped(Reason::ResourcesUnknown, text));
            }
            if !own && info.command.is_none() {
                return Err(invalid("'ExecutorInfo.command' must be set for a 'CUSTOM' executor"));
            }
            self.admit_any(task, executor)
        };
        checked().map_err(|Refusal { state, reason, message }| match reason {
            Reason::TaskInvalid => Told { state, reason: Reason::TaskGroupInvalid, message },
            _ => Told { state, reason, message },
        })
    }

    fn admit_any(&self, task: &v1::TaskInfo, executor: &ExecutorKey) -> Result<(), Refusal> {
        if let Some(why) = super::checks::refuse(task) {
            return Err(invalid(why));
        }
        if self.stopping.is_some() {
            return Err(dropped(Reason::AgentDraining, "The agent is ending its tasks to stop"));
        }
        if self.identity.drain.is_some() {
            let text = "Task was received while agent was already draining";
            return Err(dropped(Reason::AgentDraining, text));
        }
        if self.tables.frameworks.get(&executor.0).is_some_and(|f| f.ending) {
            let text = "The framework is being shut down";
            return Err(dropped(Reason::ExecutorTerminated, text));
        }
        let own = task.executor.as_ref().map_or(&[][..], |e| &e.resources);
        for (whose, resources) in [("task", &*task.resources), ("executor", own)] {
            if !self.remembers(resources) {
                let text = format!(
                    "The checkpointed resources being used by the {whose} are unknown to the agent"
                );
                return Err(dropped(Reason::ResourcesUnknown, text));
            }
        }
        let full = |n: usize, what: &str| {
            dropped(Reason::ResourcesUnknown, format!("The limit of {n} {what} is reached"))
        };
        if self.tables.tasks.len() >= TASKS_MAX {
            return Err(full(TASKS_MAX, "tasks on an agent"));
        }
        match self.tables.executors.get(executor) {
            None if self.tables.executors.len() >= EXECUTORS_MAX => {
                Err(full(EXECUTORS_MAX, "executors on an agent"))
            }
            None => Ok(()),
            Some(e) if e.command_task || (e.is_custom() && task.command.is_some()) => {
                Err(invalid("Cannot launch multiple tasks on the same command/docker executor"))
            }
            Some(e) if e.ending || matches!(e.phase, Phase::Ending | Phase::Gone) => {
                Err(dropped(Reason::ExecutorTerminated, "Executor is terminating/terminated"))
            }
            Some(e) if e.is_custom() && !self.sees_volumes(e, task) => Err(invalid(
                "A persistent volume cannot be added to an executor that was launched without it",
            )),
            Some(_) if self.tables.tasks_of(executor).len() >= TASKS_PER_EXECUTOR_MAX => {
                Err(full(TASKS_PER_EXECUTOR_MAX, "tasks of an executor"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Notes a framework, or what is new about it.
    pub(super) fn framework(
        &mut self,
        s: &mut Step<'_>,
        id: &FrameworkId,
        info: v1::FrameworkInfo,
    ) {
        let known = self.tables.frameworks.get(id);
        if known.is_some_and(|f| *f.info == info) {
            return;
        }
        let framework = Framework { info: Arc::new(info), ending: false };
        s.write(records::framework(id, &framework));
        self.tables.frameworks.insert(id.clone(), framework);
        self.history.revive(id);
    }

    pub(super) fn add_task(
        &mut self,
        s: &mut Step<'_>,
        key: &TaskKey,
        info: v1::TaskInfo,
        executor: &ExecutorKey,
        group: Option<u64>,
    ) {
        let user = info.command.as_ref().and_then(|c| c.user.clone());
        let user = user.or_else(|| self.tables.framework(&key.0).map(|f| f.user.clone()));
        let framework_id = v1::FrameworkId { value: key.0.as_str().into() };
        let mut shown = v1::Task { user, ..shown(&info, framework_id) };
        if group.is_some() {
            shown.executor_id = Some((&executor.1).into());
        }
        self.launches += 1;
        let task = Task {
            checks: super::checks::Checks::of(&info),
            info: Arc::new(info),
            executor: executor.1.clone(),
            order: self.launches,
            shown: Arc::new(shown),
            delivered: false,
            started: None,
            kill: None,
            received: VecDeque::new(),
            group,
            process: None,
        };
        s.write(records::task(key, &task));
        s.write(records::state(key, &task));
        self.tables.add_task(key.clone(), task);
    }

    /// Where a container's files are: the original's layout below the work directory.
    fn sandbox(&self, (framework, executor): &ExecutorKey, container: &ContainerId) -> PathBuf {
        let agent = self.identity.info.id.as_ref().map_or("", |id| &id.value);
        self.options
            .work_dir
            .join("slaves")
            .join(agent)
            .join("frameworks")
            .join(framework.as_str())
            .join("executors")
            .join(executor.as_str())
            .join("runs")
            .join(container.as_str())
    }

    /// A new executor: written down as launching before anything is done for it.
    pub(super) fn launch(
        &mut self,
        s: &mut Step<'_>,
        framework_id: &v1::FrameworkId,
        task: &TaskKey,
        key: &ExecutorKey,
        of_group: Option<v1::ExecutorInfo>,
    ) {
        let Some(task_info) = self.tables.tasks.get(task).map(|t| t.info.clone()) else { return };
        let container = ContainerId::from(s.rng.uuid());
        let sandbox = self.sandbox(key, &container);
        let command_task = task_info.executor.is_none() && of_group.is_none();
        let info = match of_group.or_else(|| task_info.executor.clone()) {
            Some(info) => {
                let framework_id = Some(framework_id.clone());
                self.filled(&key.0, v1::ExecutorInfo { framework_id, ..info })
            }
            None => command::executor_info(framework_id, &task_info),
        };
        let container_info =
            info.container.clone().or_else(|| self.options.default_container_info.clone());
        let info = v1::ExecutorInfo { container: container_info, ..info };
        let executor = Executor {
            info: Arc::new(info),
            container: container.clone(),
            sandbox: sandbox.clone(),
            command_task,
            phase: Phase::Preparing,
            pid: None,
            inspected: None,
            networks: Vec::new(),
            disk_used: None,
            disk_limit: None,
            registered: false,
            session: None,
            ending: false,
            end: None,
            told: false,
            used: false,
            volumes: Vec::new(),
            held: false,
            launch: None,
            limits: super::io::Limits::default(),
            resizing: None,
            messages: VecDeque::new(),
            launched: s.wall,
            completed: VecDeque::new(),
        };
        s.write(records::executor(key, &executor));
        self.tables.executors.insert(key.clone(), executor);
        self.tables.containers.insert(container.clone(), key.clone());
        s.act(Act::AttachSandbox {
            framework_id: key.0.clone(),
            executor_id: key.1.clone(),
            container,
            sandbox,
        });
        if command_task {
            self.report(s, task, super::status::Report::executor(TaskState::TaskStarting));
        }
        match self.launch_of(key, &task_info) {
            Ok(launch) => {
                if let Some(executor) = self.tables.executors.get_mut(key)
                    && !launch.volumes.is_empty()
                {
                    executor.volumes = launch.volumes.iter().map(|v| v.path.clone()).collect();
                    s.write(records::executor(key, executor));
                }
                self.prepare(s, key, launch);
            }
            Err(why) => self.fail_launch(s, key, &why),
        }
    }

    fn launch_of(&self, key: &ExecutorKey, task: &Arc<v1::TaskInfo>) -> Result<Launch, String> {
        let missing = || "Its framework or executor is not known any more".to_string();
        let executor = self.tables.executors.get(key).ok_or_else(missing)?;
        let framework = &self.tables.frameworks.get(&key.0).ok_or_else(missing)?.info;
        let task = executor.command_task.then_some(task);
        let command = match task {
            Some(task) => task.command.clone(),
            None => executor.info.command.clone(),
        };
        let command = command.unwrap_or_default();
        let user = command.user.clone().unwrap_or_else(|| framework.user.clone());
        let container = executor.info.container.as_ref();
        // What a custom executor's first tasks have, it sees as well.
        let first = self.tables.tasks_of(key);
        let first =
            first.iter().filter_map(|k| self.tables.tasks.get(k)).map(|t| &t.info.resources);
        let given = executor.info.resources.iter();
        let volumes = match executor.is_default() {
            true => self.volumes_among(Some(key), given)?,
            false => self.volumes_among(Some(key), given.chain(first.flatten()))?,
        };
        let docker = match (docker::containerizer(&self.options, container)?, container) {
            (Containerizer::Docker, Some(container)) => {
                let mut resources = vec![executor.info.resources.as_slice()];
                resources.extend(task.map(|t| t.resources.as_slice()));
                let of = docker::Of {
                    options: &self.options,
                    container,
                    command: &command,
                    resources,
                    volumes: &volumes,
                    sandbox: &executor.sandbox,
                    executor: !executor.command_task,
                };
                Some(Arc::new(docker::run(&of)?))
            }
            _ => None,
        };
        let environment = environment::build(&environment::Of {
            options: &self.options,
            agent_id: self.identity.info.id.as_ref().map_or("", |id| &id.value),
            framework,
            executor: &executor.info,
            task: task.map(|t| &**t),
            command: &command,
            sandbox: &executor.sandbox,
            container: &executor.container,
        })?;
        Ok(Launch {
            container: executor.container.clone(),
            framework: framework.clone(),
            executor: executor.info.clone(),
            task: task.cloned(),
            command: Arc::new(command),
            sandbox: executor.sandbox.clone(),
            user: self.options.switch_user.then_some(user),
            environment,
            limits: self.wanted_limits(key),
            nested: None,
            volumes,
            pause: executor.is_default(),
            docker,
        })
    }

    /// What an executor's container needs for the tasks it has now.
    pub(super) fn wanted_limits(&self, key: &ExecutorKey) -> super::io::Limits {
        let keys = self.tables.tasks_of(key);
        let tasks = keys.iter().filter_map(|k| self.tables.tasks.get(k));
        let tasks = tasks.filter(|t| !t.is_terminal()).map(|t| &*t.info);
        match self.tables.executors.get(key) {
            Some(executor) => limits::container(&self.options, &executor.info, tasks),
            None => super::io::Limits::default(),
        }
    }
}
