//! The agent's metrics under Mesos's names: what the core counts, looked at when somebody asks.

use crate::agent::service::Agent;
use crate::telemetry::Metrics;
use std::collections::BTreeMap;
use std::time::Instant;

/// What the core says of itself now: gauges and counters under their whole names; nothing when it has ended.
async fn look(agent: &Agent, start: Instant) -> BTreeMap<String, f64> {
    let asked = agent.handle().look(|core| core.view().metrics).await;
    let Ok(mut all) = asked else { return BTreeMap::new() };
    let fetched = agent.fetched();
    let cache = fetched.cache();
    let own = [
        ("slave/uptime_secs", start.elapsed().as_secs_f64()),
        ("containerizer/fetcher/task_fetches_succeeded", fetched.succeeded() as f64),
        ("containerizer/fetcher/task_fetches_failed", fetched.failed() as f64),
        ("containerizer/fetcher/cache_size_total_bytes", cache.capacity() as f64),
        ("containerizer/fetcher/cache_size_used_bytes", cache.used() as f64),
    ];
    all.extend(own.map(|(name, value)| (name.to_string(), value)));
    all
}

/// Lets `metrics` ask the core whenever it is read. The agent is up from now on.
pub fn bridge(metrics: &Metrics, agent: Agent) {
    let start = Instant::now();
    metrics.source(move || {
        let agent = agent.clone();
        Box::pin(async move { look(&agent, start).await })
    });
}
