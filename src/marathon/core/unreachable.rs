//! Instances whose agent cannot be reached: waited for, then replaced, then forgotten, each as its app says.

use super::ids::InstanceId;
use super::records::Goal;
use super::view::Condition;
use super::{MarathonCore, Out, Timer};
use crate::base::time::Wall;
use crate::machine::Cx;
use crate::marathon::model::{Timestamp, UnreachableStrategy};
use crate::mesos::v1;
use std::time::Duration;

impl MarathonCore {
    /// The master says that the agent of the instance cannot be reached.
    pub(super) fn became_unreachable(
        &mut self,
        cx: &mut Cx<'_>,
        id: &InstanceId,
        status: &v1::TaskStatus,
        out: &mut Out,
    ) {
        self.timers.cancel(&Timer::Overdue(id.clone()));
        let Some(instance) = self.instances.get(id) else { return };
        if instance.condition == Condition::UnreachableInactive {
            return;
        }
        if instance.goal == Goal::Decommissioned || instance.kill {
            return self.expunge(cx, id, out);
        }
        if self.turn(cx, id, Condition::Unreachable, out) {
            let told = status.unreachable_time.as_ref().map(|t| t.nanoseconds);
            let told = told.and_then(|nanos| u64::try_from(nanos).ok()).map(Wall);
            if let (Some(since), Some(instance)) = (told, self.instances.get_mut(id)) {
                instance.since = Timestamp::from(since);
            }
            if let Some(instance) = self.instances.get(id) {
                out.write(instance.row());
            }
        }
        self.unreachable_timed_out(cx, id, out);
    }

    /// Does what is due for an unreachable instance, and waits for what is due next.
    pub(super) fn unreachable_timed_out(
        &mut self,
        cx: &mut Cx<'_>,
        id: &InstanceId,
        out: &mut Out,
    ) {
        let Some((inactive, expunge)) = self.unreachable_waits(cx, id) else { return };
        if expunge.is_zero() {
            return self.expunge(cx, id, out);
        }
        if inactive.is_zero() {
            let lost = self.instances.get(id).map(|i| i.since);
            if self.turn(cx, id, Condition::UnreachableInactive, out)
                && let (Some(instance), Some(lost)) = (self.instances.get_mut(id), lost)
            {
                // Counted from when it was lost, not from when it was given up.
                instance.since = lost;
                out.write(instance.row());
            }
            self.timers.set(Timer::Unreachable(id.clone()), cx.now + expunge);
        } else {
            self.timers.set(Timer::Unreachable(id.clone()), cx.now + inactive);
        }
    }

    /// Waits for what is due next, after a restart.
    pub(super) fn wait_for_unreachable(&mut self, cx: &Cx<'_>, id: &InstanceId) {
        let Some((inactive, expunge)) = self.unreachable_waits(cx, id) else { return };
        let next = if inactive.is_zero() { expunge } else { inactive };
        self.timers.set(Timer::Unreachable(id.clone()), cx.now + next);
    }

    /// How long it is until an instance is replaced, and until it is forgotten; none if it is waited for.
    fn unreachable_waits(&self, cx: &Cx<'_>, id: &InstanceId) -> Option<(Duration, Duration)> {
        let instance = self.instances.get(id)?;
        let unreachable =
            matches!(instance.condition, Condition::Unreachable | Condition::UnreachableInactive);
        let UnreachableStrategy::Enabled { inactive_after_seconds, expunge_after_seconds } =
            instance.spec.unreachable_strategy
        else {
            return None;
        };
        let gone_for = cx.wall - Wall::from(instance.since);
        let left = |seconds: u64| Duration::from_secs(seconds).saturating_sub(gone_for);
        unreachable.then(|| (left(inactive_after_seconds), left(expunge_after_seconds)))
    }

    /// Forgets an instance that cannot be reached: killed, should it ever come back.
    pub(super) fn expunge(&mut self, cx: &Cx<'_>, id: &InstanceId, out: &mut Out) {
        self.turn(cx, id, Condition::UnreachableInactive, out);
        self.forget(id, out);
    }
}
