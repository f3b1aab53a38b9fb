//! `/state` of an agent.

use super::Api;
use crate::agent::CAPABILITIES;
use crate::agent::core::view::{ExecutorView, FrameworkView, View};
use crate::base::resources::Resources;
use crate::base::version;
use crate::http::auth::Realm;
use crate::http::{Face, Query, Refusal, reply};
use crate::mesos::convert::{Format, attributes_from_v1, resources_from_v1, resources_to_v1};
use crate::mesos::make::state_name;
use crate::mesos::v0::{attributes_object, resources_object};
use crate::mesos::v1;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::any;
use serde_json::{Map, Value, json};

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new().endpoint("/state", realm.protect(any(show).with_state(api)))
}

async fn show(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let view = api.view().await?;
    if view.recovering {
        let text = "Agent has not finished recovery";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    reply::json(&document(&api, &view), &query)
}

/// The flat object of v1 resources, which the core has checked before.
fn bag(all: &[v1::Resource]) -> Resources {
    resources_from_v1(all).unwrap_or_default()
}

fn document(api: &Api, view: &View) -> Value {
    let identity = &api.identity;
    let total = &view.total;
    let attributes = attributes_from_v1(&view.agent.attributes).unwrap_or_default();
    let mut out = json!({
        "version": version::MESOS_VERSION,
        "mesolith_version": version::MESOLITH_VERSION,
        "build_date": version::BUILD_DATE,
        "build_time": version::build_time(),
        "build_user": version::BUILD_USER,
        "start_time": identity.start_time.secs(),
        "id": view.agent.id.as_ref().map_or("", |id| id.value.as_str()),
        "pid": identity.pid(),
        "hostname": identity.hostname,
        "capabilities": CAPABILITIES,
        "resources": resources_object(total),
        "attributes": attributes_object(&attributes),
        "resource_providers": [],
        "master_hostname": identity.master_hostname,
        "flags": identity.flags,
        "frameworks": view.frameworks.iter().map(|f| framework(f)).collect::<Vec<_>>(),
        "completed_frameworks":
            view.completed_frameworks.iter().map(|f| framework(f)).collect::<Vec<_>>(),
    });
    if let (Some(object), Some(log_dir)) = (out.as_object_mut(), &identity.log_dir) {
        object.insert("log_dir".into(), json!(log_dir));
    }
    if let (Some(object), Some((config, since))) = (out.as_object_mut(), &view.drain) {
        object.insert("drain_config".into(), json!(config));
        object.insert("estimated_drain_start_time_seconds".into(), json!(since.secs()));
    }
    if let Some(object) = out.as_object_mut() {
        reservations(object, total, &allocated(view));
    }
    out
}

/// What running executors and their tasks hold.
fn allocated(view: &View) -> Resources {
    let mut all = Resources::default();
    for executor in view.frameworks.iter().flat_map(|f| &f.executors) {
        all += &used(executor);
    }
    all
}

fn used(executor: &ExecutorView) -> Resources {
    let mut all = bag(&executor.info.resources);
    for task in executor.tasks.iter().filter(|t| !crate::mesos::make::is_terminal(t.state())) {
        all += &bag(&task.resources);
    }
    for task in &executor.queued_tasks {
        all += &bag(&task.resources);
    }
    all
}

fn reservations(out: &mut Map<String, Value>, total: &Resources, allocated: &Resources) {
    let reserved = total.reservations();
    let flat: Map<String, Value> =
        reserved.iter().map(|(role, r)| (role.to_string(), resources_object(r).into())).collect();
    let full: Map<String, Value> = reserved
        .iter()
        .map(|(role, r)| (role.to_string(), json!(resources_to_v1(r, Format::ENDPOINT))))
        .collect();
    let in_use: Map<String, Value> = allocated
        .reservations()
        .iter()
        .map(|(role, r)| (role.to_string(), resources_object(r).into()))
        .collect();
    let unreserved = total.unreserved();
    out.insert("reserved_resources".into(), flat.into());
    out.insert("unreserved_resources".into(), resources_object(&unreserved).into());
    out.insert("reserved_resources_full".into(), full.into());
    let full = json!(resources_to_v1(&unreserved, Format::ENDPOINT));
    out.insert("unreserved_resources_full".into(), full);
    out.insert("reserved_resources_allocated".into(), in_use.into());
    let in_use = resources_object(&allocated.unreserved());
    out.insert("unreserved_resources_allocated".into(), in_use.into());
}

fn framework(f: &FrameworkView) -> Value {
    let info = &f.info;
    let executors = |all: &[std::sync::Arc<ExecutorView>]| -> Vec<Value> {
        all.iter().map(|e| executor(&f.id.to_string(), e)).collect()
    };
    let mut out = json!({
        "id": f.id,
        "name": info.name,
        "user": info.user,
        "failover_timeout": info.failover_timeout(),
        "checkpoint": info.checkpoint(),
        "hostname": info.hostname(),
        "executors": executors(&f.executors),
        "completed_executors": executors(&f.completed_executors),
    });
    if let Some(principal) = &info.principal {
        out["principal"] = json!(principal);
    }
    let multi = info
        .capabilities
        .iter()
        .any(|c| c.r#type() == v1::framework_info::capability::Type::MultiRole);
    match multi {
        true => out["roles"] = json!(info.roles),
        false => out["role"] = json!(single_role(info)),
    }
    out
}

/// The role of a framework that speaks of one only.
#[allow(deprecated, reason = "frameworks without MULTI_ROLE still use it")]
fn single_role(info: &v1::FrameworkInfo) -> &str {
    info.role.as_deref().unwrap_or("*")
}

fn role_of(resources: &[v1::Resource]) -> Option<&str> {
    resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.as_deref())
}

fn executor(framework_id: &str, e: &ExecutorView) -> Value {
    let tasks = |all: &[std::sync::Arc<v1::Task>]| -> Vec<Value> {
        all.iter().map(|t| task(t, e.command_task)).collect()
    };
    let queued: Vec<Value> = e.queued_tasks.iter().map(|t| queued_task(t)).collect();
    let mut out = json!({
        "id": e.info.executor_id.value,
        "name": e.info.name(),
        "source": e.info.source(),
        "framework_id": framework_id,
        "container": e.container,
        "directory": e.directory,
        "resources": resources_object(&used(e)),
        "tasks": tasks(&e.tasks),
        "queued_tasks": queued,
        "completed_tasks": tasks(&e.completed_tasks),
    });
    let role = role_of(&e.info.resources).or_else(|| role_of(&e.tasks.first()?.resources));
    if let Some(role) = role {
        out["role"] = json!(role);
    }
    if let Some(labels) = &e.info.labels {
        out["labels"] = json!(labels.labels);
    }
    if e.info.r#type.is_some() {
        out["type"] = json!(e.info.r#type().as_str_name());
    }
    out
}

fn task(t: &v1::Task, command_task: bool) -> Value {
    let executor_id = match command_task {
        true => "",
        false => t.executor_id.as_ref().map_or("", |e| e.value.as_str()),
    };
    let statuses: Vec<Value> = t.statuses.iter().map(status).collect();
    let mut out = json!({
        "id": t.task_id.value,
        "name": t.name,
        "framework_id": t.framework_id.value,
        "executor_id": executor_id,
        "slave_id": t.agent_id.value,
        "state": state_name(t.state),
        "resources": resources_object(&bag(&t.resources)),
        "role": role_of(&t.resources).unwrap_or("*"),
        "statuses": statuses,
    });
    let mut put = |name: &str, value: Option<Value>| {
        if let (Some(object), Some(value)) = (out.as_object_mut(), value) {
            object.insert(name.into(), value);
        }
    };
    put("user", t.user.as_ref().map(|u| json!(u)));
    put("labels", t.labels.as_ref().map(|l| json!(l.labels)));
    put("discovery", t.discovery.as_ref().map(|d| json!(d)));
    put("container", t.container.as_ref().map(|c| json!(c)));
    put("health_check", t.health_check.as_ref().map(|c| json!(c)));
    out
}

fn status(s: &v1::TaskStatus) -> Value {
    let mut out = json!({"state": state_name(s.state), "timestamp": s.timestamp()});
    if let Some(labels) = &s.labels {
        out["labels"] = json!(labels.labels);
    }
    if let Some(container) = &s.container_status {
        out["container_status"] = json!(container);
    }
    if let Some(healthy) = s.healthy {
        out["healthy"] = json!(healthy);
    }
    out
}

fn queued_task(t: &v1::TaskInfo) -> Value {
    let mut out = json!({
        "id": t.task_id.value,
        "name": t.name,
        "slave_id": t.agent_id.value,
        "resources": resources_object(&bag(&t.resources)),
        "role": role_of(&t.resources).unwrap_or("*"),
    });
    if let Some(command) = &t.command {
        out["command"] = json!(command);
    }
    if let Some(executor) = &t.executor {
        out["executor_id"] = json!(executor.executor_id.value);
    }
    if let Some(discovery) = &t.discovery {
        out["discovery"] = json!(discovery);
    }
    out
}
