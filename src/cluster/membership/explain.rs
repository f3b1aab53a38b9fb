//! The sentences: why each node is what it is, and why a step is taken.

use super::assess::{Bar, Known, Nodes};
use super::choose::Target;
use super::policy::Policy;
use super::view::{Node, Order, View};
use super::{Explanation, Standing, Step};
use std::fmt::Write as _;
use std::time::Duration;

/// A node as people see it.
pub(super) fn name(node: Node) -> String {
    format!("{node:016x}")
}

/// A time as people say it: tenths of seconds, then minutes, then hours.
pub(super) fn time(d: Duration) -> String {
    let secs = d.as_secs();
    match secs {
        0..10 => format!("{}.{} s", secs, d.subsec_millis() / 100),
        10..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3600),
    }
}

/// `1 voter`, `3 voters`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What a step does.
pub(super) fn deed(step: &Step) -> String {
    match step {
        Step::AddLearner { node, address } => {
            format!("node {} at {address} becomes a learner", name(*node))
        }
        Step::ChangeVoters { voters } => {
            let names: Vec<String> = voters.iter().map(|n| name(*n)).collect();
            format!("{}: {}", count(voters.len(), "voter"), names.join(", "))
        }
        Step::RemoveLearner { node } => format!("node {} is no member any longer", name(*node)),
        Step::UpdateAddress { node, address } => {
            format!("node {} is at {address} now", name(*node))
        }
        Step::TransferLeadership { to } => format!("node {} is asked to lead", name(*to)),
    }
}

/// What a step does, and why.
pub(super) fn step(step: &Step, nodes: &Nodes, target: &Target) -> String {
    let mut text = deed(step);
    let why = |known: &Known| match (known.bar, known.expired) {
        (Some(bar), _) => Some(barred(bar)),
        (None, true) => known.silent.map(|s| format!("it is silent for {}", time(s))),
        _ => None,
    };
    let mut add = |sentence: String| {
        let _ = write!(text, "; {sentence}");
    };
    match step {
        Step::ChangeVoters { voters } => {
            for known in nodes.values().filter(|k| !k.votes() && voters.contains(&k.node)) {
                let seat = seat(known, nodes, target);
                add(format!("{} is promoted ({seat})", name(known.node)));
            }
            for known in nodes.values().filter(|k| k.votes() && !voters.contains(&k.node)) {
                let why = match target.swapped.get(&known.node) {
                    Some(to) => format!("its zone has more voters than that of {}", name(*to)),
                    None => why(known).unwrap_or_else(|| {
                        format!("{} enough", are(&count(voters.len(), "voter"), voters.len()))
                    }),
                };
                add(format!("{} votes no longer ({why})", name(known.node)));
            }
        }
        Step::RemoveLearner { node } => {
            let why = nodes.get(node).and_then(why);
            add(why.unwrap_or_else(|| "there are learners enough".into()));
        }
        Step::TransferLeadership { .. } => {
            let leader = nodes.values().find(|k| k.votes() && !target.voters.contains(&k.node));
            if let Some(why) = leader.and_then(why) {
                add(format!("of the leader: {why}"));
            }
        }
        Step::AddLearner { .. } | Step::UpdateAddress { .. } => {}
    }
    text
}

fn are(what: &str, n: usize) -> String {
    format!("{what} {}", if n == 1 { "is" } else { "are" })
}

fn barred(bar: Bar) -> String {
    match bar {
        Bar::Leaving => "it leaves for good",
        Bar::NoMaster => "it runs no master",
        Bar::Demoted => "demoted by the operator",
        Bar::Foreign => "it speaks no version that the leader speaks",
    }
    .into()
}

/// Why a node has, or gets, a vote.
fn seat(known: &Known, nodes: &Nodes, target: &Target) -> String {
    match known.order() {
        Order::Pin => return "pinned by the operator".into(),
        Order::Promote => return "promoted by the operator".into(),
        Order::None | Order::Demote => {}
    }
    if target.voters.len() == 1 {
        return match target.able {
            0 | 1 => "the only node that can vote".into(),
            n => format!("1 voter is enough for {n} nodes"),
        };
    }
    let zone = known.zone().filter(|zone| !zone.is_empty());
    let Some(zone) = zone else { return format!("one of {}", target.voters.len()) };
    // Voters of a zone are counted in the order in which they are listed.
    let before = target.voters.iter().filter(|n| **n < known.node);
    let same = before.filter(|n| nodes.get(n).and_then(Known::zone) == Some(zone)).count();
    let place = match same {
        0 => "first".into(),
        1 => "second".into(),
        2 => "third".into(),
        n => format!("number {}", n + 1),
    };
    format!("{place} of zone {zone}")
}

/// An explanation for each node.
pub(super) fn all(
    nodes: &Nodes,
    target: &Target,
    wish: &Target,
    blocked: Option<&str>,
    view: &View,
    policy: &Policy,
) -> Vec<Explanation> {
    let of = Of { nodes, target, wish, blocked, view, policy };
    nodes.values().map(|known| of.explain(known)).collect()
}

struct Of<'a> {
    nodes: &'a Nodes<'a>,
    target: &'a Target,
    wish: &'a Target,
    blocked: Option<&'a str>,
    view: &'a View,
    policy: &'a Policy,
}

impl Of<'_> {
    fn explain(&self, known: &Known) -> Explanation {
        let (standing, text) = match known.member {
            Some(member) if member.votes && known.node == self.view.me => {
                (Standing::Leader, format!("voter, leads: {}", self.voter(known)))
            }
            Some(member) if member.votes => {
                (Standing::Voter, format!("voter: {}", self.voter(known)))
            }
            Some(_) => (Standing::Learner, format!("learner: {}", self.learner(known))),
            None => (Standing::Outside, self.outside(known)),
        };
        Explanation { node: known.node, standing, text }
    }

    fn voter(&self, known: &Known) -> String {
        if self.target.voters.is_empty() {
            let bar = known.bar.map(barred).unwrap_or_else(|| "nobody can vote".into());
            return format!("{bar}, but nobody else can vote");
        }
        if self.target.voters.contains(&known.node) {
            let seat = seat(known, self.nodes, self.target);
            let Some(silent) = known.silent else { return seat };
            let silent = time(silent);
            return match (known.expired, known.pinned()) {
                (_, true) => format!("{seat}; silent for {silent}, not replaced"),
                (true, _) => format!(
                    "{seat}; silent for {silent}, no healthy node is ready to take its place"
                ),
                (false, _) => format!(
                    "{seat}; silent for {silent} of {} before it is replaced",
                    time(self.policy.patience)
                ),
            };
        }
        let why = match (known.bar, self.target.swapped.get(&known.node), known.silent) {
            (Some(bar), ..) => barred(bar),
            (None, Some(to), _) => format!("gives its place to {} of another zone", name(*to)),
            (None, None, Some(silent)) if known.expired => {
                format!("silent for {}, replaced", time(silent))
            }
            (None, None, _) => {
                let n = self.target.voters.len();
                format!("gives up its vote, {} enough", are(&count(n, "voter"), n))
            }
        };
        match self.blocked {
            Some(blocked) => format!("{why}; not yet: {blocked}"),
            None => why,
        }
    }

    fn learner(&self, known: &Known) -> String {
        if let Some(bar) = known.bar {
            return self.not_promoted(known, bar);
        }
        if let Some(silent) = known.silent {
            return format!("silent for {}", time(silent));
        }
        let Some(alive) = known.alive else { return "gossip does not hear it".into() };
        if self.target.voters.contains(&known.node) {
            let seat = seat(known, self.nodes, self.target);
            return match self.blocked {
                Some(blocked) => format!("to vote, {seat}; not yet: {blocked}"),
                None => format!("votes next, {seat}"),
            };
        }
        if self.wish.voters.contains(&known.node) {
            let behind = known.member.and_then(|m| m.behind);
            return match behind {
                None => "waits: has not got the log yet".into(),
                Some(n) if n > self.policy.behind_max => {
                    format!("waits: catching up, {n} entries behind")
                }
                _ if alive < self.policy.steady => {
                    format!("waits: alive for {} of {}", time(alive), time(self.policy.steady))
                }
                // It is wanted, and ready, but others that come with it are not.
                _ => format!(
                    "waits: {} when further nodes are ready",
                    count(self.wish.voters.len(), "voter")
                ),
            };
        }
        self.enough(known, alive)
    }

    /// Why a node that could vote is not needed.
    fn enough(&self, known: &Known, alive: Duration) -> String {
        let n = self.target.voters.len();
        // One more would come to the next odd number.
        if self.wish.able == n + 1 && n < self.policy.voters_max {
            return "an even number of voters adds nothing".into();
        }
        let zone = known.zone().unwrap_or_default();
        let alone = self
            .target
            .voters
            .iter()
            .all(|v| self.nodes.get(v).and_then(Known::zone).is_none_or(|other| other != zone));
        if alone && alive < self.policy.rebalance && !zone.is_empty() {
            return format!(
                "takes a place for zone {zone} once alive for {}",
                time(self.policy.rebalance)
            );
        }
        format!("not promoted: {} enough", are(&count(n, "voter"), n))
    }

    fn not_promoted(&self, known: &Known, bar: Bar) -> String {
        match (bar, known.candidate) {
            (Bar::Foreign, Some(c)) => format!(
                "not promoted: it speaks versions {} to {}, the leader {} to {}",
                c.versions.oldest,
                c.versions.newest,
                self.view.versions.oldest,
                self.view.versions.newest
            ),
            _ => format!("not promoted: {}", barred(bar)),
        }
    }

    fn outside(&self, known: &Known) -> String {
        if let Some(bar) = known.bar {
            return self.not_promoted(known, bar);
        }
        let Some(alive) = known.alive else {
            return "not promoted: gossip does not hear it".into();
        };
        if alive < self.policy.arrive {
            return format!("waits: alive for {} of {}", time(alive), time(self.policy.arrive));
        }
        if self.wish.voters.contains(&known.node) {
            return match self.blocked {
                Some(blocked) => format!("waits to become a learner: {blocked}"),
                None => "waits to become a learner, then to vote".into(),
            };
        }
        self.enough(known, alive)
    }
}
