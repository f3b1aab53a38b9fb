//! The older read endpoints: `/state`, `/state-summary`, `/slaves`, `/frameworks`, `/tasks`, `/roles`, `/redirect`.

use super::model::{agents, frameworks, roles, state, summary, tasks};
use super::{Api, Refusal};
use crate::http::auth::Realm;
use crate::http::{Face, PathRest, Query, reply};
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use tasks::TasksQuery;

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    // The original asks none of these for a method: any will do.
    let read = |handlers: axum::routing::MethodRouter<Api>| {
        realm.protect(handlers.with_state(api.clone()))
    };
    Face::new()
        .endpoint("/state", read(any(show_state)))
        .endpoint("/state-summary", read(any(show_summary)))
        .endpoint("/slaves", read(any(show_agents)))
        .endpoint("/frameworks", read(any(show_frameworks)))
        .endpoint("/tasks", read(any(show_tasks)))
        .endpoint("/roles", read(any(show_roles)))
        .endpoint("/redirect", get(redirect).with_state(api.clone()))
}

async fn show_state(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let view = api.view().await?;
    reply::json(&state::state(&view, &api.identity), &query)
}

async fn show_summary(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let view = api.view().await?;
    reply::json(&summary::summary(&view, &api.identity), &query)
}

async fn show_agents(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let view = api.view().await?;
    reply::json(&agents::agents(&view, query.get("slave_id")), &query)
}

async fn show_frameworks(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let view = api.view().await?;
    reply::json(&frameworks::frameworks(&view, query.get("framework_id")), &query)
}

async fn show_tasks(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let number = |name: &str| match query.get(name).map(str::parse::<i64>) {
        None => Ok(None),
        Some(Ok(n)) => Ok(Some(n)),
        Some(Err(_)) => {
            let text = query.get(name).unwrap_or_default();
            Err(Refusal::bad_request(format!("Failed to parse '{name}={text}': not a number")))
        }
    };
    let wanted = TasksQuery {
        limit: number("limit")?,
        offset: number("offset")?.and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        ascending: query.get("order") == Some("asc"),
        framework_id: query.get("framework_id").map(String::from),
        task_id: query.get("task_id").map(String::from),
    };
    let view = api.view().await?;
    reply::json(&tasks::tasks(&view, &wanted), &query)
}

async fn show_roles(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let view = api.view().await?;
    reply::json(&roles::roles(&view), &query)
}

/// Where the leader is; on the leader itself, here.
async fn redirect(State(api): State<Api>, rest: Option<Extension<PathRest>>) -> Response {
    if rest.is_some_and(|r| !r.0.0.is_empty()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let location = format!("//{}:{}", api.identity.hostname, api.identity.port);
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}
