//! What operators change: `/teardown` as in the original, and our own kill of a task.

use super::{Api, Refusal};
use crate::base::ids::FrameworkId;
use crate::base::time::duration_from_secs;
use crate::http::auth::Realm;
use crate::http::body::Payload;
use crate::http::{Face, Query, reply};
use crate::master::core::io::{Answer, Input};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde::Deserialize;

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new()
        .endpoint("/teardown", realm.protect(post(teardown).with_state(api.clone())))
        .endpoint("/mesolith/v1/kill", realm.protect(post(kill).with_state(api)))
}

pub(super) fn answer(answer: Answer) -> Result<Response, Refusal> {
    match answer {
        Answer::Done => Ok(StatusCode::OK.into_response()),
        Answer::Accepted => Ok(StatusCode::ACCEPTED.into_response()),
        Answer::Refused { status, text } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            Ok(reply::text(status, text))
        }
    }
}

async fn teardown(State(api): State<Api>, body: Payload) -> Result<Response, Refusal> {
    let form = Query::parse(&String::from_utf8_lossy(&body.0));
    let Some(id) = form.get("frameworkId") else {
        return Err(Refusal::bad_request(
            "Missing 'frameworkId' query parameter in the request body",
        ));
    };
    let framework_id = FrameworkId::from(id);
    let request = |request| Input::Teardown { request, framework_id };
    answer(api.master()?.request(request).await?)
}

/// Which task to kill.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kill {
    framework_id: String,
    task_id: String,
    /// Seconds between TERM and KILL, instead of the task's own.
    grace_seconds: Option<f64>,
}

async fn kill(State(api): State<Api>, body: Payload) -> Result<Response, Refusal> {
    let wanted: Kill = serde_json::from_slice(&body.0)
        .map_err(|e| Refusal::bad_request(format!("Failed to parse body into JSON: {e}")))?;
    let grace = match wanted.grace_seconds {
        None => None,
        Some(secs) => Some(duration_from_secs(secs).ok_or_else(|| {
            Refusal::bad_request("'grace_seconds' must be a number of seconds, not negative")
        })?),
    };
    let (framework_id, task_id) = (wanted.framework_id.into(), wanted.task_id.into());
    let request = |request| Input::KillTask { request, framework_id, task_id, grace };
    answer(api.master()?.request(request).await?)
}
