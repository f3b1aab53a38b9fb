//! What is done to a cluster, as its seed decides: faults, changes of members and leaders, and when they come, counted in
//! operations that have finished. Whom they meet is known only when they come.

use super::relay::Harm;
use mesolith::base::rng::Rng;
use std::time::Duration;

/// Whom it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever leads then.
    Leader,
    /// One that does not, the n-th.
    Other(u64),
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing that it sends arrives.
    Mute(Who),
    /// Nothing that is sent to it arrives.
    Deafen(Who),
    /// Both.
    Isolate(Who),
    /// It and one other hear each other no more; all else goes on.
    CutBetween(Who, Who),
    /// Those whose bit is set and the others.
    Halve(u64),
    /// What it sends is late.
    Slow(Who, Duration),
    /// A piece of what it sends to each is harmed after so many bytes.
    Harm(Who, Harm, usize),
    /// Its connections are reset.
    Reset(Who),
    /// All ways are open and fast; what was held is lost with its connections, or arrives.
    Heal { lost: bool },
    /// Its process ends, and its disk loses what was not synced.
    Crash(Who),
    /// Its disk fails after so many operations; then the same.
    DiskDies(Who, u64),
    /// All crash at once.
    PowerFails,
    /// It stops in order.
    Stop(Who),
    /// All that are down start.
    StartAll,
    /// Leadership is handed over to it.
    HandOverTo(Who),
    /// It is told that its leader is gone, which is not so.
    FalseWord(Who),
    /// A node more, as a voter.
    Grow,
    /// It votes no more and is no member.
    Shrink(Who),
    /// It takes a snapshot now.
    Snapshot(Who),
}

/// What is done when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many operations finish between the step before and this one.
    pub after: u64,
    pub fault: Fault,
}

/// All that a seed decides but chance.
#[derive(Clone, Debug)]
pub struct Plan {
    pub nodes: usize,
    pub clients: usize,
    pub keys: usize,
    pub steps: Vec<Step>,
    /// Whether the power fails once more when all is over.
    pub ends_dark: bool,
}

impl Plan {
    pub fn of(rng: &mut Rng) -> Self {
        let nodes = if rng.chance(1, 4) { 5 } else { 3 };
        let mut steps = Vec::new();
        for _ in 0..3 + rng.below(3) {
            act(rng, &mut steps);
        }
        Self {
            nodes,
            clients: 4 + rng.below(3) as usize,
            keys: 2 + rng.below(3) as usize,
            steps,
            ends_dark: rng.chance(1, 3),
        }
    }
}

/// One thing that goes wrong, or two, something else meanwhile, and usually the end of it.
fn act(rng: &mut Rng, steps: &mut Vec<Step>) {
    let step = |rng: &mut Rng, fault: Fault| Step { after: 3 + rng.below(18), fault };
    if rng.chance(1, 3) {
        let fault = change(rng);
        steps.push(step(rng, fault));
    }
    for _ in 0..1 + rng.below(2) {
        let fault = harm(rng);
        steps.push(step(rng, fault));
    }
    if rng.chance(1, 3) {
        let fault = change(rng);
        steps.push(step(rng, fault));
    }
    if rng.chance(4, 5) {
        let fault = Fault::Heal { lost: rng.chance(1, 2) };
        steps.push(step(rng, fault));
        steps.push(step(rng, Fault::StartAll));
    }
}

fn who(rng: &mut Rng) -> Who {
    if rng.chance(3, 5) { Who::Leader } else { Who::Other(rng.below(8)) }
}

fn harm(rng: &mut Rng) -> Fault {
    let whom = who(rng);
    match rng.below(16) {
        0 | 1 => Fault::Mute(whom),
        2 => Fault::Deafen(whom),
        3 | 4 => Fault::Isolate(whom),
        5 => Fault::CutBetween(Who::Leader, Who::Other(rng.below(8))),
        6 => Fault::Halve(rng.next_u64()),
        7 => Fault::Slow(whom, Duration::from_millis(5 + rng.below(60))),
        8 => Fault::Harm(whom, Harm::Tear, rng.below(20_000) as usize),
        9 => Fault::Harm(whom, Harm::Garble, rng.below(5_000) as usize),
        10 => Fault::Reset(whom),
        11 | 12 => Fault::Crash(whom),
        13 => Fault::DiskDies(whom, rng.below(60)),
        14 => Fault::PowerFails,
        _ => Fault::Stop(whom),
    }
}

fn change(rng: &mut Rng) -> Fault {
    match rng.below(8) {
        0 | 1 => Fault::HandOverTo(Who::Other(rng.below(8))),
        2 | 3 => Fault::FalseWord(Who::Other(rng.below(8))),
        4 => Fault::Grow,
        5 => Fault::Shrink(who(rng)),
        _ => Fault::Snapshot(who(rng)),
    }
}

#[test]
fn a_seed_decides_all_and_seeds_differ() {
    let steps = |seed| Plan::of(&mut Rng::new(seed)).steps;
    assert_eq!(steps(3), steps(3));
    assert_ne!(steps(3), steps(4));
    let all: Vec<Step> = (0..200).flat_map(steps).collect();
    let dark = all.iter().filter(|step| step.fault == Fault::PowerFails).count();
    assert!(dark > 10 && all.iter().any(|step| step.fault == Fault::Grow));
}
