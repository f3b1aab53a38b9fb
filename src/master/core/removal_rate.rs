//! How fast agents may be marked unreachable (`agent_unreachable_rate_limit`), so that a fault of the network does not take the
//! whole cluster's tasks at once. One that is heard of again while it waits for its turn stays.

use super::{MasterCore, Out, Timer};
use crate::base::ids::AgentId;
use crate::base::time::Mono;
use crate::machine::Cx;
use std::time::Duration;

impl MasterCore {
    /// An agent is given up: it is marked at once, or when its turn comes.
    pub(super) fn give_up(&mut self, cx: &mut Cx<'_>, id: &AgentId, out: &mut Out) {
        let timer = Timer::Remove(id.clone());
        if self.timers.at(&timer).is_some() {
            return;
        }
        self.metrics.add("slave_unreachable_scheduled");
        let interval = self.options.agent_unreachable_interval;
        let next = &mut self.agents.next_unreachable;
        match interval.and_then(|interval| turn(next, interval, cx.now)) {
            Some(at) => self.timers.set(timer, at),
            None => self.removal_due(cx, id, out),
        }
    }

    /// The agent's turn has come.
    pub(super) fn removal_due(&mut self, cx: &mut Cx<'_>, id: &AgentId, out: &mut Out) {
        match self.agents.registered.get(id).map(|agent| agent.link.is_some()) {
            Some(true) => self.mark_unreachable(cx, id, "health check timed out", out),
            Some(false) => {
                let why = "agent did not reregister in time after its connection was lost";
                self.mark_unreachable(cx, id, why, out);
            }
            None => {
                if let Some(info) = self.agents.recovered.remove(id) {
                    self.recovered_is_lost(cx, id, &info, out);
                }
            }
        }
    }

    /// The agent was heard of: it is not given up any more.
    pub(super) fn keep(&mut self, id: &AgentId) {
        let timer = Timer::Remove(id.clone());
        if self.timers.at(&timer).is_some() {
            self.timers.cancel(&timer);
            self.metrics.add("slave_unreachable_canceled");
        }
    }
}

/// Takes a turn, each so long after the one before; `None` is now.
pub(super) fn turn(next: &mut Option<Mono>, interval: Duration, now: Mono) -> Option<Mono> {
    let at = next.filter(|at| *at > now);
    *next = Some(at.unwrap_or(now) + interval);
    at
}
