//! What happens to nodes: they join and leave for good, die and return, are stopped and go on, move; the network between
//! them breaks; the operator says who shall vote.

use super::tree::Record;
use super::{Cluster, Host, NODES_EVER, NODES_MAX, Number};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::cluster::membership::Order;
use std::time::Duration;

/// What the world has to do about a trouble.
pub(in crate::sim) enum Trouble {
    /// Nothing; or what is done already.
    Done,
    /// Connections between nodes may have broken.
    Network,
    /// There is one node more.
    Joins,
    /// The process of this node ends, and starts again after that time.
    Ends { node: Number, pause: Duration },
    /// The machine of this node ends, and starts again after that time.
    Dies { node: Number, pause: Duration },
}

impl Cluster {
    /// Something happens to the cluster.
    pub fn trouble(&mut self, now: Mono, rng: &mut Rng) -> Trouble {
        let living: Vec<Number> = (0..self.hosts.len()).filter(|n| !self.departed(*n)).collect();
        let at = rng.below(living.len() as u64) as usize;
        let Some(n) = living.get(at).copied() else { return Trouble::Done };
        let pause = if rng.chance(1, 3) { 60_000 } else { 6000 };
        let pause = Duration::from_millis(100) + rng.up_to(Duration::from_millis(pause));
        match rng.below(16) {
            0..=3 => {
                let what = self.net.upset(&living, rng);
                self.note(format!("the network is {what}"));
                Trouble::Network
            }
            4 | 5 if self.hosts.get(n).is_some_and(|h| h.up) => Trouble::Dies { node: n, pause },
            6 | 7 if self.hosts.get(n).is_some_and(|h| h.up) => Trouble::Ends { node: n, pause },
            8 | 9 => {
                let most = if rng.chance(1, 3) { 40 } else { 4 };
                let time = rng.up_to(Duration::from_secs(most));
                if self.runs(n, now)
                    && let Some(host) = self.hosts.get_mut(n)
                {
                    host.stopped_until = now + time;
                    self.note(format!("node {n} is stopped for {time:?}"));
                }
                Trouble::Done
            }
            10 => {
                self.challenge(now, rng);
                Trouble::Done
            }
            11 | 12 => self.ask_to_leave(n),
            13 | 14 if living.len() < NODES_MAX && self.hosts.len() < NODES_EVER => {
                let host = Host::new(self.hosts.len(), now, rng);
                self.hosts.push(host);
                Trouble::Joins
            }
            _ => {
                let orders = [Order::None, Order::None, Order::Promote, Order::Pin, Order::Demote];
                let order = orders.get(rng.below(5) as usize).copied().unwrap_or_default();
                if self.book.contains_key(&n)
                    && let Some(host) = self.hosts.get_mut(n)
                {
                    host.wish.order = order;
                    self.note(format!("the operator says {order:?} of node {n}"));
                }
                Trouble::Done
            }
        }
    }

    /// A node leaves for good, if others stay that can lead.
    fn ask_to_leave(&mut self, n: Number) -> Trouble {
        let stays = |m: &Number| {
            let host = self.hosts.get(*m);
            *m != n && host.is_some_and(|h| h.master && !h.wish.leaving && !h.departed)
        };
        let others = self.book.keys().filter(|m| stays(m)).count();
        if others > 0
            && self.book.contains_key(&n)
            && let Some(host) = self.hosts.get_mut(n)
        {
            host.wish.leaving = true;
            self.note(format!("node {n} is to leave"));
        }
        Trouble::Done
    }

    /// A node's process ends, or its machine. What is on its disk stays.
    pub fn down(&mut self, n: Number, rng: &mut Rng) {
        self.end_reign(n);
        let Some(host) = self.hosts.get_mut(n) else { return };
        (host.up, host.stopped_until) = (false, Mono(0));
        host.rumors.clear();
        if rng.chance(1, 6) {
            host.moves += 1;
        }
    }

    /// It starts again. Returns whether it was off.
    pub fn up(&mut self, n: Number, now: Mono) -> bool {
        let Some(host) = self.hosts.get_mut(n).filter(|h| !h.up && !h.departed) else {
            return false;
        };
        (host.up, host.heard) = (true, now);
        true
    }

    /// It has left for good.
    pub fn depart(&mut self, n: Number) {
        self.end_reign(n);
        if let Some(host) = self.hosts.get_mut(n) {
            (host.up, host.departed) = (false, true);
            host.rumors.clear();
        }
    }

    /// All is well from now on: returns who has to be started.
    pub fn heal(&mut self, now: Mono) -> Vec<Number> {
        self.calm = true;
        self.net.heal();
        for host in &mut self.hosts {
            host.wish = Record { order: Order::None, ..host.wish };
            host.joins_at = host.joins_at.min(now);
        }
        let off = self.hosts.iter().enumerate().filter(|(_, h)| !h.up && !h.departed);
        off.map(|(n, _)| n).collect()
    }
}
