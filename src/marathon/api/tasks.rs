//! `/v2/tasks`: the tasks of all apps, as JSON and as the rows that old proxies read; and killing by id.

use super::apps::{checked, json_list};
use super::ask::Ask;
use super::show::{is_task, task};
use super::{Api, answer, not_allowed, reads, texts};
use crate::base::ids::TaskId;
use crate::http::{Refusal, reply};
use crate::marathon::core::InstanceId;
use crate::marathon::core::io::{Answer, Command, Kill, KillWhat};
use crate::marathon::core::view::{AppView, Condition, InstanceView, View};
use crate::marathon::model::{App, NetworkMode, read};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use std::fmt::Write as _;
use std::sync::Arc;

/// The most ids in one request.
const IDS_MAX: usize = 10_000;

pub(super) async fn serve(api: &Api, ask: &Ask, rest: &[&str]) -> Result<Response, Refusal> {
    match rest {
        [] if reads(&ask.method) => list(api, ask).await,
        [] => Err(not_allowed("GET, HEAD")),
        ["delete"] if ask.method == Method::POST => kill(api, ask).await,
        ["delete"] => Err(not_allowed("POST")),
        _ => Err(answer::message(StatusCode::NOT_FOUND, "URI not found")),
    }
}

async fn list(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    let view = api.view().await?;
    if ask.wants_text() {
        return Ok(text_rows(view.apps.values()));
    }
    let words = ask.all("status");
    let (running, staging) = (words.contains(&"running"), words.contains(&"staging"));
    let shown = |i: &InstanceView| match i.condition {
        // No known word asks for all.
        _ if !running && !staging => true,
        Condition::Running => running,
        Condition::Provisioned | Condition::Staging | Condition::Starting => staging,
        _ => false,
    };
    let of = |app: &'_ Arc<AppView>| {
        let tasks = app.instances.iter().filter(|i| is_task(i) && shown(i));
        tasks.map(|i| (Arc::clone(i), Some(Arc::clone(&app.app)))).collect::<Vec<_>>()
    };
    let mut found: Vec<(Arc<InstanceView>, Option<Arc<App>>)> =
        view.apps.values().flat_map(of).collect();
    let leaving = view.leaving.iter().filter(|i| is_task(i) && shown(i));
    found.extend(leaving.map(|i| (Arc::clone(i), None)));
    let tasks: Vec<_> = found.iter().map(|(i, app)| task(i, app.as_deref())).collect();
    Ok(answer::ok(&json_list("tasks", &tasks)))
}

/// What becomes of killed tasks, as the query has it.
pub(super) struct KillFlags {
    scale: bool,
    wipe: bool,
    force: bool,
}

impl KillFlags {
    pub(super) fn of(ask: &Ask) -> Result<Self, Refusal> {
        let (scale, wipe) = (ask.flag("scale", false)?, ask.flag("wipe", false)?);
        if scale && wipe {
            return Err(answer::message(StatusCode::BAD_REQUEST, texts::SCALE_AND_WIPE));
        }
        Ok(Self { scale, wipe, force: ask.flag("force", false)? })
    }

    pub(super) fn kill(&self, what: KillWhat) -> Command {
        Command::Kill(Kill { what, scale: self.scale, wipe: self.wipe, force: self.force })
    }
}

async fn kill(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    let flags = KillFlags::of(ask)?;
    let ids = checked(read::task_ids(&ask.json()?).map_err(answer::rejected)?)?;
    if ids.len() > IDS_MAX {
        let text = format!("at most {IDS_MAX} tasks can be killed in one request");
        return Err(answer::message(StatusCode::BAD_REQUEST, &text));
    }
    let view = api.view().await?;
    for id in &ids {
        let known = || view.apps.values().flat_map(|a| &a.instances);
        if InstanceId::of_task(id).is_none() && !known().any(|i| i.task_id.as_str() == id) {
            let text = format!("Invalid task id '{id}'. [{id}]");
            return Err(answer::message(StatusCode::BAD_REQUEST, &text));
        }
    }
    let tasks: Vec<TaskId> = ids.into_iter().map(TaskId::from).collect();
    match api.request(flags.kill(KillWhat::Tasks { tasks, app: None })).await? {
        Answer::Killed(instances) => Ok(killed(&view, &instances)),
        other => Ok(answer::deploying(StatusCode::OK, &answer::deployed(other)?)),
    }
}

/// The tasks that were killed.
pub(super) fn killed(view: &View, instances: &[Arc<InstanceView>]) -> Response {
    let of = |i: &'_ Arc<InstanceView>| view.apps.get(&i.app).map(|a| Arc::clone(&a.app));
    let found: Vec<_> = instances.iter().map(|i| (i, of(i))).collect();
    let tasks: Vec<_> = found.iter().map(|(i, app)| task(i, app.as_deref())).collect();
    answer::ok(&json_list("tasks", &tasks))
}

/// One row an app and service port: id, port, and where it runs. Apps whose tasks have addresses of their own
/// are left out.
pub(super) fn text_rows<'a>(apps: impl Iterator<Item = &'a Arc<AppView>>) -> Response {
    let mut out = String::new();
    for view in apps {
        let app = &view.app;
        if app.networks.iter().any(|n| n.mode == NetworkMode::Container) {
            continue;
        }
        let running = || view.instances.iter().filter(|i| i.condition == Condition::Running);
        let ports = app.service_ports();
        if ports.is_empty() {
            let _ = write!(out, "{}\t \t", app.id.underscored());
            for agent in running().filter_map(|i| i.agent.as_ref()) {
                let _ = write!(out, "{}\t", agent.host);
            }
            out.push('\n');
        }
        for (n, port) in ports.iter().enumerate() {
            let _ = write!(out, "{}\t{port}\t", app.id.underscored());
            for instance in running() {
                let agent = instance.agent.as_ref();
                if let (Some(agent), Some(port)) = (agent, instance.host_ports.get(n)) {
                    let _ = write!(out, "{}:{port}\t", agent.host);
                }
            }
            out.push('\n');
        }
    }
    reply::text(StatusCode::OK, out)
}
