//! Asking the master what it knows of our tasks: after each subscription until every task was heard of, then from time
//! to time. Tasks it has that we do not know come back as updates and are killed.

use super::view::Condition;
use super::{MarathonCore, Out, Timer};
use crate::machine::Cx;
use crate::mesos::v1::scheduler::{Call, call};
use std::time::Duration;

/// Tasks in one call.
const TASKS_MAX: usize = 1000;
/// Tasks that were not heard of are asked for after this, then after twice as long each time.
const AGAIN_FIRST: Duration = Duration::from_secs(2);
/// The longest wait for those.
const AGAIN_MAX: Duration = Duration::from_secs(60);

impl MarathonCore {
    /// Everything is asked for: by one call all that the master has, by another what it may not have.
    pub(super) fn reconcile_anew(&mut self, cx: &Cx<'_>, out: &mut Out) {
        self.instances.forget_heard();
        let all = Some(call::Reconcile { tasks: Vec::new() });
        self.call(call::Type::Reconcile, Call { reconcile: all, ..Default::default() }, out);
        self.session.asked = Some(AGAIN_FIRST);
        // A launch that never left is what everybody waits for.
        self.ask(|condition| condition == Condition::Provisioned, out);
        self.timers.set(Timer::Reconcile, cx.now + AGAIN_FIRST);
    }

    /// Time to ask again for those not heard of, or for all.
    pub(super) fn reconcile(&mut self, cx: &Cx<'_>, out: &mut Out) {
        if !self.session.subscribed {
            return;
        }
        if std::mem::take(&mut self.session.ask_all) {
            return self.reconcile_anew(cx, out);
        }
        let missing = self.ask(Condition::is_launched, out);
        match self.session.asked.take() {
            None if missing == 0 => self.reconcile_anew(cx, out),
            waited if missing > 0 => {
                let wait = waited.map_or(AGAIN_FIRST, |w| (w * 2).min(AGAIN_MAX));
                self.session.asked = Some(wait);
                self.timers.set(Timer::Reconcile, cx.now + wait);
            }
            _ => {
                let wait = self.options.reconciliation_interval;
                self.timers.set(Timer::Reconcile, cx.now + wait);
            }
        }
    }

    /// Asks for tasks in such a condition that were not heard of; how many there are.
    fn ask(&self, wanted: impl Fn(Condition) -> bool, out: &mut Out) -> usize {
        let tasks: Vec<call::reconcile::Task> = self
            .instances
            .iter()
            .filter(|i| !i.heard && i.is_launched() && wanted(i.condition))
            .map(|i| call::reconcile::Task {
                task_id: (&i.task()).into(),
                agent_id: i.placement.as_deref().map(|p| (&p.agent_id).into()),
            })
            .collect();
        for part in tasks.chunks(TASKS_MAX) {
            let reconcile = Some(call::Reconcile { tasks: part.to_vec() });
            self.call(call::Type::Reconcile, Call { reconcile, ..Default::default() }, out);
        }
        tasks.len()
    }
}
