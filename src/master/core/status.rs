//! What agents report of tasks and executors, on its way to the framework; and acknowledgements on
//! their way back.

use super::accounting::Shelf;
use super::events;
use super::{MasterCore, Out, states};
use crate::base::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::machine::Cx;
use crate::mesos::internal::{
    AcknowledgeStatus, ExecutorMessage, ExitedExecutor, MasterMessage, ShutdownFramework,
    StatusUpdate,
};
use crate::mesos::make;
use crate::mesos::v1;
use crate::mesos::v1::scheduler::call;

impl MasterCore {
    /// Forwarded without being stored; the agent sends it again until the framework acknowledges
    /// it.
    pub(super) fn status_update(
        &mut self,
        cx: &mut Cx<'_>,
        agent: &AgentId,
        update: StatusUpdate,
        out: &mut Out,
    ) {
        self.metrics.add("messages_status_update");
        let framework_id = FrameworkId::from(&update.framework_id);
        let Some(framework) = self.frameworks.registered.get(&framework_id) else {
            if self.frameworks.removed.contains_key(framework_id.as_str()) {
                // Nobody will acknowledge it: the agent is to forget the framework.
                let shutdown = ShutdownFramework { framework_id: (&framework_id).into() };
                let message =
                    MasterMessage { shutdown_framework: Some(shutdown), ..self.message() };
                self.to_agent(agent, message, out);
            }
            return self.metrics.add("invalid_status_updates");
        };
        let aware = framework.partition_aware();
        let task_id = TaskId::from(&update.status.task_id);
        let mut status = update.status;
        status.agent_id = Some(agent.into());
        status.state = states::told(states::of(status.state), aware) as i32;
        self.send(&framework_id, events::update(status.clone()), out);
        let is_ours = framework.tasks.get(&task_id).is_some_and(|task| task.agent == *agent);
        if !is_ours {
            return self.metrics.add("invalid_status_updates");
        }
        self.metrics.add("valid_status_updates");
        let latest = update.latest_state.unwrap_or(status.state);
        let latest = states::told(states::of(latest), aware);
        self.take_status(cx, &framework_id, &task_id, &status, latest);
    }

    /// Takes a status into the task's record. When the task ends with it, its resources are free at
    /// once, however many updates still wait for acknowledgement.
    pub(super) fn take_status(
        &mut self,
        cx: &mut Cx<'_>,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        status: &v1::TaskStatus,
        latest: v1::TaskState,
    ) {
        let Some(framework) = self.frameworks.change(framework_id) else { return };
        let Some(task) = framework.tasks.get_mut(task_id) else { return };
        self.marks.task(framework_id, task_id);
        let before = task.state();
        let ends_now = task.take(status, latest);
        self.streams.task_updated(framework_id, status, before, task.state());
        if !ends_now {
            return;
        }
        let (agent_id, resources) = (task.agent.clone(), task.resources.clone());
        let key = (framework_id.clone(), task_id.clone());
        if let Some(agent) = self.agents.change(&agent_id) {
            agent.kills.remove(&key);
        }
        // The reason belongs to the state it came with, which may be an earlier one.
        let reason =
            (status.state == latest as i32 && status.reason.is_some()).then(|| status.reason());
        self.metrics.task(latest, status.source(), reason);
        self.free(framework_id, &agent_id, &resources, cx.now);
    }

    /// Passes an acknowledgement on. With that of its last update a task leaves the live ones.
    pub(super) fn acknowledge(
        &mut self,
        cx: &mut Cx<'_>,
        framework_id: &FrameworkId,
        acknowledge: call::Acknowledge,
        out: &mut Out,
    ) {
        self.metrics.add("messages_status_update_acknowledgement");
        let agent_id = AgentId::from(&acknowledge.agent_id);
        // The agent sends an update again whose acknowledgement is dropped here.
        let framework = self.frameworks.registered.get(framework_id);
        let (Some(framework), Some(_)) = (framework, self.agents.link(agent_id.as_str())) else {
            return self.metrics.add("invalid_status_update_acknowledgements");
        };
        let task_id = TaskId::from(&acknowledge.task_id);
        if let Some(task) = framework.tasks.get(&task_id).filter(|t| t.agent == agent_id) {
            let Some(told) = task.record.status_update_state else {
                return self.metrics.add("invalid_status_update_acknowledgements");
            };
            let is_newest =
                task.record.status_update_uuid.as_deref() == Some(&acknowledge.uuid[..]);
            if is_newest && make::is_terminal(states::of(told)) {
                self.shelve_task(framework_id, &task_id, Shelf::Completed, cx.now);
            }
        }
        self.metrics.add("valid_status_update_acknowledgements");
        let acknowledge = AcknowledgeStatus {
            framework_id: framework_id.into(),
            task_id: acknowledge.task_id,
            uuid: acknowledge.uuid,
        };
        let message = MasterMessage { acknowledge: Some(acknowledge), ..self.message() };
        self.to_agent(&agent_id, message, out);
    }

    pub(super) fn message_to_framework(
        &mut self,
        agent: &AgentId,
        message: ExecutorMessage,
        out: &mut Out,
    ) {
        self.metrics.add("messages_executor_to_framework");
        let framework = FrameworkId::from(&message.framework_id);
        let known = self.frameworks.registered.get(&framework);
        if known.is_none_or(|f| f.session.is_none()) {
            return self.metrics.add("invalid_executor_to_framework_messages");
        }
        self.metrics.add("valid_executor_to_framework_messages");
        let event = events::message(agent, message.executor_id, message.data);
        self.send(&framework, event, out);
    }

    /// A framework's own executor ended: what it used is free, and the framework is told.
    pub(super) fn exited_executor(
        &mut self,
        cx: &mut Cx<'_>,
        agent: &AgentId,
        exited: &ExitedExecutor,
        out: &mut Out,
    ) {
        self.metrics.add("messages_exited_executor");
        let framework = FrameworkId::from(&exited.framework_id);
        let executor = ExecutorId::from(&exited.executor_id);
        if self.drop_executor(&framework, agent, &executor, cx.now) {
            let event = events::failure(agent, Some(&executor), exited.status);
            self.send(&framework, event, out);
        }
    }
}
