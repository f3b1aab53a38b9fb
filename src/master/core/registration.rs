//! Agents arriving: the messages of links, and registrations of agents that have no id yet.

use super::agents::{self, Agent};
use super::io::{Act, LinkId, NodeId};
use super::maintenance::told_ip;
use super::{AGENTS_MAX, MasterCore, Out, Timer, to_link};
use crate::base::ids::{AgentId, FrameworkId};
use crate::base::resources::Resources;
use crate::machine::Cx;
use crate::master::allocator::AgentTraits;
use crate::mesos::address::IpAddr;
use crate::mesos::internal::{
    AgentMessage, AgentRegistered, MasterMessage, ReconcileTasks, RegisterAgent, ShutdownAgent,
};
use crate::mesos::{convert, v1};

impl MasterCore {
    /// A message of an agent. On a link without an agent only a registration counts; anything else
    /// is answered with a ping that tells the agent to register.
    pub(super) fn agent_message(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        node: NodeId,
        message: AgentMessage,
        out: &mut Out,
    ) {
        if let Some(register) = message.register {
            return self.register(cx, link, node, register, out);
        }
        let Some(id) = self.agents.links.get(&link).cloned() else {
            self.metrics.add("dropped_messages");
            return self.send_ping(link, false, out);
        };
        if let Some(agent) = self.agents.registered.get_mut(&id) {
            agent.heard = cx.now;
        }
        if let Some(update) = message.status_update {
            self.status_update(cx, &id, update, out);
        } else if message.pong.is_some() {
            self.pong(&id);
        } else if let Some(message) = message.executor_message {
            self.message_to_framework(&id, message, out);
        } else if let Some(exited) = message.exited_executor {
            self.exited_executor(cx, &id, &exited, out);
        } else if message.unregister.is_some() {
            self.metrics.add("messages_unregister_slave");
            let counter = "slave_removals/reason_unregistered";
            self.remove_agent(cx, &id, "the agent unregistered", Some(counter), out);
        } else {
            self.metrics.add("dropped_messages");
        }
    }

    fn register(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        node: NodeId,
        register: RegisterAgent,
        out: &mut Out,
    ) {
        if let Err(why) = self.check_node(node, &register.agent_info) {
            return self.refuse_link(cx, link, node, why, out);
        }
        let total = match check(&register) {
            Ok(total) => total,
            Err(why) => return self.turn_away(link, format!("Agent refused: {why}"), out),
        };
        if self.keep_out(cx, link, node, &register, out) {
            return;
        }
        let id = register.agent_info.id.as_ref().map_or("", |id| id.value.as_str());
        if id.is_empty()
            && let Some(known) = self.agents.links.get(&link).cloned()
            && self.is_same(&known, &register.agent_info)
        {
            // It asks again because the answer is still on its way: a new process has a new link.
            return self.confirm(&known, link, Vec::new(), out);
        }
        if self.agents.links.get(&link).is_some_and(|bound| bound.as_str() != id) {
            // Another agent than before speaks on this link: the one before has lost it.
            self.link_closed(cx, link, out);
        }
        if id.is_empty() {
            self.metrics.add("messages_register_slave");
            return self.register_new(cx, link, node, register, total, out);
        }
        self.metrics.add("messages_reregister_slave");
        self.reregister(cx, link, node, register, total, out);
    }

    /// An agent without an id. One at the address of another has lost its state or restarted
    /// without it: the older is removed; unless nothing ever ran there and nothing changed, then it
    /// is the same that asks again.
    fn register_new(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        node: NodeId,
        register: RegisterAgent,
        total: Resources,
        out: &mut Out,
    ) {
        let address = agents::address(&register.agent_info, Some(node));
        if let Some(older) = self.agents.by_address.get(&address).cloned() {
            let is_its_own = self.node_of(&older).is_none_or(|owner| owner == node);
            if is_its_own && self.is_retry(&older, &register.agent_info) {
                self.own(cx, &older, node, out);
                self.bind(cx, &older, link, &register, out);
                return self.confirm(&older, link, Vec::new(), out);
            }
            let why = "a new agent registered at the same address";
            let counter = Some("slave_removals/reason_registered");
            self.remove_agent(cx, &older, why, counter, out);
        }
        if self.agents.registered.len() >= AGENTS_MAX {
            self.metrics.add("slaves_over_limit");
            return out.act(Act::CloseLink { link });
        }
        let id = self.mint.agent();
        let mut info = register.agent_info.clone();
        info.id = Some((&id).into());
        self.metrics.add("slave_registrations");
        self.agents.nodes.insert(id.clone(), node);
        self.admit(cx, &id, &info, out);
        let agent = Agent::new(info, total, cx.wall);
        self.enlist(&id, agent, &[]);
        self.bind(cx, &id, link, &register, out);
        self.tell_agent_added(self.streams.place(), &id);
        self.confirm(&id, link, Vec::new(), out);
    }

    fn is_retry(&self, older: &AgentId, info: &v1::AgentInfo) -> bool {
        let idle = |agent: &Agent| agent.tasks.is_empty() && agent.executors.is_empty();
        self.agents.registered.get(older).is_some_and(idle) && self.is_same(older, info)
    }

    /// Whether the agent is as it was when it registered, but for its id.
    fn is_same(&self, known: &AgentId, info: &v1::AgentInfo) -> bool {
        self.agents.registered.get(known).is_some_and(|agent| {
            let was = v1::AgentInfo { id: None, ..(*agent.info).clone() };
            was == v1::AgentInfo { id: None, ..info.clone() }
        })
    }

    /// Takes an agent into the table and tells the allocator of it, not yet to be offered.
    pub(super) fn enlist(&mut self, id: &AgentId, agent: Agent, used: &[(FrameworkId, Resources)]) {
        let traits = AgentTraits { active: false, remote_region: self.is_remote(&agent.info) };
        self.allocator.add_agent(id.clone(), traits, agent.total.clone(), used);
        let address = agents::address(&agent.info, self.node_of(id));
        self.agents.by_address.insert(address, id.clone());
        self.agents.registered.insert(id.clone(), agent);
        self.agents.mark(id);
    }

    fn is_remote(&self, info: &v1::AgentInfo) -> bool {
        let region = |d: &Option<v1::DomainInfo>| {
            d.as_ref().and_then(|d| d.fault_domain.as_ref()).map(|f| f.region.name.clone())
        };
        let here = region(&self.identity.domain);
        region(&info.domain).is_some_and(|there| here.is_some_and(|here| here != there))
    }

    /// The agent is on this link from now on, and pinged. The link before, if any, ends.
    pub(super) fn bind(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AgentId,
        link: LinkId,
        register: &RegisterAgent,
        out: &mut Out,
    ) {
        let Some(agent) = self.agents.change(id) else { return };
        let before = agent.link.replace(link).filter(|before| *before != link);
        agent.version.clone_from(&register.version);
        agent.capabilities.clone_from(&register.capabilities);
        agent.ip = told_ip(register);
        agent.heard = cx.now;
        agent.awaits_pong = false;
        agent.missed_pings = 0;
        if let Some(before) = before {
            self.agents.links.remove(&before);
            out.act(Act::CloseLink { link: before });
        }
        self.agents.links.insert(link, id.clone());
        self.timers.cancel(&Timer::Reregister(id.clone()));
        self.keep(id);
        // The first ping comes at a random point of the interval: agents that arrive together are
        // not pinged together.
        let first = cx.rng.up_to(self.options.agent_ping_timeout);
        self.timers.set(Timer::Ping(id.clone()), cx.now + first);
        if !self.agents.deactivated.contains_key(id) {
            self.allocator.activate_agent(id);
        }
        self.place_agent(cx.now, id, out);
    }

    /// Tells the agent that it is registered, after the registry knows.
    pub(super) fn confirm(
        &self,
        id: &AgentId,
        link: LinkId,
        reconcile: Vec<ReconcileTasks>,
        out: &mut Out,
    ) {
        let registered = AgentRegistered {
            agent_id: id.into(),
            ping_timeout_secs: Some(self.options.total_ping_timeout().as_secs_f64()),
            reconcile,
            drain: self.drain_config(id),
        };
        to_link(link, MasterMessage { registered: Some(registered), ..self.message() }, out);
    }

    /// The agent is not wanted: it is told to end, and its link is closed.
    pub(super) fn turn_away(&mut self, link: LinkId, message: String, out: &mut Out) {
        self.metrics.add("slaves_refused");
        let shutdown = ShutdownAgent { message };
        to_link(link, MasterMessage { shutdown: Some(shutdown), ..self.message() }, out);
        out.act(Act::CloseLink { link });
    }
}

/// What an agent must tell of itself; its resources.
fn check(register: &RegisterAgent) -> Result<Resources, String> {
    let info = &register.agent_info;
    if info.hostname.is_empty() {
        return Err("it has no hostname".into());
    }
    if let Some(id) = info.id.as_ref().filter(|id| !id.value.is_empty()) {
        crate::base::ids::check(&id.value)?;
    }
    if let Some(ip) = &register.ip {
        ip.parse::<IpAddr>().map_err(|_| format!("its ip '{ip}' is no address"))?;
    }
    convert::attributes_from_v1(&info.attributes)?;
    let line = convert::resources_from_v1(&info.resources)?;
    line.with_checkpointed(&convert::resources_from_v1(&register.checkpointed_resources)?)
}
