//! The built-in default executor: groups of tasks, each task in a container of its own within the executor's, which runs
//! nothing itself. When one task of a group fails or is killed, so are the others of it; the executor ends with its last.

use super::container::DESTROY_RETRY;
use super::io::{self, Act, Exit, FoundState, Launch, Nested};
use super::recovery::launching;
use super::run::Told;
use super::status::Report;
use super::tables::{ExecutorKey, Phase, Process, TaskKey, aware};
use super::{AgentCore, Step, Timer, command, environment, limits, records};
use crate::base::ids::{self, ContainerId, ExecutorId, FrameworkId, TaskId};
use crate::mesos::internal::RunTaskGroup;
use crate::mesos::internal::kill_record::Cause;
use crate::mesos::v1::{self, TaskState, task_status::Reason};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The command that a default executor is shown with; it is part of the agent.
const COMMAND: &str = "mesolith-default-executor";
/// Tells a task the address that it has with all of its executor.
const CONTAINER_IP: &str = "MESOS_CONTAINER_IP";
/// The most tasks of one group.
pub const GROUP_MAX: usize = 256;

/// Where the files of a nested container are: the original's layout.
pub(super) fn sandbox(parent: &Path, container: &ContainerId) -> PathBuf {
    let own = container.as_str().rsplit('.').next().unwrap_or_default();
    parent.join("containers").join(own)
}

/// Whether a container asks for limits of its own within its parent's.
pub(super) fn own_limits(container: Option<&v1::ContainerInfo>) -> bool {
    let linux = container.and_then(|c| c.linux_info.as_ref());
    linux.is_some_and(|linux| !linux.share_cgroups())
}

/// Whether a container asks to be with its parent's processes.
pub(super) fn share_pid(container: Option<&v1::ContainerInfo>) -> bool {
    let linux = container.and_then(|c| c.linux_info.as_ref());
    linux.is_some_and(|linux| linux.share_pid_namespace())
}

impl AgentCore {
    /// A group arrives: all of it is put on its way, or none.
    pub(super) fn run_group(&mut self, s: &mut Step<'_>, run: RunTaskGroup) {
        let RunTaskGroup { framework_info, executor_info, tasks } = run;
        let Some(fid) = framework_info.id.clone() else {
            return self.count("unexpected_messages");
        };
        let f = FrameworkId::from(fid.value.as_str());
        let keys: Vec<TaskKey> =
            tasks.iter().map(|t| (f.clone(), TaskId::from(&*t.task_id.value))).collect();
        let named = |key: &TaskKey| ids::check(key.1.as_str()).is_ok();
        if tasks.is_empty() || ids::check(f.as_str()).is_err() || !keys.iter().all(named) {
            // Not even a status could be stored under such a name; masters check this too.
            return self.count("unexpected_messages");
        }
        let known = |key: &TaskKey| self.tables.tasks.contains_key(key) || self.streams.has(key);
        if keys.iter().any(known) {
            // Said twice: it is here, or its end is on the way.
            return self.count("repeated_launches");
        }
        let executor = (f.clone(), ExecutorId::from(executor_info.executor_id.value.as_str()));
        let admitted = tasks.iter().try_for_each(|task| {
            let own = self.identity.info.id.as_ref().map_or("", |id| &id.value);
            if task.agent_id.value != own || tasks.len() > GROUP_MAX {
                let state = TaskState::TaskError;
                let message = format!("It is for another agent, or of more than {GROUP_MAX} tasks");
                return Err(Told { state, reason: Reason::TaskGroupInvalid, message });
            }
            self.admit_grouped(task, &executor_info, &executor)
        });
        if let Err(Told { state, reason, message }) = admitted {
            let state = aware(Some(&framework_info), state);
            for key in &keys {
                let message = message.clone();
                self.report_unknown(s, key, Some(&executor.1), state, reason, message);
            }
            return;
        }
        self.framework(s, &f, framework_info);
        let group = self.launches + 1;
        for (key, task) in keys.iter().zip(tasks) {
            self.add_task(s, key, task, &executor, Some(group));
        }
        match keys.first() {
            Some(first) if !self.tables.executors.contains_key(&executor) => {
                self.launch(s, &fid, first, &executor, Some(executor_info));
            }
            _ => self.fit(s, &executor),
        }
    }

    /// An executor as it is shown: that of the agent gets a command and a user.
    pub(super) fn filled(&self, f: &FrameworkId, info: v1::ExecutorInfo) -> v1::ExecutorInfo {
        if info.r#type != Some(v1::executor_info::Type::Default as i32) {
            return info;
        }
        let command = v1::CommandInfo {
            shell: Some(false),
            value: Some(COMMAND.into()),
            arguments: vec![COMMAND.into()],
            user: self.tables.framework(f).map(|f| f.user.clone()),
            ..Default::default()
        };
        v1::ExecutorInfo { command: Some(command), ..info }
    }

    /// Starts the tasks that wait; the executor's limits are raised for them already.
    pub(super) fn start_groups(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let mut waiting = self.tables.tasks_of(key);
        waiting
            .retain(|k| self.tables.tasks.get(k).is_some_and(|t| !t.delivered && !t.is_terminal()));
        // They go on when the volumes are as they should be.
        waiting.retain(|k| {
            self.tables.tasks.get(k).is_some_and(|t| !self.waits_for_volumes_of(&t.info))
        });
        // In the order in which they came.
        waiting.sort_by_key(|k| self.tables.tasks.get(k).map(|t| t.order));
        for task in waiting {
            self.start_task(s, key, &task);
        }
    }

    fn start_task(&mut self, s: &mut Step<'_>, key: &ExecutorKey, task_key: &TaskKey) {
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        executor.used = true;
        let container = ContainerId::from(format!("{}.{}", executor.container, s.rng.uuid()));
        let sandbox = sandbox(&executor.sandbox, &container);
        let Some(task) = self.tables.tasks.get_mut(task_key) else { return };
        task.delivered = true;
        task.process = Some(Process {
            container: container.clone(),
            sandbox,
            phase: Phase::Preparing,
            pid: None,
            launch: None,
        });
        s.write(records::state(task_key, task));
        self.tables.processes.insert(container, task_key.clone());
        self.report(s, task_key, Report::executor(TaskState::TaskStarting));
        match self.process_launch(key, task_key) {
            Ok(launch) => {
                let launch = Arc::new(launch);
                if let Some(process) = self.process(task_key) {
                    process.launch = Some(launch.clone());
                }
                s.act(Act::Prepare(launch));
            }
            Err(why) => self.process_failed(s, task_key, &why),
        }
    }

    fn process(&mut self, key: &TaskKey) -> Option<&mut Process> {
        self.tables.tasks.get_mut(key)?.process.as_mut()
    }

    fn process_launch(&self, key: &ExecutorKey, task_key: &TaskKey) -> Result<Launch, String> {
        let missing = || "Its framework or executor is not known any more".to_string();
        let executor = self.tables.executors.get(key).ok_or_else(missing)?;
        let framework = &self.tables.frameworks.get(&key.0).ok_or_else(missing)?.info;
        let task = self.tables.tasks.get(task_key).ok_or_else(missing)?;
        let process = task.process.as_ref().ok_or_else(missing)?;
        let command = task.info.command.clone().unwrap_or_default();
        let user = command.user.clone().unwrap_or_else(|| framework.user.clone());
        let mut environment = environment::build(&environment::Of {
            options: &self.options,
            agent_id: self.identity.info.id.as_ref().map_or("", |id| &id.value),
            framework,
            executor: &executor.info,
            task: Some(&task.info),
            command: &command,
            sandbox: &process.sandbox,
            container: &process.container,
        })?;
        if !environment.iter().any(|(name, _)| name == CONTAINER_IP) {
            environment.push((CONTAINER_IP.into(), self.options.ip.clone()));
        }
        let info = task.info.container.as_ref();
        Ok(Launch {
            container: process.container.clone(),
            framework: framework.clone(),
            executor: executor.info.clone(),
            task: Some(task.info.clone()),
            command: Arc::new(command),
            sandbox: process.sandbox.clone(),
            user: self.options.switch_user.then_some(user),
            environment,
            limits: self.process_limits(&task.info),
            nested: Some(Nested {
                parent: executor.container.clone(),
                parent_sandbox: executor.sandbox.clone(),
                parent_volumes: self.volumes_in(&executor.container),
                share_pid: share_pid(info) || share_pid(executor.info.container.as_ref()),
                own_limits: own_limits(info),
            }),
            volumes: self.volumes_among(Some(key), &task.info.resources)?,
            pause: false,
            docker: None,
        })
    }

    /// Limits of its own, or only a weight among the others of its executor.
    fn process_limits(&self, task: &v1::TaskInfo) -> io::Limits {
        if own_limits(task.container.as_ref()) {
            let nobody = v1::ExecutorInfo::default();
            return limits::container(&self.options, &nobody, std::iter::once(task));
        }
        io::Limits { cpus: limits::scalar(&task.resources, "cpus"), ..io::Limits::default() }
    }

    /// The task of a container that is in this phase.
    fn task_in(&self, container: &ContainerId, phase: Phase) -> Option<TaskKey> {
        let key = self.tables.processes.get(container)?;
        let now = self.tables.container_of(key).map(|(_, phase)| phase);
        (now == Some(phase)).then(|| key.clone())
    }

    pub(super) fn process_prepared(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        result: Result<(), String>,
    ) {
        let Some(key) = self.task_in(container, Phase::Preparing) else { return };
        if let Err(why) = result {
            return self.process_failed(s, &key, &why);
        }
        let Some(process) = self.process(&key) else { return };
        let Some(launch) = process.launch.take() else { return };
        process.phase = Phase::Creating;
        s.act(Act::Create(launch));
    }

    pub(super) fn process_created(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        result: Result<(), String>,
    ) {
        let Some(key) = self.task_in(container, Phase::Creating) else { return };
        if let Err(why) = result {
            return self.process_failed(s, &key, &why);
        }
        let Some(process) = self.process(&key) else { return };
        process.phase = Phase::Starting;
        s.act(Act::Start { container: container.clone() });
    }

    pub(super) fn process_started(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        result: Result<u32, String>,
    ) {
        let Some(key) = self.task_in(container, Phase::Starting) else { return };
        let pid = match result {
            Ok(pid) => pid,
            Err(why) => return self.process_failed(s, &key, &why),
        };
        let Some(process) = self.process(&key) else { return };
        process.phase = Phase::Running;
        process.pid = Some(pid);
        self.command_started(s, &key);
    }

    /// It could not be launched: the task fails, and with it its group.
    fn process_failed(&mut self, s: &mut Step<'_>, key: &TaskKey, why: &str) {
        self.count("container_launch_errors");
        let killed = self.tables.tasks.get(key).is_some_and(|t| t.kill.is_some());
        let report = match killed {
            true => Report::agent(
                TaskState::TaskKilled,
                Reason::TaskKilledDuringLaunch,
                "Task killed during launch",
            ),
            false => Report::agent(
                TaskState::TaskFailed,
                Reason::ContainerLaunchFailed,
                format!("Failed to launch container: {why}"),
            ),
        };
        self.report(s, key, report);
        self.destroy_process(s, key);
        self.task_ended(s, key);
    }

    /// A kill before its command was let go.
    pub(super) fn kill_process_unstarted(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        let text = "Task killed during launch";
        let report = Report::agent(TaskState::TaskKilled, Reason::TaskKilledDuringLaunch, text);
        self.report(s, key, report);
        self.destroy_process(s, key);
        self.task_ended(s, key);
    }

    pub(super) fn process_exited(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        exit: &Exit,
    ) {
        let Some(key) = self.tables.processes.get(container).cloned() else { return };
        if let Some(task) = self.tables.tasks.get(&key).filter(|t| !t.is_terminal()) {
            let kill = task.kill.clone();
            let starting = task.state() == TaskState::TaskStarting;
            if kill.is_none() && exit.status.is_some() && starting {
                // It ran, though its end was heard of first.
                self.report(s, &key, Report::executor(TaskState::TaskRunning));
            }
            self.report(s, &key, command::ended(exit, kill.as_ref(), false));
        }
        self.destroy_process(s, &key);
        s.act(Act::Forget { container: container.clone() });
        self.task_ended(s, &key);
    }

    /// Has a task's container removed; nothing it says counts any more.
    pub(super) fn destroy_process(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        let Some(process) = self.process(key) else { return };
        if matches!(process.phase, Phase::Ending | Phase::Gone) {
            return;
        }
        process.phase = Phase::Ending;
        process.launch = None;
        let container = process.container.clone();
        self.timers.set(Timer::Destroy(container.clone()), s.now + DESTROY_RETRY);
        s.act(Act::Destroy { container });
    }

    pub(super) fn process_destroyed(&mut self, s: &mut Step<'_>, container: &ContainerId) {
        self.timers.cancel(&Timer::Destroy(container.clone()));
        let Some(key) = self.tables.processes.remove(container) else { return };
        if let Some(process) = self.process(&key) {
            process.phase = Phase::Gone;
        }
        let Some(task) = self.tables.tasks.get(&key).filter(|t| !t.is_terminal()) else { return };
        // Nobody saw it exit.
        let report = command::ended(&Exit::default(), task.kill.as_ref(), false);
        self.report(s, &key, report);
        self.task_ended(s, &key);
    }

    /// A task has ended: what that means for its group, and for its executor.
    fn task_ended(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        let Some(task) = self.tables.tasks.get(key) else { return };
        let executor = (key.0.clone(), task.executor.clone());
        if task.is_terminal() && task.state() != TaskState::TaskFinished {
            for other in self.tables.group_of(key) {
                let live = self.tables.tasks.get(&other).filter(|t| !t.is_terminal());
                if live.is_some_and(|t| t.kill.is_none()) {
                    self.kill(s, &other, Cause::Asked, None, None);
                }
            }
        }
        self.end_if_idle(s, &executor);
    }

    /// A default executor that has no task left ends, as well as it can.
    fn end_if_idle(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let tasks = self.tables.tasks_of(key);
        let live = tasks.iter().any(|k| self.tables.tasks.get(k).is_some_and(|t| !t.is_terminal()));
        let own = self.tables.executors.get(key).is_some_and(|e| e.is_default());
        if own && !live {
            self.tell_exited(s, key, Some(0));
            self.destroy(s, key);
        }
    }

    /// Ends a default executor: its tasks first.
    pub(super) fn shutdown_default(
        &mut self,
        s: &mut Step<'_>,
        key: &ExecutorKey,
        grace: Duration,
        most: Duration,
    ) {
        for task in self.tables.tasks_of(key) {
            self.kill(s, &task, Cause::Asked, None, Some(grace));
        }
        self.end_if_idle(s, key);
        let runs = self.tables.executors.get(key).is_some_and(|e| e.phase != Phase::Ending);
        if runs {
            self.timers.set(Timer::Shutdown(key.clone()), s.now + most);
        }
    }

    /// After a start: the containers of a default executor that goes on.
    pub(super) fn take_up_group(
        &mut self,
        s: &mut Step<'_>,
        key: &ExecutorKey,
        found: &mut BTreeMap<ContainerId, FoundState>,
    ) {
        let Some(executor) = self.tables.executors.get(key).filter(|e| e.is_default()) else {
            return;
        };
        if executor.phase != Phase::Running {
            return;
        }
        for task in self.tables.tasks_of(key) {
            let delivered = self.tables.tasks.get(&task).filter(|t| t.delivered);
            let Some(container) = delivered.and_then(|t| t.process.as_ref()).map(|p| &p.container)
            else {
                continue;
            };
            let (container, state) = (container.clone(), found.remove(container));
            self.take_up_process(s, &task, &container, state);
        }
        self.fit(s, key);
        self.end_if_idle(s, key);
    }

    fn take_up_process(
        &mut self,
        s: &mut Step<'_>,
        key: &TaskKey,
        container: &ContainerId,
        found: Option<FoundState>,
    ) {
        let Some(task) = self.tables.tasks.get(key) else { return };
        if task.is_terminal() {
            if found.is_some() {
                s.act(Act::Forget { container: container.clone() });
                s.act(Act::Destroy { container: container.clone() });
            }
            return;
        }
        let (ran, kill) = (task.state() != TaskState::TaskStarting, task.kill.is_some());
        match found {
            Some(FoundState::Exited(exit)) => self.process_exited(s, container, &exit),
            Some(FoundState::Running(pid)) => {
                let Some(task) = self.tables.tasks.get_mut(key) else { return };
                task.started.get_or_insert(s.wall);
                if let Some(process) = &mut task.process {
                    (process.phase, process.pid) = (Phase::Running, Some(pid));
                }
                if kill {
                    // The signal may or may not have been sent: a second SIGTERM does no harm.
                    return self.terminate(s, key);
                }
                if !ran {
                    self.report(s, key, Report::executor(TaskState::TaskRunning));
                }
                self.watch(s, key);
            }
            Some(FoundState::Created) | None if !ran => {
                let state = aware(self.tables.framework(&key.0), TaskState::TaskDropped);
                self.report(s, key, launching(state));
                self.destroy_process(s, key);
                self.task_ended(s, key);
            }
            Some(FoundState::Created) | None => {
                let text = "Abnormal executor termination: unknown container";
                let reason = Reason::ExecutorTerminated;
                self.report(s, key, Report::agent(TaskState::TaskFailed, reason, text));
                self.destroy_process(s, key);
                self.task_ended(s, key);
            }
        }
    }
}
