//! Who votes: from what the leader sees, the one step that brings the cluster nearer to the policy, and a sentence
//! for each node that says why it is what it is.
//!
//! [`decide`] is a function of its arguments: no clock, no I/O, nothing kept but the [`Memory`] it is given. The
//! leader's shell calls it whenever something changed or [`Decision::wake`] is reached, carries the step out through
//! `consensus`, and shows the explanations. A new leader begins with an empty memory.
//!
//! The rules:
//!
//! - 1 or 2 nodes have 1 voter, 3 or 4 have 3, 5 or more have 5 ([`Policy::voters_max`]): an even number of voters
//!   adds nothing, so it is left only on the way, or when the operator says so.
//! - Among the healthy, spread over zones comes before all else.
//! - A node listens before it votes: it is made a learner, catches up, and must have been alive for a while.
//! - A voter that is silent for long is replaced when a healthy node is ready; silence alone takes no vote away.
//!   Votes become fewer when nodes leave for good.
//! - No step is taken after which a majority of the voters would not be heard, or for which the majorities before
//!   and after it are not heard now. The leader never votes itself out: it hands over first.
//!
//! It does not detect failures: whom the leader hears is told by `consensus`, who else is alive by `gossip`.

mod assess;
mod choose;
mod explain;
mod memory;
mod policy;
mod propose;
#[cfg(test)]
mod tests;
mod view;

pub use memory::Memory;
pub use policy::{LEARNERS_MAX, Policy, VOTERS_MAX};
pub use view::{Candidate, Life, Member, Node, Order, Versions, View};

use crate::base::time::Mono;
use serde::Serialize;
use std::collections::BTreeSet;

/// One change for the leader to carry out; the next is decided when it is done, or has failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A member is reached elsewhere.
    UpdateAddress {
        /// Which one.
        node: Node,
        /// Where it is now.
        address: String,
    },
    /// The leader asks this voter to take over.
    TransferLeadership {
        /// The next leader.
        to: Node,
    },
    /// Exactly these vote; who voted before goes on listening.
    ChangeVoters {
        /// All voters.
        voters: BTreeSet<Node>,
    },
    /// A member that does not vote is one no longer.
    RemoveLearner {
        /// Which one.
        node: Node,
    },
    /// A node gets the log, without a vote.
    AddLearner {
        /// Which one.
        node: Node,
        /// Where it is.
        address: String,
    },
}

/// What a node is in the cluster now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It leads, and votes.
    Leader,
    /// It votes.
    Voter,
    /// It gets the log and does not vote.
    Learner,
    /// It is no member of the log.
    Outside,
}

/// Why a node is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The node.
    pub node: Node,
    /// What it is.
    pub standing: Standing,
    /// Why, in a sentence.
    pub text: String,
}

/// What comes of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do now.
    pub step: Option<Step>,
    /// Why that step; or why none, where one was due.
    pub reason: Option<String>,
    /// One for each member and each candidate, by node.
    pub explanations: Vec<Explanation>,
    /// When to decide again although nothing has changed.
    pub wake: Option<Mono>,
}

/// Decides.
pub fn decide(view: &View, policy: &Policy, memory: &mut Memory, now: Mono) -> Decision {
    memory.observe(view, now);
    let nodes = assess::assess(view, policy, memory, now);
    let target = choose::choose(&nodes, view, policy, choose::Recruits::Ready);
    let wish = choose::choose(&nodes, view, policy, choose::Recruits::Promising);
    let plan = propose::plan(&nodes, &target, &wish, view, policy);
    let (chosen, waits) = memory.pick(plan.steps, policy, now);
    let explanations = explain::all(&nodes, &target, &wish, plan.blocked.as_deref(), view, policy);
    let reason = match &chosen {
        Some(step) => Some(explain::step(step, &nodes, &target)),
        None => waits.map(|w| w.text(now)).or_else(|| plan.blocked.clone()),
    };
    if let Some(step) = &chosen {
        memory.tried(step.clone(), now);
    }
    let wake = propose::wake(&nodes, view, policy, memory, plan.again, now);
    Decision { step: chosen, reason, explanations, wake }
}
