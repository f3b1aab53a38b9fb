//! The calls of the scheduler API, one function each.

use super::Port;
use crate::base::error::Result;
use crate::mesos::v1::offer::Operation;
use crate::mesos::v1::scheduler::{Call, OfferConstraints, call};
use crate::mesos::v1::{
    AgentId, ExecutorId, Filters, FrameworkInfo, KillPolicy, OfferId, TaskId, TaskInfo, TaskStatus,
};

/// A call of that type without its payload.
pub(super) fn of(kind: call::Type) -> Call {
    Call { r#type: Some(kind.into()), ..Default::default() }
}

pub(super) fn suppress(roles: &[String]) -> Call {
    let suppress = Some(call::Suppress { roles: roles.to_vec() });
    Call { suppress, ..of(call::Type::Suppress) }
}

pub(super) fn revive(roles: &[String]) -> Call {
    let revive = Some(call::Revive { roles: roles.to_vec() });
    Call { revive, ..of(call::Type::Revive) }
}

pub(super) fn update_framework(
    framework_info: FrameworkInfo,
    suppressed_roles: Vec<String>,
    offer_constraints: Option<OfferConstraints>,
) -> Call {
    let update = call::UpdateFramework { framework_info, suppressed_roles, offer_constraints };
    Call { update_framework: Some(update), ..of(call::Type::UpdateFramework) }
}

/// All fail as [`Port::call`] does.
#[allow(clippy::missing_errors_doc, reason = "said once, on the block")]
impl Port {
    /// ACCEPT: applies operations to offers, in order; what is left over goes back with the filter (5 s if none).
    pub async fn accept(
        &self,
        offer_ids: Vec<OfferId>,
        operations: Vec<Operation>,
        filters: Option<Filters>,
    ) -> Result<()> {
        let accept = Some(call::Accept { offer_ids, operations, filters });
        self.call(Call { accept, ..of(call::Type::Accept) }).await.map(drop)
    }

    /// ACCEPT with one LAUNCH.
    pub async fn launch(
        &self,
        offer_ids: Vec<OfferId>,
        task_infos: Vec<TaskInfo>,
        filters: Option<Filters>,
    ) -> Result<()> {
        let operation = Operation {
            r#type: Some(crate::mesos::v1::offer::operation::Type::Launch.into()),
            launch: Some(crate::mesos::v1::offer::operation::Launch { task_infos }),
            ..Default::default()
        };
        self.accept(offer_ids, vec![operation], filters).await
    }

    /// DECLINE.
    pub async fn decline(&self, offer_ids: Vec<OfferId>, filters: Option<Filters>) -> Result<()> {
        let decline = Some(call::Decline { offer_ids, filters });
        self.call(Call { decline, ..of(call::Type::Decline) }).await.map(drop)
    }

    /// KILL.
    pub async fn kill(
        &self,
        task_id: TaskId,
        agent_id: Option<AgentId>,
        kill_policy: Option<KillPolicy>,
    ) -> Result<()> {
        let kill = Some(call::Kill { task_id, agent_id, kill_policy });
        self.call(Call { kill, ..of(call::Type::Kill) }).await.map(drop)
    }

    /// ACKNOWLEDGE, if the update wants it: one made by the master carries no uuid and must not be acknowledged.
    pub async fn acknowledge(&self, status: &TaskStatus) -> Result<()> {
        let (Some(uuid), Some(agent_id)) = (&status.uuid, &status.agent_id) else {
            return Ok(());
        };
        let acknowledge = Some(call::Acknowledge {
            agent_id: agent_id.clone(),
            task_id: status.task_id.clone(),
            uuid: uuid.clone(),
        });
        self.call(Call { acknowledge, ..of(call::Type::Acknowledge) }).await.map(drop)
    }

    /// RECONCILE: the state of these tasks, or of all if there are none.
    pub async fn reconcile(&self, tasks: Vec<(TaskId, Option<AgentId>)>) -> Result<()> {
        let task = |(task_id, agent_id)| call::reconcile::Task { task_id, agent_id };
        let reconcile = Some(call::Reconcile { tasks: tasks.into_iter().map(task).collect() });
        self.call(Call { reconcile, ..of(call::Type::Reconcile) }).await.map(drop)
    }

    /// REVIVE: offers again for these roles, or for all if none is named.
    pub async fn revive(&self, roles: &[String]) -> Result<()> {
        self.call(revive(roles)).await.map(drop)
    }

    /// SUPPRESS: no offers for these roles, or for all if none is named. Survives re-subscription.
    pub async fn suppress(&self, roles: &[String]) -> Result<()> {
        self.call(suppress(roles)).await.map(drop)
    }

    /// MESSAGE to an executor; best effort.
    pub async fn message(
        &self,
        agent_id: AgentId,
        executor_id: ExecutorId,
        data: Vec<u8>,
    ) -> Result<()> {
        let message = Some(call::Message { agent_id, executor_id, data });
        self.call(Call { message, ..of(call::Type::Message) }).await.map(drop)
    }

    /// SHUTDOWN of an executor.
    pub async fn shutdown(&self, executor_id: ExecutorId, agent_id: AgentId) -> Result<()> {
        let shutdown = Some(call::Shutdown { executor_id, agent_id });
        self.call(Call { shutdown, ..of(call::Type::Shutdown) }).await.map(drop)
    }

    /// TEARDOWN: ends the framework with all its tasks; its id can never come back.
    pub async fn teardown(&self) -> Result<()> {
        self.call(of(call::Type::Teardown)).await.map(drop)
    }

    /// UPDATE_FRAMEWORK: changes what was said when subscribing; kept for the next subscription.
    pub async fn update_framework(
        &self,
        framework_info: FrameworkInfo,
        suppressed_roles: Vec<String>,
        offer_constraints: Option<OfferConstraints>,
    ) -> Result<()> {
        let mut info = framework_info;
        info.id = self.framework_id();
        self.call(update_framework(info, suppressed_roles, offer_constraints)).await.map(drop)
    }
}
