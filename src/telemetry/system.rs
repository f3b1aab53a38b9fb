//! The machine's own numbers: `system/*`.

use super::Metrics;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old a reading of `/proc` may be, so that one snapshot reads each file once.
const READING_AGE_MAX: Duration = Duration::from_millis(500);

/// A small file of `/proc`, read at most twice a second.
#[derive(Clone)]
struct ProcFile {
    path: &'static str,
    read: Arc<Mutex<Option<(Instant, String)>>>,
}

impl ProcFile {
    fn new(path: &'static str) -> Self {
        Self { path, read: Arc::default() }
    }

    fn with(&self, look: impl FnOnce(&str) -> Option<f64>) -> f64 {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.as_ref().is_none_or(|(at, _)| at.elapsed() > READING_AGE_MAX) {
            *read = std::fs::read_to_string(self.path).ok().map(|text| (Instant::now(), text));
        }
        // NaN is not shown: where the machine does not tell, the name is absent.
        read.as_ref().and_then(|(_, text)| look(text)).unwrap_or(f64::NAN)
    }
}

/// Adds the gauges.
pub(super) fn register(metrics: &Metrics) {
    metrics.gauge_fn("system/cpus_total", || {
        std::thread::available_parallelism().map_or(f64::NAN, |n| n.get() as f64)
    });
    let load = ProcFile::new("/proc/loadavg");
    for (field, name) in ["load_1min", "load_5min", "load_15min"].into_iter().enumerate() {
        let load = load.clone();
        metrics.gauge_fn(&format!("system/{name}"), move || {
            load.with(|text| text.split_whitespace().nth(field)?.parse().ok())
        });
    }
    let memory = ProcFile::new("/proc/meminfo");
    for (field, name) in [("MemTotal:", "mem_total_bytes"), ("MemFree:", "mem_free_bytes")] {
        let memory = memory.clone();
        metrics.gauge_fn(&format!("system/{name}"), move || {
            memory.with(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix(field))?;
                let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
                Some(kilobytes * 1024.0)
            })
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::telemetry::Metrics;

    #[test]
    fn the_machine_is_measured() {
        let seen = Metrics::new().with_system().snapshot(None);
        let names: Vec<_> = seen.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "system/cpus_total",
                "system/load_15min",
                "system/load_1min",
                "system/load_5min",
                "system/mem_free_bytes",
                "system/mem_total_bytes"
            ]
        );
        assert!(seen["system/cpus_total"] >= 1.0);
        assert!(seen["system/mem_total_bytes"] > seen["system/mem_free_bytes"]);
    }
}
