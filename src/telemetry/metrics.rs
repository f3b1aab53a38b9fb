//! A registry of named counters, gauges and timers, shared by `Arc`, one for each role of a node.

use super::timer::Timer;
use super::{prometheus, system};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many names one registry holds. A further name is not shown, and counted under
/// `metrics/names_refused`.
pub const METRIC_NAMES_MAX: usize = 64 * 1024;

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds, or takes away if `delta` is negative.
    pub fn add(&self, delta: f64) {
        let more = |bits| Some((f64::from_bits(bits) + delta).to_bits());
        // The closure always answers Some, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// The value now.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

type Pull = Arc<dyn Fn() -> f64 + Send + Sync>;

#[derive(Clone)]
pub(super) enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Pull(Pull),
    Timer(Timer),
}

/// The registry. Names are Mesos's (`master/uptime_secs`); asking for a name again gives the same
/// metric.
#[derive(Clone, Default)]
pub struct Metrics {
    named: Arc<Mutex<BTreeMap<String, Metric>>>,
    sources: Arc<Mutex<Vec<Source>>>,
    refused: Counter,
}

/// Values by name that are asked for when somebody reads: what a core counts.
type Source =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = BTreeMap<String, f64>> + Send>> + Send + Sync>;

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metrics({} names)", self.lock().len())
    }
}

impl Metrics {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of that name.
    pub fn counter(&self, name: &str) -> Counter {
        match self.register(name, || Metric::Counter(Counter::default())) {
            Metric::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// The gauge of that name.
    pub fn gauge(&self, name: &str) -> Gauge {
        match self.register(name, || Metric::Gauge(Gauge::default())) {
            Metric::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// A gauge whose value is asked for at each snapshot; replaces one of the same name. It must
    /// not block.
    pub fn gauge_fn(&self, name: &str, pull: impl Fn() -> f64 + Send + Sync + 'static) {
        let metric = Metric::Pull(Arc::new(pull));
        self.register(name, || metric.clone());
        if let Some(there @ Metric::Pull(_)) = self.lock().get_mut(name) {
            *there = metric;
        }
    }

    /// The timer of that name; `_ms` is added, as Mesos does.
    pub fn timer(&self, name: &str) -> Timer {
        let name = format!("{name}_ms");
        match self.register(&name, || Metric::Timer(Timer::default())) {
            Metric::Timer(timer) => timer,
            _ => Timer::default(),
        }
    }

    /// Adds a source whose values are asked for by [`Metrics::refresh`].
    pub fn source(
        &self,
        ask: impl Fn() -> Pin<Box<dyn Future<Output = BTreeMap<String, f64>> + Send>>
        + Send
        + Sync
        + 'static,
    ) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.push(Arc::new(ask));
    }

    /// Asks all sources, so that a snapshot after it shows what they say now.
    pub async fn refresh(&self) {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ask in sources {
            for (name, value) in ask().await {
                self.gauge(&name).set(value);
            }
        }
    }

    /// Forgets a name. Handles to it go on counting unseen.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Forgets every name that begins with `prefix` (a framework that is gone).
    pub fn remove_prefix(&self, prefix: &str) {
        self.lock().retain(|name, _| !name.starts_with(prefix));
    }

    /// Adds the machine's `system/*` gauges.
    pub fn with_system(self) -> Self {
        system::register(&self);
        self
    }

    /// All values by name, as `/metrics/snapshot` shows them: sorted, timers spread out into their
    /// statistics. Gauges not asked within `timeout` are left out.
    pub fn snapshot(&self, timeout: Option<Duration>) -> BTreeMap<String, f64> {
        let start = std::time::Instant::now();
        let mut out = BTreeMap::new();
        for (name, metric) in self.all() {
            match metric {
                Metric::Counter(counter) => drop(out.insert(name, counter.get() as f64)),
                Metric::Gauge(gauge) => drop(out.insert(name, gauge.get())),
                Metric::Pull(_) if timeout.is_some_and(|t| start.elapsed() >= t) => {}
                Metric::Pull(pull) => drop(out.insert(name, pull())),
                Metric::Timer(timer) => timer.export(&name, &mut out),
            }
        }
        out.retain(|_, value| value.is_finite());
        out
    }

    /// The same in Prometheus's text format.
    pub fn prometheus(&self) -> String {
        prometheus::render(self.all())
    }

    fn all(&self) -> Vec<(String, Metric)> {
        let mut all: Vec<_> = self.lock().iter().map(|(n, m)| (n.clone(), m.clone())).collect();
        if self.refused.get() > 0 {
            all.push(("metrics/names_refused".to_owned(), Metric::Counter(self.refused.clone())));
        }
        all
    }

    /// The metric of that name, made if need be. One of another kind under the name stays; the
    /// caller gets a loose one.
    fn register(&self, name: &str, make: impl FnOnce() -> Metric) -> Metric {
        let mut named = self.lock();
        if let Some(there) = named.get(name) {
            return there.clone();
        }
        let metric = make();
        if named.len() >= METRIC_NAMES_MAX {
            self.refused.inc();
        } else {
            named.insert(name.to_owned(), metric.clone());
        }
        metric
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Metric>> {
        // Nothing panics while holding the lock; if it did, the map is still whole.
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshot_is_flat_sorted_and_holds_every_kind() {
        let metrics = Metrics::new();
        metrics.counter("master/tasks_finished").add(3);
        metrics.gauge("master/elected").set(1.0);
        metrics.gauge_fn("master/uptime_secs", || 2.5);
        metrics.counter("master/tasks_finished").inc();
        let json = serde_json::to_string(&metrics.snapshot(None)).unwrap();
        assert_eq!(
            json,
            r#"{"master/elected":1.0,"master/tasks_finished":4.0,"master/uptime_secs":2.5}"#
        );
        metrics.remove_prefix("master/ta");
        metrics.remove("master/elected");
        assert_eq!(metrics.snapshot(None).into_keys().collect::<Vec<_>>(), ["master/uptime_secs"]);
        assert!(metrics.snapshot(Some(Duration::ZERO)).is_empty(), "out of time: gauge left out");
    }

    #[test]
    fn names_are_bounded_and_the_refused_are_counted() {
        let metrics = Metrics::new();
        for i in 0..METRIC_NAMES_MAX + 2 {
            metrics.counter(&format!("n/{i}")).inc();
        }
        let seen = metrics.snapshot(None);
        assert_eq!(seen.len(), METRIC_NAMES_MAX + 1);
        assert_eq!(seen["metrics/names_refused"], 2.0);
    }

    #[test]
    fn a_gauge_adds_and_a_replaced_pull_gauge_answers_anew() {
        let metrics = Metrics::new();
        let gauge = metrics.gauge("g");
        gauge.add(2.0);
        gauge.add(-0.5);
        assert_eq!(gauge.get(), 1.5);
        metrics.gauge_fn("p", || 1.0);
        metrics.gauge_fn("p", || 2.0);
        assert_eq!(metrics.snapshot(None)["p"], 2.0);
    }
}
