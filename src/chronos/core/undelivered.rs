//! Calls that were refused or may not have arrived: made again where that does no harm; whether a launch arrived is asked for.

use super::options::{CALL_AGAIN_AFTER, CALLS_AGAIN_MAX, RECONCILE_WAIT_MIN};
use super::{Act, ChronosCore, Out, Timer, call_of};
use crate::machine::Cx;
use crate::mesos::v1::scheduler::{Call, call};

impl ChronosCore {
    pub(super) fn undelivered(&mut self, cx: &Cx<'_>, call: Call) {
        self.count("calls_undelivered");
        // With the next subscription all of it is asked for anyway.
        if !self.offers.is_connected() {
            return;
        }
        match call.r#type() {
            call::Type::Accept => {
                let operations = call.accept.iter().flat_map(|accept| &accept.operations);
                let launches = operations.filter_map(|operation| operation.launch.as_ref());
                for info in launches.flat_map(|launch| &launch.task_infos) {
                    self.reconciling.doubt(&info.task_id.value, &info.agent_id.value);
                }
                self.timers.set(Timer::Reconcile, cx.now + RECONCILE_WAIT_MIN);
                // If the call did not arrive its offers are still out; if it did, this does nothing.
                let offer_ids = call.accept.map(|accept| accept.offer_ids).unwrap_or_default();
                let decline = Some(call::Decline { offer_ids, filters: None });
                self.later(cx, Call { decline, ..call_of(call::Type::Decline) });
            }
            call::Type::Reconcile => {
                self.timers.set(Timer::Reconcile, cx.now + RECONCILE_WAIT_MIN);
            }
            call::Type::Revive => self.offers.want_more(),
            call::Type::Suppress => self.offers.not_suppressed(),
            _ => self.later(cx, call),
        }
    }

    fn later(&mut self, cx: &Cx<'_>, call: Call) {
        // Beyond the limit the agents tell again what was not acknowledged, and a reconciliation finds the rest.
        if self.again.len() < CALLS_AGAIN_MAX {
            self.again.push(call);
        }
        self.timers.set(Timer::CallAgain, cx.now + CALL_AGAIN_AFTER);
    }

    pub(super) fn call_again(&mut self, out: &mut Out) {
        for call in std::mem::take(&mut self.again) {
            out.act(Act::Call(Box::new(call)));
        }
    }
}
