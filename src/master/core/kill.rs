//! KILL, SHUTDOWN, MESSAGE: what frameworks tell their tasks and executors through the master.

use super::{MasterCore, Out};
use crate::base::ids::{AgentId, FrameworkId, TaskId};
use crate::machine::Cx;
use crate::mesos::internal::{FrameworkMessage, KillTask, MasterMessage, ShutdownExecutor};
use crate::mesos::v1;
use crate::mesos::v1::scheduler::call;

impl MasterCore {
    /// A task the framework does not have is reconciled. A kill is remembered until the task ends, and sent again when
    /// its agent registers again.
    pub(super) fn kill(
        &mut self,
        cx: &mut Cx<'_>,
        framework_id: &FrameworkId,
        kill: call::Kill,
        out: &mut Out,
    ) {
        self.metrics.add("messages_kill_task");
        let Some(framework) = self.frameworks.registered.get(framework_id) else { return };
        let Some(task) = framework.tasks.get(kill.task_id.value.as_str()) else {
            return self.reconcile_one(
                cx,
                framework_id,
                &kill.task_id,
                kill.agent_id.as_ref(),
                out,
            );
        };
        let agent_id = task.agent.clone();
        if kill.agent_id.as_ref().is_some_and(|id| id.value != agent_id.as_str()) {
            return self.metrics.add("dropped_messages");
        }
        let is_live = task.is_live();
        if let Some(agent) = self.agents.change(&agent_id)
            && is_live
        {
            let key = (framework_id.clone(), TaskId::from(&kill.task_id));
            agent.kills.insert(key, kill.kill_policy);
        }
        self.send_kill(&agent_id, framework_id, kill.task_id, kill.kill_policy, out);
    }

    pub(super) fn send_kill(
        &self,
        agent: &AgentId,
        framework: &FrameworkId,
        task_id: v1::TaskId,
        kill_policy: Option<v1::KillPolicy>,
        out: &mut Out,
    ) {
        let kill = KillTask { framework_id: framework.into(), task_id, kill_policy };
        self.to_agent(agent, MasterMessage { kill_task: Some(kill), ..self.message() }, out);
    }

    pub(super) fn shutdown_executor(
        &mut self,
        framework: &FrameworkId,
        shutdown: call::Shutdown,
        out: &mut Out,
    ) {
        let agent = AgentId::from(&shutdown.agent_id);
        if self.agents.link(agent.as_str()).is_none() {
            return self.metrics.add("dropped_messages");
        }
        let shutdown =
            ShutdownExecutor { framework_id: framework.into(), executor_id: shutdown.executor_id };
        let message = MasterMessage { shutdown_executor: Some(shutdown), ..self.message() };
        self.to_agent(&agent, message, out);
    }

    /// Best effort, as the original says: an agent without a link misses it.
    pub(super) fn message_to_executor(
        &mut self,
        framework: &FrameworkId,
        message: call::Message,
        out: &mut Out,
    ) {
        self.metrics.add("messages_framework_to_executor");
        let agent = AgentId::from(&message.agent_id);
        if self.agents.link(agent.as_str()).is_none() {
            return self.metrics.add("invalid_framework_to_executor_messages");
        }
        self.metrics.add("valid_framework_to_executor_messages");
        let message = FrameworkMessage {
            framework_id: framework.into(),
            executor_id: message.executor_id,
            data: message.data,
        };
        let message = MasterMessage { framework_message: Some(message), ..self.message() };
        self.to_agent(&agent, message, out);
    }
}
