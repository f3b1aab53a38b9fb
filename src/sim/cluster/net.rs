//! The network between nodes: each direction between two of them is open or closed.

use super::Number;
use crate::base::rng::Rng;
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Net {
    /// From whom to whom nothing gets.
    closed: BTreeSet<(Number, Number)>,
}

impl Net {
    /// Whether both hear each other: what any connection needs.
    pub fn joins(&self, a: Number, b: Number) -> bool {
        !self.closed.contains(&(a, b)) && !self.closed.contains(&(b, a))
    }

    pub fn heal(&mut self) {
        self.closed.clear();
    }

    /// Something breaks between these nodes, or everything is well again. Returns what, in a word.
    pub fn upset(&mut self, nodes: &[Number], rng: &mut Rng) -> String {
        let pick = |rng: &mut Rng| nodes.get(rng.below(nodes.len() as u64) as usize).copied();
        match rng.below(8) {
            0..=2 => {
                self.heal();
                "whole".into()
            }
            3 | 4 => {
                let side: BTreeSet<Number> =
                    nodes.iter().copied().filter(|_| rng.chance(1, 2)).collect();
                self.heal();
                for a in nodes.iter().filter(|n| side.contains(n)) {
                    for b in nodes.iter().filter(|n| !side.contains(n)) {
                        self.closed.extend([(*a, *b), (*b, *a)]);
                    }
                }
                format!("cut, {side:?} on one side")
            }
            5 => {
                let Some(alone) = pick(rng) else { return "whole".into() };
                let others = nodes.iter().filter(|n| **n != alone);
                self.closed.extend(others.flat_map(|n| [(alone, *n), (*n, alone)]));
                format!("without {alone}")
            }
            _ => {
                let (Some(from), Some(to)) = (pick(rng), pick(rng)) else { return "whole".into() };
                if from != to {
                    self.closed.insert((from, to));
                }
                format!("closed from {from} to {to}")
            }
        }
    }
}
