//! `/containers` and `/monitor/statistics`: what runs, and what it uses just now.

use super::Api;
use crate::agent::containerizer::Usage;
use crate::agent::core::view::{ExecutorState, ExecutorView, FrameworkView};
use crate::http::auth::Realm;
use crate::http::{Face, Query, Refusal, reply};
use crate::mesos::v1;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;

/// How many containers are asked for their use at a time.
const ASKED_AT_ONCE: usize = 16;

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new()
        .endpoint("/containers", realm.protect(get(containers).with_state(api.clone())))
        .endpoint("/monitor/statistics", realm.protect(get(statistics).with_state(api)))
}

/// A running executor and what it uses; nothing where that cannot be told any more.
pub(super) struct Sample {
    pub framework: Arc<FrameworkView>,
    pub executor: Arc<ExecutorView>,
    pub usage: Option<Usage>,
}

pub(super) async fn samples(
    api: &Api,
    wanted: impl Fn(&FrameworkView, &ExecutorView) -> bool,
) -> Result<Vec<Sample>, Refusal> {
    use futures_util::StreamExt as _;
    let view = api.view().await?;
    let mut all = Vec::new();
    for framework in &view.frameworks {
        for executor in &framework.executors {
            let runs =
                matches!(executor.state, ExecutorState::Running | ExecutorState::Terminating);
            let there = runs || executor.pid.is_some();
            if there && wanted(framework, executor) {
                all.push((Arc::clone(framework), Arc::clone(executor)));
            }
        }
    }
    let asked = all.into_iter().map(|(framework, executor)| async move {
        let usage = api.containerizer.usage(&executor.container).await.ok();
        Sample { framework, executor, usage }
    });
    Ok(futures_util::stream::iter(asked).buffered(ASKED_AT_ONCE).collect().await)
}

async fn statistics(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let all = samples(&api, |_, _| true).await?;
    let list: Vec<Value> = all
        .iter()
        .filter_map(|s| {
            let usage = s.usage.as_ref()?;
            Some(json!({
                "executor_id": s.executor.info.executor_id.value,
                "executor_name": s.executor.info.name(),
                "framework_id": s.framework.id,
                "source": s.executor.info.source(),
                "statistics": resource_statistics(usage, &s.executor),
            }))
        })
        .collect();
    reply::json(&list, &query)
}

async fn containers(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let parameter = |name: &str| query.get(name).map(str::to_owned);
    let (container, framework) = (parameter("container_id"), parameter("framework_id"));
    let executor = parameter("executor_id");
    let is = |wanted: &Option<String>, have: &str| wanted.as_ref().is_none_or(|w| w == have);
    let all = samples(&api, |f, e| {
        is(&container, e.container.as_str())
            && is(&framework, f.id.as_str())
            && is(&executor, &e.info.executor_id.value)
    })
    .await?;
    let list: Vec<Value> = all.iter().map(container_json).collect();
    reply::json(&list, &query)
}

/// As its task was told last.
pub(super) fn container_status(s: &Sample) -> v1::ContainerStatus {
    let status = s.executor.tasks.iter().rev().find_map(|task| {
        task.statuses.iter().rev().find_map(|status| status.container_status.clone())
    });
    status.unwrap_or_else(|| v1::ContainerStatus {
        container_id: Some(crate::mesos::make::container_id(s.executor.container.as_str())),
        executor_pid: s.executor.pid,
        ..Default::default()
    })
}

fn container_json(s: &Sample) -> Value {
    let mut out = json!({
        "container_id": s.executor.container,
        "executor_id": s.executor.info.executor_id.value,
        "executor_name": s.executor.info.name(),
        "framework_id": s.framework.id,
        "source": s.executor.info.source(),
        "status": container_status(s),
    });
    if let Some(usage) = &s.usage {
        out["statistics"] = json!(resource_statistics(usage, &s.executor));
    }
    out
}

pub(super) fn resource_statistics(u: &Usage, executor: &ExecutorView) -> v1::ResourceStatistics {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    v1::ResourceStatistics {
        timestamp: now.map_or(0.0, |d| d.as_secs_f64()),
        processes: Some(small(u.processes)),
        threads: Some(small(u.threads)),
        cpus_user_time_secs: Some(u.cpu_user_secs),
        cpus_system_time_secs: Some(u.cpu_system_secs),
        cpus_limit: Some(executor.limits.cpus),
        cpus_nr_periods: u.cpu_nr_periods.map(small),
        cpus_nr_throttled: u.cpu_nr_throttled.map(small),
        cpus_throttled_time_secs: u.cpu_throttled_secs,
        mem_total_bytes: Some(u.mem_total_bytes),
        mem_rss_bytes: Some(u.mem_rss_bytes),
        mem_cache_bytes: u.mem_cache_bytes,
        mem_mapped_file_bytes: u.mem_mapped_file_bytes,
        mem_swap_bytes: u.mem_swap_bytes,
        mem_limit_bytes: u.mem_limit_bytes.or(executor.limits.memory_bytes),
        disk_used_bytes: executor.disk_used,
        disk_limit_bytes: executor.disk_limit,
        ..Default::default()
    }
}
