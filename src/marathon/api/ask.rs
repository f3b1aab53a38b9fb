//! A request as the endpoints see it: path, query, body.

use super::answer;
use crate::http::body::{self, BodyLimit};
use crate::http::{PathRest, Query, Refusal};
use crate::marathon::model::{PathId, Timestamp};
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use serde_json::Value;

/// The largest body, in bytes: thousands of definitions.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A request.
pub(super) struct Ask {
    /// What is asked for.
    pub(super) method: Method,
    /// The path's segments, decoded: `["v2", "apps", "a", "b"]`.
    pub(super) path: Vec<String>,
    /// The path as one text, for events.
    pub(super) uri: String,
    /// The query.
    pub(super) query: Query,
    headers: HeaderMap,
    body: Bytes,
    /// The client's address.
    pub(super) peer: String,
}

impl Ask {
    /// Reads the whole request.
    pub(super) async fn read(request: Request) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let endpoint = parts.uri.path().split('/').filter(|s| !s.is_empty()).map(String::from);
        let rest = parts.extensions.get::<PathRest>().cloned().unwrap_or_default();
        let path: Vec<String> = endpoint.chain(rest.0).collect();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or_default();
        let limit = BodyLimit(limit.0.min(BODY_BYTES_MAX));
        let body = match parts.method {
            Method::GET | Method::HEAD => Bytes::new(),
            _ => body::read(&parts.headers, body, limit).await?,
        };
        let peer = parts.extensions.get::<crate::http::Peer>().map(|p| p.0.ip().to_string());
        Ok(Self {
            method: parts.method,
            uri: format!("/{}", path.join("/")),
            path,
            query,
            headers: parts.headers,
            body,
            peer: peer.unwrap_or_default(),
        })
    }

    /// A yes or no of the query, in any case: `true`, `True`; a bare name is a yes.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.query.get(name) {
            None => Ok(default),
            Some("") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(answer::message(
                StatusCode::BAD_REQUEST,
                &format!("the parameter {name} is '{text}'; it can be true or false"),
            )),
        }
    }

    /// All values of a parameter that may be repeated, also as `name[]`.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let bracketed = format!("{name}[]");
        self.query.pairs().filter(|(n, _)| *n == name || *n == bracketed).map(|(_, v)| v).collect()
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        if let Some(kind) = self.headers.get(CONTENT_TYPE) {
            let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            if kind != "application/json" {
                return Err(answer::message(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "HTTP 415 Unsupported Media Type: send the body as application/json",
                ));
            }
        }
        let value = serde_json::from_slice(&self.body).map_err(|e| {
            answer::detailed(StatusCode::BAD_REQUEST, "Invalid JSON", &e.to_string())
        })?;
        match value {
            Value::Object(_) | Value::Array(_) => Ok(value),
            _ => Err(answer::detailed(
                StatusCode::BAD_REQUEST,
                "Please specify data in JSON format",
                &"the body has to be an object or a list",
            )),
        }
    }

    /// Whether the client wants plain text rather than JSON.
    pub(super) fn wants_text(&self) -> bool {
        let accept = self.headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
        let mut known =
            kinds.filter(|kind| matches!(*kind, "text/plain" | "application/json" | "*/*"));
        known.next() == Some("text/plain")
    }

    /// Whether the client takes an event stream.
    pub(super) fn wants_events(&self) -> bool {
        let accept = self.headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        accept.to_ascii_lowercase().contains("text/event-stream")
    }

    /// What the client prefers among JSON and text, as its header has it.
    pub(super) fn accept(&self) -> &str {
        self.headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*")
    }
}

/// An id from segments of the path.
pub(super) fn path_id(segments: &[&str]) -> Result<PathId, Refusal> {
    PathId::parse(&segments.join("/"))
        .map_err(|e| answer::invalid(crate::marathon::model::Failures::of("/id", e.to_string())))
}

/// A version from a segment of the path.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, Refusal> {
    Timestamp::parse(text).ok_or_else(|| {
        answer::message(
            StatusCode::UNPROCESSABLE_ENTITY,
            &format!("Invalid timestamp provided '{text}'. Expecting ISO-8601 datetime string."),
        )
    })
}
