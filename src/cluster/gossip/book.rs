//! Who is there: from what the library has seen of each generation of each node, one member a node.
//!
//! The library judges by phi: so many times the mean of the time between two signs of life. With few nodes that mean is
//! a fraction of the interval, and a stall of half a second would look like death. So nobody is dead here who gave a
//! sign of life within [`GossipOptions::silence`](super::GossipOptions::silence).

use super::facts::Facts;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How many nodes that are dead are remembered; those dead for longest are forgotten first.
pub const DEAD_MAX: usize = 256;

/// A node as gossip knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where its cluster port is.
    pub address: SocketAddr,
    /// Which start of it this is.
    pub generation: u64,
    /// Whether it gives signs of life.
    pub alive: bool,
    /// Since when that is so.
    pub since: Instant,
    /// What it says of itself.
    pub facts: Arc<Facts>,
}

/// What the library has seen of one generation of a node.
pub(super) struct Seen {
    pub(super) node: u64,
    pub(super) generation: u64,
    pub(super) address: SocketAddr,
    pub(super) heartbeat: u64,
    /// Whether the library takes it for alive.
    pub(super) live: bool,
    /// Where it says more than was known of it: all it says.
    pub(super) facts: Option<Facts>,
}

/// All nodes that were seen.
pub(super) struct Book {
    me: u64,
    silence: Duration,
    /// Signs of life by node and generation.
    signs: BTreeMap<(u64, u64), Sign>,
    members: BTreeMap<u64, Member>,
    /// Dead nodes that are shown no longer though the library still knows them, with the last generation forgotten.
    forgotten: BTreeMap<u64, u64>,
}

struct Sign {
    heartbeat: u64,
    /// When the heartbeat last advanced; the first that was seen may be old.
    advanced: Option<Instant>,
    facts: Arc<Facts>,
}

impl Book {
    pub(super) fn new(me: u64, silence: Duration) -> Self {
        let (signs, members, forgotten) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { me, silence, signs, members, forgotten }
    }

    pub(super) fn members(&self) -> &BTreeMap<u64, Member> {
        &self.members
    }

    /// Forgets a dead node, until it lives. One that is alive is not forgotten.
    pub(super) fn forget(&mut self, node: u64) -> bool {
        let dead = self.members.get(&node).filter(|m| !m.alive);
        let generation = dead.map(|m| m.generation);
        if let Some(generation) = generation {
            self.members.remove(&node);
            self.forgotten.insert(node, generation);
        }
        generation.is_some()
    }

    /// Takes in everything that the library knows now. Answers whether any member is another than before.
    pub(super) fn observe(&mut self, seen: Vec<Seen>, now: Instant) -> bool {
        let mut best: BTreeMap<u64, (bool, u64, SocketAddr)> = BTreeMap::new();
        let mut signs = BTreeMap::new();
        for one in seen {
            let id = (one.node, one.generation);
            let mut sign = self.signs.remove(&id).unwrap_or_else(|| Sign {
                heartbeat: one.heartbeat,
                advanced: None,
                facts: Arc::default(),
            });
            if one.heartbeat > sign.heartbeat {
                (sign.heartbeat, sign.advanced) = (one.heartbeat, Some(now));
            }
            if let Some(facts) = one.facts {
                sign.facts = Arc::new(facts);
            }
            let recent = sign.advanced.is_some_and(|at| now.duration_since(at) < self.silence);
            let alive = one.node == self.me || one.live || recent;
            signs.insert(id, sign);
            // The newest of those alive, or of all.
            let entry = (alive, one.generation, one.address);
            best.entry(one.node).and_modify(|b| *b = (*b).max(entry)).or_insert(entry);
        }
        self.signs = signs;
        // What the library has forgotten as well need not be remembered as forgotten.
        self.forgotten.retain(|node, generation| {
            best.get(node).is_some_and(|(alive, now, _)| !alive && now <= generation)
        });
        best.retain(|node, _| !self.forgotten.contains_key(node));

        let mut changed = false;
        for (node, (alive, generation, address)) in &best {
            let Some(sign) = self.signs.get(&(*node, *generation)) else { continue };
            let old = self.members.get(node);
            // A restart that nobody noticed is a new beginning as well.
            let same =
                old.is_some_and(|o| o.alive == *alive && (!o.alive || o.generation == *generation));
            let since = old.filter(|_| same).map_or(now, |o| o.since);
            let facts = sign.facts.clone();
            let (alive, generation, address) = (*alive, *generation, *address);
            let new = Member { address, generation, alive, since, facts };
            if old != Some(&new) {
                changed = true;
                self.members.insert(*node, new);
            }
        }
        // Whom the library has forgotten is dead.
        for (node, member) in &mut self.members {
            if member.alive && !best.contains_key(node) {
                (member.alive, member.since, changed) = (false, now, true);
            }
        }
        self.limit();
        changed
    }

    fn limit(&mut self) {
        let mut dead: Vec<(Instant, u64)> =
            self.members.iter().filter(|(_, m)| !m.alive).map(|(n, m)| (m.since, *n)).collect();
        if dead.len() > DEAD_MAX {
            dead.sort_unstable();
            for (_, node) in &dead[..dead.len() - DEAD_MAX] {
                self.forget(*node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(2);

    fn seen(node: u64, generation: u64, heartbeat: u64, live: bool) -> Seen {
        let address = SocketAddr::from(([127, 0, 0, node as u8], 5052));
        Seen { node, generation, address, heartbeat, live, facts: None }
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_first_sign_may_be_old_and_a_second_is_life() {
        let start = Instant::now();
        let mut book = Book::new(1, SILENCE);
        assert!(book.observe(vec![seen(1, 1, 1, false), seen(2, 1, 50, false)], start));
        assert!(book.members()[&1].alive, "this node");
        assert!(!book.members()[&2].alive);
        assert!(!book.observe(vec![seen(1, 1, 9, false), seen(2, 1, 50, false)], after(start, 10)));
        assert!(book.observe(vec![seen(1, 1, 9, false), seen(2, 1, 51, false)], after(start, 20)));
        let member = &book.members()[&2];
        assert_eq!((member.alive, member.since), (true, after(start, 20)));
    }

    #[test]
    fn a_short_stall_is_no_death_whatever_phi_says() {
        let start = Instant::now();
        let mut book = Book::new(1, SILENCE);
        book.observe(vec![seen(2, 1, 1, false)], start);
        book.observe(vec![seen(2, 1, 2, true)], start);
        assert!(!book.observe(vec![seen(2, 1, 2, false)], after(start, 1999)));
        assert!(book.members()[&2].alive);
        assert!(book.observe(vec![seen(2, 1, 2, false)], after(start, 2000)));
        let member = &book.members()[&2];
        assert_eq!((member.alive, member.since), (false, after(start, 2000)));
        // And where signs are rare, phi says how long to wait.
        assert!(book.observe(vec![seen(2, 1, 2, true)], after(start, 2100)));
        assert!(book.members()[&2].alive);
    }

    #[test]
    fn the_newest_generation_that_lives_is_the_node() {
        let start = Instant::now();
        let mut book = Book::new(1, SILENCE);
        book.observe(vec![seen(2, 7, 5, true)], start);
        let later = after(start, 100);
        assert!(book.observe(vec![seen(2, 7, 5, true), seen(2, 8, 1, true)], later));
        let member = &book.members()[&2];
        assert_eq!((member.generation, member.since), (8, later), "a restart begins anew");
        // Its clock was put back: the older number is the one that lives.
        let later = after(start, 5000);
        assert!(book.observe(vec![seen(2, 3, 5, true), seen(2, 8, 1, false)], later));
        assert_eq!(book.members()[&2].generation, 3);
    }

    #[test]
    fn the_dead_are_remembered_forgotten_and_few() {
        let start = Instant::now();
        let mut book = Book::new(1, SILENCE);
        book.observe(vec![seen(2, 1, 5, true)], start);
        assert!(!book.forget(2), "it is alive");
        assert!(book.observe(Vec::new(), after(start, 10)));
        assert!(!book.members()[&2].alive);
        assert!(book.forget(2) && book.members().is_empty());
        book.observe(vec![seen(2, 1, 5, false)], after(start, 11));
        assert!(book.members().is_empty(), "the library knows it longer");
        book.observe(vec![seen(2, 2, 1, false)], after(start, 12));
        assert!(book.members().contains_key(&2), "another generation");
        assert!(book.forget(2));
        book.observe(vec![seen(2, 2, 2, false)], after(start, 13));
        assert!(book.members()[&2].alive, "it lives");
        book.observe(Vec::new(), after(start, 14));
        assert!(book.forget(2));
        book.observe(Vec::new(), after(start, 15));

        for n in 0..DEAD_MAX as u64 + 5 {
            book.observe(vec![seen(10 + n, 1, 5, true)], after(start, 20 + n));
        }
        book.observe(Vec::new(), after(start, 10_000));
        assert_eq!(book.members().len(), DEAD_MAX);
        assert!(!book.members().contains_key(&10), "dead for longest");
    }

    #[test]
    fn what_a_node_says_stays_until_it_says_more() {
        let start = Instant::now();
        let mut book = Book::new(1, SILENCE);
        let facts = Facts { zone: "a".into(), ..Facts::default() };
        book.observe(vec![Seen { facts: Some(facts), ..seen(2, 1, 5, true) }], start);
        assert!(!book.observe(vec![seen(2, 1, 6, true)], after(start, 10)));
        assert_eq!(book.members()[&2].facts.zone, "a");
    }
}
