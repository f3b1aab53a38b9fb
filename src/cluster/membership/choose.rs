//! Which nodes should vote: how many, and which, from what is known of each.

use super::assess::{Known, Nodes};
use super::policy::Policy;
use super::view::{Node, Order, View};
use std::collections::{BTreeMap, BTreeSet};

/// Who counts as ready to be given a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recruits {
    /// Those who are.
    Ready,
    /// Those who might be once they have the log: to know whom to give it to.
    Promising,
}

/// Who should vote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// The voters; empty where nobody may vote, and all stays as it is.
    pub(super) voters: BTreeSet<Node>,
    /// How many nodes could vote, the silent voters included.
    pub(super) able: usize,
    /// Voters that give their place to another for the sake of zones: who → to whom.
    pub(super) swapped: BTreeMap<Node, Node>,
}

/// Chooses.
pub(super) fn choose(nodes: &Nodes, view: &View, policy: &Policy, who: Recruits) -> Target {
    let incumbents: Vec<&Known> = nodes.values().filter(|k| k.votes() && k.bar.is_none()).collect();
    let recruits: Vec<&Known> = nodes
        .values()
        .filter(|k| match who {
            Recruits::Ready => k.ready(policy),
            Recruits::Promising => k.promising(policy),
        })
        .collect();
    let able = incumbents.len() + recruits.len();
    let size = size(&incumbents, &recruits, nodes, view, policy);

    let mut pick = Pick { chosen: BTreeSet::new(), zones: BTreeMap::new(), size };
    // The leader leads on: its place costs nobody anything, and a hand-over costs writes.
    pick.take(incumbents.iter().copied().filter(|k| k.node == view.me));
    // What the operator said comes before what the policy says.
    pick.greedy(incumbents.iter().copied().filter(|k| k.pinned()));
    let promoted = |k: &&Known| k.order() == Order::Promote || k.order() == Order::Pin;
    pick.greedy(incumbents.iter().copied().filter(|k| promoted(k) && !k.expired));
    pick.greedy(recruits.iter().copied().filter(promoted));
    // Who votes goes on voting; of more than are needed, those who are heard.
    pick.greedy(incumbents.iter().copied().filter(|k| k.silent.is_none()));
    pick.greedy(incumbents.iter().copied().filter(|k| !k.expired));
    pick.greedy(recruits.iter().copied());
    // A silent voter that nobody can replace keeps its vote: it may come back.
    pick.greedy(incumbents.iter().copied());

    let swapped = rebalance(&mut pick, nodes, &recruits, view, policy);
    Target { voters: pick.chosen, able, swapped }
}

/// How many should vote.
fn size(
    incumbents: &[&Known],
    recruits: &[&Known],
    nodes: &Nodes,
    view: &View,
    policy: &Policy,
) -> usize {
    // More votes only for those who are there; one that the operator pinned counts as if it were.
    let heard = incumbents.iter().filter(|k| k.silent.is_none() || k.pinned()).count();
    let grown = policy.voters_of(heard + recruits.len());
    // Fewer only when nodes have left: the silent count.
    let voting = nodes.values().filter(|k| k.votes()).count();
    let kept = policy.voters_of((incumbents.len() + recruits.len()).min(voting));
    // Whom the operator wants to vote, and the leader.
    let wanted = |k: &&&Known| {
        let promoted = k.order() == Order::Promote || k.order() == Order::Pin;
        k.node == view.me || k.pinned() || (promoted && !k.expired)
    };
    let ordered = incumbents.iter().filter(wanted).count() + recruits.iter().filter(wanted).count();
    grown.max(kept).max(ordered.min(policy.voters_max))
}

/// A choice under way.
struct Pick<'a> {
    chosen: BTreeSet<Node>,
    /// How many were chosen of each zone.
    zones: BTreeMap<&'a str, usize>,
    size: usize,
}

impl<'a> Pick<'a> {
    fn crowd(&self, known: &Known) -> usize {
        // One whose zone is not known crowds nobody.
        known.zone().map_or(0, |zone| self.zones.get(zone).copied().unwrap_or(0))
    }

    fn take(&mut self, from: impl Iterator<Item = &'a Known<'a>>) {
        for known in from {
            if self.chosen.len() < self.size
                && self.chosen.insert(known.node)
                && let Some(zone) = known.zone()
            {
                *self.zones.entry(zone).or_default() += 1;
            }
        }
    }

    /// Takes as many as fit, each time one whose zone has the fewest; among these a member, then the one that has
    /// been alive for longest.
    fn greedy(&mut self, from: impl Iterator<Item = &'a Known<'a>>) {
        let mut rest: Vec<&Known> = from.filter(|k| !self.chosen.contains(&k.node)).collect();
        while self.chosen.len() < self.size {
            let key =
                |k: &Known| (self.crowd(k), k.member.is_none(), std::cmp::Reverse(k.alive), k.node);
            let best = rest.iter().enumerate().min_by_key(|(_, k)| key(k)).map(|(at, _)| at);
            let Some(at) = best else { return };
            let known = rest.swap_remove(at);
            self.take(std::iter::once(known));
        }
    }
}

/// Gives places of healthy voters to nodes of zones that have fewer voters; each exchange makes the spread strictly
/// better, so it ends.
fn rebalance<'a>(
    pick: &mut Pick<'a>,
    nodes: &'a Nodes<'a>,
    recruits: &[&'a Known<'a>],
    view: &View,
    policy: &Policy,
) -> BTreeMap<Node, Node> {
    let mut swapped = BTreeMap::new();
    let settled = |k: &&&Known| k.alive.is_some_and(|a| a >= policy.rebalance);
    let free = |k: &&Known| {
        k.votes() && k.node != view.me && matches!(k.order(), Order::None | Order::Demote)
    };
    loop {
        let crowded = nodes
            .values()
            .filter(|k| pick.chosen.contains(&k.node) && k.zone().is_some())
            .filter(free)
            .max_by_key(|k| (pick.crowd(k), k.node));
        let lonely = recruits
            .iter()
            .filter(settled)
            .filter(|k| !pick.chosen.contains(&k.node))
            .min_by_key(|k| (pick.crowd(k), std::cmp::Reverse(k.alive), k.node));
        let (Some(out), Some(into)) = (crowded, lonely) else { return swapped };
        if pick.crowd(out) < pick.crowd(into) + 2 {
            return swapped;
        }
        pick.chosen.remove(&out.node);
        if let Some(n) = out.zone().and_then(|zone| pick.zones.get_mut(zone)) {
            *n -= 1;
        }
        pick.take(std::iter::once(*into));
        swapped.insert(out.node, into.node);
    }
}
