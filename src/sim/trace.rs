//! The trace of a run: a hash over all events, and the last of them.

use crate::base::time::Mono;
use std::collections::VecDeque;

pub(super) struct Trace {
    hash: u64,
    last: VecDeque<String>,
    keep: usize,
    pub events: u64,
}

impl Trace {
    pub fn new(keep: usize) -> Self {
        // The offset basis and prime of FNV-1a, 64 bits.
        Self { hash: 0xcbf2_9ce4_8422_2325, last: VecDeque::new(), keep, events: 0 }
    }

    pub fn note(&mut self, at: Mono, line: &str) {
        self.events += 1;
        for byte in at.0.to_be_bytes().iter().chain(line.as_bytes()) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.keep > 0 {
            if self.last.len() >= self.keep {
                self.last.pop_front();
            }
            self.last.push_back(format!("{:>12.6} {line}", at.0 as f64 / 1e9));
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn take_last(&mut self) -> Vec<String> {
        std::mem::take(&mut self.last).into()
    }
}
