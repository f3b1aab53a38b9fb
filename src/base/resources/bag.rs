//! The canonical multiset of resources.

use super::{Quantities, Ranges, Resource, Scalar, Value};
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};

/// Resources with equal kinds merged, nothing empty, in one order: equal contents are equal values.
///
/// What is exclusive (volumes, whole disks) is never merged but counted; of a shared volume the count is
/// how many users hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    entries: Vec<Entry>,
}

/// How often a resource is held: 1, unless it is exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    resource: Resource,
    count: u32,
}

impl Resources {
    /// Nothing.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    fn position(&self, resource: &Resource) -> Result<usize, usize> {
        self.entries.binary_search_by(|e| e.resource.cmp_kind(resource))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many different resources there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Each different resource once, in canonical order.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.entries.iter().map(|e| &e.resource)
    }

    /// How often this very resource is held: more than once only if it is exclusive or shared.
    pub fn count(&self, resource: &Resource) -> u32 {
        match self.position(resource) {
            Ok(at) if self.entries[at].resource.value == resource.value => self.entries[at].count,
            _ => 0,
        }
    }

    /// Adds one resource; an empty one changes nothing.
    pub fn add_one(&mut self, resource: Resource) {
        self.add_counted(resource, 1);
    }

    fn add_counted(&mut self, resource: Resource, count: u32) {
        if resource.value.is_empty() {
            return;
        }
        match self.position(&resource) {
            Err(at) => self.entries.insert(at, Entry { resource, count }),
            Ok(at) => {
                let entry = &mut self.entries[at];
                if resource.is_exclusive() {
                    entry.count = entry.count.saturating_add(count);
                } else {
                    entry.resource.value.add(&resource.value);
                }
            }
        }
    }

    /// Takes one resource away, down to nothing: what is not there is not missed (as Mesos does).
    pub fn subtract_one(&mut self, resource: &Resource) {
        self.subtract_counted(resource, 1);
    }

    fn subtract_counted(&mut self, resource: &Resource, count: u32) {
        let Ok(at) = self.position(resource) else { return };
        let entry = &mut self.entries[at];
        let gone = if resource.is_exclusive() {
            entry.count = entry.count.saturating_sub(count);
            entry.count == 0
        } else {
            entry.resource.value.subtract(&resource.value);
            entry.resource.value.is_empty()
        };
        if gone {
            self.entries.remove(at);
        }
    }

    /// Whether all of `other` is in these.
    pub fn contains(&self, other: &Self) -> bool {
        other.entries.iter().all(|wanted| {
            wanted.resource.value.is_empty()
                || self.position(&wanted.resource).is_ok_and(|at| {
                    let mine = &self.entries[at];
                    mine.count >= wanted.count
                        && mine.resource.value.contains(&wanted.resource.value)
                })
        })
    }

    /// The difference; `None` if `other` is not contained.
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        self.contains(other).then(|| self - other)
    }

    /// The resources a rule keeps, with their counts.
    pub fn filter(&self, mut keep: impl FnMut(&Resource) -> bool) -> Self {
        Self { entries: self.entries.iter().filter(|e| keep(&e.resource)).cloned().collect() }
    }

    /// Each resource changed by a rule, then merged anew; `None` drops it.
    pub fn map(&self, mut change: impl FnMut(&Resource) -> Option<Resource>) -> Self {
        let mut out = Self::new();
        for entry in &self.entries {
            if let Some(resource) = change(&entry.resource) {
                out.add_counted(resource, entry.count);
            }
        }
        out
    }

    /// The total of a scalar over all kinds; a shared volume counts once, whoever holds it.
    pub fn scalar(&self, name: &str) -> Scalar {
        self.entries.iter().filter(|e| &*e.resource.name == name).map(Entry::amount).sum()
    }

    /// The union of a name's ranges over all kinds.
    pub fn ranges(&self, name: &str) -> Ranges {
        Ranges::new(self.iter().filter(|r| &*r.name == name).flat_map(|r| {
            let ranges = match &r.value {
                Value::Ranges(ranges) => Some(ranges),
                _ => None,
            };
            ranges.into_iter().flat_map(Ranges::iter)
        }))
    }

    /// `cpus`.
    pub fn cpus(&self) -> Scalar {
        self.scalar("cpus")
    }

    /// `mem`, in MB.
    pub fn mem(&self) -> Scalar {
        self.scalar("mem")
    }

    /// `disk`, in MB.
    pub fn disk(&self) -> Scalar {
        self.scalar("disk")
    }

    /// `gpus`.
    pub fn gpus(&self) -> Scalar {
        self.scalar("gpus")
    }

    /// `ports`.
    pub fn ports(&self) -> Ranges {
        self.ranges("ports")
    }

    /// The scalar totals by name, as [`Resources::scalar`] counts them.
    pub fn quantities(&self) -> Quantities {
        let mut out = Quantities::default();
        for entry in &self.entries {
            out.add_one(&entry.resource.name, entry.amount());
        }
        out
    }

    /// The different names, ascending.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.iter().map(|r| &*r.name).collect();
        names.dedup();
        names
    }
}

impl Entry {
    /// The scalar amount it stands for.
    fn amount(&self) -> Scalar {
        let Value::Scalar(one) = self.resource.value else { return Scalar::ZERO };
        let times = if self.resource.shared { 1 } else { i64::from(self.count) };
        Scalar::from_thousandths(one.thousandths().saturating_mul(times))
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(all: I) -> Self {
        let mut out = Self::new();
        out.extend(all);
        out
    }
}

impl Extend<Resource> for Resources {
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, all: I) {
        all.into_iter().for_each(|r| self.add_one(r));
    }
}

impl From<Resource> for Resources {
    fn from(one: Resource) -> Self {
        Self::from_iter([one])
    }
}

impl AddAssign<&Resources> for Resources {
    fn add_assign(&mut self, other: &Resources) {
        for entry in &other.entries {
            self.add_counted(entry.resource.clone(), entry.count);
        }
    }
}

impl SubAssign<&Resources> for Resources {
    fn sub_assign(&mut self, other: &Resources) {
        for entry in &other.entries {
            self.subtract_counted(&entry.resource, entry.count);
        }
    }
}

impl Add<&Resources> for &Resources {
    type Output = Resources;
    fn add(self, other: &Resources) -> Resources {
        let mut out = self.clone();
        out += other;
        out
    }
}

/// Down to nothing, as Mesos does; [`Resources::checked_sub`] tells whether it was all there.
impl Sub<&Resources> for &Resources {
    type Output = Resources;
    fn sub(self, other: &Resources) -> Resources {
        let mut out = self.clone();
        out -= other;
        out
    }
}

/// As Mesos prints them in messages: `cpus:1; mem:128; ports:[31000-31001]`; nothing is `{}`.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("{}");
        }
        for (at, entry) in self.entries.iter().enumerate() {
            let comma = if at == 0 { "" } else { "; " };
            write!(f, "{comma}{}", entry.resource)?;
            if entry.resource.shared {
                write!(f, "<{}>", entry.count)?;
            }
        }
        Ok(())
    }
}
