//! Frameworks: `/frameworks`, and the framework lists of `/state`.

use super::tasks::TaskJson;
use super::{Flat, LabelJson, flat, labels, sum};
use crate::master::core::view::{FrameworkView, View};
use crate::mesos::v0::resources_object;
use crate::mesos::v1::framework_info::capability;
use crate::mesos::v1::{self};
use serde::Serialize;
use serde_json::{Map, Value};

/// What every form of a framework begins with.
#[derive(Serialize)]
pub(in crate::master::api) struct FrameworkHead<'a> {
    id: &'a str,
    name: &'a str,
    used_resources: Flat,
    offered_resources: Flat,
    capabilities: Vec<&'static str>,
    hostname: &'a str,
    webui_url: &'a str,
    active: bool,
    connected: bool,
    recovered: bool,
}

impl<'a> FrameworkHead<'a> {
    pub(in crate::master::api) fn of(f: &'a FrameworkView) -> Self {
        Self {
            id: f.info.id.as_ref().map_or("", |id| id.value.as_str()),
            name: &f.info.name,
            used_resources: resources_object(&f.used),
            offered_resources: resources_object(&f.offered),
            capabilities: f.info.capabilities.iter().map(|c| c.r#type().as_str_name()).collect(),
            hostname: f.info.hostname(),
            webui_url: f.info.webui_url(),
            active: f.active,
            connected: f.connected,
            recovered: f.recovered,
        }
    }
}

/// A whole framework.
#[derive(Serialize)]
pub(in crate::master::api) struct FrameworkJson<'a> {
    #[serde(flatten)]
    head: FrameworkHead<'a>,
    user: &'a str,
    failover_timeout: f64,
    checkpoint: bool,
    registered_time: f64,
    unregistered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    resources: Flat,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<&'a [String]>,
    tasks: Vec<TaskJson<'a>>,
    unreachable_tasks: Vec<TaskJson<'a>>,
    completed_tasks: Vec<TaskJson<'a>>,
    offers: Vec<OfferJson<'a>>,
    executors: Vec<ExecutorJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<LabelJson<'a>>>,
    offer_constraints: Map<String, Value>,
}

#[derive(Serialize)]
struct OfferJson<'a> {
    id: &'a str,
    framework_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allocation_info: Option<&'a v1::resource::AllocationInfo>,
    slave_id: &'a str,
    resources: Flat,
}

/// A custom executor.
#[derive(Serialize)]
struct ExecutorJson<'a> {
    executor_id: &'a str,
    name: &'a str,
    framework_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandJson<'a>>,
    resources: Flat,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<LabelJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    kind: Option<&'static str>,
    slave_id: &'a str,
}

#[derive(Serialize)]
struct CommandJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    shell: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    argv: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a v1::Environment>,
    uris: Vec<UriJson<'a>>,
}

#[derive(Serialize)]
struct UriJson<'a> {
    value: &'a str,
    executable: bool,
}

fn command(c: &v1::CommandInfo) -> CommandJson<'_> {
    CommandJson {
        shell: c.shell,
        value: c.value.as_deref(),
        argv: &c.arguments,
        environment: c.environment.as_ref(),
        uris: c
            .uris
            .iter()
            .map(|u| UriJson { value: &u.value, executable: u.executable() })
            .collect(),
    }
}

fn executor<'a>(agent_id: &'a str, e: &'a v1::ExecutorInfo) -> ExecutorJson<'a> {
    ExecutorJson {
        executor_id: &e.executor_id.value,
        name: e.name(),
        framework_id: e.framework_id.as_ref().map_or("", |f| f.value.as_str()),
        command: e.command.as_ref().map(command),
        resources: flat(&e.resources),
        role: e.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.as_deref()),
        labels: labels(e.labels.as_ref()),
        kind: e.r#type.map(|_| e.r#type().as_str_name()),
        slave_id: agent_id,
    }
}

fn offer(o: &v1::Offer) -> OfferJson<'_> {
    OfferJson {
        id: &o.id.value,
        framework_id: &o.framework_id.value,
        allocation_info: o.allocation_info.as_ref(),
        slave_id: &o.agent_id.value,
        resources: flat(&o.resources),
    }
}

/// Whether the framework speaks of several roles.
pub(in crate::master::api) fn is_multi_role(info: &v1::FrameworkInfo) -> bool {
    info.capabilities.iter().any(|c| c.r#type() == capability::Type::MultiRole)
}

impl<'a> FrameworkJson<'a> {
    pub(in crate::master::api) fn of(f: &'a FrameworkView) -> Self {
        let multi = is_multi_role(&f.info);
        let tasks = |all: &'a [std::sync::Arc<v1::Task>]| -> Vec<TaskJson<'a>> {
            all.iter().map(|t| TaskJson::of(t)).collect()
        };
        Self {
            head: FrameworkHead::of(f),
            user: &f.info.user,
            failover_timeout: f.info.failover_timeout(),
            checkpoint: f.info.checkpoint(),
            registered_time: f.registered_time.secs(),
            unregistered_time: f.unregistered_time.map_or(0.0, |t| t.secs()),
            principal: f.info.principal.as_deref(),
            resources: resources_object(&sum(&f.used, &f.offered)),
            reregistered_time: f.reregistered_time.map(|t| t.secs()),
            role: (!multi).then(|| f.info.role.as_deref().unwrap_or("*")),
            roles: multi.then_some(f.info.roles.as_slice()),
            tasks: tasks(&f.tasks),
            unreachable_tasks: tasks(&f.unreachable_tasks),
            completed_tasks: tasks(&f.completed_tasks),
            offers: f.offers.iter().map(|o| offer(o)).collect(),
            executors: f.executors.iter().map(|(a, e)| executor(a.as_str(), e)).collect(),
            labels: labels(f.info.labels.as_ref()),
            offer_constraints: Map::new(),
        }
    }
}

/// `/frameworks`.
#[derive(Serialize)]
pub struct FrameworksJson<'a> {
    frameworks: Vec<FrameworkJson<'a>>,
    completed_frameworks: Vec<FrameworkJson<'a>>,
    unregistered_frameworks: [(); 0],
}

/// All frameworks, or the one with this id.
pub fn frameworks<'a>(view: &'a View, framework_id: Option<&str>) -> FrameworksJson<'a> {
    let wanted = |f: &&std::sync::Arc<FrameworkView>| {
        let id = f.info.id.as_ref().map(|id| id.value.as_str());
        framework_id.is_none() || framework_id == id
    };
    let list = |all: &'a [std::sync::Arc<FrameworkView>]| {
        all.iter().filter(wanted).map(|f| FrameworkJson::of(f)).collect()
    };
    FrameworksJson {
        frameworks: list(&view.frameworks),
        completed_frameworks: list(&view.completed_frameworks),
        unregistered_frameworks: [],
    }
}
