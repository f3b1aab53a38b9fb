//! Counts and ages of an app's tasks, by what they have of its last changes.

use super::is_task;
use crate::marathon::core::view::{AppView, Condition, InstanceView};
use crate::marathon::model::Timestamp;
use serde::Serialize;

/// Four sets of tasks; empty ones are left out.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct ByVersion {
    #[serde(skip_serializing_if = "Option::is_none")]
    started_after_last_scaling: Option<Wrapped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_latest_config: Option<Wrapped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_outdated_config: Option<Wrapped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_summary: Option<Wrapped>,
}

#[derive(Serialize)]
struct Wrapped {
    stats: Stats,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    life_time: Option<LifeTime>,
}

#[derive(Serialize, Default)]
struct Counts {
    staged: usize,
    running: usize,
    healthy: usize,
    unhealthy: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LifeTime {
    average_seconds: f64,
    median_seconds: f64,
}

/// The stats of an app at a moment.
pub(super) fn by_version(view: &AppView, now: Timestamp) -> ByVersion {
    let info = view.app.version_info;
    let of = |takes: &dyn Fn(&InstanceView) -> bool| {
        let tasks = view.instances.iter().filter(|i| is_task(i) && takes(i));
        stats(&tasks.map(|i| &**i).collect::<Vec<_>>(), now)
    };
    let latest = |i: &InstanceView| i.version >= info.last_config_change_at;
    ByVersion {
        started_after_last_scaling: of(&|i| i.version >= info.last_scaling_at),
        with_latest_config: of(&latest),
        with_outdated_config: of(&|i| !latest(i)),
        total_summary: of(&|_| true),
    }
}

fn stats(tasks: &[&InstanceView], now: Timestamp) -> Option<Wrapped> {
    if tasks.is_empty() {
        return None;
    }
    let mut counts = Counts::default();
    for task in tasks {
        match task.condition {
            Condition::Running => counts.running += 1,
            Condition::Provisioned | Condition::Staging | Condition::Starting => counts.staged += 1,
            _ => {}
        }
        match task.healthy {
            Some(true) => counts.healthy += 1,
            Some(false) => counts.unhealthy += 1,
            None => {}
        }
    }
    let ages = tasks.iter().filter_map(|t| t.started_at);
    let mut ages: Vec<f64> =
        ages.map(|at| (now.millis() - at.millis()).max(0) as f64 / 1000.0).collect();
    ages.sort_by(f64::total_cmp);
    Some(Wrapped { stats: Stats { counts, life_time: life_time(&ages) } })
}

/// Mean and median of sorted ages.
fn life_time(ages: &[f64]) -> Option<LifeTime> {
    let middle = ages.len() / 2;
    let upper = ages.get(middle)?;
    let lower = ages.get((ages.len() - 1) / 2)?;
    Some(LifeTime {
        average_seconds: ages.iter().sum::<f64>() / ages.len() as f64,
        median_seconds: (lower + upper) / 2.0,
    })
}
