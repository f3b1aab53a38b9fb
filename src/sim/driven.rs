//! Drives one machine as `machine::driver` does: mail → steps → settle → acts that wait for nothing at once, writes as
//! one batch, other acts when the batches before them are durable.

use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};
use crate::machine::{Cx, Effects, Machine};
use std::collections::VecDeque;

/// Wall time when worlds begin.
const BEGIN: u64 = 1_700_000_000_000_000_000;

/// The clocks of one process: nobody else's, as on real machines.
#[derive(Clone, Debug)]
pub(super) struct Clocks {
    started: Mono,
    base: u64,
    skew: u64,
}

impl Clocks {
    /// Of a process that starts now, on a machine whose clock goes before by `skew` nanoseconds.
    pub fn new(now: Mono, skew: u64, rng: &mut Rng) -> Self {
        Self { started: now, base: rng.below(1 << 40), skew }
    }

    pub fn mono(&self, now: Mono) -> Mono {
        Mono(self.base + now.0.saturating_sub(self.started.0))
    }

    pub fn wall(&self, now: Mono) -> Wall {
        Wall(BEGIN + now.0 + self.skew)
    }

    /// The world's time of a time of the process.
    fn world(&self, mono: Mono) -> Mono {
        Mono(self.started.0.saturating_add(mono.0.saturating_sub(self.base)))
    }
}

/// What a turn asks for.
pub(super) struct Turn<M: Machine> {
    pub acts: Vec<M::Act>,
    pub batch: Option<Vec<M::Write>>,
    /// For each input with a mark: the mark, and whether it had any effect.
    pub heard: Vec<(u64, bool)>,
}

/// A machine and what waits for it.
pub(super) struct Driven<M: Machine> {
    pub machine: M,
    pub proc: u64,
    pub turn_at: Option<Mono>,
    clocks: Clocks,
    rng: Rng,
    mail: Vec<(Option<u64>, M::Input)>,
    held: VecDeque<(u64, M::Act)>,
    submitted: u64,
    durable: u64,
}

impl<M: Machine> Driven<M> {
    pub fn new(machine: M, proc: u64, clocks: Clocks, rng: Rng) -> Self {
        Self {
            machine,
            proc,
            turn_at: None,
            clocks,
            rng,
            mail: Vec::new(),
            held: VecDeque::new(),
            submitted: 0,
            durable: 0,
        }
    }

    /// An input for the next turn. A mark is told back with whether the input had an effect.
    pub fn mail(&mut self, mark: Option<u64>, input: M::Input) {
        self.mail.push((mark, input));
    }

    /// What the process takes the time for.
    pub fn wall(&self, now: Mono) -> Wall {
        self.clocks.wall(now)
    }

    /// When the machine wants to be woken, on the world's clock.
    pub fn wake_at(&self) -> Option<Mono> {
        self.machine.wake_at().map(|at| self.clocks.world(at))
    }

    pub fn turn(&mut self, now: Mono) -> Turn<M> {
        let mut out = Effects::default();
        let mono = self.clocks.mono(now);
        let mut cx = Cx { now: mono, wall: self.clocks.wall(now), rng: &mut self.rng };
        if self.machine.wake_at().is_some_and(|at| at <= mono) {
            self.machine.wake(&mut cx, &mut out);
        }
        let mut heard = Vec::new();
        for (mark, input) in self.mail.drain(..) {
            let before = amount(&out);
            self.machine.step(&mut cx, input, &mut out);
            heard.extend(mark.map(|mark| (mark, amount(&out) != before)));
        }
        self.machine.settle(&mut cx, &mut out);
        Turn { heard, ..self.carry_out(out) }
    }

    /// Takes what building the machine asked for, or a turn.
    pub fn carry_out(&mut self, out: Effects<M>) -> Turn<M> {
        let mut acts = out.acts_now;
        let before = self.submitted;
        let batch = if out.writes.is_empty() { None } else { Some(out.writes) };
        if batch.is_some() {
            self.submitted += 1;
        }
        for (writes_before, act) in out.acts {
            self.held.push_back((if writes_before > 0 { self.submitted } else { before }, act));
        }
        acts.extend(self.release());
        Turn { acts, batch, heard: Vec::new() }
    }

    /// The oldest batch is durable; what may be done now.
    pub fn synced(&mut self) -> Vec<M::Act> {
        self.durable += 1;
        self.release()
    }

    fn release(&mut self) -> Vec<M::Act> {
        let mut acts = Vec::new();
        while self.held.front().is_some_and(|(waits_for, _)| *waits_for <= self.durable) {
            acts.extend(self.held.pop_front().map(|(_, act)| act));
        }
        acts
    }
}

fn amount<M: Machine>(out: &Effects<M>) -> usize {
    out.writes.len() + out.acts.len() + out.acts_now.len()
}
