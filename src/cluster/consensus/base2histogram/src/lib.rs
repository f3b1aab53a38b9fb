//! Stands in for the crate `base2histogram` 0.2.3, which openraft keeps its own run-time statistics with: the part of its
//! interface that openraft names, written anew.
//!
//! The original builds tables for sixteen widths of bucket when the first histogram is made: 26 MiB that stay resident for
//! ever, of which 2 KiB are used. Here a bucket's bounds are computed. Nothing of Mesolith reads these statistics; the numbers
//! are right to a bucket (an eighth of the value), where the original interpolates within it.

use std::fmt;
use std::marker::PhantomData;

/// Bits of a value that tell its bucket: the leading one and two more.
const WIDTH: u32 = 3;
/// Buckets that a doubling of the value has.
const GROUP: usize = 1 << (WIDTH - 1);
/// Buckets for all of u64.
const BUCKETS: usize = GROUP * (66 - WIDTH as usize);
/// The fullest bucket's bar in [`AsciiChart`], in characters.
const BAR: u64 = 40;

/// Counts of values in buckets whose size doubles with the value.
///
/// `T` is there because openraft writes `Histogram::<()>::new()`; there is one period, so nothing is ever labelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    buckets: Vec<u64>,
    total: u64,
    label: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// One with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], total: 0, label: PhantomData }
    }

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts one value `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        // `bucket_of` is below BUCKETS for every u64.
        let bucket = &mut self.buckets[bucket_of(value)];
        *bucket = bucket.saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    /// How many values were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The least value of the bucket in which the share `p` (0 to 1) of all values is reached; 0 when there are none.
    #[must_use]
    pub fn percentile(&self, p: f64) -> u64 {
        let rank = (self.total as f64 * p).ceil().max(1.0) as u64;
        let mut below = 0u64;
        for (bucket, count) in self.buckets.iter().enumerate() {
            below = below.saturating_add(*count);
            if below >= rank {
                return least_of(bucket);
            }
        }
        0
    }

    /// The usual percentiles.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total,
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.1),
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

/// The bucket of a value.
fn bucket_of(value: u64) -> usize {
    if value < GROUP as u64 {
        return value as usize;
    }
    let group = (u64::BITS - value.leading_zeros() - WIDTH) as usize;
    GROUP + group * GROUP + ((value >> group) as usize & (GROUP - 1))
}

/// The least value of a bucket.
fn least_of(bucket: usize) -> u64 {
    if bucket < GROUP {
        return bucket as u64;
    }
    let (group, place) = ((bucket - GROUP) / GROUP, (bucket - GROUP) % GROUP);
    ((GROUP + place) as u64) << group
}

/// Percentiles of a histogram; `p99_9` is the value that 99.9 % do not exceed by more than a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} samples, p0.1 {}, p1 {}, p5 {}, p10 {}, p50 {}, p90 {}, p99 {}, p99.9 {}",
            self.samples,
            self.p0_1,
            self.p1,
            self.p5,
            self.p10,
            self.p50,
            self.p90,
            self.p99,
            self.p99_9
        )
    }
}

/// Histograms as bars, one under another.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart {
    series: Vec<(String, Histogram)>,
}

impl AsciiChart {
    /// One without histograms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one histogram more.
    #[must_use]
    #[allow(clippy::should_implement_trait)]
    pub fn add(mut self, name: impl ToString, histogram: Histogram) -> Self {
        self.series.push((name.to_string(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, histogram) in &self.series {
            writeln!(f, "{name}")?;
            let most = histogram.buckets.iter().copied().max().unwrap_or(0).max(1);
            for (bucket, count) in histogram.buckets.iter().enumerate().filter(|(_, n)| **n > 0) {
                let bar = (u128::from(*count) * u128::from(BAR) / u128::from(most)) as usize;
                writeln!(f, "{:>20} {:<40} {count}", least_of(bucket), "#".repeat(bar.max(1)))?;
            }
        }
        Ok(())
    }
}
