//! Agents that an operator takes out of service and back into it: deactivated agents get no offers;
//! of drained ones the tasks are ended, too, by the agent itself. Both are in the registry, so they
//! outlive this master and the agent's absence.

use super::agents::Deactivated;
use super::io::{Answer, RequestId};
use super::view::Drain;
use super::{MasterCore, Out, answer, refuse, registry};
use crate::base::ids::AgentId;
use crate::machine::Cx;
use crate::mesos::internal::{DrainAgent, MasterMessage};
use crate::mesos::v1;
use v1::DrainState;

/// Agents without it would never end their tasks.
const DRAINING: &str = "AGENT_DRAINING";

impl MasterCore {
    /// DRAIN_AGENT. Asked for again, the newer configuration stands.
    pub(super) fn drain_agent(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        id: &AgentId,
        config: v1::DrainConfig,
        out: &mut Out,
    ) {
        if !self.agents.is_known(id) {
            return refuse(request, 404, not_found(id), out);
        }
        if self.machines.on.contains_key(id) {
            let text = format!("Agent '{id}' is on a machine of the maintenance schedule");
            return refuse(request, 400, text, out);
        }
        let unable = self.agents.get(id.as_str()).is_some_and(|agent| {
            agent.link.is_some() && !agent.capabilities.iter().any(|c| c == DRAINING)
        });
        if unable {
            let text = format!("Agent '{id}' does not have the capability {DRAINING}");
            return refuse(request, 400, text, out);
        }
        self.begin_drain(cx, id, config, out);
        answer(request, Answer::Done, out);
    }

    /// An agent that is known is drained from now on.
    pub(super) fn begin_drain(
        &mut self,
        cx: &Cx<'_>,
        id: &AgentId,
        config: v1::DrainConfig,
        out: &mut Out,
    ) {
        self.metrics.add("messages_drain_agent");
        let before = self.agents.deactivated.get(id);
        let since = before.map_or(cx.wall, |d| d.since);
        let began = before.and_then(|d| d.drain.as_ref()).filter(|d| is_draining(d));
        let began = began.map_or(cx.wall, |d| d.since);
        let info = v1::DrainInfo { state: DrainState::Draining as i32, config };
        let drain = Some(Drain { info, since: began });
        self.deactivate(cx, id, Deactivated { since, drain }, out);
        self.tell_drain(id, out);
    }

    /// DEACTIVATE_AGENT. One that is deactivated already, or drained, stays as it is.
    pub(super) fn deactivate_agent(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        id: &AgentId,
        out: &mut Out,
    ) {
        if !self.agents.is_known(id) {
            return refuse(request, 404, not_found(id), out);
        }
        if !self.agents.deactivated.contains_key(id) {
            self.deactivate(cx, id, Deactivated { since: cx.wall, drain: None }, out);
        }
        answer(request, Answer::Done, out);
    }

    /// REACTIVATE_AGENT: it gets offers again, now or when it is back.
    pub(super) fn reactivate_agent(&mut self, request: RequestId, id: &AgentId, out: &mut Out) {
        if !self.agents.is_known(id) {
            return refuse(request, 404, not_found(id), out);
        }
        let Some(deactivated) = self.agents.deactivated.get(id) else {
            return refuse(request, 400, "Agent is not deactivated", out);
        };
        if deactivated.drain.as_ref().is_some_and(is_draining) {
            return refuse(request, 400, "Agent is still in the DRAINING state", out);
        }
        let was_drained = deactivated.drain.is_some();
        self.forget_deactivated(id, out);
        if was_drained {
            self.tell_drain(id, out);
        }
        if self.agents.change(id).is_some_and(|agent| agent.link.is_some()) {
            self.allocator.activate_agent(id);
        }
        answer(request, Answer::Done, out);
    }

    /// It gets no offers from now on; those there are, are taken back.
    pub(super) fn deactivate(
        &mut self,
        cx: &Cx<'_>,
        id: &AgentId,
        how: Deactivated,
        out: &mut Out,
    ) {
        out.write(registry::deactivated(id, &how));
        self.agents.deactivated.insert(id.clone(), how);
        self.allocator.deactivate_agent(id);
        self.agents.change(id);
        self.rescind_agent(id, cx.now, out);
    }

    /// The agent is in service again, or is no more.
    pub(super) fn forget_deactivated(&mut self, id: &AgentId, out: &mut Out) {
        if self.agents.deactivated.remove(id).is_some() {
            out.write(registry::activated(id));
        }
    }

    /// The agent learns whether, and how, it is to be drained. One without a link learns it when it
    /// registers again.
    fn tell_drain(&self, id: &AgentId, out: &mut Out) {
        let drain = Some(DrainAgent { config: self.drain_config(id) });
        self.to_agent(id, MasterMessage { drain, ..self.message() }, out);
    }

    /// How an agent is to be drained, if it is; also when that is done.
    pub(super) fn drain_config(&self, id: &AgentId) -> Option<v1::DrainConfig> {
        Some(self.agents.deactivated.get(id)?.drain.as_ref()?.info.config)
    }

    /// Agents that have no task left, all ends acknowledged, are drained; they are gone if that was
    /// asked for. Of one without a link nobody knows.
    pub(super) fn finish_drains(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        let registered = &self.agents.registered;
        let is_empty = |id: &AgentId| {
            registered.get(id).is_some_and(|a| a.link.is_some() && a.tasks.is_empty())
        };
        let done: Vec<AgentId> = self
            .agents
            .deactivated
            .iter()
            .filter(|(id, d)| d.drain.as_ref().is_some_and(is_draining) && is_empty(id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in done {
            let Some(how) = self.agents.deactivated.get_mut(&id) else { continue };
            let Some(drain) = &mut how.drain else { continue };
            drain.info.state = DrainState::Drained as i32;
            let is_gone = drain.info.config.mark_gone();
            out.write(registry::deactivated(&id, how));
            self.agents.change(&id);
            if is_gone {
                self.mark_gone(cx, &id, out);
            }
        }
    }
}

pub(super) fn is_draining(drain: &Drain) -> bool {
    drain.info.state() == DrainState::Draining
}

pub(super) fn not_found(id: &AgentId) -> String {
    format!("Agent '{id}' not found")
}
