//! What our own command line asks: why a framework gets nothing, and the whole record of one task.

use super::{Api, Refusal};
use crate::base::ids::FrameworkId;
use crate::http::auth::Realm;
use crate::http::{Face, Query, reply};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new()
        .endpoint("/mesolith/v1/explain", realm.protect(get(explain).with_state(api.clone())))
        .endpoint("/mesolith/v1/task", realm.protect(get(task).with_state(api)))
}

fn parameter<'a>(query: &'a Query, name: &str) -> Result<&'a str, Refusal> {
    query.get(name).ok_or_else(|| Refusal::bad_request(format!("Expecting '{name}' in the query")))
}

async fn explain(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let id = FrameworkId::from(parameter(&query, "framework_id")?);
    let now = api.clock.mono();
    match api.master()?.handle().look(move |core| core.explain(&id, now)).await? {
        Some(explanation) => reply::json(&explanation, &query),
        None => Err(Refusal::new(StatusCode::NOT_FOUND, "No framework found with specified ID")),
    }
}

/// The v1 form of a task, with the messages and reasons of its statuses.
async fn task(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let framework_id = parameter(&query, "framework_id")?;
    let task_id = parameter(&query, "task_id")?;
    let view = api.view().await?;
    let found = view
        .frameworks
        .iter()
        .chain(&view.completed_frameworks)
        .filter(|f| f.info.id.as_ref().is_some_and(|id| id.value == framework_id))
        .flat_map(|f| {
            f.tasks.iter().chain(&f.unreachable_tasks).chain(f.completed_tasks.iter().rev())
        })
        .find(|t| t.task_id.value == task_id);
    match found {
        Some(task) => reply::json(&**task, &query),
        None => Err(Refusal::new(StatusCode::NOT_FOUND, "No task found with specified ID")),
    }
}
