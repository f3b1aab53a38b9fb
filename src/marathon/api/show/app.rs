//! An app, with what a reader wants to see beside its definition.

use super::stats::{ByVersion, by_version};
use super::task::{Task, is_task, task};
use crate::marathon::api::embed::AppEmbed;
use crate::marathon::core::DeploymentId;
use crate::marathon::core::view::{AppView, Counts, DeploymentView, TaskFailure, View};
use crate::marathon::model::{App, PathId, Timestamp};
use serde::Serialize;

/// The JSON of an app.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::marathon::api) struct AppInfo<'a> {
    #[serde(flatten)]
    app: &'a App,
    #[serde(flatten)]
    counts: Option<TaskCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<Identified<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readiness_check_results: Option<Vec<Readiness<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<Task<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_task_failure: Option<Failure<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_stats: Option<ByVersion>,
    /// The same under the name that releases up to 1.5 had, and that the pages still read.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_stats: Option<ByVersion>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskCounts {
    tasks_staged: usize,
    tasks_running: usize,
    tasks_healthy: usize,
    tasks_unhealthy: usize,
}

#[derive(Serialize)]
struct Identified<'a> {
    id: &'a DeploymentId,
}

/// A result of a readiness check. The answer it got is not kept.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Readiness<'a> {
    name: &'a str,
    task_id: &'a str,
    ready: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    app_id: &'a PathId,
    host: &'a str,
    message: &'a str,
    state: &'static str,
    task_id: &'a str,
    timestamp: Timestamp,
    version: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    slave_id: Option<&'a str>,
}

impl From<Counts> for TaskCounts {
    fn from(counts: Counts) -> Self {
        Self {
            tasks_staged: counts.staged,
            tasks_running: counts.running,
            tasks_healthy: counts.healthy,
            tasks_unhealthy: counts.unhealthy,
        }
    }
}

impl<'a> Failure<'a> {
    fn of(failure: &'a TaskFailure) -> Self {
        Self {
            app_id: &failure.app,
            host: &failure.host,
            message: &failure.message,
            state: failure.state.as_str_name(),
            task_id: failure.task_id.as_str(),
            timestamp: failure.at,
            version: failure.version,
            slave_id: failure.agent_id.as_ref().map(|id| id.as_str()),
        }
    }
}

impl<'a> AppInfo<'a> {
    /// The definition alone.
    pub(in crate::marathon::api) fn bare(app: &'a App) -> Self {
        Self {
            app,
            counts: None,
            deployments: None,
            readiness_check_results: None,
            tasks: None,
            last_task_failure: None,
            tasks_stats: None,
            task_stats: None,
        }
    }

    /// An app of the view, with what is asked for.
    pub(in crate::marathon::api) fn of(
        app: &'a AppView,
        embed: AppEmbed,
        view: &'a View,
        now: Timestamp,
    ) -> Self {
        let tasks = || app.instances.iter().filter(|i| is_task(i));
        let deployments = || app.deployments.iter().map(|id| Identified { id }).collect();
        let failure = app.last_failure.as_deref().filter(|_| embed.last_task_failure);
        Self {
            counts: embed.counts.then(|| app.counts.into()),
            deployments: embed.deployments.then(deployments),
            readiness_check_results: embed.readiness.then(|| readiness(app, view)),
            tasks: embed.tasks.then(|| tasks().map(|i| task(i, Some(&app.app))).collect()),
            last_task_failure: failure.map(Failure::of),
            tasks_stats: embed.task_stats.then(|| by_version(app, now)),
            task_stats: embed.task_stats.then(|| by_version(app, now)),
            ..Self::bare(&app.app)
        }
    }
}

/// The results of an app's readiness checks in running deployments.
fn readiness<'a>(app: &AppView, view: &'a View) -> Vec<Readiness<'a>> {
    let of = |deployment: &'a DeploymentView| {
        let actions = deployment.current_actions.iter();
        let own = actions.filter(|a| a.action.app == app.app.id);
        own.flat_map(|a| readiness_of(&a.readiness))
    };
    view.deployments.iter().flat_map(|d| of(d)).collect()
}

pub(super) fn readiness_of<'a>(
    results: &'a [(crate::base::ids::TaskId, String, bool)],
) -> impl Iterator<Item = Readiness<'a>> {
    results.iter().map(|(task, name, ready)| Readiness {
        name,
        task_id: task.as_str(),
        ready: *ready,
    })
}

/// The JSON of an app that was just made.
pub(in crate::marathon::api) fn created<'a>(
    app: &'a App,
    deployment: &'a DeploymentId,
) -> AppInfo<'a> {
    AppInfo {
        counts: Some(Counts::default().into()),
        deployments: Some(vec![Identified { id: deployment }]),
        ..AppInfo::bare(app)
    }
}
