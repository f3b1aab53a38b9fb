//! Every scheduler call but SUBSCRIBE: who may call, in the original's order and words, and where
//! it goes.

use super::io::{Answer, RequestId, SessionId};
use super::{MasterCore, Out, answer, refuse};
use crate::base::ids::FrameworkId;
use crate::machine::Cx;
use crate::mesos::v1::allocator::inverse_offer_status::Status;
use crate::mesos::v1::scheduler::{Call, call};

impl MasterCore {
    /// Answers a call and does what it asks.
    pub(super) fn call(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        session: Option<SessionId>,
        call: Call,
        principal: Option<String>,
        out: &mut Out,
    ) {
        let Some(kind) = call.r#type.and_then(|t| call::Type::try_from(t).ok()) else {
            let text = "Failed to validate scheduler::Call: Expecting 'type' to be present";
            return refuse(request, 400, text, out);
        };
        if let Err(text) = check_shape(kind, &call) {
            let text = format!("Failed to validate scheduler::Call: {text}");
            return refuse(request, 400, text, out);
        }
        let id = call.framework_id.as_ref().map_or("", |id| id.value.as_str());
        if let Err((status, text)) = self.check_caller(id, session.as_ref(), principal.as_deref()) {
            return refuse(request, status, text, out);
        }
        let id = FrameworkId::from(id);
        match kind {
            call::Type::Unknown => return refuse(request, 501, "501 Not Implemented.", out),
            call::Type::Subscribe => {
                let text = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
                return refuse(request, 400, text, out);
            }
            call::Type::UpdateFramework => {
                return self.update_framework(cx, request, &id, call, out);
            }
            _ => {}
        }
        // Answered after what it writes: a TEARDOWN that was accepted is in the registry.
        self.dispatch(cx, &id, kind, call, out);
        answer(request, Answer::Accepted, out);
    }

    /// Whether this framework may call now, over this session, as this principal.
    fn check_caller(
        &self,
        id: &str,
        session: Option<&SessionId>,
        principal: Option<&str>,
    ) -> Result<(), (u16, String)> {
        let Some(framework) = self.frameworks.get(id) else {
            return Err((400, "Framework cannot be found".into()));
        };
        if let Some(principal) = principal
            && framework.info.principal() != principal
        {
            let text = format!(
                "Authenticated principal '{principal}' does not match principal '{}' set in \
                 `FrameworkInfo`",
                framework.info.principal()
            );
            return Err((400, text));
        }
        let Some(current) = &framework.session else {
            return Err((403, "Framework is not subscribed".into()));
        };
        match session {
            None => Err((
                400,
                "All non-subscribe calls should include the 'Mesos-Stream-Id' header".into(),
            )),
            Some(session) if session != current => Err((
                400,
                format!(
                    "The stream ID '{session}' included in this request didn't match the stream \
                     ID currently associated with framework ID {id}"
                ),
            )),
            Some(_) => Ok(()),
        }
    }

    /// Does what an accepted call asks. The sub-messages were checked to be there.
    fn dispatch(
        &mut self,
        cx: &mut Cx<'_>,
        id: &FrameworkId,
        kind: call::Type,
        call: Call,
        out: &mut Out,
    ) {
        match kind {
            call::Type::Teardown => self.teardown_call(cx, id, out),
            call::Type::Accept => self.accept(cx, id, call.accept.unwrap_or_default(), out),
            call::Type::Decline => self.decline(cx, id, &call.decline.unwrap_or_default()),
            call::Type::Revive => self.revive(cx, id, &call.revive.unwrap_or_default().roles),
            call::Type::Suppress => self.suppress(id, &call.suppress.unwrap_or_default().roles),
            call::Type::Kill => {
                if let Some(kill) = call.kill {
                    self.kill(cx, id, kill, out);
                }
            }
            call::Type::Shutdown => {
                if let Some(shutdown) = call.shutdown {
                    self.shutdown_executor(id, shutdown, out);
                }
            }
            call::Type::Acknowledge => {
                if let Some(acknowledge) = call.acknowledge {
                    self.acknowledge(cx, id, acknowledge, out);
                }
            }
            call::Type::Reconcile => {
                self.reconcile(cx, id, &call.reconcile.unwrap_or_default().tasks, out);
            }
            call::Type::ReconcileOperations => {
                let operations = call.reconcile_operations.unwrap_or_default().operations;
                self.reconcile_operations(id, operations, out);
            }
            call::Type::Message => {
                if let Some(message) = call.message {
                    self.message_to_executor(id, message, out);
                }
            }
            // The allocator takes no wishes; the call is counted.
            call::Type::Request => self.metrics.add("messages_resource_request"),
            // No agent makes operations that are acknowledged.
            call::Type::AcknowledgeOperationStatus => {
                self.metrics.add("messages_operation_status_update_acknowledgement");
            }
            call::Type::AcceptInverseOffers => {
                let call = call.accept_inverse_offers.unwrap_or_default();
                let (offers, filters) = (&call.inverse_offer_ids, call.filters.as_ref());
                self.answer_inverse(cx, id, offers, Status::Accept, filters);
            }
            call::Type::DeclineInverseOffers => {
                let call = call.decline_inverse_offers.unwrap_or_default();
                let (offers, filters) = (&call.inverse_offer_ids, call.filters.as_ref());
                self.answer_inverse(cx, id, offers, Status::Decline, filters);
            }
            call::Type::Unknown | call::Type::Subscribe | call::Type::UpdateFramework => {}
        }
    }
}

/// Whether the call holds the sub-message its type needs.
fn check_shape(kind: call::Type, call: &Call) -> Result<(), String> {
    let (name, there) = match kind {
        call::Type::Unknown => return Ok(()),
        call::Type::Subscribe => ("subscribe", call.subscribe.is_some()),
        call::Type::Accept => ("accept", call.accept.is_some()),
        call::Type::Decline => ("decline", call.decline.is_some()),
        call::Type::AcceptInverseOffers => {
            ("accept_inverse_offers", call.accept_inverse_offers.is_some())
        }
        call::Type::DeclineInverseOffers => {
            ("decline_inverse_offers", call.decline_inverse_offers.is_some())
        }
        call::Type::Kill => ("kill", call.kill.is_some()),
        call::Type::Shutdown => ("shutdown", call.shutdown.is_some()),
        call::Type::Acknowledge => ("acknowledge", call.acknowledge.is_some()),
        call::Type::AcknowledgeOperationStatus => {
            ("acknowledge_operation_status", call.acknowledge_operation_status.is_some())
        }
        call::Type::Reconcile => ("reconcile", call.reconcile.is_some()),
        call::Type::ReconcileOperations => {
            ("reconcile_operations", call.reconcile_operations.is_some())
        }
        call::Type::Message => ("message", call.message.is_some()),
        call::Type::Request => ("request", call.request.is_some()),
        call::Type::UpdateFramework => ("update_framework", call.update_framework.is_some()),
        call::Type::Teardown | call::Type::Revive | call::Type::Suppress => ("", true),
    };
    if call.framework_id.as_ref().is_none_or(|id| id.value.is_empty()) {
        return Err("Expecting 'framework_id' to be present".into());
    }
    if !there {
        return Err(format!("Expecting '{name}' to be present"));
    }
    if let Some(acknowledge) = &call.acknowledge
        && kind == call::Type::Acknowledge
        && acknowledge.uuid.len() != 16
    {
        return Err("Not a valid UUID".into());
    }
    if let Some(update) = &call.update_framework
        && kind == call::Type::UpdateFramework
        && update.framework_info.id != call.framework_id
    {
        return Err("'framework_id' differs from 'update_framework.framework_info.id'".into());
    }
    Ok(())
}
