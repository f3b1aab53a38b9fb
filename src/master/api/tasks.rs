//! `/mesolith/v1/tasks`: every task in a line, with the message and reason of its newest status,
//! which the older documents have no place for.

use super::{Api, Refusal};
use crate::http::auth::Realm;
use crate::http::{Face, Query, reply};
use crate::master::core::view::{FrameworkView, View};
use crate::mesos::make::state_name;
use crate::mesos::v1;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new().endpoint("/mesolith/v1/tasks", realm.protect(get(list).with_state(api)))
}

/// One task, in a line.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    name: &'a str,
    framework_id: &'a str,
    framework: &'a str,
    agent_id: &'a str,
    /// The agent's host name, while the agent is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    executor_id: &'a str,
    role: &'a str,
    state: String,
    /// `active`, `unreachable` or `completed`.
    shelf: &'static str,
    cpus: f64,
    mem: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
    /// Of the first status.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<f64>,
    /// Of the newest status.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Lines<'a> {
    tasks: Vec<Line<'a>>,
}

async fn list(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let view = api.view().await?;
    reply::json(&lines(&view), &query)
}

fn lines<'a>(view: &'a View) -> Lines<'a> {
    let hosts: BTreeMap<&str, &str> = view
        .agents
        .iter()
        .filter_map(|a| Some((a.info.id.as_ref()?.value.as_str(), a.info.hostname.as_str())))
        .collect();
    let mut tasks = Vec::new();
    for f in view.frameworks.iter().chain(&view.completed_frameworks) {
        let mut shelf = |all: &'a [Arc<v1::Task>], shelf| {
            tasks.extend(all.iter().map(|task| line(&hosts, f, task, shelf)));
        };
        shelf(&f.tasks, "active");
        shelf(&f.unreachable_tasks, "unreachable");
        shelf(&f.completed_tasks, "completed");
    }
    Lines { tasks }
}

fn line<'a>(
    hosts: &BTreeMap<&'a str, &'a str>,
    f: &'a FrameworkView,
    task: &'a v1::Task,
    shelf: &'static str,
) -> Line<'a> {
    let scalar = |name: &str| {
        let named = task.resources.iter().filter(|r| r.name == name);
        named.filter_map(|r| r.scalar.as_ref()).map(|s| s.value).sum()
    };
    let newest = task.statuses.last();
    Line {
        id: &task.task_id.value,
        name: &task.name,
        framework_id: &task.framework_id.value,
        framework: &f.info.name,
        agent_id: &task.agent_id.value,
        host: hosts.get(task.agent_id.value.as_str()).copied(),
        executor_id: task.executor_id.as_ref().map_or("", |e| e.value.as_str()),
        role: task
            .resources
            .iter()
            .find_map(|r| r.allocation_info.as_ref()?.role.as_deref())
            .unwrap_or("*"),
        state: state_name(task.state),
        shelf,
        cpus: scalar("cpus"),
        mem: scalar("mem"),
        healthy: newest.and_then(|s| s.healthy),
        started: task.statuses.first().and_then(|s| s.timestamp),
        changed: newest.and_then(|s| s.timestamp),
        message: newest.and_then(|s| s.message.as_deref()).filter(|m| !m.is_empty()),
        reason: newest.filter(|s| s.reason.is_some()).map(|s| s.reason().as_str_name()),
    }
}
