//! Ranges of numbers (ports): inclusive at both ends, sorted, never touching each other.

use std::fmt;

/// Inclusive ranges in canonical form: ascending, neither overlapping nor adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Ranges of any order and overlap; one whose begin is after its end holds nothing.
    pub fn new(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut all: Vec<_> = ranges.into_iter().filter(|(begin, end)| begin <= end).collect();
        all.sort_unstable();
        let mut out: Vec<(u64, u64)> = Vec::with_capacity(all.len());
        for (begin, end) in all {
            match out.last_mut() {
                Some((_, last)) if begin <= last.saturating_add(1) => *last = end.max(*last),
                _ => out.push((begin, end)),
            }
        }
        Self(out)
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Every number, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|(begin, end)| *begin..=*end)
    }

    /// How many ranges (not numbers) there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no number is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers are in it; saturates at `u64::MAX`.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0u64, |n, (b, e)| n.saturating_add((e - b).saturating_add(1)))
    }

    /// Whether the number is in it.
    pub fn has(&self, number: u64) -> bool {
        let after = self.0.partition_point(|(begin, _)| *begin <= number);
        self.0[..after].last().is_some_and(|(_, end)| number <= *end)
    }

    /// Whether all of `other` is in it.
    pub fn contains(&self, other: &Self) -> bool {
        let mut mine = self.0.iter();
        let mut current = mine.next();
        other.0.iter().all(|(begin, end)| {
            while current.is_some_and(|(_, last)| last < begin) {
                current = mine.next();
            }
            current.is_some_and(|(first, last)| first <= begin && end <= last)
        })
    }

    /// What is in either.
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.iter().chain(other.iter()))
    }

    /// What is in this one alone: subtracting from the middle splits a range.
    pub fn minus(&self, other: &Self) -> Self {
        let mut out = Vec::with_capacity(self.0.len());
        for (mut begin, end) in self.iter() {
            let from = other.0.partition_point(|(_, last)| *last < begin);
            let mut whole = false;
            for (cut, last) in other.0[from..].iter().copied().take_while(|(cut, _)| *cut <= end) {
                if cut > begin {
                    out.push((begin, cut - 1));
                }
                whole = last >= end;
                if whole {
                    break;
                }
                begin = last + 1;
            }
            if !whole {
                out.push((begin, end));
            }
        }
        Self(out)
    }

    /// What is in both.
    pub fn intersection(&self, other: &Self) -> Self {
        self.minus(&self.minus(other))
    }

    /// The first `count` numbers, or `None` when there are fewer.
    pub fn take(&self, count: u64) -> Option<Self> {
        let mut left = count;
        let mut out = Vec::new();
        for (begin, end) in self.iter() {
            if left == 0 {
                break;
            }
            let end = end.min(begin.saturating_add(left - 1));
            left -= end - begin + 1;
            out.push((begin, end));
        }
        (left == 0).then_some(Self(out))
    }
}

/// `[31000-31001, 8080-8080]`.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (at, (begin, end)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{begin}-{end}")?;
        }
        f.write_str("]")
    }
}
