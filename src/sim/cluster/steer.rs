//! The leader's hold on who votes: what it knows becomes a view, the membership core decides, and the step goes into the
//! log. Also the cluster's records: who belongs to it, who leaves, what the operator said.

use super::tree::{Config, Payload, Record};
use super::{Cluster, Doing, Effect, Number};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::cluster::membership::{Candidate, Life, Member, Node, Step, Versions, View, decide};
use crate::sim::Mutation;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a leader looks at what nothing tells of.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So long a step may take before it counts as failed.
const STEP_MAX: Duration = Duration::from_secs(5);
const VERSIONS: Versions = Versions { oldest: 1, newest: 1 };

/// The node as the membership core knows it.
fn node(n: Number) -> Node {
    n as Node + 1
}

fn number(node: Node) -> Number {
    (node as Number).saturating_sub(1)
}

fn nodes(numbers: &BTreeSet<Number>) -> BTreeSet<Node> {
    numbers.iter().map(|n| node(*n)).collect()
}

impl Cluster {
    /// A leader looks at its cluster.
    pub(super) fn steer(&mut self, n: Number, now: Mono, rng: &mut Rng) {
        let reign = self.hosts.get_mut(n).and_then(|h| h.reign.as_mut());
        let Some(reign) = reign.filter(|r| r.epoch.is_some()) else { return };
        if reign.doing.as_ref().is_some_and(|d| now.since(d.since) > STEP_MAX) {
            reign.doing = None;
        }
        let busy = reign.doing.is_some();
        let due = now.since(reign.looked) >= LOOK_EVERY || reign.wake.is_some_and(|at| at <= now);
        self.keep_book(n, now);
        if busy || !due || (self.is(Mutation::NoSteps) && self.calm) {
            return;
        }
        let Some(view) = self.view(n, now) else { return };
        let policy = self.policy.clone();
        let reign = self.hosts.get_mut(n).and_then(|h| h.reign.as_mut());
        let Some(reign) = reign else { return };
        let decision = decide(&view, &policy, &mut reign.memory, now);
        (reign.wake, reign.looked) = (decision.wake, now);
        if let Some(step) = decision.step {
            self.note(format!("node {n}: {}", decision.reason.unwrap_or_default()));
            self.begin_step(n, step, now, rng);
        }
    }

    /// Records of those who ask to join, to leave, or of whom the operator said something; one at a time.
    fn keep_book(&mut self, n: Number, now: Mono) {
        let tip = self.hosts.get(n).and_then(|h| h.tip);
        if tip != Some(self.committed) {
            return;
        }
        let there = |m: Number| m == n || self.reach(n, m, now);
        let differs = |m: &Number| {
            let Some(host) = self.hosts.get(*m) else { return false };
            let known = self.book.get(m);
            let asks = known.is_some() || (now >= host.joins_at && there(*m));
            !host.departed && asks && known != Some(&host.wish)
        };
        if let Some(m) = (0..self.hosts.len()).find(differs) {
            let record = self.hosts.get(m).map(|h| h.wish.clone());
            self.add(n, Payload::Book { node: m, record }, None);
            return;
        }
        let gone = |m: &&Number| self.departed(**m);
        if let Some(m) = self.book.keys().find(gone).copied() {
            self.add(n, Payload::Book { node: m, record: None }, None);
        }
    }

    /// All that a decision rests on.
    fn view(&self, n: Number, now: Mono) -> Option<View> {
        let config = self.config(n)?;
        let host = self.hosts.get(n)?;
        let last = self.tree.get(host.tip?).index;
        let reign = host.reign.as_ref()?;
        let always = self.is(Mutation::HearAlways);
        let members = config.members.iter().map(|(m, address)| {
            let answer = reign.answers.get(m);
            let heard = answer.map(|a| if always { now } else { a.heard });
            let behind = answer.map(|a| if always { 0 } else { last.saturating_sub(a.matched) });
            let votes = config.voters.contains(m);
            (node(*m), Member { address: address.clone(), votes, behind, heard })
        });
        let candidates = host.rumors.iter().filter_map(|(m, rumor)| {
            let record: &Record = self.book.get(m)?;
            let life = match rumor.life(now) {
                Life::Dead { since } if always => Life::Alive { since },
                life => life,
            };
            let candidate = Candidate {
                address: rumor.facts.address.clone(),
                zone: rumor.facts.zone.clone(),
                master: self.hosts.get(*m)?.master,
                versions: VERSIONS,
                life,
                leaving: record.leaving || rumor.facts.leaving,
                order: record.order,
            };
            Some((node(*m), candidate))
        });
        Some(View {
            me: node(n),
            versions: VERSIONS,
            members: members.collect(),
            joint: config.joint.as_ref().map(nodes),
            changing: false,
            candidates: candidates.collect(),
        })
    }

    fn begin_step(&mut self, n: Number, step: Step, now: Mono, rng: &mut Rng) {
        let Some(config) = self.config(n) else { return };
        let mut next = (*config).clone();
        match &step {
            Step::AddLearner { node, address } => {
                next.members.insert(number(*node), address.clone());
            }
            Step::RemoveLearner { node } => {
                next.members.remove(&number(*node));
            }
            Step::UpdateAddress { node, address } => {
                next.members.insert(number(*node), address.clone());
            }
            Step::TransferLeadership { to } => {
                let to = number(*to);
                if self.reach(n, to, now) {
                    self.stand(to, true, now, rng);
                }
                return;
            }
            Step::ChangeVoters { voters } => {
                let after: BTreeSet<Number> = voters.iter().map(|v| number(*v)).collect();
                self.show_change(n, &config, &after, now);
                if config.joint.is_some() {
                    self.end_change(n, after, Doing { step, entry: 0, since: now });
                    return;
                }
                next.joint = Some(after);
            }
        }
        self.write(n, next, Doing { step, entry: 0, since: now });
    }

    /// The second half of a change of voters.
    pub(super) fn end_change(&mut self, n: Number, voters: BTreeSet<Number>, doing: Doing) {
        let Some(config) = self.config(n) else { return };
        let mut next = Config { voters, joint: None, ..(*config).clone() };
        if self.is(Mutation::KeepVoters) {
            next.voters.extend(config.voters.iter().copied());
        }
        self.write(n, next, doing);
    }

    fn write(&mut self, n: Number, next: Config, doing: Doing) {
        let Some(entry) = self.add(n, Payload::Config, Some(next)) else { return };
        if let Some(reign) = self.hosts.get_mut(n).and_then(|h| h.reign.as_mut()) {
            reign.doing = Some(Doing { entry, ..doing });
        }
    }

    fn show_change(&mut self, n: Number, config: &Config, after: &BTreeSet<Number>, now: Mono) {
        let Some(reign) = self.hosts.get(n).and_then(|h| h.reign.as_ref()) else { return };
        let answers = reign.answers.iter();
        let fresh = answers.filter(|(_, a)| now.since(a.heard) < self.policy.sure);
        let mut sure: BTreeSet<Number> = fresh.map(|(m, _)| *m).collect();
        sure.insert(n);
        let before = config.sets().cloned().collect();
        self.out.push(Effect::Stepped { node: n, before, after: after.clone(), sure });
    }
}
