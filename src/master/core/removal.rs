//! An agent leaves the table of registered ones: unreachable, unregistered, or replaced.

use super::accounting::Shelf;
use super::agents::{self, Agent};
use super::events::{self, Verdict};
use super::io::Act;
use super::{MasterCore, Out, Timer, registry};
use crate::base::ids::{AgentId, FrameworkId};
use crate::base::resources::Resources;
use crate::base::time::Mono;
use crate::machine::Cx;
use crate::mesos::v1;
use std::time::Duration;
use v1::task_status::Reason;

impl MasterCore {
    /// The agent is a member no more: its id is struck from the registry, and its tasks are lost.
    pub(super) fn remove_agent(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AgentId,
        why: &str,
        counter: Option<&'static str>,
        out: &mut Out,
    ) {
        let Some(agent) = self.agents.registered.get(id) else { return };
        let message = format!("Agent {} removed: {why}", agent.info.hostname);
        self.metrics.add("slave_removals");
        if let Some(counter) = counter {
            self.metrics.add(counter);
        }
        out.write(registry::dismiss(id));
        self.forget_deactivated(id, out);
        let verdict = Verdict {
            state: v1::TaskState::TaskLost,
            reason: Reason::AgentRemoved,
            message: &message,
        };
        self.take_agent_out(cx, id, &verdict, Shelf::Completed, out);
        self.agents.nodes.remove(id);
    }

    /// Takes an agent, its tasks, executors and offers out of all tables, tells the frameworks,
    /// ends the link.
    pub(super) fn take_agent_out(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AgentId,
        verdict: &Verdict<'_>,
        shelf: Shelf,
        out: &mut Out,
    ) {
        let Some(agent) = self.agents.registered.remove(id) else { return };
        self.agents.mark(id);
        // First of all, so that nothing of what is freed below is offered again.
        self.allocator.remove_agent(id);
        self.unbind(id, &agent, out);
        self.machines.on.remove(id);
        self.withdraw_inverse(id, out);
        for (framework, task) in &agent.tasks {
            self.end_task(cx, framework, task, verdict, shelf, out);
        }
        for (framework, executor) in &agent.executors {
            self.drop_executor(framework, id, executor, cx.now);
        }
        for offer in &agent.offers {
            if let Some(taken) = self.take_offer(offer.as_str()) {
                self.send(&taken.framework, events::rescind(offer), out);
            }
        }
        self.streams.agent_removed(id);
        self.tell_agent_lost(id, out);
    }

    /// Forgets where the agent is and what it is waited for.
    fn unbind(&mut self, id: &AgentId, agent: &Agent, out: &mut Out) {
        if let Some(link) = agent.link {
            self.agents.links.remove(&link);
            out.act(Act::CloseLink { link });
        }
        let address = agents::address(&agent.info, self.node_of(id));
        if self.agents.by_address.get(&address) == Some(id) {
            self.agents.by_address.remove(&address);
        }
        self.timers.cancel(&Timer::Ping(id.clone()));
        self.timers.cancel(&Timer::Reregister(id.clone()));
        self.timers.cancel(&Timer::Remove(id.clone()));
    }

    /// Gives resources back to the allocator. Those of an agent that is not registered are nobody's
    /// any more.
    pub(super) fn give_back(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        resources: &Resources,
        filter: Option<Duration>,
        now: Mono,
    ) {
        if !resources.is_empty() && self.agents.registered.contains_key(agent) {
            // A disagreement is a defect of ours: counted, for the allocator took back what there
            // was.
            if self.allocator.recover(framework, agent, resources, filter, now).is_err() {
                self.metrics.add("allocator_mismatches");
            }
        }
    }
}
