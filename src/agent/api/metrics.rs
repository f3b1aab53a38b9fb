//! The agent's metrics under Mesos's names: what the core counts, looked at when somebody asks.

use crate::agent::service::Agent;
use crate::machine::driver::Clock;
use crate::telemetry::Metrics;
use std::collections::BTreeMap;

/// What the core says of itself now: gauges and counters under their whole names.
async fn look(agent: &Agent) -> Option<BTreeMap<String, f64>> {
    agent.handle().look(|core| core.view().metrics).await.ok()
}

/// Lets `metrics` ask the core whenever it is read.
pub fn bridge(metrics: &Metrics, agent: Agent, clock: Clock) {
    let started = clock.mono();
    metrics.source(move || {
        let agent = agent.clone();
        let uptime = clock.mono().since(started).as_secs_f64();
        Box::pin(async move {
            let mut all = look(&agent).await.unwrap_or_default();
            all.insert("slave/uptime_secs".to_string(), uptime);
            all
        })
    });
}
