//! How a core is written and driven.
//!
//! A core is a [`Machine`]: plain, synchronous, deterministic. It is given inputs, the time and seeded randomness; it
//! changes its own state and answers with [`Effects`]: what must be made durable, and what must be done once it is.
//! The same core runs under [`driver`] in production (on the thread of [`control`], its callers in [`requests`]) and under
//! `sim` in tests.

pub mod control;
pub mod driver;
pub mod requests;
pub mod timers;

use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};

/// What a step may know of the world besides its input.
pub struct Cx<'a> {
    /// For timers and time-outs.
    pub now: Mono,
    /// For records; never moves backwards within one run of a core.
    pub wall: Wall,
    /// For ids, jitter and shuffles.
    pub rng: &'a mut Rng,
}

/// A deterministic state machine.
pub trait Machine {
    /// What may happen to it.
    type Input;
    /// One durable change; a batch of them is applied whole or not at all, in order.
    type Write;
    /// One thing for the shell to do.
    type Act;

    /// Takes one input.
    fn step(&mut self, cx: &mut Cx<'_>, input: Self::Input, out: &mut Effects<Self>);

    /// Called when the time [`Machine::wake_at`] named has come.
    fn wake(&mut self, cx: &mut Cx<'_>, out: &mut Effects<Self>);

    /// Called once after a batch of steps and wakes: work that is better done once for many inputs.
    fn settle(&mut self, _cx: &mut Cx<'_>, _out: &mut Effects<Self>) {}

    /// When to be woken next, if nothing else happens.
    fn wake_at(&self) -> Option<Mono>;
}

/// What steps ask for, in the order they asked.
///
/// An act asked for with [`Effects::act`] is done only when every write asked for before it, in this step or
/// an earlier one, is durable; so nobody outside ever sees state that a crash could take back. One asked
/// for with [`Effects::act_now`] waits for nothing: heartbeats, pings, timers of others.
pub struct Effects<M: Machine + ?Sized> {
    /// Durable changes, in order.
    pub writes: Vec<M::Write>,
    /// Acts that wait for all writes before them; the number is how many of `writes` come before.
    pub acts: Vec<(usize, M::Act)>,
    /// Acts that wait for nothing.
    pub acts_now: Vec<M::Act>,
}

impl<M: Machine + ?Sized> Default for Effects<M> {
    fn default() -> Self {
        Self { writes: Vec::new(), acts: Vec::new(), acts_now: Vec::new() }
    }
}

impl<M: Machine + ?Sized> Effects<M> {
    /// Asks for a durable change.
    pub fn write(&mut self, write: M::Write) {
        self.writes.push(write);
    }

    /// Asks for an act after all writes so far.
    pub fn act(&mut self, act: M::Act) {
        self.acts.push((self.writes.len(), act));
    }

    /// Asks for an act at once.
    pub fn act_now(&mut self, act: M::Act) {
        self.acts_now.push(act);
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.acts.is_empty() && self.acts_now.is_empty()
    }
}
