//! The shapes of answers: 204 for what was done, one line of JSON for what is shown, `{message, status}` for what is refused.

use crate::base::error::{Code, Error};
use crate::chronos::core::io::Answer;
use crate::chronos::model::Problem;
use crate::http::Refusal;
use crate::http::reply::{self, status_of};
use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

/// A refusal, as 3.x words it, with the field it is about and what to do.
#[derive(Serialize)]
struct Refused<'a> {
    message: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

fn refuse(status: StatusCode, message: &str, field: Option<&str>, hint: Option<&str>) -> Refusal {
    let reason = status.canonical_reason().unwrap_or_default();
    let body = Refused { message, status: reason, field, hint };
    json(status, &body).unwrap_or_else(Refusal::response).into()
}

/// A refusal about the request as a whole.
pub(super) fn message(status: StatusCode, text: &str) -> Refusal {
    refuse(status, text, None, None)
}

/// 400 with what is wrong.
pub(super) fn problem(problem: &Problem) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, &problem.message, problem.field.as_deref(), None)
}

/// The service could not answer.
pub(super) fn failed(error: Error) -> Refusal {
    let status = status_of(error.code);
    let mut response = refuse(status, &error.cause, None, error.hint.as_deref()).response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response.into()
}

/// 404, for a path that leads nowhere.
pub(super) fn nowhere() -> Refusal {
    message(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// The refusal of what names a job that there is not: 400, in the original's words.
pub(super) fn unknown(name: &str) -> Refusal {
    problem(&Problem::new(format!("requirement failed: Job '{name}' not found")))
}

/// The method must be one of these; GET allows HEAD.
pub(super) fn allow(method: &Method, allowed: &[&'static str]) -> Result<(), Refusal> {
    let asked = if method == Method::HEAD { "GET" } else { method.as_str() };
    if allowed.contains(&asked) {
        return Ok(());
    }
    let list = allowed.join(", ");
    let text = format!("the method {method} is not allowed here; expecting {list}");
    let mut response = message(StatusCode::METHOD_NOT_ALLOWED, &text).response();
    if let Ok(value) = HeaderValue::from_str(&list) {
        response.headers_mut().insert(ALLOW, value);
    }
    Err(response.into())
}

/// A value as one line of JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Refusal> {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let kind = HeaderValue::from_static("application/json");
            Ok((status, [(CONTENT_TYPE, kind)], Body::from(bytes)).into_response())
        }
        Err(e) => Err(Error::new(Code::Internal, format!("cannot write the answer: {e}")).into()),
    }
}

/// 200 with a value.
pub(super) fn ok(value: &impl Serialize) -> Result<Response, Refusal> {
    json(StatusCode::OK, value)
}

/// 200 with a text.
pub(super) fn text(body: String) -> Response {
    reply::text(StatusCode::OK, body)
}

/// What came of a change: 204 and nothing more, or a refusal.
pub(super) fn done(answer: &Answer) -> Result<Response, Refusal> {
    match answer {
        Answer::Done | Answer::Marked(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Answer::Refused(wrong) => Err(problem(wrong)),
        Answer::NoSuchTask => Err(problem(&Problem::new("Task not found"))),
    }
}
