//! Writes of the master, Marathon and Chronos: entries of the log like any others, refused unless their epoch is the
//! leader's.

use super::tree::Payload;
use super::{Cluster, EntryId, Number, Owner};
use crate::base::kv::Op;
use crate::sim::invariants::Seen;
use crate::sim::log::apply;
use crate::sim::queue::What;
use crate::sim::world::World;
use std::sync::Arc;

/// Where Marathon or Chronos runs: with the master of that epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Home {
    pub node: Number,
    pub epoch: u64,
}

impl Cluster {
    /// Puts a batch into the log of the leader of that epoch; says whether there is one.
    pub fn propose(&mut self, owner: Owner, epoch: u64, ops: Vec<Op>) -> bool {
        let Some(n) = self.leader_of(epoch) else { return false };
        let batch = Payload::Batch { owner, epoch, ops: Arc::new(ops) };
        self.add(n, batch, None).is_some()
    }

    /// Whether a write of such an owner is on its way.
    fn is_writing(&self, n: Number, is: fn(&Owner) -> bool) -> bool {
        let Some(tip) = self.hosts.get(n).and_then(|h| h.tip) else { return false };
        self.tree.open(tip).into_iter().any(|id| match &self.tree.get(id).what {
            Payload::Batch { owner, .. } => is(owner),
            _ => false,
        })
    }
}

impl World {
    /// Where Marathon or Chronos may start: where the master is, once nothing of its own is under way any more.
    pub(in crate::sim) fn home(&self, is: fn(&Owner) -> bool) -> Option<Home> {
        let cluster = self.cluster.as_ref()?;
        let epoch = self.log.epoch;
        let node = cluster.leader_of(epoch).filter(|n| cluster.runs(*n, self.now))?;
        let leads = self.masters.values().any(|m| m.epoch == epoch && m.host == Some(node));
        (leads && !cluster.is_writing(node, is)).then_some(Home { node, epoch })
    }

    /// A batch of a master reaches the log.
    pub(in crate::sim) fn master_writes(&mut self, proc: u64, epoch: u64, ops: Vec<Op>) {
        if self.masters.get(&proc).is_none_or(|m| m.closed) {
            return;
        }
        let lost = self.chance(self.profile.unknown_outcomes / 2);
        let owner = Owner::Master { proc };
        let taken =
            !lost && self.with_cluster(|c, _, _| c.propose(owner, epoch, ops)) == Some(true);
        if !taken {
            self.master_fails(proc);
        }
    }

    /// What became of a batch nobody can tell: the master is to end.
    fn master_fails(&mut self, proc: u64) {
        let wait = self.between(100, 10_000);
        if let Some(master) = self.masters.get_mut(&proc) {
            master.closed = true;
            self.after(wait, What::Depose(proc));
        }
    }

    /// The oldest batch of Marathon reaches the log.
    pub(in crate::sim) fn marathon_writes(&mut self, proc: u64) {
        let Some((epoch, commits)) = self.marathon.as_mut().and_then(|m| m.next_commits()) else {
            return;
        };
        let count = commits.len();
        for (at, ops) in commits.into_iter().enumerate() {
            let owner = Owner::Marathon { proc, last: at + 1 == count };
            if self.with_cluster(|c, _, _| c.propose(owner, epoch, ops)) != Some(true) {
                return self.marathon_crash();
            }
        }
    }

    /// The oldest batch of Chronos reaches the log.
    pub(in crate::sim) fn chronos_writes(&mut self, proc: u64) {
        let Some((epoch, ops, decided)) = self.chronos.as_mut().and_then(|c| c.next_commit())
        else {
            return;
        };
        let owner = Owner::Chronos { proc, decided };
        if self.with_cluster(|c, _, _| c.propose(owner, epoch, ops)) != Some(true) {
            self.chronos_crash();
        }
    }

    /// A batch is committed.
    pub(super) fn committed_batch(&mut self, owner: Owner, entry: EntryId, ops: &[Op], told: bool) {
        let unanswered = self.chance(self.profile.unknown_outcomes / 2);
        match owner {
            Owner::Master { proc } => {
                apply(&mut self.log.space, ops);
                self.see(&Seen::Committed { batch: ops });
                if !told || self.masters.get(&proc).is_none_or(|m| m.closed) {
                    return;
                }
                if unanswered {
                    return self.master_fails(proc);
                }
                self.see(&Seen::Answered { entry });
                self.master_answered(proc);
            }
            Owner::Marathon { proc, last } => {
                let is_there = self.marathon_stored(proc, ops);
                if told && is_there && last && unanswered {
                    self.marathon_crash();
                } else if told && is_there {
                    self.see(&Seen::Answered { entry });
                    if last {
                        self.marathon_answered();
                    }
                }
            }
            Owner::Chronos { proc, decided } => {
                let is_there = self.chronos_stored(proc, ops, decided);
                if told && is_there && unanswered {
                    self.chronos_crash();
                } else if told && is_there {
                    self.see(&Seen::Answered { entry });
                    self.chronos_answered();
                }
            }
        }
    }
}
