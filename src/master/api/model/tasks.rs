//! Tasks: `/tasks`, and the task lists of frameworks.

use super::{Flat, LabelJson, flat, labels, limits};
use crate::master::core::view::{FrameworkView, View};
use crate::mesos::make::state_name;
use crate::mesos::v1;
use serde::Serialize;
use std::sync::Arc;

/// How many tasks `/tasks` lists when nobody says how many.
pub const LIMIT_DEFAULT: i64 = 100;

/// A task in the older form.
#[derive(Serialize)]
pub(in crate::master::api) struct TaskJson<'a> {
    id: &'a str,
    name: &'a str,
    framework_id: &'a str,
    executor_id: &'a str,
    slave_id: &'a str,
    state: String,
    resources: Flat,
    #[serde(skip_serializing_if = "Flat::is_empty")]
    limits: Flat,
    role: &'a str,
    statuses: Vec<StatusJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<LabelJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery: Option<&'a v1::DiscoveryInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a v1::ContainerInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<&'a v1::HealthCheck>,
}

/// One status; message and reason have no place in this form.
#[derive(Serialize)]
struct StatusJson<'a> {
    state: String,
    timestamp: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<LabelJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_status: Option<&'a v1::ContainerStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
}

impl<'a> TaskJson<'a> {
    /// The task in the older form.
    pub(in crate::master::api) fn of(task: &'a v1::Task) -> Self {
        let role = task.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.as_deref());
        Self {
            id: &task.task_id.value,
            name: &task.name,
            framework_id: &task.framework_id.value,
            executor_id: task.executor_id.as_ref().map_or("", |e| e.value.as_str()),
            slave_id: &task.agent_id.value,
            state: state_name(task.state),
            resources: flat(&task.resources),
            limits: limits(&task.limits),
            role: role.unwrap_or("*"),
            statuses: task.statuses.iter().map(status).collect(),
            user: task.user.as_deref(),
            labels: labels(task.labels.as_ref()),
            discovery: task.discovery.as_ref(),
            container: task.container.as_ref(),
            health_check: task.health_check.as_ref(),
        }
    }
}

fn status(status: &v1::TaskStatus) -> StatusJson<'_> {
    StatusJson {
        state: state_name(status.state),
        timestamp: status.timestamp.unwrap_or(0.0),
        labels: labels(status.labels.as_ref()),
        container_status: status.container_status.as_ref(),
        healthy: status.healthy,
    }
}

/// What `/tasks` is asked for.
#[derive(Clone, Debug, Default)]
pub struct TasksQuery {
    /// At most so many; negative is all.
    pub limit: Option<i64>,
    /// Leave out the first.
    pub offset: usize,
    /// Oldest first.
    pub ascending: bool,
    /// Only of this framework.
    pub framework_id: Option<String>,
    /// Only this task.
    pub task_id: Option<String>,
}

/// `/tasks`.
#[derive(Serialize)]
pub struct TasksJson<'a> {
    tasks: Vec<TaskJson<'a>>,
}

/// All tasks of a framework, ended and unreachable ones too.
pub(in crate::master::api) fn of_framework(
    f: &FrameworkView,
) -> impl Iterator<Item = &Arc<v1::Task>> {
    f.tasks.iter().chain(&f.unreachable_tasks).chain(&f.completed_tasks)
}

/// The page of tasks that was asked for: by the time of the first status, newest first unless asked otherwise.
pub fn tasks<'a>(view: &'a View, query: &TasksQuery) -> TasksJson<'a> {
    let wanted = |have: &str, want: &Option<String>| want.as_ref().is_none_or(|w| w == have);
    let mut all: Vec<&v1::Task> = view
        .frameworks
        .iter()
        .chain(&view.completed_frameworks)
        .flat_map(|f| of_framework(f))
        .map(Arc::as_ref)
        .filter(|t| wanted(&t.framework_id.value, &query.framework_id))
        .filter(|t| wanted(&t.task_id.value, &query.task_id))
        .collect();
    let started = |t: &v1::Task| t.statuses.first().and_then(|s| s.timestamp);
    all.sort_by(|a, b| {
        // A task without status is older than all: first when ascending, last when descending.
        let order = started(a).partial_cmp(&started(b)).unwrap_or(std::cmp::Ordering::Equal);
        if query.ascending { order } else { order.reverse() }
    });
    let limit = match query.limit.unwrap_or(LIMIT_DEFAULT) {
        all if all < 0 => usize::MAX,
        some => usize::try_from(some).unwrap_or(usize::MAX),
    };
    let page = all.into_iter().skip(query.offset).take(limit);
    TasksJson { tasks: page.map(TaskJson::of).collect() }
}
