//! ACCEPT and DECLINE: which offers, then operation by operation, then what is left goes back with
//! the filter.

use super::events::{self, Verdict};
use super::operations::OperationError;
use super::{MasterCore, Out, states};
use crate::base::ids::{AgentId, FrameworkId, OfferId, Role};
use crate::base::resources::Resources;
use crate::base::time::Mono;
use crate::machine::Cx;
use crate::mesos::v1;
use crate::mesos::v1::scheduler::call;
use std::collections::BTreeSet;
use std::time::Duration;
use v1::offer::operation::Type as Kind;
use v1::task_status::Reason;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A refusal without a length, or with one that is no length.
const REFUSE_DEFAULT: Duration = Duration::from_secs(5);
/// The longest refusal.
const REFUSE_MAX: Duration = DAY.saturating_mul(365);

/// Offers taken by one ACCEPT: of one agent, in one role.
pub(super) struct Bundle {
    pub agent: AgentId,
    pub role: Role,
    /// What has not been used up yet.
    pub available: Resources,
}

impl MasterCore {
    pub(super) fn accept(
        &mut self,
        cx: &mut Cx<'_>,
        framework: &FrameworkId,
        accept: call::Accept,
        out: &mut Out,
    ) {
        if accept.operations.iter().any(is_launch) {
            self.metrics.add("messages_launch_tasks");
        }
        let ids: Vec<OfferId> = accept.offer_ids.iter().map(OfferId::from).collect();
        if let Err(why) = self.check_offers(framework, &ids) {
            return self.accept_invalid(cx, framework, &ids, &accept.operations, &why, out);
        }
        let filter = filter(accept.filters.as_ref());
        let Some(mut bundle) = self.take_bundle(&ids) else { return };
        for operation in accept.operations {
            self.operate(cx, framework, &mut bundle, operation, out);
        }
        self.give_back(framework, &bundle.agent, &bundle.available, filter, cx.now);
    }

    pub(super) fn decline(
        &mut self,
        cx: &mut Cx<'_>,
        framework: &FrameworkId,
        decline: &call::Decline,
    ) {
        self.metrics.add("messages_decline_offers");
        let filter = filter(decline.filters.as_ref());
        for id in &decline.offer_ids {
            self.return_own_offer(framework, &id.value, filter, cx.now);
        }
    }

    fn operate(
        &mut self,
        cx: &mut Cx<'_>,
        framework: &FrameworkId,
        bundle: &mut Bundle,
        operation: v1::offer::Operation,
        out: &mut Out,
    ) {
        match operation.r#type() {
            Kind::Launch => self.launch(cx, framework, bundle, operation, out),
            Kind::LaunchGroup => self.launch_group(cx, framework, bundle, operation, out),
            _ => self.apply_offered(framework, bundle, operation, cx.now, out),
        }
    }

    /// The original's checks of a list of offers, with its texts.
    fn check_offers(&self, framework: &FrameworkId, ids: &[OfferId]) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let mut first = None;
        if ids.is_empty() {
            return Err("No offers specified".into());
        }
        for id in ids {
            if !seen.insert(id) {
                return Err(format!("Duplicate offer {id} in offer list"));
            }
            let Some(offer) = self.offers.live.get(id) else {
                return Err(format!("Offer {id} is no longer valid"));
            };
            if offer.framework != *framework {
                return Err(format!(
                    "Offer {id} has invalid framework {} while framework {framework} is expected",
                    offer.framework
                ));
            }
            let (_, first) = *first.get_or_insert((id, offer));
            if offer.role != first.role {
                return Err(format!(
                    "Aggregated offers must be allocated to the same role. Offer {id} uses role \
                     {} but another is using role {}",
                    offer.role, first.role
                ));
            }
            if offer.agent != first.agent {
                return Err(format!(
                    "Aggregated offers must belong to one single agent. Offer {id} uses agent {} \
                     and agent {}",
                    offer.agent, first.agent
                ));
            }
        }
        Ok(())
    }

    fn take_bundle(&mut self, ids: &[OfferId]) -> Option<Bundle> {
        let mut bundle: Option<Bundle> = None;
        for id in ids {
            let offer = self.take_offer(id.as_str())?;
            match &mut bundle {
                Some(bundle) => bundle.available += &offer.resources,
                None => {
                    let (agent, role) = (offer.agent, offer.role);
                    bundle = Some(Bundle { agent, role, available: offer.resources });
                }
            }
        }
        bundle
    }

    /// The whole call fails: its own offers go back, its tasks are dropped, its operations are
    /// errors.
    fn accept_invalid(
        &mut self,
        cx: &mut Cx<'_>,
        framework: &FrameworkId,
        ids: &[OfferId],
        operations: &[v1::offer::Operation],
        why: &str,
        out: &mut Out,
    ) {
        for id in ids {
            self.return_own_offer(framework, id.as_str(), None, cx.now);
        }
        let message = format!("Task launched with invalid offers: {why}");
        let aware = self.frameworks.registered.get(framework).is_some_and(|f| f.partition_aware());
        let verdict = Verdict {
            state: states::told(v1::TaskState::TaskDropped, aware),
            reason: Reason::InvalidOffers,
            message: &message,
        };
        for operation in operations {
            if is_launch(operation) {
                self.verdict_on_tasks(cx, framework, &tasks_of(operation), &verdict, out);
            } else {
                let message = format!("Operation attempted with invalid offers: {why}");
                self.operation_error(
                    framework,
                    operation,
                    OperationError { message, agent: None },
                    out,
                );
            }
        }
    }

    fn return_own_offer(
        &mut self,
        framework: &FrameworkId,
        id: &str,
        filter: Option<Duration>,
        now: Mono,
    ) {
        if self.offers.live.get(id).is_some_and(|offer| offer.framework == *framework) {
            self.return_offer(id, filter, now);
        }
    }

    /// Tells the framework the master's word on tasks that never came to be.
    pub(super) fn verdict_on_tasks(
        &mut self,
        cx: &mut Cx<'_>,
        framework: &FrameworkId,
        tasks: &[v1::TaskInfo],
        verdict: &Verdict<'_>,
        out: &mut Out,
    ) {
        for task in tasks {
            self.metrics.task(verdict.state, v1::task_status::Source::Master, Some(verdict.reason));
            let agent = Some(task.agent_id.clone());
            let status = verdict.status(task.task_id.clone(), agent, cx.wall);
            self.send(framework, events::update(status), out);
        }
    }
}

fn is_launch(operation: &v1::offer::Operation) -> bool {
    matches!(operation.r#type(), Kind::Launch | Kind::LaunchGroup)
}

fn tasks_of(operation: &v1::offer::Operation) -> Vec<v1::TaskInfo> {
    match (&operation.launch, &operation.launch_group) {
        (Some(launch), _) => launch.task_infos.clone(),
        (None, Some(group)) => group.task_group.tasks.clone(),
        (None, None) => Vec::new(),
    }
}

/// How long what comes back is kept from the framework: 5 s unless told, at most a year; 0 is not
/// at all.
pub(super) fn filter(filters: Option<&v1::Filters>) -> Option<Duration> {
    let Some(secs) = filters.and_then(|f| f.refuse_seconds) else { return Some(REFUSE_DEFAULT) };
    let refuse = if secs > REFUSE_MAX.as_secs_f64() {
        REFUSE_MAX
    } else {
        Duration::try_from_secs_f64(secs).unwrap_or(REFUSE_DEFAULT)
    };
    (!refuse.is_zero()).then_some(refuse)
}
