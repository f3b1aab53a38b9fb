//! Scalar amounts in a fixed-size vector: what shares and quick comparisons are made with.

use crate::base::resources::{Quantities, Resources, Scalar, Value};
use std::collections::BTreeSet;

/// The resources nearly everything is about; all others are in [`Vector::rest`].
pub(super) const NAMES: [&str; 4] = ["cpus", "mem", "disk", "gpus"];

/// Amounts in thousandths: `cpus`, `mem`, `disk`, `gpus`, and whatever else there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Vector {
    fixed: [i64; 4],
    rest: Quantities,
}

impl Vector {
    /// The scalars of `resources`; of a shared volume one copy.
    pub fn of(resources: &Resources) -> Self {
        let mut out = Self::default();
        for resource in resources.iter() {
            let Value::Scalar(one) = resource.value else { continue };
            let copies = match resource.is_exclusive() && !resource.shared {
                true => i64::from(resources.count(resource)),
                false => 1,
            };
            let amount = one.thousandths().saturating_mul(copies);
            match NAMES.iter().position(|n| *n == &*resource.name) {
                Some(at) => out.fixed[at] = out.fixed[at].saturating_add(amount),
                None => out.rest.add_one(&resource.name, Scalar::from_thousandths(amount)),
            }
        }
        out
    }

    /// The same amounts.
    pub fn from_quantities(quantities: &Quantities) -> Self {
        let mut out = Self::default();
        for (name, amount) in quantities.iter() {
            match NAMES.iter().position(|n| *n == &**name) {
                Some(at) => out.fixed[at] = amount.thousandths(),
                None => out.rest.add_one(name, amount),
            }
        }
        out
    }

    /// The same amounts, by name.
    pub fn quantities(&self) -> Quantities {
        let mut out = self.rest.clone();
        for (name, amount) in NAMES.iter().zip(self.fixed) {
            out.add_one(&(*name).into(), Scalar::from_thousandths(amount));
        }
        out
    }

    /// Adds.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.fixed.iter_mut().zip(other.fixed) {
            *a = a.saturating_add(b);
        }
        if !other.rest.is_empty() {
            self.rest += &other.rest;
        }
    }

    /// Takes away.
    pub fn subtract(&mut self, other: &Self) {
        for (a, b) in self.fixed.iter_mut().zip(other.fixed) {
            *a = a.saturating_sub(b);
        }
        if !other.rest.is_empty() {
            self.rest -= &other.rest;
        }
    }

    /// Whether there is at least as much of everything in `least`.
    pub fn contains(&self, least: &Self) -> bool {
        self.fixed.iter().zip(least.fixed).all(|(have, want)| want <= *have)
            && (least.rest.is_empty() || self.rest.contains(&least.rest))
    }

    /// `cpus`, in thousandths.
    pub fn cpus(&self) -> i64 {
        self.fixed[0]
    }

    /// `gpus`, in thousandths.
    pub fn gpus(&self) -> i64 {
        self.fixed[3]
    }

    /// `mem`, in thousandths of MB.
    pub fn mem(&self) -> i64 {
        self.fixed[1]
    }
}

/// The whole cluster, as the ground of shares.
#[derive(Clone, Debug, Default)]
pub(super) struct Whole {
    total: Vector,
    counts: [bool; 4],
    excluded: BTreeSet<String>,
}

impl Whole {
    /// An empty cluster in whose shares the `excluded` names do not count.
    pub fn new(excluded: BTreeSet<String>) -> Self {
        let counts = NAMES.map(|n| !excluded.contains(n));
        Self { total: Vector::default(), counts, excluded }
    }

    /// More resources.
    pub fn grow(&mut self, by: &Vector) {
        self.total.add(by);
    }

    /// Fewer resources.
    pub fn shrink(&mut self, by: &Vector) {
        self.total.subtract(by);
    }

    /// The dominant share: the largest part, over all resources that count, of what there is.
    ///
    /// True division, not multiplication by an inverse: equal fractions then give equal shares.
    pub fn share(&self, allocated: &Vector) -> f64 {
        let mut share = 0.0f64;
        for at in 0..NAMES.len() {
            let total = self.total.fixed[at];
            if total > 0 && self.counts[at] {
                share = share.max(allocated.fixed[at] as f64 / total as f64);
            }
        }
        for (name, amount) in allocated.rest.iter() {
            let total = self.total.rest.get(name);
            if total > Scalar::ZERO && !self.excluded.contains(&**name) {
                share = share.max(amount.thousandths() as f64 / total.thousandths() as f64);
            }
        }
        share
    }
}
