//! `/v2/apps`: definitions. What is below an app (`tasks`) is in `app_tasks`.

use super::ask::{Ask, path_id, timestamp};
use super::embed::AppEmbed;
use super::filter::Filter;
use super::show::{AppInfo, created};
use super::{Api, answer, app_tasks, not_allowed, reads};
use crate::http::Refusal;
use crate::marathon::change;
use crate::marathon::core::io::{Answer, Deploying};
use crate::marathon::model::{AppBody, Failures, Group, PathId, Rejection, read};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::json;
use std::collections::BTreeSet;

pub(super) async fn serve(api: &Api, ask: &Ask, rest: &[&str]) -> Result<Response, Refusal> {
    let delete = ask.method == Method::DELETE;
    match rest {
        [] => match ask.method {
            ref method if reads(method) => list(api, ask).await,
            Method::POST => create(api, ask).await,
            Method::PUT | Method::PATCH => update_many(api, ask).await,
            _ => Err(not_allowed("GET, HEAD, PATCH, POST, PUT")),
        },
        [group @ .., "*"] if reads(&ask.method) => subtree(api, ask, group).await,
        [id @ .., "restart"] if !id.is_empty() => match ask.method {
            Method::POST => restart(api, ask, path_id(id)?).await,
            _ => Err(not_allowed("POST")),
        },
        [id @ .., "tasks"] if !id.is_empty() => app_tasks::serve(api, ask, id).await,
        [id @ .., "tasks", task] if delete && !id.is_empty() => {
            app_tasks::kill_one(api, ask, path_id(id)?, task).await
        }
        [id @ .., "versions"] if !id.is_empty() => match &ask.method {
            method if reads(method) => versions(api, path_id(id)?).await,
            _ => Err(not_allowed("GET, HEAD")),
        },
        [id @ .., "versions", at] if reads(&ask.method) && !id.is_empty() => {
            version(api, path_id(id)?, at).await
        }
        id => one(api, ask, path_id(id)?).await,
    }
}

async fn one(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    match ask.method {
        ref method if reads(method) => show(api, ask, id).await,
        Method::PUT | Method::PATCH => update(api, ask, id).await,
        Method::DELETE => remove(api, ask, id).await,
        _ => Err(not_allowed("DELETE, GET, HEAD, PATCH, PUT")),
    }
}

async fn list(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    let (filter, embed) = (Filter::of(ask)?, AppEmbed::LIST.with(ask.all("embed")));
    let (view, now) = (api.view().await?, api.now());
    let shown = view.apps.values().filter(|a| filter.takes(&a.app));
    let apps: Vec<_> = shown.map(|a| AppInfo::of(a, embed, &view, now)).collect();
    Ok(answer::ok(&json_list("apps", &apps)))
}

/// All apps below a group.
async fn subtree(api: &Api, ask: &Ask, group: &[&str]) -> Result<Response, Refusal> {
    let embed = AppEmbed::LIST.with(ask.all("embed"));
    let (id, view, now) = (path_id(group)?, api.view().await?, api.now());
    if view.root.group(&id).is_none() {
        return Err(answer::no_group(&id));
    }
    let shown = view.apps.values().filter(|a| a.app.id.is_below(&id));
    let apps: Vec<_> = shown.map(|a| AppInfo::of(a, embed, &view, now)).collect();
    Ok(answer::ok(&json_list("*", &apps)))
}

/// An object with one list.
pub(super) fn json_list<'a, T: serde::Serialize>(
    name: &'static str,
    items: &'a [T],
) -> std::collections::BTreeMap<&'static str, &'a [T]> {
    [(name, items)].into()
}

async fn show(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let embed = AppEmbed::ONE.with(ask.all("embed"));
    let (view, now) = (api.view().await?, api.now());
    let Some(app) = view.apps.get(&id) else { return Err(answer::no_app(&id)) };
    Ok(answer::ok(&std::collections::BTreeMap::from([(
        "app",
        AppInfo::of(app, embed, &view, now),
    )])))
}

async fn create(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    let force = ask.flag("force", false)?;
    let read = read::app(&ask.json()?, &PathId::root()).map_err(answer::rejected)?;
    let body = checked(read)?;
    if body.update.id.is_none() {
        let missing = Failures::of("/id", "error.path.missing");
        return Err(answer::rejected(Rejection::Form(missing)));
    }
    let make = |root: &Group| change::create(root, &body, &api.rules).map(|(root, _)| root);
    let done = apply(api, force, make).await?;
    publish(api, ask, &done);
    let made = done.apps.iter().find(|app| Some(&app.id) == body.update.id.as_ref());
    let Some(app) = made else {
        return Ok(answer::deploying(StatusCode::CREATED, &done));
    };
    let info = created(app, &done.deployment);
    let response =
        answer::named(answer::json(StatusCode::CREATED, &info), done.deployment.as_str());
    Ok(located(response, api, &app.id))
}

/// The same answer with the address of what was made. Marathon resolves the id against the server's root.
pub(super) fn located(mut response: Response, api: &Api, id: &PathId) -> Response {
    if let Ok(value) = HeaderValue::try_from(format!("{}{id}", api.identity.url())) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// What was read, unless something in it cannot be accepted.
pub(super) fn checked<T>(read: read::Read<T>) -> Result<T, Refusal> {
    if read.refused.is_empty() { Ok(read.body) } else { Err(answer::invalid(read.refused)) }
}

/// Makes the change and waits for it.
async fn apply(
    api: &Api,
    force: bool,
    make: impl Fn(&Group) -> Result<Group, change::Refused>,
) -> Result<Deploying, Refusal> {
    let changed = api.change(force, false, |view| {
        Ok((make(&view.root).map_err(answer::refused)?, BTreeSet::new()))
    });
    answer::deployed(changed.await?)
}

/// Tells listeners of a change that a client made.
fn publish(api: &Api, ask: &Ask, done: &Deploying) {
    for app in &done.apps {
        api.hub.api_post(api.now(), &ask.peer, &ask.uri, app);
    }
}

async fn update(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let (force, patch) = (ask.flag("force", false)?, ask.method == Method::PATCH);
    let partial = patch || ask.flag("partialUpdate", true)?;
    let body = checked(read::app_of(&ask.json()?, &id).map_err(answer::rejected)?)?;
    if body.is_rollback() && body.is_version_only() {
        return rollback(api, ask, id, &body, force).await;
    }
    let existed = api.view().await?.root.app(&id).is_some();
    let bodies = [body];
    let make = |root: &Group| change::update(root, &bodies, partial, !patch, &api.rules);
    let done = apply(api, force, make).await?;
    publish(api, ask, &done);
    if existed {
        return Ok(answer::deploying(StatusCode::OK, &done));
    }
    Ok(located(answer::deploying(StatusCode::CREATED, &done), api, &id))
}

/// Back to an earlier version.
async fn rollback(
    api: &Api,
    ask: &Ask,
    id: PathId,
    body: &AppBody,
    force: bool,
) -> Result<Response, Refusal> {
    let Some(version) = body.update.version else { return Err(answer::no_app(&id)) };
    if api.view().await?.root.app(&id).is_none() {
        return Err(answer::no_app(&id));
    }
    let found = api.door().await?.app_version(id.clone(), version).await;
    let Some(earlier) = found.map_err(answer::failed)? else {
        return Err(answer::no_version("App", &id, version));
    };
    let done = apply(api, force, |root| change::rollback(root, &earlier, &api.rules)).await?;
    publish(api, ask, &done);
    Ok(answer::deploying(StatusCode::OK, &done))
}

async fn update_many(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    let (force, patch) = (ask.flag("force", false)?, ask.method == Method::PATCH);
    let partial = patch || ask.flag("partialUpdate", true)?;
    let bodies = checked(read::apps(&ask.json()?).map_err(answer::rejected)?)?;
    let make = |root: &Group| change::update(root, &bodies, partial, !patch, &api.rules);
    let done = apply(api, force, make).await?;
    publish(api, ask, &done);
    Ok(answer::deploying(StatusCode::OK, &done))
}

async fn remove(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let force = ask.flag("force", true)?;
    let before = api.view().await?.root.app(&id).cloned();
    let done = apply(api, force, |root| change::remove(root, &id)).await?;
    if let Some(app) = before {
        api.hub.api_post(api.now(), &ask.peer, &ask.uri, &app);
    }
    Ok(answer::deploying(StatusCode::OK, &done))
}

async fn restart(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let force = ask.flag("force", false)?;
    let changed = api.change(force, false, |view| {
        if view.root.app(&id).is_none() {
            return Err(answer::no_app(&id));
        }
        Ok((Group::clone(&view.root), BTreeSet::from([id.clone()])))
    });
    match changed.await? {
        Answer::Deploying(done) => {
            publish(api, ask, &done);
            Ok(answer::deploying(StatusCode::OK, &done))
        }
        other => Err(answer::refusal(other)),
    }
}

async fn versions(api: &Api, id: PathId) -> Result<Response, Refusal> {
    let view = api.view().await?;
    let Some(app) = view.apps.get(&id) else { return Err(answer::no_app(&id)) };
    Ok(answer::ok(&json!({ "versions": app.versions })))
}

async fn version(api: &Api, id: PathId, at: &str) -> Result<Response, Refusal> {
    let version = timestamp(at)?;
    let found = api.door().await?.app_version(id.clone(), version).await.map_err(answer::failed)?;
    match found {
        Some(app) => Ok(answer::ok(&*app)),
        None => Err(answer::no_version("App", &id, version)),
    }
}
