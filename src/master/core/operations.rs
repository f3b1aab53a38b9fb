//! Operations on offers other than launches. This version knows none: each is refused by name, and answered as the
//! original answers one that fails: with a status if it has an id, else not at all.

use super::{MasterCore, Out, events};
use crate::base::ids::{AgentId, FrameworkId};
use crate::mesos::v1;
use crate::mesos::v1::scheduler::call::reconcile_operations;
use v1::offer::operation::Type as Kind;

/// Why an operation failed.
pub(super) struct OperationError<'a> {
    pub message: String,
    pub agent: Option<&'a AgentId>,
}

impl MasterCore {
    pub(super) fn operation_unsupported(
        &mut self,
        framework: &FrameworkId,
        operation: &v1::offer::Operation,
        kind: Kind,
        agent: &AgentId,
        out: &mut Out,
    ) {
        let name = kind.as_str_name();
        let message = format!("{name} operations are not supported by this version of the master");
        let agent = Some(agent);
        self.operation_error(framework, operation, OperationError { message, agent }, out);
    }

    pub(super) fn operation_error(
        &mut self,
        framework: &FrameworkId,
        operation: &v1::offer::Operation,
        error: OperationError<'_>,
        out: &mut Out,
    ) {
        self.metrics.add("operations/error");
        let Some(id) = &operation.id else { return };
        let status = v1::OperationStatus {
            operation_id: Some(id.clone()),
            state: v1::OperationState::OperationError as i32,
            message: Some(error.message),
            agent_id: error.agent.map(Into::into),
            ..v1::OperationStatus::default()
        };
        self.send(framework, events::operation(status), out);
    }

    /// No operation is known, so what is known of its agent decides the answer.
    pub(super) fn reconcile_operations(
        &mut self,
        framework: &FrameworkId,
        operations: Vec<reconcile_operations::Operation>,
        out: &mut Out,
    ) {
        use v1::OperationState as S;
        self.metrics.add("messages_reconcile_operations");
        for operation in operations {
            let agent = operation.agent_id.as_ref().map(|id| id.value.as_str());
            let state = match agent {
                Some(id) if self.agents.recovered.contains_key(id) => S::OperationRecovering,
                Some(id) if self.agents.unreachable.get(id).is_some() => S::OperationUnreachable,
                Some(id) if self.agents.gone.get(id).is_some() => S::OperationGoneByOperator,
                _ => S::OperationUnknown,
            };
            let status = v1::OperationStatus {
                operation_id: Some(operation.operation_id),
                state: state as i32,
                agent_id: operation.agent_id,
                resource_provider_id: operation.resource_provider_id,
                ..v1::OperationStatus::default()
            };
            self.send(framework, events::operation(status), out);
        }
    }
}
