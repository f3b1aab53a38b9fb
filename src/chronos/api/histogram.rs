//! How long runs of a job took, from when they were due until they had succeeded, as percentiles.

use crate::chronos::core::entry::Entry;
use crate::chronos::core::row::Outcome;
use serde::Serialize;

/// Percentiles in milliseconds; all zero when there is no run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Histogram {
    #[serde(rename = "75thPercentile")]
    p75: f64,
    #[serde(rename = "95thPercentile")]
    p95: f64,
    #[serde(rename = "98thPercentile")]
    p98: f64,
    #[serde(rename = "99thPercentile")]
    p99: f64,
    median: f64,
    mean: f64,
    count: usize,
}

impl Histogram {
    /// Of the successful runs that are remembered one by one.
    pub fn of(entry: &Entry) -> Self {
        let good = entry.history.iter().filter(|row| row.outcome == Outcome::Success);
        let mut times: Vec<i64> = good.map(|row| (row.ended - row.due).max(0)).collect();
        times.sort_unstable();
        let count = times.len();
        if count == 0 {
            return Self::default();
        }
        Self {
            p75: quantile(&times, 0.75),
            p95: quantile(&times, 0.95),
            p98: quantile(&times, 0.98),
            p99: quantile(&times, 0.99),
            median: quantile(&times, 0.5),
            mean: times.iter().sum::<i64>() as f64 / count as f64,
            count,
        }
    }

    /// The value of a key of `stats/`; `None` for another key.
    pub fn get(&self, key: &str) -> Option<f64> {
        Some(match key {
            "75thPercentile" => self.p75,
            "95thPercentile" => self.p95,
            "98thPercentile" => self.p98,
            "99thPercentile" => self.p99,
            "median" => self.median,
            "mean" => self.mean,
            "count" => self.count as f64,
            _ => return None,
        })
    }
}

/// Between the two nearest of the sorted values, as the original's library has it.
fn quantile(sorted: &[i64], q: f64) -> f64 {
    let at = q * (sorted.len() + 1) as f64;
    let value = |n: usize| sorted.get(n.clamp(1, sorted.len()) - 1).copied().unwrap_or(0) as f64;
    let lower = value(at as usize);
    lower + (at - at.floor()) * (value(at as usize + 1) - lower)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let times = [1000, 2000, 3000, 4000];
        assert_eq!(quantile(&times, 0.5), 2500.0);
        assert_eq!(quantile(&times, 0.75), 3750.0);
        assert_eq!(quantile(&times, 0.99), 4000.0);
        assert_eq!(quantile(&[7], 0.01), 7.0);
    }
}
