//! Asking the master what it knows of our tasks: after each subscription until every task was heard of, then from time
//! to time. Tasks it has that we do not know come back as updates and are killed.

use super::instances::Instance;
use super::view::Condition;
use super::{MarathonCore, Out, Timer};
use crate::machine::Cx;
use crate::mesos::v1::{
    self,
    scheduler::{Call, call},
};
use std::time::Duration;

/// Tasks in one call.
const TASKS_MAX: usize = 1000;
/// Tasks that were not heard of are asked for after this, then after twice as long each time.
const AGAIN_FIRST: Duration = Duration::from_secs(2);
/// The longest wait for those.
const AGAIN_MAX: Duration = Duration::from_secs(60);

impl MarathonCore {
    /// Nothing is known after a subscription: by one call all is asked for that the master has, by another what it may
    /// not have; then again and again what was not heard of.
    pub(super) fn reconcile_anew(&mut self, cx: &Cx<'_>, out: &mut Out) {
        self.instances.forget_heard();
        self.ask_for_all(out);
        self.session.asked = Some(AGAIN_FIRST);
        // A launch that never left is what everybody waits for.
        self.ask(|i| i.condition == Condition::Provisioned, out);
        self.timers.set(Timer::Reconcile, cx.now + AGAIN_FIRST);
    }

    /// Time to ask again for those not heard of, or from time to time for all.
    pub(super) fn reconcile(&mut self, cx: &Cx<'_>, out: &mut Out) {
        if !self.session.subscribed {
            return;
        }
        if std::mem::take(&mut self.session.ask_all) {
            self.ask_for_all(out);
        }
        let missing = self.ask(|i| !i.heard, out);
        let waited = self.session.asked.take();
        let wait = if missing > 0 {
            let wait = waited.map_or(AGAIN_FIRST, |w| (w * 2).min(AGAIN_MAX));
            self.session.asked = Some(wait);
            wait
        } else {
            if waited.is_none() {
                self.ask_for_all(out);
                self.ask(|_| true, out);
            }
            self.options.reconciliation_interval
        };
        self.timers.set(Timer::Reconcile, cx.now + wait);
    }

    /// An agent is lost. Its tasks' updates say what that means for them, if this master knew the tasks; a new one
    /// that the agent never came to knows none of them, and is asked.
    pub(super) fn agent_lost(&mut self, agent: Option<&v1::AgentId>, out: &mut Out) {
        let Some(agent) = agent else { return };
        let is_there = |i: &Instance| {
            let told =
                matches!(i.condition, Condition::Unreachable | Condition::UnreachableInactive);
            !told && i.placement.as_deref().is_some_and(|p| p.agent_id.as_str() == agent.value)
        };
        self.ask(is_there, out);
    }

    fn ask_for_all(&self, out: &mut Out) {
        let all = Some(call::Reconcile { tasks: Vec::new() });
        self.call(call::Type::Reconcile, Call { reconcile: all, ..Default::default() }, out);
    }

    /// Asks for such tasks; how many there are.
    fn ask(&self, wanted: impl Fn(&Instance) -> bool, out: &mut Out) -> usize {
        let tasks: Vec<call::reconcile::Task> = self
            .instances
            .iter()
            .filter(|i| i.is_launched() && wanted(i))
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
