//! Why the offers seen so far did not fit: what was missing in how many, and the nearest miss. Pure.

use crate::base::resources::Resources;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
struct Miss {
    offers: u64,
    largest: String,
    amount: f64,
}

/// What was learnt from offers that did not fit.
#[derive(Debug, Default)]
pub(super) struct Shortfall {
    offers: u64,
    misses: BTreeMap<String, Miss>,
    spread: u64,
}

impl Shortfall {
    /// An offer did not have what is wanted.
    pub(super) fn note(&mut self, offered: &Resources, wanted: &Resources, role: &str) {
        self.offers += 1;
        let usable = offered.allocatable_to(role);
        let mut missing = false;
        for name in wanted.names() {
            let one = wanted.named(name);
            if usable.find(&one, role).is_some() {
                continue;
            }
            missing = true;
            let miss = self.misses.entry(name.to_string()).or_default();
            miss.offers += 1;
            let amount = usable.scalar(name).as_f64();
            if miss.largest.is_empty() || amount > miss.amount {
                miss.amount = amount;
                let here = usable.named(name);
                miss.largest = if here.is_empty() { "none".into() } else { here.to_string() };
            }
        }
        self.spread += u64::from(!missing);
    }

    /// In sentences, one a line.
    pub(super) fn lines(&self, wanted: &Resources, role: &str) -> Vec<String> {
        if self.offers == 0 {
            return vec![format!(
                "waiting: no offer came for role '{role}' yet: every agent is full, or none is there"
            )];
        }
        let mut lines = vec![format!("waiting: none of {} offers fits:", self.offers)];
        for (name, miss) in &self.misses {
            lines.push(format!(
                "  {} needed, largest offered: {} ({} of {} offers have too little)",
                wanted.named(name),
                miss.largest,
                miss.offers,
                self.offers
            ));
        }
        if self.spread > 0 {
            lines.push(format!("  {} offers have each of it, but not all together", self.spread));
        }
        lines
    }
}
