//! The log: leaders add entries, send them on, and hold for committed what a majority of the voters has (of both sets while
//! they change), once one of their own term is among it.

use super::tree::{Config, EntryId, Payload};
use super::{Answer, Cluster, Effect, Number};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::cluster::membership::Step;
use crate::sim::Mutation;
use std::collections::BTreeSet;

/// How many entries a follower is sent at once.
const SENT_MAX: u64 = 300;

impl Cluster {
    /// A leader adds an entry to its log.
    pub(super) fn add(
        &mut self,
        n: Number,
        what: Payload,
        config: Option<Config>,
    ) -> Option<EntryId> {
        let host = self.hosts.get_mut(n)?;
        let (tip, term) = (host.tip?, host.reign.as_ref()?.term);
        if let Some(config) = &config {
            let most = self.policy.voters_max;
            let voters = config.sets().map(BTreeSet::len).max().unwrap_or(0);
            self.out.push(Effect::Voters { voters, most });
        }
        let entry = self.tree.add(tip, term, what, config);
        host.tip = Some(entry);
        self.out.push(Effect::Replicate(n));
        Some(entry)
    }

    /// A leader sends its followers what they lack, and sees what is committed.
    pub fn replicate(&mut self, n: Number, now: Mono, rng: &mut Rng) {
        let Some(config) = self.config(n).filter(|_| self.runs(n, now)) else { return };
        let old = self.is(Mutation::OldTerm);
        for m in config.members.keys().copied().filter(|m| *m != n) {
            let Some(leader) = self.hosts.get(n) else { return };
            let (Some(tip), Some(reign)) = (leader.tip, leader.reign.as_ref()) else { return };
            let term = reign.term;
            if !self.reach(n, m, now) {
                continue;
            }
            let Some(other) = self.hosts.get_mut(m) else { continue };
            if other.promised > term && !old {
                let newer = other.promised;
                if let Some(leader) = self.hosts.get_mut(n) {
                    leader.promised = leader.promised.max(newer);
                    leader.heard = now;
                }
                return self.end_reign(n);
            }
            other.promised = other.promised.max(term);
            other.heard = now;
            if !old {
                self.end_reign(m);
            }
            self.send(m, tip, rng);
            let matched = self.matched(m, tip);
            let reign = self.hosts.get_mut(n).and_then(|h| h.reign.as_mut());
            if let Some(reign) = reign {
                reign.answers.insert(m, Answer { heard: now, matched });
            }
        }
        self.commit(n);
    }

    fn matched(&self, m: Number, tip: EntryId) -> u64 {
        let has = self.hosts.get(m).and_then(|h| h.tip);
        has.map_or(0, |has| self.tree.get(self.tree.common(has, tip)).index)
    }

    /// A follower's log becomes its leader's, by and by.
    fn send(&mut self, m: Number, tip: EntryId, rng: &mut Rng) {
        let has = self.hosts.get(m).and_then(|h| h.tip);
        if has == Some(tip) || (!self.calm && rng.chance(1, 8)) {
            return;
        }
        let next = self.tree.at(tip, self.matched(m, tip) + SENT_MAX);
        if let Some(host) = self.hosts.get_mut(m) {
            host.tip = Some(next);
        }
    }

    /// The newest entry of its own term that majorities have, and all before it.
    fn commit(&mut self, n: Number) {
        let (Some(config), Some(host)) = (self.config(n), self.hosts.get(n)) else { return };
        let (Some(tip), Some(reign)) = (host.tip, host.reign.as_ref()) else { return };
        let (term, last) = (reign.term, self.tree.get(tip).index);
        let has = |m: Number| {
            if m == n { last } else { reign.answers.get(&m).map_or(0, |a| a.matched) }
        };
        let by = |set: &BTreeSet<Number>| {
            let mut all: Vec<u64> = set.iter().map(|m| has(*m)).collect();
            all.sort_unstable();
            all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or(0)
        };
        let index = config.sets().map(by).min().unwrap_or(0);
        let newest = self.tree.at(tip, index);
        if self.tree.get(newest).term != term {
            return;
        }
        for entry in self.tree.open(newest) {
            self.tree.commit(entry);
            self.committed = entry;
            self.carry_out(n, entry);
        }
    }

    /// An entry is committed: what it says is done.
    fn carry_out(&mut self, n: Number, id: EntryId) {
        let entry = self.tree.get(id);
        let (index, what, term) = (entry.index, entry.what.clone(), entry.term);
        self.out.push(Effect::Decided { node: n, index, entry: id });
        let reign = self.hosts.get_mut(n).and_then(|h| h.reign.as_mut());
        let own = reign.as_ref().is_some_and(|r| r.term == term);
        match what {
            Payload::Founding | Payload::Config => {}
            Payload::Begin { by } => {
                self.epoch = index;
                if let Some(reign) = reign.filter(|_| by == n && own) {
                    reign.epoch = Some(index);
                    self.out.push(Effect::Begun { node: n, epoch: index });
                }
            }
            Payload::Batch { owner, epoch, ops } => {
                if epoch == self.epoch {
                    self.out.push(Effect::Apply { owner, entry: id, ops, told: own });
                }
            }
            Payload::Book { node, record } => match record {
                Some(record) => {
                    if self.book.insert(node, record).is_none() {
                        self.out.push(Effect::Joined(node));
                    }
                }
                None => drop(self.book.remove(&node)),
            },
        }
        self.step_on(n, id);
    }

    /// The step under way goes on, or is done.
    fn step_on(&mut self, n: Number, id: EntryId) {
        let reign = self.hosts.get_mut(n).and_then(|h| h.reign.as_mut());
        let Some(reign) = reign else { return };
        let Some(doing) = reign.doing.take_if(|d| d.entry == id) else { return };
        reign.wake = None;
        reign.looked = Mono(0);
        self.steps += 1;
        let config = &self.tree.get(id).config;
        let Some(joint) = config.joint.clone() else { return };
        if let Step::ChangeVoters { .. } = &doing.step {
            self.end_change(n, joint, doing);
        }
    }
}
