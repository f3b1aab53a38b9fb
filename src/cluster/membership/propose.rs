//! The steps that are due and safe, most urgent first, and when to look again.

use super::Step;
use super::assess::{Bar, Known, Nodes};
use super::choose::Target;
use super::memory::Memory;
use super::policy::Policy;
use super::view::{Life, Node, View};
use crate::base::time::Mono;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What is due.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Each is safe now, whichever is taken.
    pub(super) steps: Vec<Step>,
    /// Why a change of voters that is due is not among them.
    pub(super) blocked: Option<String>,
    /// Whether the next answers may change that.
    pub(super) again: bool,
}

fn blocked(why: String) -> Plan {
    Plan { blocked: Some(why), ..Plan::default() }
}

/// Plans.
pub(super) fn plan(
    nodes: &Nodes,
    target: &Target,
    wish: &Target,
    view: &View,
    policy: &Policy,
) -> Plan {
    if view.changing {
        return blocked("a change is under way".into());
    }
    let voters = view.voters();
    if !voters.contains(&view.me) && !view.joint.as_ref().is_some_and(|j| j.contains(&view.me)) {
        return blocked("the leader has no vote".into());
    }
    // Nothing can be committed without these.
    for set in std::iter::once(&voters).chain(&view.joint) {
        if let Some(lack) = lack(set, nodes, |k| k.up()) {
            return blocked(lack);
        }
    }
    if let Some(joint) = &view.joint {
        let ends = Step::ChangeVoters { voters: joint.clone() };
        return Plan { steps: vec![ends], ..Plan::default() };
    }
    let mut plan = Plan { steps: moved(nodes), ..Plan::default() };
    change(&mut plan, &voters, nodes, target, view, policy);
    let needed = wish.voters.union(&target.voters).filter(|n| !voters.contains(n)).copied();
    learners(&mut plan, &needed.collect(), nodes, policy);
    plan
}

/// What is missing for a majority of these to be heard.
fn lack(set: &BTreeSet<Node>, nodes: &Nodes, there: fn(&Known) -> bool) -> Option<String> {
    let heard = set.iter().filter(|n| nodes.get(n).is_some_and(there)).count();
    let need = set.len() / 2 + 1;
    (heard < need).then(|| format!("{heard} of {} voters heard, need {need}", set.len()))
}

/// Members that are elsewhere than the log says.
fn moved(nodes: &Nodes) -> Vec<Step> {
    let moved = nodes.values().filter_map(|known| {
        let (member, candidate) = (known.member?, known.candidate?);
        let alive = matches!(candidate.life, Life::Alive { .. });
        (alive && candidate.address != member.address)
            .then(|| Step::UpdateAddress { node: known.node, address: candidate.address.clone() })
    });
    moved.collect()
}

/// The change of voters, or the hand-over that must come before it.
fn change(
    plan: &mut Plan,
    voters: &BTreeSet<Node>,
    nodes: &Nodes,
    target: &Target,
    view: &View,
    policy: &Policy,
) {
    if target.voters.is_empty() || target.voters == *voters {
        return;
    }
    let mut next = target.voters.clone();
    if !next.contains(&view.me) {
        // Whoever votes and may go on voting can lead meanwhile; best one of those who shall.
        let mut heirs: Vec<&Known> = voters.iter().filter_map(|node| nodes.get(node)).collect();
        heirs.retain(|k| k.node != view.me && k.bar.is_none() && k.up());
        let able = heirs.iter().filter(|k| k.caught_up(policy));
        let best = able.min_by_key(|k| (!next.contains(&k.node), Reverse(k.alive), k.node));
        if let Some(heir) = best {
            plan.steps.push(Step::TransferLeadership { to: heir.node });
            return;
        }
        if !heirs.is_empty() {
            plan.blocked = Some("no other voter has caught up, so none can take over".into());
            return;
        }
        // Nobody else votes who may and is there: first they vote beside the leader, or nobody could take over. The newest of
        // them, or one that is silent, waits, so that there are no more voters than there shall be.
        let newest = nodes
            .values()
            .filter(|k| next.contains(&k.node))
            .min_by_key(|k| (k.up(), k.alive, Reverse(k.node)));
        if let Some(newest) = newest.filter(|_| next.len() > 1) {
            next.remove(&newest.node);
        }
        next.insert(view.me);
    }
    // A leader that has just begun knows nobody for long: it does not give votes up that others can take over in a moment.
    if next.len() < voters.len() && nodes.values().any(|k| k.soon(policy)) {
        plan.blocked = Some("another node may vote in a moment".into());
        return;
    }
    if let Some(lack) = lack(&next, nodes, |k| k.up()) {
        plan.blocked = Some(format!("afterwards only {lack}"));
        return;
    }
    let sure = |known: &Known| known.sure;
    if [voters, &next].iter().any(|set| lack(set, nodes, sure).is_some()) {
        plan.blocked = Some("the last answers of a majority are too old to rest on".into());
        plan.again = true;
        return;
    }
    plan.steps.push(Step::ChangeVoters { voters: next });
}

/// Whom to give the log, and whom no longer.
fn learners(plan: &mut Plan, needed: &BTreeSet<Node>, nodes: &Nodes, policy: &Policy) {
    let room = policy.learners_max.max(needed.len());

    let mut ranked: Vec<(u8, &Known)> = Vec::new();
    let mut leaving: Vec<&Known> = Vec::new();
    for known in nodes.values().filter(|k| !k.votes()) {
        let learns = known.learns();
        if matches!(known.bar, Some(Bar::Leaving | Bar::NoMaster)) {
            leaving.extend(learns.then_some(known));
        } else if needed.contains(&known.node) {
            ranked.push((0, known));
        } else if learns && known.bar.is_none() && !known.expired {
            ranked.push((1, known));
        } else if known.promising(policy) {
            ranked.push((2, known));
        } else if learns {
            ranked.push((if known.bar.is_none() { 3 } else { 4 }, known));
        }
    }
    ranked.sort_by_key(|(class, k)| (*class, Reverse(k.alive), k.node));
    let (keep, rest) = ranked.split_at(room.min(ranked.len()));
    let new: Vec<&Known> = keep.iter().map(|(_, k)| *k).filter(|k| !k.learns()).collect();
    let have = ranked.iter().filter(|(_, k)| k.learns()).count();

    let remove = |known: &&Known| Step::RemoveLearner { node: known.node };
    plan.steps.extend(leaving.iter().map(remove));
    if have > room || (have == room && !new.is_empty()) {
        // The last of those that are too many.
        let last = rest.iter().rev().map(|(_, k)| *k).find(|k| k.learns());
        plan.steps.extend(last.iter().map(remove));
    }
    let addressed = new.iter().filter_map(|known| {
        let address = known.candidate?.address.clone();
        Some(Step::AddLearner { node: known.node, address })
    });
    plan.steps.extend(addressed);
}

/// When to decide again although nothing was reported.
pub(super) fn wake(
    nodes: &Nodes,
    view: &View,
    policy: &Policy,
    memory: &Memory,
    again: bool,
    now: Mono,
) -> Option<Mono> {
    let mut times: Vec<Mono> = memory.retries(policy).collect();
    times.extend(again.then_some(now + policy.sure));
    for known in nodes.values() {
        if let Some(member) = known.member.filter(|_| known.node != view.me) {
            match known.silent_since {
                Some(since) => times.push(since + policy.patience),
                None => times.extend(member.heard.map(|heard| heard + policy.fresh)),
            }
        }
        let life = known.candidate.filter(|_| !known.votes() && known.bar.is_none());
        if let Some(Life::Alive { since }) = life.map(|c| c.life) {
            let ages = [policy.arrive, policy.steady, policy.rebalance];
            times.extend(ages.map(|age| since + age));
        }
    }
    times.into_iter().filter(|at| *at > now).min()
}
