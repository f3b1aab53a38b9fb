//! What a view says about each node: whether it may vote, whether it is there, whether it is ready.

use super::memory::Memory;
use super::policy::Policy;
use super::view::{Candidate, Life, Member, Node, Order, View};
use crate::base::time::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

/// All nodes, members and others.
pub(super) type Nodes<'a> = BTreeMap<Node, Known<'a>>;

/// What is known of a node.
#[derive(Clone, Debug)]
pub(super) struct Known<'a> {
    pub(super) node: Node,
    pub(super) member: Option<&'a Member>,
    pub(super) candidate: Option<&'a Candidate>,
    /// Why it shall not vote.
    pub(super) bar: Option<Bar>,
    /// Whether the last answer is new enough for a change of voters to rest on it.
    pub(super) sure: bool,
    /// For how long a member has not answered the leader; none while its last answer is fresh.
    pub(super) silent: Option<Duration>,
    /// Since when a silent member is silent.
    pub(super) silent_since: Option<Mono>,
    /// It was silent for so long that another may take its place.
    pub(super) expired: bool,
    /// How long gossip has heard it; none while it does not.
    pub(super) alive: Option<Duration>,
}

/// Why a node shall not vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bar {
    /// It leaves for good.
    Leaving,
    /// It runs no master.
    NoMaster,
    /// The operator said so.
    Demoted,
    /// It speaks no version that the leader speaks. Takes no vote away, but gives none.
    Foreign,
}

impl Known<'_> {
    /// Whether it votes now.
    pub(super) fn votes(&self) -> bool {
        self.member.is_some_and(|m| m.votes)
    }

    /// Whether it gets the log and does not vote.
    pub(super) fn learns(&self) -> bool {
        self.member.is_some_and(|m| !m.votes)
    }

    /// Whether it is a member that the leader hears.
    pub(super) fn up(&self) -> bool {
        self.member.is_some() && self.silent.is_none()
    }

    /// Whether it could take over or vote at once, as far as its log goes.
    pub(super) fn caught_up(&self, policy: &Policy) -> bool {
        self.up() && self.member.is_some_and(|m| m.behind.is_some_and(|b| b <= policy.behind_max))
    }

    /// Whether it may be given a vote now.
    pub(super) fn ready(&self, policy: &Policy) -> bool {
        self.learns()
            && self.bar.is_none()
            && self.caught_up(policy)
            && self.alive.is_some_and(|a| a >= policy.steady)
    }

    /// Whether it has not been looked at for long enough, and may be ready then.
    pub(super) fn soon(&self, policy: &Policy) -> bool {
        self.learns() && self.bar.is_none() && self.alive.is_some_and(|a| a < policy.steady)
    }

    /// Whether it is there and might vote one day, whatever its log has.
    pub(super) fn promising(&self, policy: &Policy) -> bool {
        let arrived = self.alive.is_some_and(|a| a >= policy.arrive);
        !self.votes() && self.bar.is_none() && !self.expired && (self.member.is_some() || arrived)
    }

    /// What the operator said of it.
    pub(super) fn order(&self) -> Order {
        self.candidate.map_or(Order::None, |c| c.order)
    }

    /// The zone, where gossip knows the node.
    pub(super) fn zone(&self) -> Option<&str> {
        self.candidate.map(|c| c.zone.as_str())
    }

    /// Whether it keeps its vote whatever happens.
    pub(super) fn pinned(&self) -> bool {
        self.order() == Order::Pin && self.votes()
    }
}

/// Assesses all nodes of a view.
pub(super) fn assess<'a>(view: &'a View, policy: &Policy, memory: &Memory, now: Mono) -> Nodes<'a> {
    let mut nodes = Nodes::new();
    for node in view.members.keys().chain(view.candidates.keys()) {
        nodes.entry(*node).or_insert_with(|| {
            let (member, candidate) = (view.members.get(node), view.candidates.get(node));
            let silent_since = member.and_then(|m| {
                let last = m.heard.or_else(|| memory.unheard(*node)).unwrap_or(now);
                let fresh =
                    *node == view.me || (m.heard.is_some() && now.since(last) < policy.fresh);
                (!fresh).then_some(last)
            });
            let silent = silent_since.map(|since| now.since(since));
            let heard = member.and_then(|m| m.heard);
            let sure = member.is_some()
                && (*node == view.me || heard.is_some_and(|h| now.since(h) < policy.sure));
            let votes = member.is_some_and(|m| m.votes);
            let bar = candidate.and_then(|c| {
                if c.leaving {
                    Some(Bar::Leaving)
                } else if !c.master {
                    Some(Bar::NoMaster)
                } else if c.order == Order::Demote {
                    Some(Bar::Demoted)
                } else {
                    (!votes && !c.versions.meet(view.versions)).then_some(Bar::Foreign)
                }
            });
            let alive = candidate.and_then(|c| match c.life {
                Life::Alive { since } => Some(now.since(since)),
                Life::Dead { .. } => None,
            });
            let expired = silent.is_some_and(|s| s >= policy.patience);
            Known {
                node: *node,
                member,
                candidate,
                bar,
                sure,
                silent,
                silent_since,
                expired,
                alive,
            }
        });
    }
    nodes
}
