//! `/v2/groups`: the tree.

use super::apps::{checked, json_list, located};
use super::ask::{Ask, path_id, timestamp};
use super::embed::{AppEmbed, GroupEmbed};
use super::show::{AppInfo, group};
use super::{Api, answer, not_allowed, reads};
use crate::http::Refusal;
use crate::marathon::change;
use crate::marathon::core::io::Answer;
use crate::marathon::model::{Failures, Group, GroupUpdate, PathId, Rejection, read};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeSet;

pub(super) async fn serve(api: &Api, ask: &Ask, rest: &[&str]) -> Result<Response, Refusal> {
    if reads(&ask.method) {
        return match rest {
            [id @ .., "versions"] => versions(api, path_id(id)?).await,
            [id @ .., "versions", at] => version(api, ask, path_id(id)?, at).await,
            [id @ .., "apps"] => apps(api, ask, path_id(id)?).await,
            id => show(api, ask, path_id(id)?).await,
        };
    }
    let id = path_id(rest)?;
    match ask.method {
        Method::POST => create(api, ask, id).await,
        Method::PUT => update(api, ask, id).await,
        Method::PATCH => patch(api, ask, id).await,
        Method::DELETE => remove(api, ask, id).await,
        _ => Err(not_allowed("DELETE, GET, HEAD, PATCH, POST, PUT")),
    }
}

async fn show(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let embed = GroupEmbed::of(&ask.all("embed"));
    let (view, now) = (api.view().await?, api.now());
    let Some(found) = view.root.group(&id) else { return Err(answer::no_group(&id)) };
    Ok(answer::ok(&group(found, embed, &view, now)))
}

async fn apps(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let embed = AppEmbed::LIST.with(ask.all("embed"));
    let (view, now) = (api.view().await?, api.now());
    if view.root.group(&id).is_none() {
        return Err(answer::no_group(&id));
    }
    let shown = view.apps.values().filter(|a| a.app.id.is_below(&id));
    let apps: Vec<_> = shown.map(|a| AppInfo::of(a, embed, &view, now)).collect();
    Ok(answer::ok(&json_list("apps", &apps)))
}

async fn versions(api: &Api, id: PathId) -> Result<Response, Refusal> {
    let view = api.view().await?;
    if view.root.group(&id).is_none() {
        return Err(answer::no_group(&id));
    }
    Ok(answer::ok(&*view.root_versions))
}

async fn version(api: &Api, ask: &Ask, id: PathId, at: &str) -> Result<Response, Refusal> {
    let version = timestamp(at)?;
    let embed = GroupEmbed::of(&ask.all("embed"));
    let found = api.door().await?.root_version(version).await.map_err(answer::failed)?;
    let (view, now) = (api.view().await?, api.now());
    match found.as_ref().and_then(|root| root.group(&id)) {
        Some(found) => Ok(answer::ok(&group(found, embed, &view, now))),
        None => Err(answer::no_version("Group", &id, version)),
    }
}

/// The update, and the group it is about.
fn body(ask: &Ask, id: PathId) -> Result<(PathId, GroupUpdate), Refusal> {
    let update = checked(read::group(&ask.json()?, &id).map_err(answer::rejected)?)?;
    Ok((update.id.clone().unwrap_or(id), update))
}

async fn create(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let force = ask.flag("force", false)?;
    let (id, update) = body(ask, id)?;
    if id.is_root() && update.id.is_none() {
        let missing = Failures::of("/id", "error.path.missing");
        return Err(answer::rejected(Rejection::Form(missing)));
    }
    let make = |root: &Group| change::create_group(root, &id, &update, &api.rules);
    let answer = apply(api, force, false, make).await?;
    let response = answer::deploying(StatusCode::CREATED, &answer::deployed(answer)?);
    Ok(located(response, api, &id))
}

async fn update(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let (force, dry_run) = (ask.flag("force", false)?, ask.flag("dryRun", false)?);
    let (id, update) = body(ask, id)?;
    let answer = match update.version.filter(|_| update.is_version_only()) {
        None => {
            let make = |root: &Group| change::update_group(root, &id, &update, &api.rules);
            apply(api, force, dry_run, make).await?
        }
        Some(version) => {
            let found = api.door().await?.root_version(version).await;
            let Some(earlier) = found.map_err(answer::failed)? else {
                return Err(answer::no_version("Group", &id, version));
            };
            if earlier.group(&id).is_none() {
                return Err(answer::no_version("Group", &id, version));
            }
            let make = |root: &Group| change::rollback_group(root, &id, &earlier, &api.rules);
            apply(api, force, dry_run, make).await?
        }
    };
    match answer {
        Answer::Planned(steps) => Ok(answer::planned(&steps)),
        other => Ok(answer::deploying(StatusCode::OK, &answer::deployed(other)?)),
    }
}

async fn patch(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let on = checked(read::enforce_role(&ask.json()?).map_err(answer::rejected)?)?;
    let make = |root: &Group| match on {
        Some(on) => change::enforce_role(root, &id, on),
        None if root.group(&id).is_some() => Ok(root.clone()),
        None => Err(change::Refused::NoGroup(id.clone())),
    };
    answer::deployed(apply(api, false, false, make).await?)?;
    Ok(StatusCode::OK.into_response())
}

async fn remove(api: &Api, ask: &Ask, id: PathId) -> Result<Response, Refusal> {
    let force = ask.flag("force", false)?;
    let answer = apply(api, force, false, |root| change::remove_group(root, &id)).await?;
    Ok(answer::deploying(StatusCode::OK, &answer::deployed(answer)?))
}

async fn apply(
    api: &Api,
    force: bool,
    dry_run: bool,
    make: impl Fn(&Group) -> Result<Group, change::Refused>,
) -> Result<Answer, Refusal> {
    let made = |root: &Group| make(root).map_err(answer::refused);
    api.change(force, dry_run, |view| Ok((made(&view.root)?, BTreeSet::new()))).await
}
