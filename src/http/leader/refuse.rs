//! Refusals of a node that does not lead, in the shape and the words of each face.

use super::LedFace;
use crate::base::error::{Code, Error, Retry};
use crate::http::reply;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Why nobody leads: the original's text, which says nothing more, is kept as it is.
const WHY: HeaderName = HeaderName::from_static("x-mesolith-why");

/// Why a request is not served.
#[derive(Debug, PartialEq)]
pub(super) enum Trouble {
    /// An old answer of this node is asked for, which has none.
    Stale,
    /// It has come through here already.
    Loop,
    /// Nobody leads.
    Nobody { since: Instant, why: String },
    /// The leader could not be asked, or has not answered.
    Failed {
        error: Error,
        /// Whether asking again does no harm, whatever has become of it.
        safe: bool,
    },
}

/// What is said.
struct Said {
    status: StatusCode,
    message: String,
    details: Option<String>,
    hint: Option<String>,
    /// Whether it may be tried again in a second.
    again: bool,
}

impl Trouble {
    /// The answer.
    pub fn response(self, face: LedFace) -> Response {
        let exact = matches!(self, Self::Nobody { .. });
        let said = self.said(face);
        let mut response = match face {
            LedFace::Master => text(&said, exact),
            LedFace::Marathon => marathon(&said),
            LedFace::Chronos => chronos(&said),
        };
        if said.again {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    fn said(self, face: LedFace) -> Said {
        match self {
            Self::Stale => Said {
                status: StatusCode::NOT_IMPLEMENTED,
                message: "this node does not lead and has no copy of that to answer from".into(),
                details: None,
                hint: Some(stale_hint(face).into()),
                again: false,
            },
            Self::Loop => Said {
                status: StatusCode::BAD_GATEWAY,
                message: "Detected proxying loop.".into(),
                details: Some("the nodes do not agree yet on who leads".into()),
                hint: None,
                again: true,
            },
            Self::Nobody { since, why } => {
                let for_so_long = since.elapsed().as_secs_f64();
                Said {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    message: nobody(face).into(),
                    details: Some(format!("nobody has led for {for_so_long:.1} s: {why}")),
                    hint: None,
                    again: true,
                }
            }
            Self::Failed { error, safe } => failed(face, error, safe),
        }
    }
}

fn nobody(face: LedFace) -> &'static str {
    match face {
        LedFace::Master => "No leader elected",
        LedFace::Marathon => "Could not determine the current leader",
        LedFace::Chronos => "No leader at present",
    }
}

fn stale_hint(face: LedFace) -> &'static str {
    match face {
        LedFace::Master => {
            "Ask without 'stale' for the leader's state. Of itself this node tells /health, \
             /version, /flags and /metrics/snapshot, and of its tasks the agent's port."
        }
        LedFace::Marathon => "Ask without 'stale' for the leader's answer.",
        LedFace::Chronos => {
            "Ask without 'stale' for the leader's answer. Of itself this node tells /ping."
        }
    }
}

fn failed(face: LedFace, error: Error, safe: bool) -> Said {
    let unknown = error.retry == Retry::Unknown && !safe;
    let (status, message) = match (error.code, face) {
        (Code::Overloaded, _) => {
            (StatusCode::SERVICE_UNAVAILABLE, "Too many requests wait for the leader.")
        }
        // Schedulers take any other status than this one for the end.
        (_, LedFace::Master) => (StatusCode::SERVICE_UNAVAILABLE, "The leader does not answer"),
        (Code::Timeout, LedFace::Marathon) => {
            (StatusCode::GATEWAY_TIMEOUT, "The leader has not answered.")
        }
        (Code::Timeout, _) => (StatusCode::GATEWAY_TIMEOUT, "The leader has not answered"),
        (Code::Unavailable, LedFace::Marathon) if error.retry != Retry::Unknown => {
            (StatusCode::BAD_GATEWAY, "Connection to leader refused.")
        }
        (_, LedFace::Marathon) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "Connection to leader failed.")
        }
        (_, LedFace::Chronos) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Error proxying request to leader (maybe the leadership just changed?)",
        ),
    };
    let hint = match unknown {
        true => Some(
            "It is not known whether the leader has done it: look before you repeat it.".into(),
        ),
        false => error.hint,
    };
    Said { status, message: message.into(), details: Some(error.cause), hint, again: !unknown }
}

fn text(said: &Said, exact: bool) -> Response {
    let mut response = match (exact, &said.details, &said.hint) {
        (true, ..) | (_, None, None) => reply::text(said.status, said.message.clone()),
        (_, details, hint) => {
            let mut whole = said.message.clone();
            if let Some(details) = details {
                whole.push_str(": ");
                whole.push_str(details);
            }
            if let Some(hint) = hint {
                whole.push_str(". ");
                whole.push_str(hint);
            }
            reply::text(said.status, whole)
        }
    };
    if let (true, Some(details)) = (exact, &said.details) {
        put(response.headers_mut(), WHY, details);
    }
    response
}

/// `{"message": …, "details": …}`.
fn marathon(said: &Said) -> Response {
    let details = [&said.details, &said.hint].into_iter().flatten().cloned();
    let details: Vec<String> = details.collect();
    let mut body = Map::new();
    body.insert("message".into(), json!(said.message));
    if !details.is_empty() {
        body.insert("details".into(), json!(details.join(". ")));
    }
    body_of(said.status, &Value::Object(body))
}

/// `{"message": …, "status": …, "hint": …}`.
fn chronos(said: &Said) -> Response {
    let mut message = said.message.clone();
    if let Some(details) = &said.details {
        message.push_str(": ");
        message.push_str(details);
    }
    let mut body = Map::new();
    body.insert("message".into(), json!(message));
    body.insert("status".into(), json!(said.status.canonical_reason()));
    if let Some(hint) = &said.hint {
        body.insert("hint".into(), json!(hint));
    }
    body_of(said.status, &Value::Object(body))
}

fn body_of(status: StatusCode, body: &Value) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, kind)], body.to_string()).into_response()
}

/// A text as a header, on one line.
fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let Ok(value) = HeaderValue::try_from(line) {
        headers.insert(name, value);
    }
}
