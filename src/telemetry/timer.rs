//! Timers: the last duration, and the statistics of a bounded window, with Mesos's key names.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many durations a timer remembers.
const TIMER_SAMPLES_MAX: usize = 1000;

/// How long it remembers one.
const TIMER_WINDOW: Duration = Duration::from_secs(3600);

/// Measures how long something takes, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Timer(Arc<Mutex<Window>>);

#[derive(Debug, Default)]
struct Window {
    last: Option<f64>,
    samples: VecDeque<(Instant, f64)>,
}

/// The quantiles that are shown, and their key.
const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.50),
    ("p90", 0.90),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p999", 0.999),
    ("p9999", 0.9999),
];

impl Timer {
    /// Notes one duration.
    pub fn record(&self, took: Duration) {
        let (now, ms) = (Instant::now(), took.as_secs_f64() * 1000.0);
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.last = Some(ms);
        if window.samples.len() == TIMER_SAMPLES_MAX {
            window.samples.pop_front();
        }
        window.samples.push_back((now, ms));
    }

    /// Writes the last value under `name`, and from two samples on the statistics below it.
    pub(super) fn export(&self, name: &str, out: &mut BTreeMap<String, f64>) {
        let Some((last, sorted)) = self.sorted() else { return };
        out.insert(name.to_owned(), last);
        if let ([min, .., max], count) = (sorted.as_slice(), sorted.len()) {
            out.insert(format!("{name}/count"), count as f64);
            out.insert(format!("{name}/min"), *min);
            out.insert(format!("{name}/max"), *max);
            for (key, quantile) in QUANTILES {
                out.insert(format!("{name}/{key}"), percentile(&sorted, quantile));
            }
        }
    }

    fn sorted(&self) -> Option<(f64, Vec<f64>)> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while window.samples.front().is_some_and(|(at, _)| at.elapsed() > TIMER_WINDOW) {
            window.samples.pop_front();
        }
        let mut sorted: Vec<f64> = window.samples.iter().map(|(_, ms)| *ms).collect();
        sorted.sort_by(f64::total_cmp);
        Some((window.last?, sorted))
    }
}

/// The quantile of sorted values, interpolated between neighbours as Mesos does; zero of none.
fn percentile(sorted: &[f64], quantile: f64) -> f64 {
    let position = quantile * sorted.len().saturating_sub(1) as f64;
    let index = position.floor() as usize;
    let low = sorted.get(index).copied().unwrap_or(0.0);
    let high = sorted.get(index + 1).copied().unwrap_or(low);
    low + (position - index as f64) * (high - low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn a_timer_shows_its_last_value_then_statistics() {
        let metrics = Metrics::new();
        let timer = metrics.timer("registrar/state_store");
        assert!(metrics.snapshot(None).is_empty(), "nothing measured, nothing shown");
        timer.record(Duration::from_millis(10));
        assert_eq!(metrics.snapshot(None).len(), 1);
        for ms in [20, 30, 40, 50] {
            timer.record(Duration::from_millis(ms));
        }
        let seen = metrics.snapshot(None);
        let of = |key: &str| seen[&format!("registrar/state_store_ms{key}")];
        assert_eq!((of(""), of("/count"), of("/min"), of("/max")), (50.0, 5.0, 10.0, 50.0));
        assert_eq!(of("/p50"), 30.0);
        assert!((of("/p90") - 46.0).abs() < 1e-9);
        assert!((of("/p9999") - 49.996).abs() < 1e-9);
    }

    #[test]
    fn the_window_is_bounded() {
        let timer = Timer::default();
        for _ in 0..TIMER_SAMPLES_MAX + 5 {
            timer.record(Duration::from_millis(1));
        }
        assert_eq!(timer.sorted().unwrap().1.len(), TIMER_SAMPLES_MAX);
    }
}
