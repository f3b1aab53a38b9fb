//! Links between agents and masters: ordered, delayed, and when they break, what is on its way is lost; each end
//! learns of it in its own time.

use super::Mutation;
use super::queue::What;
use super::world::World;
use crate::agent::core::io as agent;
use crate::base::time::Mono;
use crate::master::core::io as master;
use crate::mesos::internal::{AgentMessage, MasterMessage};
use std::time::Duration;

pub(super) struct Link {
    pub node: usize,
    pub agent: u64,
    pub master: u64,
    /// Nothing gets through any more.
    pub cut: bool,
    at_agent: bool,
    at_master: bool,
    to_agent: Mono,
    to_master: Mono,
}

impl World {
    /// An agent without a link looks for the leader. Whom it is told of may have lost the lead.
    pub(super) fn connect(&mut self, node: usize, proc: u64) {
        let free = self.nodes.get(node).is_some_and(|n| n.is(proc) && n.link.is_none());
        if !free {
            return;
        }
        let barred = self.profile.mutation == Some(Mutation::NeverHeal) && self.calm && node == 0;
        let master = if barred { None } else { self.find_master(Some(node)) };
        let Some(master) = master else {
            let pause = self.between(200, 3000);
            return self.after(pause, What::Connect { node, proc });
        };
        let id = self.fresh();
        let now = self.now;
        let link = Link {
            node,
            agent: proc,
            master,
            cut: false,
            at_agent: true,
            at_master: true,
            to_agent: now,
            to_master: now,
        };
        self.links.insert(id, link);
        if let Some(node) = self.nodes.get_mut(node) {
            node.link = Some(id);
        }
        self.tell_agent(node, None, agent::Input::MasterConnected { link: agent::LinkId(id) });
    }

    pub(super) fn send_to_master(&mut self, id: u64, message: AgentMessage) {
        let delay = self.delay();
        let twice = self.chance(self.profile.duplicates);
        let Some(link) = self.links.get_mut(&id).filter(|l| !l.cut) else { return };
        let at = (self.now + delay).max(link.to_master);
        link.to_master = at;
        if twice {
            let message = Box::new(message.clone());
            self.queue.push(at, What::ToMaster { link: id, message });
        }
        self.queue.push(at, What::ToMaster { link: id, message: Box::new(message) });
    }

    pub(super) fn send_to_agent(&mut self, id: u64, mut message: MasterMessage) {
        let delay = self.delay();
        let twice = self.chance(self.profile.duplicates);
        let epoch = message.epoch;
        if self.profile.mutation == Some(Mutation::OldEpoch) {
            message.epoch = self.log.epoch;
        }
        let Some(link) = self.links.get_mut(&id).filter(|l| !l.cut) else { return };
        let at = (self.now + delay).max(link.to_agent);
        link.to_agent = at;
        if twice {
            let message = Box::new(message.clone());
            self.queue.push(at, What::ToAgent { link: id, epoch, message });
        }
        self.queue.push(at, What::ToAgent { link: id, epoch, message: Box::new(message) });
    }

    pub(super) fn reaches_master(&mut self, id: u64, message: Box<AgentMessage>) {
        let Some(link) = self.links.get(&id).filter(|l| !l.cut && l.at_master) else { return };
        // Nodes are numbered from 1 on: there is none with the id 0.
        let node = master::NodeId(link.node as u64 + 1);
        let input = master::Input::FromAgent { link: master::LinkId(id), node, message };
        self.tell_master(link.master, input);
    }

    pub(super) fn reaches_agent(&mut self, id: u64, epoch: u64, message: Box<MasterMessage>) {
        let Some(link) = self.links.get(&id).filter(|l| !l.cut && l.at_agent) else { return };
        let input = agent::Input::FromMaster { link: agent::LinkId(id), message };
        self.tell_agent(link.node, Some(epoch), input);
    }

    /// The link breaks; both ends learn of it later.
    pub(super) fn cut_link(&mut self, id: u64) {
        let (there, here) = (self.notice(), self.notice());
        let Some(link) = self.links.get_mut(&id).filter(|l| !l.cut) else { return };
        link.cut = true;
        self.after(there, What::LinkEndAtMaster(id));
        self.after(here, What::LinkEndAtAgent(id));
    }

    /// The master closes the link after what it sent before.
    pub(super) fn master_closes(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.at_master = false;
        let at = self.now.max(link.to_agent);
        self.queue.push(at, What::LinkEndAtAgent(id));
    }

    /// The agent gives the link up.
    pub(super) fn agent_leaves(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id).filter(|l| l.at_agent) else { return };
        link.at_agent = false;
        let (node, proc) = (link.node, link.agent);
        self.free_agent(node, proc, id);
        self.cut_link(id);
    }

    pub(super) fn link_ends_at_master(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id).filter(|l| l.at_master) else { return };
        link.at_master = false;
        let master = link.master;
        self.tell_master(master, master::Input::LinkClosed { link: master::LinkId(id) });
        self.drop_link(id);
    }

    pub(super) fn link_ends_at_agent(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id).filter(|l| l.at_agent) else { return };
        (link.at_agent, link.cut) = (false, true);
        let (node, proc) = (link.node, link.agent);
        if self.nodes.get(node).is_some_and(|n| n.is(proc)) {
            self.tell_agent(node, None, agent::Input::MasterLost { link: agent::LinkId(id) });
        }
        self.free_agent(node, proc, id);
        self.drop_link(id);
    }

    fn free_agent(&mut self, node: usize, proc: u64, id: u64) {
        let Some(n) = self.nodes.get_mut(node).filter(|n| n.link == Some(id)) else { return };
        n.link = None;
        let pause = self.between(1, 2000);
        self.after(pause, What::Connect { node, proc });
    }

    fn drop_link(&mut self, id: u64) {
        if self.links.get(&id).is_some_and(|l| !l.at_agent && !l.at_master) {
            self.links.remove(&id);
        }
    }

    /// How long an end takes to see that the other is gone.
    pub(super) fn notice(&mut self) -> Duration {
        if self.calm || self.rng.chance(2, 3) {
            return self.between(0, 50);
        }
        self.between(0, 100_000)
    }
}
