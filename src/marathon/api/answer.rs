//! Answers: JSON, Marathon's shapes of errors, and what the core's answers are to a client.

use super::texts;
use crate::base::error::{Code, Error};
use crate::http::{Refusal, reply};
use crate::marathon::change::Refused;
use crate::marathon::core::io::{Answer, Deploying, NotFound};
use crate::marathon::core::view::Step;
use crate::marathon::model::{Failures, PathId, Rejection, Timestamp};
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::json;

/// Names the deployment that a change started.
pub const DEPLOYMENT_ID: HeaderName = HeaderName::from_static("marathon-deployment-id");

/// JSON under a status.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let kind = HeaderValue::from_static("application/json");
            (status, [(CONTENT_TYPE, kind)], Body::from(bytes)).into_response()
        }
        Err(e) => {
            let text = format!("cannot write the answer: {e}");
            message(StatusCode::INTERNAL_SERVER_ERROR, &text).response()
        }
    }
}

/// 200 with JSON.
pub(super) fn ok(value: &impl Serialize) -> Response {
    json(StatusCode::OK, value)
}

/// `{"message": …}`.
pub(super) fn message(status: StatusCode, text: &str) -> Refusal {
    json(status, &json!({ "message": text })).into()
}

/// `{"message": …, "details": …}`.
pub(super) fn detailed(status: StatusCode, text: &str, details: &impl Serialize) -> Refusal {
    json(status, &json!({ "message": text, "details": details })).into()
}

/// 422 for broken rules.
pub(super) fn invalid(failures: Failures) -> Refusal {
    detailed(StatusCode::UNPROCESSABLE_ENTITY, "Object is not valid", &failures)
}

/// 422 for a body that is not accepted.
pub(super) fn rejected(rejection: Rejection) -> Refusal {
    match rejection {
        Rejection::Form(failures) => {
            detailed(StatusCode::UNPROCESSABLE_ENTITY, "Invalid JSON", &failures)
        }
        Rejection::Rule(failures) => invalid(failures),
    }
}

/// A change that cannot be made.
pub(super) fn refused(refused: Refused) -> Refusal {
    match refused {
        Refused::Invalid(failures) => invalid(failures),
        Refused::NoApp(id) => no_app(&id),
        Refused::NoGroup(id) => no_group(&id),
        Refused::Exists(text) => message(StatusCode::CONFLICT, &text),
    }
}

/// 404 for an app.
pub(super) fn no_app(id: &PathId) -> Refusal {
    message(StatusCode::NOT_FOUND, &format!("App '{id}' does not exist"))
}

/// 404 for a version of something.
pub(super) fn no_version(kind: &str, id: &PathId, version: Timestamp) -> Refusal {
    let text = format!("{kind} '{id}' does not exist in version {version}");
    message(StatusCode::NOT_FOUND, &text)
}

/// 404 for a group.
pub(super) fn no_group(id: &PathId) -> Refusal {
    message(StatusCode::NOT_FOUND, &format!("Group '{id}' does not exist"))
}

/// 404 for a task.
pub(super) fn no_task(id: &str) -> Refusal {
    message(StatusCode::NOT_FOUND, &format!("Task '{id}' does not exist"))
}

/// An error of the machinery, or a refusal of the core.
pub(super) fn failed(error: Error) -> Refusal {
    let text = match &error.hint {
        Some(hint) => format!("{}. {hint}", error.cause),
        None => error.cause.clone(),
    };
    let status = match error.code {
        Code::Invalid => return invalid(Failures::of("/", text)),
        Code::Timeout => StatusCode::SERVICE_UNAVAILABLE,
        code => reply::status_of(code),
    };
    let mut response = message(status, &text).response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response.into()
}

/// `{"version": …, "deploymentId": …}` with the header.
pub(super) fn deploying(status: StatusCode, deploying: &Deploying) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Result<'a> {
        version: Timestamp,
        deployment_id: &'a str,
    }
    let id = deploying.deployment.as_str();
    named(json(status, &Result { version: deploying.version, deployment_id: id }), id)
}

/// The same answer with the deployment's header.
pub(super) fn named(mut response: Response, deployment: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(deployment) {
        response.headers_mut().insert(DEPLOYMENT_ID, value);
    }
    response
}

/// Steps of a plan.
pub(super) fn planned(steps: &[Step]) -> Response {
    ok(&json!({ "steps": steps }))
}

/// What went through, or the refusal for an answer of any other kind.
pub(super) fn deployed(answer: Answer) -> Result<Deploying, Refusal> {
    match answer {
        Answer::Deploying(deploying) => Ok(deploying),
        other => Err(refusal(other)),
    }
}

/// The refusal that an answer is.
pub(super) fn refusal(answer: Answer) -> Refusal {
    match answer {
        Answer::NotFound(missing) => match missing {
            NotFound::App(id) => no_app(&id),
            NotFound::Deployment(id) => {
                message(StatusCode::NOT_FOUND, &format!("DeploymentPlan {id} does not exist"))
            }
            NotFound::Queued(id) => message(
                StatusCode::NOT_FOUND,
                &format!("Application {id} not found in tasks queue."),
            ),
            NotFound::Instance(id) => no_task(id.as_str()),
        },
        Answer::Locked(ids) => {
            let deployments: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
            let body = json!({ "message": texts::LOCKED, "deployments": deployments });
            json(StatusCode::CONFLICT, &body).into()
        }
        Answer::TooManyDeployments(max) => message(
            StatusCode::FORBIDDEN,
            &format!(
                "Max number ({max}) of running deployments is achieved. Wait for existing \
                 deployments to complete or cancel one using force=true parameter."
            ),
        ),
        Answer::Refused(error) => failed(error),
        Answer::Stale => message(StatusCode::SERVICE_UNAVAILABLE, "try again"),
        // Of a kind that was not asked for.
        Answer::Deploying(_) | Answer::Planned(_) | Answer::Killed(_) | Answer::Done => {
            message(StatusCode::INTERNAL_SERVER_ERROR, "an answer to another question")
        }
    }
}
