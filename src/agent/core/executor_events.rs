//! What custom executors are sent: SUBSCRIBED, their tasks, kills, acknowledgements, messages,
//! heartbeats.

use super::io::{Act, SessionId};
use super::tables::{ExecutorKey, Phase, QUEUED_MESSAGES_MAX, TaskKey, aware};
use super::{AgentCore, Step, Timer, records, words};
use crate::base::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use crate::mesos::internal::FrameworkMessage;
use crate::mesos::v1::executor::{Event, event};
use crate::mesos::v1::{self, TaskState, task_status::Reason};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often an executor gets a HEARTBEAT.
pub const HEARTBEAT: Duration = Duration::from_secs(30 * 60);

fn event(kind: event::Type) -> Event {
    Event { r#type: Some(kind as i32), ..Default::default() }
}

impl AgentCore {
    fn send(&self, s: &mut Step<'_>, key: &ExecutorKey, event: Event) {
        if let Some(session) = self.tables.executors.get(key).and_then(|e| e.session) {
            s.act(Act::ExecutorEvent { session, event: Box::new(event) });
        }
    }

    /// Ends an executor's stream, if it has one.
    pub(super) fn detach(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let Some(session) = self.tables.executors.get_mut(key).and_then(|e| e.session.take())
        else {
            return;
        };
        self.tables.sessions.remove(&session);
        self.timers.cancel(&Timer::Heartbeat(session));
        s.act(Act::CloseExecutor { session });
    }

    /// A new stream: SUBSCRIBED first.
    pub(super) fn attach(&mut self, s: &mut Step<'_>, key: &ExecutorKey, session: SessionId) {
        let Some(framework) = self.tables.frameworks.get(&key.0).map(|f| f.info.clone()) else {
            return;
        };
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        executor.session = Some(session);
        if !executor.registered {
            executor.registered = true;
            s.write(records::executor(key, executor));
        }
        let subscribed = event::Subscribed {
            executor_info: (*executor.info).clone(),
            framework_info: (*framework).clone(),
            agent_info: (*self.identity.info).clone(),
            container_id: Some(v1::ContainerId {
                value: executor.container.as_str().into(),
                parent: None,
            }),
        };
        self.tables.sessions.insert(session, key.clone());
        self.timers.cancel(&Timer::Subscribe(key.clone()));
        self.timers.set(Timer::Heartbeat(session), s.now + HEARTBEAT);
        let event = Event { subscribed: Some(subscribed), ..event(event::Type::Subscribed) };
        self.send(s, key, event);
    }

    /// After SUBSCRIBED: what it missed.
    pub(super) fn greeted(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        if let (true, Some(session)) = (executor.ending, executor.session) {
            return self.send_shutdown(s, session);
        }
        for data in std::mem::take(&mut executor.messages) {
            let message = Some(event::Message { data });
            self.send(s, key, Event { message, ..event(event::Type::Message) });
        }
        for task in self.tables.tasks_of(key) {
            let killed = |t: &super::tables::Task| t.kill.is_some() && !t.is_terminal();
            if self.tables.tasks.get(&task).is_some_and(killed) {
                self.send_kill(s, &task);
            }
        }
        self.fit(s, key);
    }

    /// Raises the limits for new tasks first, then hands them over.
    pub(super) fn fit(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let wanted = self.wanted_limits(key);
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        if executor.phase != Phase::Running || executor.resizing.is_some() || executor.ending {
            return;
        }
        if executor.limits != wanted {
            executor.resizing = Some(wanted);
            let container = executor.container.clone();
            return s.act(Act::Resize { container, limits: wanted });
        }
        if executor.is_default() {
            self.start_groups(s, key);
        } else if executor.session.is_some() {
            self.deliver(s, key);
        }
    }

    /// Hands over the tasks that wait: written down as delivered before they are sent.
    fn deliver(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let mut waiting = self.tables.tasks_of(key);
        waiting
            .retain(|k| self.tables.tasks.get(k).is_some_and(|t| !t.delivered && !t.is_terminal()));
        // In the order in which they came.
        waiting.sort_by_key(|k| self.tables.tasks.get(k).map(|t| t.order));
        let mut groups: BTreeMap<u64, Vec<v1::TaskInfo>> = BTreeMap::new();
        for (at, task_key) in waiting.iter().enumerate() {
            let Some(task) = self.tables.tasks.get_mut(task_key) else { continue };
            task.delivered = true;
            if let Some(executor) = self.tables.executors.get_mut(key) {
                executor.used = true;
            }
            s.write(records::state(task_key, task));
            if let Some(group) = task.group {
                groups.entry(group).or_default().push((*task.info).clone());
                // Its tasks follow one another: whole with the last of them.
                let next = waiting.get(at + 1).and_then(|k| self.tables.tasks.get(k));
                if next.is_none_or(|next| next.group != Some(group)) {
                    let tasks = groups.remove(&group).unwrap_or_default();
                    let task_group = v1::TaskGroupInfo { tasks };
                    let launch_group = Some(event::LaunchGroup { task_group });
                    self.send(s, key, Event { launch_group, ..event(event::Type::LaunchGroup) });
                }
                continue;
            }
            let launch = Some(event::Launch { task: (*task.info).clone() });
            self.send(s, key, Event { launch, ..event(event::Type::Launch) });
        }
    }

    pub(super) fn resized(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        result: Result<(), String>,
    ) {
        let Some(key) = self.tables.of_container(container) else { return };
        let Some(executor) = self.tables.executors.get_mut(&key) else { return };
        let Some(limits) = executor.resizing.take() else { return };
        match result {
            Ok(()) => {
                executor.limits = limits;
                self.fit(s, &key);
            }
            Err(why) => {
                let state = aware(self.tables.framework(&key.0), TaskState::TaskGone);
                let text = format!("Failed to update resources for container: {why}");
                self.end_executor(s, &key, state, Reason::ContainerUpdateFailed, text);
            }
        }
    }

    pub(super) fn send_kill(&self, s: &mut Step<'_>, key: &TaskKey) {
        let Some(executor) = self.tables.executor_of(key) else { return };
        let Some(task) = self.tables.tasks.get(key) else { return };
        let kill_policy = task.kill.as_ref().and_then(|k| k.policy);
        let kill = event::Kill { task_id: task.info.task_id.clone(), kill_policy };
        self.send(s, &executor, Event { kill: Some(kill), ..event(event::Type::Kill) });
    }

    pub(super) fn send_acknowledged(
        &self,
        s: &mut Step<'_>,
        key: &ExecutorKey,
        task: &TaskId,
        uuid: Vec<u8>,
    ) {
        let task_id = v1::TaskId { value: task.as_str().into() };
        let acknowledged = Some(event::Acknowledged { task_id, uuid });
        self.send(s, key, Event { acknowledged, ..event(event::Type::Acknowledged) });
    }

    pub(super) fn send_shutdown(&self, s: &mut Step<'_>, session: SessionId) {
        let event = Box::new(event(event::Type::Shutdown));
        s.act(Act::ExecutorEvent { session, event });
    }

    pub(super) fn heartbeat(&mut self, s: &mut Step<'_>, session: SessionId) {
        if self.tables.sessions.contains_key(&session) {
            self.timers.set(Timer::Heartbeat(session), s.now + HEARTBEAT);
            let event = Box::new(event(event::Type::Heartbeat));
            s.act(Act::ExecutorEvent { session, event });
        }
    }

    /// A custom executor did not subscribe in time.
    pub(super) fn subscribe_timeout(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let within = words::duration(self.options.executor_registration_timeout);
        let message = format!("Executor did not register within {within}");
        let reason = Reason::ExecutorRegistrationTimeout;
        self.end_executor(s, key, TaskState::TaskFailed, reason, message);
    }

    /// Passes a framework's message on, or keeps it until the executor subscribes.
    pub(super) fn framework_message(&mut self, s: &mut Step<'_>, m: FrameworkMessage) {
        let framework = FrameworkId::from(m.framework_id.value.as_str());
        let key = (framework, ExecutorId::from(m.executor_id.value.as_str()));
        let Some(executor) = self.tables.executors.get_mut(&key).filter(|e| e.is_custom()) else {
            return self.count("invalid_framework_messages");
        };
        if executor.session.is_some() {
            let message = Some(event::Message { data: m.data });
            self.send(s, &key, Event { message, ..event(event::Type::Message) });
            self.count("valid_framework_messages");
        } else if executor.ending || executor.messages.len() >= QUEUED_MESSAGES_MAX {
            self.count("invalid_framework_messages");
        } else {
            executor.messages.push_back(m.data);
            self.count("valid_framework_messages");
        }
    }
}
