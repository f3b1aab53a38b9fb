//! A model of gossip: every node counts its pulse and says what it is; nodes tell each other, two by two, the newest they
//! know of everyone. So what a node knows of another is late, and may be long out of date.

use super::{Cluster, Number};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::cluster::membership::Life;
use std::sync::Arc;
use std::time::Duration;

/// How long a pulse may be missing before a node counts as dead.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub address: String,
    pub zone: String,
    pub leaving: bool,
}

/// What one node knows of another.
#[derive(Clone, Debug)]
pub(super) struct Rumor {
    pub facts: Arc<Facts>,
    pulse: u64,
    /// When a pulse was last new.
    heard: Mono,
    /// Since when it is alive, as this node sees it.
    since: Mono,
}

impl Rumor {
    pub fn life(&self, now: Mono) -> Life {
        if now.since(self.heard) < SILENCE_MAX {
            Life::Alive { since: self.since }
        } else {
            Life::Dead { since: self.heard + SILENCE_MAX }
        }
    }
}

impl Cluster {
    /// Everybody tells somebody.
    pub(super) fn gossip(&mut self, now: Mono, rng: &mut Rng) {
        let numbers: Vec<Number> = (0..self.hosts.len()).collect();
        for n in numbers.iter().copied() {
            if !self.runs(n, now) {
                continue;
            }
            self.pulse(n, now);
            let others: Vec<Number> =
                numbers.iter().copied().filter(|m| *m != n && self.reach(n, *m, now)).collect();
            let at = rng.below(others.len() as u64) as usize;
            // A round may fail.
            if let Some(peer) = others.get(at).copied().filter(|_| !rng.chance(1, 10)) {
                self.tell(n, peer, now);
                self.tell(peer, n, now);
            }
        }
    }

    fn pulse(&mut self, n: Number, now: Mono) {
        let Some(host) = self.hosts.get_mut(n) else { return };
        host.pulse += 1;
        let facts = Arc::new(host.facts(n));
        let pulse = host.pulse;
        host.hear(n, &Rumor { facts, pulse, heard: now, since: now }, now);
    }

    fn tell(&mut self, from: Number, to: Number, now: Mono) {
        let Some(known) = self.hosts.get(from).map(|host| host.rumors.clone()) else { return };
        let Some(host) = self.hosts.get_mut(to) else { return };
        for (node, rumor) in &known {
            host.hear(*node, rumor, now);
        }
    }
}

impl super::Host {
    fn hear(&mut self, node: Number, news: &Rumor, now: Mono) {
        let rumor = self.rumors.entry(node).or_insert_with(|| Rumor {
            pulse: 0,
            heard: now,
            since: now,
            facts: Arc::clone(&news.facts),
        });
        if news.pulse <= rumor.pulse {
            return;
        }
        if matches!(rumor.life(now), Life::Dead { .. }) {
            rumor.since = now;
        }
        (rumor.pulse, rumor.heard, rumor.facts) = (news.pulse, now, Arc::clone(&news.facts));
    }
}
