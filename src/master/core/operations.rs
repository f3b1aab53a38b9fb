//! Operations on offers other than launches: RESERVE, UNRESERVE, CREATE and DESTROY change what the resources are that the
//! rest of the ACCEPT works with. The others are refused by name. One that fails is answered as in the original: with a
//! status if it has an id, else not at all.

use super::accept::Bundle;
use super::validate::operation::{self, Asked};
use super::{MasterCore, Out, events};
use crate::base::ids::{AgentId, FrameworkId};
use crate::base::resources::Resources;
use crate::base::time::Mono;
use crate::mesos::v1;
use crate::mesos::v1::scheduler::call::reconcile_operations;
use v1::offer::Operation;

/// Why an operation failed.
pub(super) struct OperationError<'a> {
    pub message: String,
    pub agent: Option<&'a AgentId>,
}

impl MasterCore {
    /// An operation that is no launch, on what is left of the offers.
    pub(super) fn apply_offered(
        &mut self,
        framework: &FrameworkId,
        bundle: &mut Bundle,
        mut operation: Operation,
        now: Mono,
        out: &mut Out,
    ) {
        allocate(&mut operation, bundle.role.as_str());
        if let Err(message) = self.try_offered(framework, bundle, &operation, now, out) {
            let agent = Some(&bundle.agent);
            self.operation_error(framework, &operation, OperationError { message, agent }, out);
        }
    }

    fn try_offered(
        &mut self,
        id: &FrameworkId,
        bundle: &mut Bundle,
        operation: &Operation,
        now: Mono,
        out: &mut Out,
    ) -> Result<(), String> {
        let kind = operation.r#type().as_str_name();
        let framework = self.frameworks.registered.get(id);
        let agent = self.agents.registered.get(&bundle.agent);
        // Taking offers proves both to be there.
        let (Some(framework), Some(agent)) = (framework, agent) else {
            return Err("Agent removed".into());
        };
        let principal = framework.info.principal.as_deref();
        let asked = Asked { framework: Some((id, framework)), principal, agent };
        let Some(checked) = operation::check(&asked, operation) else {
            return Err(format!(
                "{kind} operations are not supported by this version of the master"
            ));
        };
        if operation.id.is_some() {
            return Err(format!(
                "Operation feedback was requested for {kind}, but the agent has not the \
                 capabilities RESOURCE_PROVIDER and AGENT_OPERATION_FEEDBACK"
            ));
        }
        let conversion = checked?;
        let total = self.total_after(&bundle.agent, &conversion)?;
        let available = bundle.available.apply(&conversion)?;
        self.rescind_shared(&bundle.agent, &conversion, now, out);
        // Of a shared volume that goes, several offers may have held one.
        let gone = bundle.available.filter(|r| r.shared && conversion.consumed.count(r) > 0);
        self.give_back(id, &bundle.agent, &(&gone - &conversion.consumed), None, now);
        if self
            .allocator
            .convert(id, &bundle.agent, &conversion.consumed, &conversion.converted)
            .is_err()
        {
            self.metrics.add("allocator_mismatches");
            return Err("The resources are not the framework's".into());
        }
        bundle.available = available.filter(|r| !r.shared || gone.count(r) == 0);
        self.set_total(&bundle.agent, total, out);
        Ok(())
    }

    /// A task has taken one of each shared volume it uses; the framework goes on having one for others.
    pub(super) fn share(&mut self, id: &FrameworkId, bundle: &mut Bundle, used: &Resources) {
        let shared = used.shared();
        let missing = shared.filter(|volume| bundle.available.count(volume) == 0);
        if !missing.is_empty() {
            let again: Resources = missing.iter().cloned().collect();
            self.allocator.assign(id, &bundle.agent, &again);
            bundle.available += &again;
        }
    }

    pub(super) fn operation_error(
        &mut self,
        framework: &FrameworkId,
        operation: &Operation,
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

/// Fills in the role that resources are allocated to, which schedulers may leave out.
fn allocate(operation: &mut Operation, role: &str) {
    let Operation { reserve, unreserve, create, destroy, .. } = operation;
    let lists = [
        reserve.as_mut().map(|o| &mut o.resources),
        unreserve.as_mut().map(|o| &mut o.resources),
        create.as_mut().map(|o| &mut o.volumes),
        destroy.as_mut().map(|o| &mut o.volumes),
    ];
    for resource in lists.into_iter().flatten().flatten() {
        if resource.allocation_info.as_ref().is_none_or(|info| info.role.is_none()) {
            let role = Some(role.to_string());
            resource.allocation_info = Some(v1::resource::AllocationInfo { role });
        }
    }
}
