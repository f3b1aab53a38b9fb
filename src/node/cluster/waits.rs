//! Tells what a node waits for while nobody leads: who is there, and how many are needed.

use super::Cluster;
use crate::cluster::consensus::Registry;
use crate::cluster::gossip::Members;
use crate::cluster::link::Fate;
use crate::cluster::roster::Place;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An election is over sooner; what lasts longer is told.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often what is told is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many of those that are missed are named.
const NAMED_MAX: usize = 5;

impl Cluster {
    /// Tells that nobody leads, why, and when that is over. Never ends.
    pub async fn tell_waits(&self, say: impl Fn(&str)) -> std::convert::Infallible {
        let mut leader = self.leader.clone();
        let (mut unled, mut told) = (Instant::now(), String::new());
        loop {
            let place = leader.borrow_and_update().clone();
            let leads_itself = place.as_ref().is_some_and(|place| place.node == self.link.node());
            if let Some(place) = place.filter(|place| self.is_heard(place)) {
                if !told.is_empty() {
                    say(&format!("node {} ({}) leads", place.node, place.address));
                    told.clear();
                }
                unled = Instant::now();
            } else if unled.elapsed() > PATIENCE {
                let now = self.waits();
                if now != told {
                    say(&now);
                    told = now;
                }
            }
            tokio::select! {
                changed = leader.changed() => if changed.is_err() {
                    return std::future::pending().await;
                },
                // What is heard of others is told by nothing; of itself a node knows.
                () = tokio::time::sleep(LOOK_EVERY), if !leads_itself => {}
            }
        }
    }

    /// Whether the leader is there, as far as its connections tell.
    fn is_heard(&self, leader: &Place) -> bool {
        let lost =
            matches!(*self.link.fate(leader.node).borrow(), Fate::Silent { .. } | Fate::Refused);
        leader.node == self.link.node() || !lost
    }

    fn waits(&self) -> String {
        let known = self.gossip.members();
        let known = known.borrow();
        match &self.registry {
            Some(registry) if registry.voters().is_empty() => {
                "no leader yet: this node waits to be taken into the log".into()
            }
            Some(registry) => voters(registry, &known),
            None => {
                let masters =
                    known.nodes.values().filter(|seen| seen.alive && seen.facts.candidate);
                format!(
                    "no leader yet: {} masters are seen, and none of them leads",
                    masters.count()
                )
            }
        }
    }
}

/// `1 of 3 voters is seen, 2 are needed`.
fn voters(registry: &Registry, known: &Members) -> String {
    let addresses: BTreeMap<u64, String> =
        registry.members().into_iter().map(|(node, member)| (node, member.address)).collect();
    let me = registry.node_id();
    let alive = |node: &u64| *node == me || known.nodes.get(node).is_some_and(|seen| seen.alive);
    let voters = registry.voters();
    let missing: Vec<&u64> = voters.iter().filter(|node| !alive(node)).collect();
    let names: Vec<&str> =
        missing.iter().filter_map(|node| addresses.get(node).map(String::as_str)).collect();
    waits(voters.len(), missing.len(), &names)
}

fn waits(voters: usize, missing: usize, names: &[&str]) -> String {
    let (seen, needed) = (voters - missing, voters / 2 + 1);
    let mut text = format!("no leader yet: {seen} of {voters} voters visible, need {needed}");
    if !names.is_empty() {
        let more = names.len().saturating_sub(NAMED_MAX);
        text.push_str(&format!("; not seen: {}", names[..names.len() - more].join(", ")));
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_missed_is_named() {
        assert_eq!(
            waits(3, 2, &["10.0.0.2:5052", "10.0.0.3:5052"]),
            "no leader yet: 1 of 3 voters visible, need 2; not seen: 10.0.0.2:5052, 10.0.0.3:5052"
        );
        assert_eq!(waits(3, 0, &[]), "no leader yet: 3 of 3 voters visible, need 2");
        let many = ["a"; 7];
        assert!(waits(9, 7, &many).ends_with("a, a, a, a, a and 2 more"));
    }
}
