//! Pings, and agents that cannot be reached: too many unanswered pings, or no link for too long.

use super::accounting::Shelf;
use super::events::{self, Verdict};
use super::io::{Act, LinkId};
use super::{MasterCore, Out, Timer, registry};
use crate::base::ids::AgentId;
use crate::base::time::Mono;
use crate::machine::Cx;
use crate::mesos::internal::{MasterMessage, Ping};
use crate::mesos::v1;
use v1::task_status::Reason;

impl MasterCore {
    /// Time to ping: the last one unanswered counts as missed.
    pub(super) fn ping(&mut self, cx: &mut Cx<'_>, id: &AgentId, out: &mut Out) {
        // Pings are no change that anybody sees.
        let Some(agent) = self.agents.registered.get_mut(id) else { return };
        let Some(link) = agent.link else { return };
        if agent.awaits_pong {
            agent.missed_pings += 1;
            self.metrics.add("slave_pings_missed");
        }
        agent.awaits_pong = true;
        if agent.missed_pings >= self.options.max_agent_ping_timeouts {
            self.give_up(cx, id, out);
        }
        // While it waits for its turn it may answer yet.
        if !self.agents.registered.contains_key(id) {
            return;
        }
        self.send_ping(link, true, out);
        self.timers.set(Timer::Ping(id.clone()), cx.now + self.options.agent_ping_timeout);
    }

    /// Waits for nothing: an agent that hears no ping would leave.
    pub(super) fn send_ping(&self, link: LinkId, connected: bool, out: &mut Out) {
        let message = MasterMessage { ping: Some(Ping { connected }), ..self.message() };
        out.act_now(Act::ToAgent { link, message: Box::new(message) });
    }

    pub(super) fn pong(&mut self, id: &AgentId) {
        if let Some(agent) = self.agents.registered.get_mut(id) {
            agent.awaits_pong = false;
            agent.missed_pings = 0;
            self.keep(id);
        }
    }

    pub(super) fn reregister_timed_out(&mut self, cx: &mut Cx<'_>, id: &AgentId, out: &mut Out) {
        if self.agents.registered.get(id).is_some_and(|agent| agent.link.is_none()) {
            self.give_up(cx, id, out);
        }
    }

    /// The registry first; then tasks, the framework's offers, and a FAILURE event for every
    /// framework.
    pub(super) fn mark_unreachable(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AgentId,
        why: &str,
        out: &mut Out,
    ) {
        self.metrics.add("slave_unreachable_completed");
        self.metrics.add("slave_removals");
        self.metrics.add("slave_removals/reason_unhealthy");
        let hostname = self.agents.hostname(id);
        self.store_unreachable(cx, id, &hostname, out);
        self.put_aside(cx, id);
        let message = format!("Agent {hostname} is unreachable: {why}");
        let verdict = Verdict {
            state: v1::TaskState::TaskUnreachable,
            reason: Reason::AgentRemoved,
            message: &message,
        };
        self.take_agent_out(cx, id, &verdict, Shelf::Unreachable, out);
    }

    fn store_unreachable(&mut self, cx: &Cx<'_>, id: &AgentId, hostname: &str, out: &mut Out) {
        out.write(registry::dismiss(id));
        let record = registry::unreachable(id, self.node_of(id), cx.wall, hostname);
        out.write(record);
        self.agents.unreachable.add(id.clone(), cx.wall, hostname.to_string());
        self.agents.mark(id);
    }

    /// Agents that the registry knows have had their time to come back to the new master. Of their
    /// tasks nothing is known here; frameworks learn of them when they reconcile.
    pub(super) fn recovered_timed_out(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        if let Some(at) = self.still_coming(cx.now) {
            return self.timers.set(Timer::Recovered, at);
        }
        let late: Vec<AgentId> = self.agents.recovered.keys().cloned().collect();
        for id in late {
            self.give_up(cx, &id, out);
        }
    }

    /// With a short time for silence: as long as awaited agents come one after the other, they are
    /// on their way. Each comes once, so that ends.
    fn still_coming(&self, now: Mono) -> Option<Mono> {
        let pause = self.options.agent_loss_timeout? / 2;
        self.agents.last_return.map(|last| last + pause).filter(|at| *at > now)
    }

    /// One of them did not come.
    pub(super) fn recovered_is_lost(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AgentId,
        info: &v1::AgentInfo,
        out: &mut Out,
    ) {
        self.metrics.add("recovery_slave_removals");
        self.metrics.add("slave_unreachable_completed");
        self.store_unreachable(cx, id, &info.hostname, out);
        self.streams.agent_removed(id);
        self.tell_agent_lost(id, out);
    }

    /// Every framework with a session learns that an agent is lost.
    pub(super) fn tell_agent_lost(&self, id: &AgentId, out: &mut Out) {
        for framework in self.frameworks.sessions.values() {
            self.send(framework, events::failure(id, None, None), out);
        }
    }

    /// Forgets agents that left too long ago; their tasks reconcile as unknown from then on.
    pub(super) fn registry_gc(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        let before = crate::base::time::Wall(
            cx.wall.0.saturating_sub(nanos(self.options.registry_max_agent_age)),
        );
        let max = self.options.registry_max_agent_count;
        while let Some(id) = self.agents.unreachable.trim(max, before) {
            out.write(registry::reachable(&id));
            self.forget_deactivated(&id, out);
        }
        while let Some(id) = self.agents.gone.trim(max, before) {
            out.write(registry::forget_gone(&id));
        }
        self.forget_nodes();
        self.timers.set(Timer::RegistryGc, cx.now + self.options.registry_gc_interval);
    }
}

fn nanos(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}
