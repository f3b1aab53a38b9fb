//! The master's metrics under Mesos's names: gauges made from a picture of the core, counters as the core has them.

use crate::base::resources::Resources;
use crate::machine::driver::Clock;
use crate::master::core::view::View;
use crate::master::service::Master;
use crate::mesos::v1::TaskState;
use crate::telemetry::Metrics;
use std::collections::BTreeMap;
use tokio::sync::watch;

/// The states that have a gauge of running tasks.
const LIVE: &[(&str, TaskState)] = &[
    ("staging", TaskState::TaskStaging),
    ("starting", TaskState::TaskStarting),
    ("running", TaskState::TaskRunning),
    ("killing", TaskState::TaskKilling),
];

/// Lets `metrics` ask the leading master whenever it is read.
pub fn bridge(metrics: &Metrics, leading: watch::Receiver<Option<Master>>, clock: Clock) {
    let started = clock.mono();
    metrics.source(move || {
        let master = leading.borrow().clone();
        let uptime = clock.mono().since(started).as_secs_f64();
        Box::pin(async move {
            let mut out = BTreeMap::new();
            out.insert("master/uptime_secs".to_string(), uptime);
            out.insert("master/elected".to_string(), f64::from(u8::from(master.is_some())));
            if let Some(master) = master {
                let slow = master.slow_subscribers() as f64;
                out.insert("master/slow_subscribers".to_string(), slow);
                let slow = master.slow_streams().get() as f64;
                out.insert("master/slow_operator_event_streams".to_string(), slow);
                let (namespaces, bytes) = master.state().used().await;
                out.insert("master/state_namespaces".to_string(), namespaces as f64);
                out.insert("master/state_bytes".to_string(), bytes as f64);
                if let Ok(view) = master.handle().look(|core| core.view()).await {
                    fill(&view, &mut out);
                }
            }
            out
        })
    });
}

fn fill(view: &View, out: &mut BTreeMap<String, f64>) {
    for (name, count) in &view.counters {
        let name = match name.contains('/') && name.starts_with("allocator/") {
            true => name.clone(),
            false => format!("master/{name}"),
        };
        out.insert(name, *count as f64);
    }
    let mut put = |name: &str, value: usize| {
        out.insert(format!("master/{name}"), value as f64);
    };
    let agents = &view.agents;
    let count = |wanted: fn(&crate::master::core::view::AgentView) -> bool| {
        agents.iter().filter(|a| wanted(a)).count()
    };
    put("slaves_connected", count(|a| a.connected));
    put("slaves_disconnected", count(|a| !a.connected));
    put("slaves_active", count(|a| a.active));
    put("slaves_inactive", count(|a| !a.active));
    put("slaves_unreachable", view.unreachable_agents.len());
    let frameworks = &view.frameworks;
    let connected = frameworks.iter().filter(|f| f.connected).count();
    let active = frameworks.iter().filter(|f| f.active).count();
    put("frameworks_connected", connected);
    put("frameworks_disconnected", frameworks.len() - connected);
    put("frameworks_active", active);
    put("frameworks_inactive", frameworks.len() - active);
    put("outstanding_offers", frameworks.iter().map(|f| f.offers.len()).sum());
    put("tasks_unreachable", frameworks.iter().map(|f| f.unreachable_tasks.len()).sum());
    for (name, state) in LIVE {
        let in_state = |f: &crate::master::core::view::FrameworkView| {
            f.tasks.iter().filter(|t| t.state() == *state).count()
        };
        put(&format!("tasks_{name}"), frameworks.iter().map(|f| in_state(f)).sum());
    }
    resources(view, out);
}

fn resources(view: &View, out: &mut BTreeMap<String, f64>) {
    let sum =
        |bag: fn(&crate::master::core::view::AgentView) -> &Resources, revocable: bool, name| {
            let part = |r: &Resources| if revocable { r.revocable() } else { r.non_revocable() };
            view.agents.iter().map(|a| part(bag(a)).scalar(name).as_f64()).sum::<f64>()
        };
    for name in ["cpus", "gpus", "mem", "disk"] {
        for (suffix, revocable) in [("", false), ("_revocable", true)] {
            let total = sum(|a| &a.total, revocable, name);
            let used = sum(|a| &a.used, revocable, name);
            let percent = if total > 0.0 { used / total } else { 0.0 };
            out.insert(format!("master/{name}{suffix}_total"), total);
            out.insert(format!("master/{name}{suffix}_used"), used);
            out.insert(format!("master/{name}{suffix}_percent"), percent);
        }
    }
}
