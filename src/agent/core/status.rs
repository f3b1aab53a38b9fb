//! Statuses of tasks: made, stored, put into their streams, sent, acknowledged.

use super::io::Act;
use super::tables::{ExecutorKey, TASKS_MAX, Task, TaskKey, is_terminal};
use super::{AgentCore, Step, Timer, records};
use crate::base::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use crate::mesos::internal::{AcknowledgeStatus, AgentMessage, StatusUpdate};
use crate::mesos::v1::{self, TaskState, TaskStatus, task_status::Reason, task_status::Source};
use std::sync::Arc;

/// Tasks that may wait for an acknowledgement, also those that are not held here.
pub const STREAMS_MAX: usize = 2 * TASKS_MAX;
/// Statuses remembered for each task: the last of each run of equal states.
pub const STATUSES_MAX: usize = 32;

/// What a task is told to be, by the agent or its built-in executor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub state: TaskState,
    pub source: Source,
    pub reason: Option<Reason>,
    pub message: Option<String>,
    /// Instead of what the health check last found.
    pub healthy: Option<bool>,
    pub limitation: Option<v1::TaskResourceLimitation>,
    /// Which health check it is about.
    pub health_check: Option<u32>,
    /// What the docker engine says of the container.
    pub data: Option<Vec<u8>>,
}

impl Report {
    /// The built-in executor says so.
    pub fn executor(state: TaskState) -> Self {
        let source = Source::Executor;
        Self {
            state,
            source,
            reason: None,
            message: None,
            healthy: None,
            limitation: None,
            health_check: None,
            data: None,
        }
    }

    /// The agent says so.
    pub fn agent(state: TaskState, reason: Reason, message: impl Into<String>) -> Self {
        let mut report = Self::executor(state);
        report.source = Source::Agent;
        report.reason = Some(reason);
        report.message = Some(message.into());
        report
    }
}

impl AgentCore {
    /// Reports a task of the tables; nothing follows a terminal state.
    pub(super) fn report(&mut self, s: &mut Step<'_>, key: &TaskKey, report: Report) {
        let Some(task) = self.tables.tasks.get(key) else { return };
        if task.is_terminal() {
            return;
        }
        let executor = self.tables.executors.get(&(key.0.clone(), task.executor.clone()));
        let custom = executor.is_some_and(|e| !e.command_task);
        let named = custom || report.source == Source::Executor;
        let container = executor.map(|e| match &task.process {
            Some(process) => self.status_of(e, &process.container, process.pid),
            None => self.container_status(e),
        });
        let status = TaskStatus {
            task_id: task.info.task_id.clone(),
            state: report.state as i32,
            message: report.message,
            source: Some(report.source as i32),
            reason: report.reason.map(|r| r as i32),
            agent_id: self.identity.info.id.clone(),
            executor_id: named.then(|| v1::ExecutorId { value: task.executor.as_str().into() }),
            timestamp: Some(s.wall.secs()),
            uuid: Some(s.rng.uuid_bytes().to_vec()),
            healthy: report.healthy.or(task.checks.healthy()),
            check_status: task.checks.status(),
            health_check_results: task.checks.results(),
            health_check_told: report.health_check.filter(|_| task.checks.several()),
            container_status: container,
            limitation: report.limitation,
            data: report.data,
            ..Default::default()
        };
        self.store_status(s, key, status);
    }

    /// Reports a task that this agent does not hold (refused, or never heard of): a stream without
    /// a task.
    pub(super) fn report_unknown(
        &mut self,
        s: &mut Step<'_>,
        key: &TaskKey,
        executor: Option<&ExecutorId>,
        state: TaskState,
        reason: Reason,
        message: String,
    ) {
        if self.streams.len() >= STREAMS_MAX {
            // The master asks again when the agent registers again.
            return self.count("dropped_status_updates");
        }
        let status = TaskStatus {
            task_id: v1::TaskId { value: key.1.as_str().into() },
            state: state as i32,
            message: Some(message),
            source: Some(Source::Agent as i32),
            reason: Some(reason as i32),
            agent_id: self.identity.info.id.clone(),
            executor_id: executor.map(|e| v1::ExecutorId { value: e.as_str().into() }),
            timestamp: Some(s.wall.secs()),
            uuid: Some(s.rng.uuid_bytes().to_vec()),
            ..Default::default()
        };
        self.store_status(s, key, status);
    }

    fn container_status(&self, executor: &super::tables::Executor) -> v1::ContainerStatus {
        self.status_of(executor, &executor.container, executor.pid)
    }

    /// Of the executor's container, or of one that is in it and has its network.
    fn status_of(
        &self,
        executor: &super::tables::Executor,
        container: &ContainerId,
        pid: Option<u32>,
    ) -> v1::ContainerStatus {
        let address = |ip: &String| v1::network_info::IpAddress {
            protocol: None,
            ip_address: Some(ip.clone()),
        };
        let named = |name: Option<String>, addresses: Vec<_>| {
            vec![v1::NetworkInfo { name, ip_addresses: addresses, ..Default::default() }]
        };
        let engine = executor.inspected.as_ref().filter(|i| !i.addresses.is_empty());
        let networks = match engine {
            Some(inspected) => {
                let addresses = inspected.addresses.iter().map(address).collect();
                named(inspected.network.clone(), addresses)
            }
            None if !executor.networks.is_empty() => executor.networks.clone(),
            // In the host's network a container has the agent's address.
            None => named(None, vec![address(&self.options.ip)]),
        };
        v1::ContainerStatus {
            container_id: Some(container.into()),
            network_infos: networks,
            cgroup_info: None,
            executor_pid: pid,
        }
    }

    /// Fills what an executor may leave out of its status.
    pub(super) fn complete(&self, s: &Step<'_>, key: &ExecutorKey, status: &mut TaskStatus) {
        status.agent_id = self.identity.info.id.clone();
        status.executor_id = Some(v1::ExecutorId { value: key.1.as_str().into() });
        status.timestamp = status.timestamp.or(Some(s.wall.secs()));
        if let Some(executor) = self.tables.executors.get(key) {
            let own = self.container_status(executor);
            let given = status.container_status.get_or_insert_default();
            if given.network_infos.is_empty() {
                given.network_infos = own.network_infos;
            }
            given.container_id = given.container_id.take().or(own.container_id);
            given.executor_pid = given.executor_pid.or(own.executor_pid);
        }
    }

    /// Stores a status with its uuid, and sends it if it is the head of its stream.
    pub(super) fn store_status(&mut self, s: &mut Step<'_>, key: &TaskKey, status: TaskStatus) {
        let status = self.as_drained(key, status);
        let state = status.state();
        self.count("valid_status_updates");
        if let Some(name) = counter(state) {
            self.count(name);
        }
        if is_terminal(state) {
            self.stop_timers(key);
        }
        if let Some(task) = self.tables.tasks.get_mut(key) {
            remember(task, &status);
        }
        if self.tables.frameworks.get(&key.0).is_some_and(|f| f.ending) {
            // Nobody is left to be told.
            match self.tables.tasks.get(key) {
                Some(task) if !task.is_terminal() => s.write(records::state(key, task)),
                _ => self.remove_task(s, key),
            }
            return;
        }
        let added = self.streams.add(key, status.clone());
        if let Some(number) = added.displaced {
            self.count("displaced_status_updates");
            s.write(crate::base::kv::Op::delete(records::update_key(key, number)));
        }
        s.write(records::update(key, added.number, &status));
        if let Some(task) = self.tables.tasks.get_mut(key) {
            if added.head {
                forwarded(task, &status);
            }
            s.write(records::state(key, task));
        }
        if added.head {
            self.forward(s, key);
        }
    }

    fn stop_timers(&mut self, key: &TaskKey) {
        self.timers.cancel(&Timer::Kill(key.clone()));
        self.timers.cancel(&Timer::Overtime(key.clone()));
        let checks = self.tables.tasks.get(key).map(|task| task.checks.all()).unwrap_or_default();
        for which in checks {
            self.timers.cancel(&Timer::Check(key.clone(), which));
        }
    }

    /// Sends the head of a stream and waits for its acknowledgement.
    pub(super) fn forward(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        let latest = self.streams.latest(key);
        let Some(link) = self.master.ready() else { return };
        let Some((status, wait)) = self.streams.send(key) else { return };
        let update = StatusUpdate {
            framework_id: v1::FrameworkId { value: key.0.as_str().into() },
            status,
            latest_state: latest.map(|l| l as i32),
        };
        let message = AgentMessage { status_update: Some(update), ..Default::default() };
        s.act(Act::ToMaster { link, message: Box::new(message) });
        self.timers.set(Timer::Resend(key.clone()), s.now + wait);
    }

    /// The framework has the head of a stream: the next one follows, or the task is done.
    pub(super) fn acknowledged(&mut self, s: &mut Step<'_>, ack: &AcknowledgeStatus) {
        let key = (
            FrameworkId::from(ack.framework_id.value.as_str()),
            TaskId::from(ack.task_id.value.as_str()),
        );
        let Some(acked) = self.streams.acknowledge(&key, &ack.uuid) else {
            return self.count("unexpected_acknowledgements");
        };
        self.timers.cancel(&Timer::Resend(key.clone()));
        s.write(crate::base::kv::Op::delete(records::update_key(&key, acked.update.number)));
        if is_terminal(acked.update.status.state()) {
            self.remove_task(s, &key);
            self.framework_done(s, &key.0);
        } else if acked.more {
            let head = self.streams.head(&key).cloned();
            if let (Some(task), Some(head)) = (self.tables.tasks.get_mut(&key), head) {
                forwarded(task, &head);
                s.write(records::state(&key, task));
            }
            self.forward(s, &key);
        }
        self.stopped(s);
    }

    /// Forgets a task whose end everybody knows.
    pub(super) fn remove_task(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        for number in self.streams.drop_stream(key) {
            s.write(crate::base::kv::Op::delete(records::update_key(key, number)));
        }
        self.timers.cancel(&Timer::Resend(key.clone()));
        let Some(task) = self.tables.take_task(key) else { return };
        s.write(crate::base::kv::Op::delete(records::task_key(key)));
        s.write(crate::base::kv::Op::delete(records::state_key(key)));
        let executor = (key.0.clone(), task.executor.clone());
        if let Some(executor) = self.tables.executors.get_mut(&executor) {
            super::view::completed_task(executor, task.shown);
        }
        self.executor_done(s, &executor);
    }
}

/// Notes the status in the task as it is shown.
fn remember(task: &mut Task, status: &TaskStatus) {
    let shown = Arc::make_mut(&mut task.shown);
    shown.state = status.state;
    if shown.statuses.last().is_some_and(|last| last.state == status.state) {
        shown.statuses.pop();
    }
    if shown.statuses.len() >= STATUSES_MAX {
        shown.statuses.remove(0);
    }
    shown.statuses.push(status.clone());
}

/// Notes what the master was told last.
fn forwarded(task: &mut Task, status: &TaskStatus) {
    let shown = Arc::make_mut(&mut task.shown);
    shown.status_update_state = Some(status.state);
    shown.status_update_uuid = status.uuid.clone();
}

fn counter(state: TaskState) -> Option<&'static str> {
    Some(match state {
        TaskState::TaskFinished => "tasks_finished",
        TaskState::TaskFailed => "tasks_failed",
        TaskState::TaskKilled => "tasks_killed",
        TaskState::TaskLost => "tasks_lost",
        TaskState::TaskGone => "tasks_gone",
        TaskState::TaskError => "tasks_error",
        TaskState::TaskDropped => "tasks_dropped",
        _ => return None,
    })
}
