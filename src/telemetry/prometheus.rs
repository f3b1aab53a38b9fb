//! The metrics in Prometheus's text format, version 0.0.4.

use super::metrics::Metric;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Writes every metric with its HELP and TYPE. Names are Mesos's with what Prometheus does not
/// allow replaced by `_` and `mesos_` in front; the HELP line keeps the original.
pub(super) fn render(all: Vec<(String, Metric)>) -> String {
    let mut out = String::new();
    let mut used = BTreeSet::new();
    for (name, metric) in all {
        let mut key = key(&name);
        // Two names may fall together once slashes are gone; a metric may be declared once only.
        while !used.insert(key.clone()) {
            key.push('_');
        }
        match metric {
            Metric::Counter(counter) => {
                declare(&mut out, &key, &name, "counter");
                line(&mut out, &key, counter.get() as f64);
            }
            Metric::Gauge(gauge) => {
                declare(&mut out, &key, &name, "gauge");
                line(&mut out, &key, gauge.get());
            }
            Metric::Pull(pull) => {
                declare(&mut out, &key, &name, "gauge");
                line(&mut out, &key, pull());
            }
            Metric::Timer(timer) => {
                let mut values = BTreeMap::new();
                timer.export("", &mut values);
                if values.is_empty() {
                    continue;
                }
                declare(&mut out, &key, &name, "gauge");
                for (statistic, value) in values {
                    match statistic.strip_prefix('/') {
                        None => line(&mut out, &key, value),
                        Some(s) => line(&mut out, &format!("{key}{{statistic=\"{s}\"}}"), value),
                    }
                }
            }
        }
    }
    out
}

fn key(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("mesos_{}", name.chars().map(allowed).collect::<String>())
}

fn declare(out: &mut String, key: &str, name: &str, kind: &str) {
    let name = name.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP {key} {name}\n# TYPE {key} {kind}");
}

fn line(out: &mut String, key: &str, value: f64) {
    let _ = match value {
        v if v.is_nan() => writeln!(out, "{key} NaN"),
        f64::INFINITY => writeln!(out, "{key} +Inf"),
        f64::NEG_INFINITY => writeln!(out, "{key} -Inf"),
        v => writeln!(out, "{key} {v}"),
    };
}

#[cfg(test)]
mod tests {
    use crate::telemetry::Metrics;
    use std::time::Duration;

    #[test]
    fn names_are_valid_declared_once_and_typed() {
        let metrics = Metrics::new();
        metrics.counter("master/frameworks/a%20b/tasks").add(2);
        metrics.gauge("a/b").set(1.5);
        metrics.gauge("a_b").set(2.5);
        metrics.gauge("inf").set(f64::INFINITY);
        let timer = metrics.timer("t");
        timer.record(Duration::from_millis(1));
        timer.record(Duration::from_millis(3));
        let text = metrics.prometheus();
        assert!(text.contains(
            "# HELP mesos_master_frameworks_a_20b_tasks master/frameworks/a%20b/tasks\n\
             # TYPE mesos_master_frameworks_a_20b_tasks counter\n\
             mesos_master_frameworks_a_20b_tasks 2\n"
        ));
        assert!(text.contains("mesos_a_b 1.5\n") && text.contains("mesos_a_b_ 2.5\n"), "{text}");
        assert!(text.contains("mesos_inf +Inf\n"));
        assert!(text.contains("mesos_t_ms{statistic=\"p50\"} 2\n"), "{text}");
        let declared: Vec<_> = text.lines().filter(|l| l.starts_with("# TYPE")).collect();
        assert_eq!(declared.len(), 5);
    }
}
