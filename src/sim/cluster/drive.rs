//! What happens in the cluster happens to the world: masters begin and end, agents start and stop with their nodes,
//! connections break with the network.

use super::trouble::Trouble;
use super::{BEAT, Cluster, Effect, Number};
use crate::agent::core::io::Input;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::sim::invariants::Seen;
use crate::sim::node::Node;
use crate::sim::queue::What;
use crate::sim::world::World;
use std::time::Duration;

/// How long an agent that has left goes on sending.
const LINGER: Duration = Duration::from_secs(5);
/// Beats between two looks at who may go.
const GO_EVERY: u64 = 20;

impl World {
    /// Lets the cluster do something, and sees to what comes of it.
    pub(in crate::sim) fn with_cluster<R>(
        &mut self,
        act: impl FnOnce(&mut Cluster, Mono, &mut Rng) -> R,
    ) -> Option<R> {
        let cluster = self.cluster.as_mut()?;
        let result = act(cluster, self.now, &mut self.rng);
        for effect in cluster.take() {
            self.effect(effect);
        }
        Some(result)
    }

    pub(in crate::sim) fn beat(&mut self) {
        self.after(BEAT, What::Beat);
        self.with_cluster(|cluster, now, rng| cluster.beat(now, rng));
        if self.cluster.as_ref().is_some_and(|c| c.beats.is_multiple_of(GO_EVERY)) {
            self.send_away();
        }
    }

    pub(in crate::sim) fn replicate(&mut self, n: Number) {
        self.with_cluster(|cluster, now, rng| cluster.replicate(n, now, rng));
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Note(line) => self.note(&line),
            Effect::Leads { node, log } => self.see(&Seen::Leads { node, log: &log }),
            Effect::Begun { node, epoch } => {
                self.note(&format!("node {node} begins epoch {epoch}"));
                self.log.epoch = epoch;
                // Whoever is subscribed at another master counts as away from now on.
                self.see(&Seen::Elected);
                let pause = self.between(1, 500);
                self.after(pause, What::Lead { epoch });
            }
            Effect::Lost { node, epoch } => self.lost(node, epoch),
            Effect::Decided { node, index, entry } => {
                self.see(&Seen::Chosen { node, index, entry });
            }
            Effect::Apply { owner, entry, ops, told } => {
                self.committed_batch(owner, entry, &ops, told);
            }
            Effect::Voters { voters, most } => self.see(&Seen::Voters { voters, most }),
            Effect::Stepped { node, before, after, sure } => {
                self.see(&Seen::Stepped { node, before: &before, after: &after, sure: &sure });
            }
            Effect::Joined(n) => self.after(Duration::ZERO, What::AgentUp(n)),
            Effect::Replicate(n) => {
                let pause = self.rng.up_to(Duration::from_millis(10));
                self.after(pause, What::Replicate(n));
            }
        }
    }

    /// A node leads no more; its master hears of that some time.
    fn lost(&mut self, node: Number, _epoch: u64) {
        let of = self.masters.iter().filter(|(_, m)| m.host == Some(node));
        for proc in of.map(|(proc, _)| *proc).collect::<Vec<_>>() {
            let notice = self.between(1, if self.calm { 100 } else { 3000 });
            self.after(notice, What::Depose(proc));
        }
    }

    /// Something happens to the cluster.
    pub(in crate::sim) fn trouble(&mut self) {
        match self.with_cluster(|cluster, now, rng| cluster.trouble(now, rng)) {
            None | Some(Trouble::Done) => {}
            Some(Trouble::Network) => self.break_connections(),
            Some(Trouble::Joins) => {
                let skew = self.rng.below(1_000_000_000);
                self.nodes.push(Node::new(self.nodes.len(), skew));
            }
            Some(Trouble::Ends { node, pause }) => self.host_ends(node, false, pause),
            Some(Trouble::Dies { node, pause }) => self.host_ends(node, true, pause),
        }
    }

    fn host_ends(&mut self, n: Number, machine: bool, pause: Duration) {
        let what = if machine { "machine" } else { "process" };
        self.note(&format!("the {what} of node {n} ends for {pause:?}"));
        self.with_cluster(|cluster, _, rng| cluster.down(n, rng));
        self.end_masters_of(n);
        if machine {
            self.reboot(n)
        } else {
            self.agent_crash(n)
        }
        self.after(pause, What::HostUp(n));
    }

    fn end_masters_of(&mut self, n: Number) {
        let of = self.masters.iter().filter(|(_, m)| m.host == Some(n));
        for proc in of.map(|(proc, _)| *proc).collect::<Vec<_>>() {
            self.end_master(proc);
        }
    }

    pub(in crate::sim) fn host_up(&mut self, n: Number) {
        if self.with_cluster(|cluster, now, _| cluster.up(n, now)) == Some(true) {
            self.note(&format!("node {n} is back"));
            self.after(Duration::ZERO, What::AgentUp(n));
        }
    }

    /// Connections over what is closed now break; each end learns of it in its own time.
    fn break_connections(&mut self) {
        let Some(cluster) = &self.cluster else { return };
        let host = |proc: &u64| self.masters.get(proc).and_then(|m| m.host);
        let broken =
            |node: usize, master: &u64| host(master).is_some_and(|h| !cluster.joined(node, h));
        let links = self.links.iter().filter(|(_, l)| broken(l.node, &l.master));
        for link in links.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.cut_link(link);
        }
    }

    /// All is well from now on.
    pub(in crate::sim) fn heal_cluster(&mut self) {
        let off = self.with_cluster(|cluster, now, _| cluster.heal(now)).unwrap_or_default();
        for n in off {
            self.after(Duration::ZERO, What::HostUp(n));
        }
    }

    /// Agents of nodes that have no part in the log any more, and are to leave, end all they run, and go.
    fn send_away(&mut self) {
        let Some(cluster) = &self.cluster else { return };
        let agents = self.nodes.iter().enumerate().filter_map(|(n, node)| Some((n, node.proc()?)));
        let due = agents.filter(|(n, _)| cluster.may_go(*n) && cluster.belongs(*n));
        for (n, proc) in due.collect::<Vec<_>>() {
            if self.told_to_go.insert(proc) {
                self.stopping.insert(n);
                self.tell_agent(n, None, Input::Stop { kill_tasks: true });
            }
        }
    }

    /// Whether an agent that has stopped has left the cluster: it has given its id up.
    pub(in crate::sim) fn agent_goes(&mut self, n: usize) -> bool {
        let goes = self.is_without_id(n);
        if goes {
            self.after(LINGER, What::HostGone(n));
        }
        goes
    }

    fn is_without_id(&self, n: usize) -> bool {
        let node = self.nodes.get(n).is_some_and(|node| !node.disk.contains_key("agent"));
        node && self.cluster.as_ref().is_some_and(|c| c.may_go(n))
    }

    pub(in crate::sim) fn host_gone(&mut self, n: usize) {
        if self.is_without_id(n) {
            self.note(&format!("node {n} has left"));
            self.report.left += 1;
            self.with_cluster(|cluster, _, _| cluster.depart(n));
            self.end_masters_of(n);
            self.agent_crash(n);
        }
    }

    /// Until when what should happen now has to wait, because the process it happens to is stopped.
    pub(in crate::sim) fn held_up(&self, what: &What) -> Option<Mono> {
        let cluster = self.cluster.as_ref()?;
        let of_master = |proc: &u64| self.masters.get(proc).and_then(|m| m.host);
        let of_link = |id: &u64| self.links.get(id).and_then(|l| of_master(&l.master));
        let node = match what {
            What::MasterTurn(proc)
            | What::Propose { proc, .. }
            | What::Committed(proc)
            | What::Depose(proc) => of_master(proc),
            What::ToMaster { link, .. } | What::LinkEndAtMaster(link) => of_link(link),
            What::Call { session, .. } | What::SessionEndAtMaster(session) => {
                self.sessions.get(session).and_then(|s| of_master(&s.master))
            }
            What::AgentTurn { node, .. }
            | What::Connect { node, .. }
            | What::Synced { node, .. }
            | What::Contain { node, .. }
            | What::AgentInput { node, .. }
            | What::AgentUp(node) => Some(*node),
            What::ToAgent { link, .. } | What::LinkEndAtAgent(link) => {
                self.links.get(link).map(|l| l.node)
            }
            What::MarathonTurn(_) | What::MarathonSynced(_) => {
                self.marathon.as_ref().and_then(|m| m.home).map(|home| home.node)
            }
            What::ChronosTurn(_) | What::ChronosSynced(_) => {
                self.chronos.as_ref().and_then(|c| c.home).map(|home| home.node)
            }
            _ => None,
        };
        cluster.stopped(node?, self.now)
    }

    /// The turn is taken later, too.
    pub(in crate::sim) fn hold_up(&mut self, until: Mono, what: What) {
        match &what {
            What::MasterTurn(proc) => {
                if let Some(master) = self.masters.get_mut(proc) {
                    master.driven.turn_at = Some(until);
                }
            }
            What::AgentTurn { node, .. } => {
                if let Some(agent) = self.nodes.get_mut(*node).and_then(|n| n.agent.as_mut()) {
                    agent.turn_at = Some(until);
                }
            }
            What::MarathonTurn(_) => {
                if let Some(marathon) = self.marathon.as_mut() {
                    marathon.put_off(until);
                }
            }
            What::ChronosTurn(_) => {
                if let Some(chronos) = self.chronos.as_mut() {
                    chronos.put_off(until);
                }
            }
            _ => {}
        }
        self.queue.push(until, what);
    }

    /// The leader's log as it is at the end.
    pub(in crate::sim) fn show_log(&mut self) {
        if let Some((node, log)) = self.cluster.as_ref().and_then(Cluster::log) {
            self.see(&Seen::Leads { node, log: &log });
        }
    }
}
