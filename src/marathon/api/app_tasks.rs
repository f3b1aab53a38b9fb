//! `/v2/apps/{id}/tasks`: the tasks of one app, or of all below a group.

use super::apps::json_list;
use super::ask::{Ask, path_id};
use super::show::{is_task, task};
use super::tasks::{KillFlags, killed, text_rows};
use super::{Api, answer, not_allowed, reads};
use crate::http::Refusal;
use crate::marathon::core::io::{Answer, KillWhat};
use crate::marathon::core::view::AppView;
use crate::marathon::model::PathId;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use std::sync::Arc;

pub(super) async fn serve(api: &Api, ask: &Ask, id: &[&str]) -> Result<Response, Refusal> {
    match ask.method {
        ref method if reads(method) => list(api, ask, id).await,
        Method::DELETE => kill_all(api, ask, path_id(id)?).await,
        _ => Err(not_allowed("DELETE, GET, HEAD")),
    }
}

async fn list(api: &Api, ask: &Ask, id: &[&str]) -> Result<Response, Refusal> {
    let view = api.view().await?;
    let apps: Vec<&Arc<AppView>> = match id {
        [group @ .., "*"] => {
            let group = path_id(group)?;
            if view.root.group(&group).is_none() {
                return Err(answer::no_group(&group));
            }
            view.apps.values().filter(|a| a.app.id.is_below(&group)).collect()
        }
        _ => {
            let id = path_id(id)?;
            let Some(app) = view.apps.get(&id) else { return Err(answer::no_app(&id)) };
            vec![app]
        }
    };
    if ask.wants_text() {
        return Ok(text_rows(apps.into_iter()));
    }
    let of = |app: &'_ Arc<AppView>| {
        let tasks = app.instances.iter().filter(|i| is_task(i));
        tasks.map(|i| (Arc::clone(i), Arc::clone(app))).collect::<Vec<_>>()
    };
    let found: Vec<_> = apps.into_iter().flat_map(of).collect();
    let tasks: Vec<_> = found.iter().map(|(i, app)| task(i, Some(&app.app))).collect();
    Ok(answer::ok(&json_list("tasks", &tasks)))
}

async fn kill_all(api: &Api, ask: &Ask, app: PathId) -> Result<Response, Refusal> {
    let flags = KillFlags::of(ask)?;
    let view = api.view().await?;
    if !view.apps.contains_key(&app) {
        return Err(answer::no_app(&app));
    }
    let host = ask.query.get("host").map(String::from);
    match api.request(flags.kill(KillWhat::App { app, host })).await? {
        Answer::Killed(instances) => Ok(killed(&view, &instances)),
        other => Ok(answer::deploying(StatusCode::OK, &answer::deployed(other)?)),
    }
}

/// Kills one task of an app.
pub(super) async fn kill_one(
    api: &Api,
    ask: &Ask,
    app: PathId,
    id: &str,
) -> Result<Response, Refusal> {
    let flags = KillFlags::of(ask)?;
    let view = api.view().await?;
    let Some(found) = view.apps.get(&app) else { return Err(answer::no_app(&app)) };
    if !found.instances.iter().any(|i| i.task_id.as_str() == id) {
        return Err(answer::no_task(id));
    }
    let what = KillWhat::Tasks { tasks: vec![id.into()], app: Some(app) };
    match api.request(flags.kill(what)).await? {
        Answer::Killed(instances) => match instances.first() {
            Some(instance) => {
                let body = [("task", task(instance, Some(&found.app)))];
                Ok(answer::ok(&std::collections::BTreeMap::from(body)))
            }
            None => Err(answer::no_task(id)),
        },
        other => Ok(answer::deploying(StatusCode::OK, &answer::deployed(other)?)),
    }
}
