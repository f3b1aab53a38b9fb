//! Elections: who hears no leader stands for one, voters promise their vote once a term and only to a log as new as their
//! own, and a leader that hears no majority, or of a newer term, leads no more.

use super::tree::Payload;
use super::{BEAT, Cluster, Effect, Number, Reign};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::cluster::membership::Memory;
use crate::sim::Mutation;
use std::collections::BTreeMap;
use std::time::Duration;

/// The shortest time without a leader before an election, and how much longer it may be.
const ELECTION_MIN: Duration = Duration::from_millis(300);
const ELECTION_MORE: Duration = Duration::from_millis(700);
/// So long a voter that heard a leader votes for nobody else.
const LEASE: Duration = Duration::from_millis(300);
/// So long a leader leads on without a majority.
const LONELY_MAX: Duration = Duration::from_secs(1);
/// Beats between two rounds of gossip.
const GOSSIP_EVERY: u64 = 5;

impl Cluster {
    /// Time passes on all nodes.
    pub fn beat(&mut self, now: Mono, rng: &mut Rng) {
        self.beats += 1;
        if self.beats.is_multiple_of(GOSSIP_EVERY) {
            self.gossip(now, rng);
        }
        for n in 0..self.hosts.len() {
            if !self.runs(n, now) {
                continue;
            }
            if self.leads(n) {
                self.replicate(n, now, rng);
                self.check_majority(n, now);
                self.steer(n, now, rng);
            } else if self.is_due(n, now) {
                self.stand(n, false, now, rng);
            }
        }
    }

    pub(super) fn leads(&self, n: Number) -> bool {
        self.hosts.get(n).is_some_and(|h| h.reign.is_some())
    }

    fn is_due(&self, n: Number, now: Mono) -> bool {
        let Some(host) = self.hosts.get(n) else { return false };
        let votes = self.config(n).is_some_and(|c| c.votes(n));
        votes && now.since(host.heard) > host.patience
    }

    /// A node asks for votes; a transfer of leadership is not held up by leases.
    pub(super) fn stand(&mut self, n: Number, transfer: bool, now: Mono, rng: &mut Rng) {
        let (Some(config), Some(host)) = (self.config(n), self.hosts.get_mut(n)) else { return };
        host.heard = now;
        host.patience = ELECTION_MIN + rng.up_to(ELECTION_MORE);
        host.promised += 1;
        let (term, tip) = (host.promised, host.tip);
        let age = self.tree.age(tip);
        let blindly = self.is(Mutation::VoteBlindly);
        let mut votes = vec![n];
        let voters: Vec<Number> = (0..self.hosts.len()).filter(|v| config.votes(*v)).collect();
        let mut newest = term;
        for voter in voters.into_iter().filter(|v| *v != n) {
            if !self.reach(n, voter, now) {
                continue;
            }
            let Some(other) = self.hosts.get_mut(voter) else { continue };
            newest = newest.max(other.promised);
            let led = other.reign.is_some() || now.since(other.heard) < LEASE;
            let older = !blindly && self.tree.age(other.tip) > age;
            if other.promised >= term || older || (led && !transfer) {
                continue;
            }
            other.promised = term;
            other.heard = now;
            votes.push(voter);
            self.end_reign(voter);
        }
        if let Some(host) = self.hosts.get_mut(n) {
            host.promised = newest;
        }
        if newest == term && config.majority(|v| votes.contains(&v)) {
            self.lead(n, term, now);
        }
    }

    fn lead(&mut self, n: Number, term: u64, now: Mono) {
        let Some(tip) = self.hosts.get(n).and_then(|h| h.tip) else { return };
        self.note(format!("node {n} is elected for term {term}"));
        let log = self.tree.branch(tip);
        self.out.push(Effect::Leads { node: n, log });
        let begin = self.tree.add(tip, term, Payload::Begin { by: n }, None);
        if let Some(host) = self.hosts.get_mut(n) {
            host.tip = Some(begin);
            host.reign = Some(Reign {
                term,
                since: now,
                epoch: None,
                answers: BTreeMap::new(),
                memory: Memory::default(),
                wake: None,
                looked: Mono(0),
                doing: None,
            });
        }
        self.out.push(Effect::Replicate(n));
    }

    /// A node leads no more; what it had under way has an outcome that nobody is told.
    pub(super) fn end_reign(&mut self, n: Number) {
        let Some(reign) = self.hosts.get_mut(n).and_then(|h| h.reign.take()) else { return };
        self.note(format!("node {n} leads no more"));
        self.out.push(Effect::Lost { node: n, epoch: reign.epoch.unwrap_or(0) });
    }

    /// The master of a node has ended by itself: it lets another lead.
    pub fn resign(&mut self, n: Number, now: Mono, rng: &mut Rng) {
        if self.leads(n)
            && let Some(host) = self.hosts.get_mut(n)
        {
            host.heard = now;
            host.patience = rng.up_to(Duration::from_secs(2));
            self.end_reign(n);
        }
    }

    /// Somebody stands for leader though there may be one.
    pub fn challenge(&mut self, now: Mono, rng: &mut Rng) {
        let n = rng.below(self.hosts.len() as u64) as usize;
        let votes = self.config(n).is_some_and(|c| c.votes(n));
        if votes && self.runs(n, now) && !self.leads(n) {
            self.stand(n, true, now, rng);
        }
    }

    fn check_majority(&mut self, n: Number, now: Mono) {
        let (Some(config), Some(host)) = (self.config(n), self.hosts.get(n)) else { return };
        let Some(reign) = &host.reign else { return };
        let heard = |m: Number| {
            let last = reign.answers.get(&m).map_or(reign.since, |a| a.heard);
            m == n || now.since(last) < LONELY_MAX + BEAT
        };
        if !config.majority(heard) && !self.is(Mutation::OldTerm) {
            self.end_reign(n);
        }
    }
}
