//! Masters: elected one after another, each with the registry as its epoch found it. An old one goes on deciding and
//! acting until it learns that it leads no more.

use super::Mutation;
use super::cluster::Home;
use super::driven::{Clocks, Driven, Turn};
use super::invariants::Seen;
use super::queue::What;
use super::world::World;
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::machine::{Cx, Effects};
use crate::master::allocator;
use crate::master::core::io::{Act, Input};
use crate::master::core::{Identity, MasterCore, Options};

pub(super) struct Master {
    pub driven: Driven<MasterCore>,
    pub epoch: u64,
    /// The node it runs on, in a cluster.
    pub host: Option<usize>,
    /// Nothing of it is taken by the log any more: one of its batches was lost or refused.
    pub closed: bool,
    last_proposal: Mono,
    last_answer: Mono,
}

impl World {
    /// Whom somebody who looks for the leader is told of.
    pub(super) fn find_master(&mut self, from: Option<usize>) -> Option<u64> {
        let there = self.masters.iter().filter(|(_, m)| self.is_reachable(from, m));
        let there: Vec<(u64, u64)> = there.map(|(proc, m)| (m.epoch, *proc)).collect();
        let newest = there.iter().max_by_key(|(epoch, _)| epoch).map(|(_, proc)| *proc)?;
        if self.calm || self.rng.chance(4, 5) {
            return Some(newest);
        }
        let at = self.rng.below(there.len() as u64) as usize;
        there.get(at).map(|(_, proc)| *proc)
    }

    /// Whether a master can be connected to from a node, or from elsewhere.
    fn is_reachable(&self, from: Option<usize>, master: &Master) -> bool {
        match (&self.cluster, from, master.host) {
            (Some(cluster), Some(from), Some(host)) => cluster.joined(from, host),
            _ => true,
        }
    }

    pub(super) fn elect(&mut self) {
        if self.cluster.is_some() {
            self.with_cluster(|cluster, now, rng| cluster.challenge(now, rng));
            return;
        }
        let epoch = self.log.begin();
        // Whoever is subscribed at another master counts as away from now on.
        self.see(&Seen::Elected);
        for proc in self.masters.keys().copied().collect::<Vec<_>>() {
            // The old ones hear of it some time.
            let notice = if self.calm { self.between(1, 100) } else { self.between(1, 40_000) };
            self.after(notice, What::Depose(proc));
        }
        let pause = self.between(1, 500);
        self.after(pause, What::Lead { epoch });
    }

    pub(super) fn lead(&mut self, epoch: u64) {
        if epoch != self.log.epoch {
            return;
        }
        let host = self.cluster.as_ref().and_then(|cluster| cluster.leader_of(epoch));
        if self.cluster.is_some() && host.is_none() {
            return;
        }
        self.make_way(host, epoch);
        let proc = self.fresh();
        let mut rng = Rng::new(self.rng.next_u64());
        let skew = self.rng.below(1_000_000_000);
        let clocks = Clocks::new(self.now, skew, &mut self.rng);
        let identity = Identity {
            master_id: rng.uuid(),
            epoch,
            ip: "127.0.0.1".into(),
            hostname: "master".into(),
            port: 5050,
            version: "1.12.0".into(),
            domain: None,
        };
        let options = Options {
            agent_reregister_timeout: self.profile.agent_reregister_timeout,
            ..Options::default()
        };
        let options = match self.profile.agent_loss_timeout {
            Some(silence) => options.lost_after(silence),
            None => options,
        };
        let mut cx = Cx { now: clocks.mono(self.now), wall: clocks.wall(self.now), rng: &mut rng };
        let mut out = Effects::default();
        let allocation = allocator::Options::default();
        let space = self.log.space.clone();
        match MasterCore::recover(options, allocation, identity, space, &mut cx, &mut out) {
            Ok(core) => {
                let mut driven = Driven::new(core, proc, clocks, rng);
                let first = driven.carry_out(out);
                let (last_proposal, last_answer) = (self.now, self.now);
                let closed = false;
                let master = Master { driven, epoch, host, closed, last_proposal, last_answer };
                self.masters.insert(proc, master);
                self.report.masters += 1;
                self.master_did(proc, first);
                self.end_a_task();
            }
            Err(e) => self.violated("recovery", format!("the master cannot be built: {e}")),
        }
    }

    pub(super) fn tell_master(&mut self, proc: u64, input: Input) {
        if let Some(master) = self.masters.get_mut(&proc) {
            master.driven.mail(None, input);
            let at = self.now + self.rng.up_to(std::time::Duration::from_millis(1));
            self.wake_master(proc, at);
        }
    }

    fn wake_master(&mut self, proc: u64, at: Mono) {
        let Some(master) = self.masters.get_mut(&proc) else { return };
        if master.driven.turn_at.is_none_or(|set| at < set) {
            master.driven.turn_at = Some(at);
            self.queue.push(at, What::MasterTurn(proc));
        }
    }

    pub(super) fn master_turn(&mut self, proc: u64) {
        let now = self.now;
        let Some(master) = self.masters.get_mut(&proc) else { return };
        if master.driven.turn_at != Some(now) {
            return;
        }
        master.driven.turn_at = None;
        let turn = master.driven.turn(now);
        let audited = master.driven.machine.audit();
        if let Err(why) = audited
            && !self.is_overcommitted(proc)
        {
            return self.violated("resources", why);
        }
        self.master_did(proc, turn);
    }

    /// Whether more of an agent is in use than there is of it, where that may be:
    /// - At a master that leads no more: an agent tells it of tasks that its successor launched in place of others, whose
    ///   end the old one has not heard of. Nobody obeys what it makes of that.
    /// - With a framework that does not checkpoint: it loses its tasks with its agent's connection, as in Mesos; until they
    ///   have ended there, the next master may find them beside those that took their place.
    fn is_overcommitted(&self, proc: u64) -> bool {
        let Some(master) = self.masters.get(&proc) else { return false };
        let checkpointed = self.schedulers.iter().all(|s| s.info.checkpoint());
        if checkpointed && master.epoch == self.log.epoch {
            return false;
        }
        master.driven.machine.view().agents.iter().any(|agent| {
            let mut held = agent.used.clone();
            held += &agent.offered;
            !agent.total.contains(&held.unallocate())
        })
    }

    fn master_did(&mut self, proc: u64, turn: Turn<MasterCore>) {
        if let Some(batch) = turn.batch {
            self.propose(proc, batch);
        }
        self.master_acts(proc, turn.acts);
        let now = self.now;
        if let Some(at) = self.masters.get(&proc).and_then(|m| m.driven.wake_at()) {
            self.wake_master(proc, at.max(now));
        }
    }

    fn master_acts(&mut self, _proc: u64, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::ToAgent { link, message } => self.send_to_agent(link.0, *message),
                Act::CloseLink { link } => self.master_closes(link.0),
                // Every agent here comes with its own id, from its own node.
                Act::RefuseLink { why, .. } => self.violated("binding", why),
                Act::Event { session, event } => self.send_event(session, event),
                Act::CloseSession { session } => self.master_ends_session(session),
                Act::Answer { request, answer } => self.send_answer(request, answer),
                // Nobody watches here.
                Act::Changed(_)
                | Act::StreamOpened { .. }
                | Act::StreamHeartbeat { .. }
                | Act::Happened(_)
                | Act::CloseStream { .. } => {}
            }
        }
    }

    fn propose(&mut self, proc: u64, batch: Vec<Op>) {
        let mut delay = self.rng.up_to(self.profile.sync);
        if !self.calm && self.rng.chance(1, 50) {
            delay += self.between(0, 5000);
        }
        let Some(master) = self.masters.get_mut(&proc) else { return };
        let at = (self.now + delay).max(master.last_proposal);
        master.last_proposal = at;
        let epoch = master.epoch;
        self.queue.push(at, What::Propose { proc, epoch, batch });
    }

    /// A batch reaches the log, perhaps long after its master has ended.
    pub(super) fn proposed(&mut self, proc: u64, epoch: u64, batch: &[Op]) {
        let lost = self.chance(self.profile.unknown_outcomes / 2);
        let unanswered = self.chance(self.profile.unknown_outcomes / 2);
        if self.masters.get(&proc).is_some_and(|m| m.closed) {
            return;
        }
        let forgets = self.profile.mutation == Some(Mutation::ForgetCommitted);
        let forgotten = forgets && self.rng.chance(1, 4);
        let current = epoch == self.log.epoch;
        let committed = !lost && (current && forgotten || self.log.commit(epoch, batch));
        if committed && !forgotten {
            self.see(&Seen::Committed { batch });
        }
        let delay = self.rng.up_to(self.profile.sync);
        let wait = self.between(100, 10_000);
        let now = self.now;
        let Some(master) = self.masters.get_mut(&proc) else { return };
        if committed && !unanswered {
            let at = (now + delay).max(master.last_answer);
            master.last_answer = at;
            return self.queue.push(at, What::Committed(proc));
        }
        master.closed = true;
        self.after(if current { wait } else { delay }, What::Depose(proc));
    }

    /// Its oldest batch is committed; it hears of that soon.
    pub(super) fn master_answered(&mut self, proc: u64) {
        let delay = self.rng.up_to(self.profile.sync);
        let now = self.now;
        if let Some(master) = self.masters.get_mut(&proc) {
            let at = (now + delay).max(master.last_answer);
            master.last_answer = at;
            self.queue.push(at, What::Committed(proc));
        }
    }

    pub(super) fn committed(&mut self, proc: u64) {
        let Some(master) = self.masters.get_mut(&proc) else { return };
        let acts = master.driven.synced();
        self.master_acts(proc, acts);
    }

    /// The master's core is discarded with all it had pending, but for batches under way.
    pub(super) fn end_master(&mut self, proc: u64) {
        let Some(master) = self.masters.remove(&proc) else { return };
        let links: Vec<u64> =
            self.links.iter().filter(|(_, l)| l.master == proc).map(|(id, _)| *id).collect();
        for link in links {
            self.cut_link(link);
        }
        let of = self.sessions.iter().filter(|(_, s)| s.master == proc);
        for session in of.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.cut_session(&session);
        }
        if self.cluster.is_some() {
            self.end_frameworks_of(master.epoch);
            self.resign(master.epoch);
        } else if master.epoch == self.log.epoch {
            let pause = self.between(50, 4000);
            self.after(pause, What::Elect);
        }
    }

    /// On the node of a new master, and where Marathon and Chronos run, nothing of an older epoch goes on.
    fn make_way(&mut self, host: Option<usize>, epoch: u64) {
        let Some(host) = host else { return };
        let older = self.masters.iter().filter(|(_, m)| m.host == Some(host) && m.epoch < epoch);
        for proc in older.map(|(proc, _)| *proc).collect::<Vec<_>>() {
            self.end_master(proc);
        }
        self.end_frameworks_of(epoch - 1);
    }

    /// Marathon and Chronos end with the master of their epoch, or before.
    fn end_frameworks_of(&mut self, epoch: u64) {
        let ends = |home: Option<Home>| home.is_some_and(|home| home.epoch <= epoch);
        if ends(self.marathon.as_ref().and_then(|m| m.home)) {
            self.marathon_crash();
        }
        if ends(self.chronos.as_ref().and_then(|c| c.home)) {
            self.chronos_crash();
        }
    }

    /// A node whose master has ended leads no more.
    fn resign(&mut self, epoch: u64) {
        self.with_cluster(|cluster, now, rng| {
            if let Some(node) = cluster.leader_of(epoch) {
                cluster.resign(node, now, rng);
            }
        });
    }
}
