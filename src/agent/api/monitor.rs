//! `/containers` and `/monitor/statistics`: what runs, and what it uses just now.

use super::Api;
use crate::agent::containerizer::Measured;
use crate::agent::core::view::{ExecutorState, ExecutorView, FrameworkView};
use crate::base::ids::{ContainerId, FrameworkId};
use crate::http::auth::Realm;
use crate::http::{Face, Query, Refusal, reply};
use crate::mesos::v1;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new()
        .endpoint("/containers", realm.protect(get(containers).with_state(api.clone())))
        .endpoint("/monitor/statistics", realm.protect(get(statistics).with_state(api)))
}

/// A running executor and what it uses; nothing where that cannot be told any more.
pub(super) struct Sample {
    pub framework: Arc<FrameworkView>,
    pub executor: Arc<ExecutorView>,
    pub measured: Option<Measured>,
}

pub(super) async fn samples(
    api: &Api,
    wanted: impl Fn(&FrameworkView, &ExecutorView) -> bool,
) -> Result<Vec<Sample>, Refusal> {
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
    let ids = all.iter().map(|(_, executor)| executor.container.clone()).collect();
    let mut seen = api.sampler.look(&api.containerizer, ids).await;
    let sample = |(framework, executor): (_, Arc<ExecutorView>)| {
        let measured = seen.remove(&executor.container);
        Sample { framework, executor, measured }
    };
    Ok(all.into_iter().map(sample).collect())
}

/// An entry of `/monitor/statistics`.
#[derive(Serialize)]
struct Statistics<'a> {
    executor_id: &'a str,
    executor_name: &'a str,
    framework_id: &'a FrameworkId,
    source: &'a str,
    statistics: v1::ResourceStatistics,
}

/// An entry of `/containers`.
#[derive(Serialize)]
struct Container<'a> {
    container_id: &'a ContainerId,
    executor_id: &'a str,
    executor_name: &'a str,
    framework_id: &'a FrameworkId,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<v1::ResourceStatistics>,
    status: Cow<'a, v1::ContainerStatus>,
}

async fn statistics(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let all = samples(&api, |_, _| true).await?;
    let list: Vec<_> = all.iter().filter_map(statistics_of).collect();
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
    let list: Vec<_> = all.iter().map(container_of).collect();
    reply::json(&list, &query)
}

/// As its task was told last.
pub(super) fn container_status(s: &Sample) -> Cow<'_, v1::ContainerStatus> {
    let told = s.executor.tasks.iter().rev().find_map(|task| {
        task.statuses.iter().rev().find_map(|status| status.container_status.as_ref())
    });
    let own = || v1::ContainerStatus {
        container_id: Some(crate::mesos::make::container_id(s.executor.container.as_str())),
        executor_pid: s.executor.pid,
        ..Default::default()
    };
    told.map_or_else(|| Cow::Owned(own()), Cow::Borrowed)
}

fn statistics_of(s: &Sample) -> Option<Statistics<'_>> {
    let Sample { framework, executor, measured } = s;
    Some(Statistics {
        executor_id: &executor.info.executor_id.value,
        executor_name: executor.info.name(),
        framework_id: &framework.id,
        source: executor.info.source(),
        statistics: resource_statistics(measured.as_ref()?, executor),
    })
}

fn container_of(s: &Sample) -> Container<'_> {
    let Sample { framework, executor, measured } = s;
    Container {
        container_id: &executor.container,
        executor_id: &executor.info.executor_id.value,
        executor_name: executor.info.name(),
        framework_id: &framework.id,
        source: executor.info.source(),
        statistics: measured.as_ref().map(|m| resource_statistics(m, executor)),
        status: container_status(s),
    }
}

pub(super) fn resource_statistics(
    measured: &Measured,
    executor: &ExecutorView,
) -> v1::ResourceStatistics {
    let Measured { usage: u, at } = measured;
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    v1::ResourceStatistics {
        timestamp: at.secs(),
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
