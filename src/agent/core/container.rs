//! An executor's container on its way: prepared, created, started, ended, destroyed. Each step
//! waits for the answer to the one before.

use super::docker::Inspected;
use super::io::{Act, Exit, Launch};
use super::status::Report;
use super::tables::{End, ExecutorKey, Phase};
use super::{AgentCore, Step, Timer, command, records};
use crate::base::ids::ContainerId;
use crate::base::kv::Op;
use crate::mesos::internal::{AgentMessage, ExitedExecutor};
use crate::mesos::v1::{self, TaskState, task_status::Reason};
use std::sync::Arc;
use std::time::Duration;

/// How long a container may take to be destroyed before it is asked again.
pub(super) const DESTROY_RETRY: Duration = Duration::from_secs(60);

impl AgentCore {
    /// Has the sandbox made, unless an old directory above it is being removed just now or its volumes are not ready.
    pub(super) fn prepare(&mut self, s: &mut Step<'_>, key: &ExecutorKey, launch: Launch) {
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        let launch = Arc::new(launch);
        executor.limits = launch.limits;
        executor.launch = Some(launch.clone());
        // Set before it is asked who else has the volumes.
        executor.held = true;
        let held = self.sandboxes.is_being_removed(&launch.sandbox)
            || self.waits_for_volumes(key, &launch);
        if let Some(executor) = self.tables.executors.get_mut(key)
            && !held
        {
            executor.held = false;
            self.prepare_now(s, key, launch);
        }
    }

    /// The executor of a container that is in this phase.
    fn in_phase(&self, container: &ContainerId, phase: Phase) -> Option<ExecutorKey> {
        let key = self.tables.of_container(container)?;
        (self.tables.executors.get(&key)?.phase == phase).then_some(key)
    }

    pub(super) fn prepared(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        result: Result<(), String>,
    ) {
        if self.tables.processes.contains_key(container) {
            return self.process_prepared(s, container, result);
        }
        if self.tables.named.contains_key(container) {
            return self.named_prepared(s, container, result);
        }
        let Some(key) = self.in_phase(container, Phase::Preparing) else { return };
        if let Err(why) = result {
            return self.fail_launch(s, &key, &why);
        }
        // More tasks may have come for a custom executor meanwhile.
        let limits = self.wanted_limits(&key);
        let Some(executor) = self.tables.executors.get_mut(&key) else { return };
        let Some(launch) = executor.launch.take() else { return };
        executor.phase = Phase::Creating;
        executor.limits = limits;
        s.act(Act::Create(Arc::new(Launch { limits, ..(*launch).clone() })));
    }

    pub(super) fn created(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        result: Result<(), String>,
    ) {
        if self.tables.processes.contains_key(container) {
            return self.process_created(s, container, result);
        }
        if self.tables.named.contains_key(container) {
            return self.named_created(s, container, result);
        }
        let Some(key) = self.in_phase(container, Phase::Creating) else { return };
        match result {
            Err(why) => self.fail_launch(s, &key, &why),
            Ok(()) => {
                let Some(executor) = self.tables.executors.get_mut(&key) else { return };
                executor.phase = Phase::Starting;
                s.act(Act::Start { container: container.clone() });
            }
        }
    }

    pub(super) fn started(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        result: Result<u32, String>,
    ) {
        if self.tables.processes.contains_key(container) {
            return self.process_started(s, container, result);
        }
        if self.tables.named.contains_key(container) {
            return self.named_started(s, container, result);
        }
        let Some(key) = self.in_phase(container, Phase::Starting) else { return };
        let pid = match result {
            Ok(pid) => pid,
            Err(why) => return self.fail_launch(s, &key, &why),
        };
        let Some(executor) = self.tables.executors.get_mut(&key) else { return };
        executor.pid = Some(pid);
        executor.phase = Phase::Running;
        let ending = executor.ending;
        // There is nobody who would subscribe.
        executor.registered |= executor.is_default();
        let own = executor.is_default();
        s.write(records::executor(&key, executor));
        self.watch_disk(s, &key);
        match self.tables.command_task(&key) {
            Some(task) => self.command_started(s, &task),
            None if ending => self.destroy(s, &key),
            None if own => self.fit(s, &key),
            None => {
                let wait = self.options.executor_registration_timeout;
                self.timers.set(Timer::Subscribe(key.clone()), s.now + wait);
                self.fit(s, &key);
            }
        }
    }

    /// The command of a task runs: RUNNING, and its clocks.
    pub(super) fn command_started(&mut self, s: &mut Step<'_>, key: &super::tables::TaskKey) {
        let Some(task) = self.tables.tasks.get_mut(key) else { return };
        task.started = Some(s.wall);
        if task.kill.is_some() {
            s.write(records::state(key, task));
            return self.terminate(s, key);
        }
        let running = match self.tables.executor_of(key) {
            Some(executor) => self.running(&executor),
            None => Report::executor(TaskState::TaskRunning),
        };
        self.report(s, key, running);
        self.watch(s, key);
    }

    /// That the command of an executor runs, with what the docker engine says of it.
    pub(super) fn running(&self, key: &ExecutorKey) -> Report {
        let inspected = self.tables.executors.get(key).and_then(|e| e.inspected.as_ref());
        let mut report = Report::executor(TaskState::TaskRunning);
        report.data = inspected.map(|inspected| inspected.json.clone());
        report
    }

    /// How far a container's preparation has come: told to a command task's framework.
    pub(super) fn progressed(&mut self, s: &mut Step<'_>, id: &ContainerId, message: String) {
        let Some(key) = self.in_phase(id, Phase::Preparing) else { return };
        let Some(task) = self.tables.command_task(&key) else { return };
        let mut report = Report::executor(TaskState::TaskStarting);
        report.message = Some(message);
        self.report(s, &task, report);
    }

    /// What the docker engine says of a container.
    pub(super) fn inspected(&mut self, container: &ContainerId, inspected: Arc<Inspected>) {
        let key = self.tables.of_container(container);
        if let Some(executor) = key.and_then(|key| self.tables.executors.get_mut(&key)) {
            executor.inspected = Some(inspected);
        }
    }

    /// A container with this agent's mark that nobody here knows is destroyed.
    pub(super) fn stray(&mut self, s: &mut Step<'_>, container: ContainerId) {
        let inside = self.tables.processes.contains_key(&container)
            || self.tables.named.contains_key(&container);
        if self.tables.of_container(&container).is_none() && !inside {
            self.count("orphans_destroyed");
            s.act(Act::Destroy { container });
        }
    }

    /// The launch did not come to its end: the tasks fail, what is there of the container goes.
    pub(super) fn fail_launch(&mut self, s: &mut Step<'_>, key: &ExecutorKey, why: &str) {
        self.count("container_launch_errors");
        for task in self.tables.tasks_of(key) {
            let kill = self.tables.tasks.get(&task).and_then(|t| t.kill.as_ref());
            let report = match kill {
                Some(_) => Report::agent(
                    TaskState::TaskKilled,
                    Reason::TaskKilledDuringLaunch,
                    "Task killed during launch",
                ),
                None => Report::agent(
                    TaskState::TaskFailed,
                    Reason::ContainerLaunchFailed,
                    format!("Failed to launch container: {why}"),
                ),
            };
            self.report(s, &task, report);
        }
        self.destroy(s, key);
    }

    /// Has the container destroyed; from now on it takes no tasks and nothing it says counts.
    pub(super) fn destroy(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        if matches!(executor.phase, Phase::Ending | Phase::Gone) {
            return;
        }
        executor.phase = Phase::Ending;
        executor.ending = true;
        executor.launch = None;
        s.write(records::executor(key, executor));
        let container = executor.container.clone();
        self.timers.cancel(&Timer::Sandbox(container.clone()));
        self.timers.cancel(&Timer::Subscribe(key.clone()));
        self.timers.cancel(&Timer::Shutdown(key.clone()));
        self.timers.set(Timer::Destroy(container.clone()), s.now + DESTROY_RETRY);
        s.act(Act::Destroy { container });
        self.detach(s, key);
        self.reconnected(s);
    }

    /// Has an executor destroyed, for a reason that its remaining tasks are told.
    pub(super) fn end_executor(
        &mut self,
        s: &mut Step<'_>,
        key: &ExecutorKey,
        state: TaskState,
        reason: Reason,
        message: String,
    ) {
        if let Some(executor) = self.tables.executors.get_mut(key) {
            executor.end.get_or_insert(End { state, reason, message });
        }
        self.destroy(s, key);
    }

    pub(super) fn destroy_again(&mut self, s: &mut Step<'_>, container: &ContainerId) {
        let inside = self.tables.processes.contains_key(container)
            || self.tables.named.contains_key(container);
        if inside {
            return self.destroy_inside_again(s, container);
        }
        if self.in_phase(container, Phase::Ending).is_some() {
            self.count("container_destroy_retries");
            self.timers.set(Timer::Destroy(container.clone()), s.now + DESTROY_RETRY);
            s.act(Act::Destroy { container: container.clone() });
        }
    }

    pub(super) fn exited(&mut self, s: &mut Step<'_>, container: &ContainerId, exit: &Exit) {
        if self.tables.processes.contains_key(container) {
            return self.process_exited(s, container, exit);
        }
        if self.tables.named.contains_key(container) {
            return self.named_exited(s, container, exit);
        }
        let Some(key) = self.tables.of_container(container) else {
            // Nobody's: a left-over that is being destroyed.
            s.act(Act::Forget { container: container.clone() });
            s.act(Act::Destroy { container: container.clone() });
            return;
        };
        if let Some(task) = self.tables.command_task(&key) {
            let kill = self.tables.tasks.get(&task).and_then(|t| t.kill.clone());
            let state = self.tables.tasks.get(&task).map(|t| t.state());
            if kill.is_none() && exit.status.is_some() && state == Some(TaskState::TaskStarting) {
                // It ran, though its end was heard of first.
                let running = self.running(&key);
                self.report(s, &task, running);
            }
            let in_docker = self.tables.executors.get(&key).is_some_and(|e| e.in_docker());
            self.report(s, &task, command::ended(exit, kill.as_ref(), in_docker));
        } else {
            self.executor_exited(s, &key, Some(exit));
        }
        self.destroy(s, &key);
        s.act(Act::Forget { container: container.clone() });
    }

    /// A custom executor is gone: its tasks are told so, and the master.
    fn executor_exited(&mut self, s: &mut Step<'_>, key: &ExecutorKey, exit: Option<&Exit>) {
        let end = self.tables.executors.get(key).and_then(|e| e.end.clone());
        let report = match (end, exit.and_then(command::over_memory)) {
            (Some(end), _) => Report::agent(end.state, end.reason, end.message),
            (None, Some(report)) => report,
            (None, None) => {
                let state = TaskState::TaskFailed;
                Report::agent(state, Reason::ExecutorTerminated, "Executor terminated")
            }
        };
        for task in self.tables.tasks_of(key) {
            self.report(s, &task, report.clone());
        }
        self.tell_exited(s, key, exit.and_then(|e| e.status));
    }

    pub(super) fn tell_exited(&mut self, s: &mut Step<'_>, key: &ExecutorKey, status: Option<i32>) {
        let Some(link) = self.master.ready() else { return };
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        if executor.command_task || std::mem::replace(&mut executor.told, true) {
            return;
        }
        let exited = ExitedExecutor {
            framework_id: v1::FrameworkId { value: key.0.as_str().into() },
            executor_id: v1::ExecutorId { value: key.1.as_str().into() },
            status,
        };
        let message = AgentMessage { exited_executor: Some(exited), ..Default::default() };
        s.act(Act::ToMaster { link, message: Box::new(message) });
    }

    pub(super) fn destroyed(&mut self, s: &mut Step<'_>, container: &ContainerId) {
        if self.tables.processes.contains_key(container) {
            return self.process_destroyed(s, container);
        }
        if self.tables.named.contains_key(container) {
            return self.named_destroyed(s, container);
        }
        let Some(key) = self.in_phase(container, Phase::Ending) else { return };
        self.timers.cancel(&Timer::Destroy(container.clone()));
        self.tables.containers.remove(container);
        if let Some(task) = self.tables.command_task(&key) {
            // Nobody saw it exit.
            let end = self.tables.executors.get(&key).and_then(|e| e.end.clone());
            let kill = self.tables.tasks.get(&task).and_then(|t| t.kill.clone());
            let report = match end {
                Some(end) => Report::agent(end.state, end.reason, end.message),
                None => {
                    let in_docker = self.tables.executors.get(&key).is_some_and(|e| e.in_docker());
                    command::ended(&Exit::default(), kill.as_ref(), in_docker)
                }
            };
            self.report(s, &task, report);
        } else {
            self.executor_exited(s, &key, None);
        }
        self.over(s, &key);
    }

    /// Nothing is left but the sandbox and, maybe, statuses to be acknowledged.
    pub(super) fn over(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        executor.phase = Phase::Gone;
        *self.counters.entry("executors_terminated").or_default() += 1;
        s.write(records::executor(key, executor));
        let (container, path) = (executor.container.clone(), executor.sandbox.clone());
        self.forget_inside(s, &container);
        s.write(records::sandbox(key, &container, &path, s.wall));
        self.sandboxes.add(key, container, path, s.wall);
        // Others may wait for its volumes.
        self.prepare_held(s);
        self.collect(s);
        self.executor_done(s, key);
        self.stopped(s);
    }

    /// Forgets an executor whose container and tasks are gone.
    pub(super) fn executor_done(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let over = self.tables.executors.get(key).is_some_and(|e| e.is_over());
        if !over || !self.tables.tasks_of(key).is_empty() {
            return;
        }
        if let Some(executor) = self.tables.executors.remove(key) {
            s.write(Op::delete(records::executor_key(key)));
            let max = self.options.max_completed_executors_per_framework;
            self.history.completed_executor(&key.0, &executor, max);
        }
        self.framework_done(s, &key.0);
    }

    /// Forgets a framework that has nothing here any more.
    pub(super) fn framework_done(&mut self, s: &mut Step<'_>, id: &crate::base::ids::FrameworkId) {
        if self.tables.uses(id) || self.streams.of_framework(id) {
            return;
        }
        if let Some(framework) = self.tables.frameworks.remove(id) {
            s.write(Op::delete(records::framework_key(id)));
            self.history.completed_framework(id, framework.info);
        }
    }
}
