//! A request as the endpoints see it: path, query, body.

use super::answer;
use crate::http::body::{self, BodyLimit};
use crate::http::negotiate::content_type;
use crate::http::{PathRest, Query, Refusal};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;

/// The largest body, in bytes; a job is smaller.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A request.
pub(super) struct Ask {
    pub method: Method,
    /// The path's segments, decoded: `["scheduler", "job", "a b"]`.
    pub path: Vec<String>,
    pub query: Query,
    pub body: Bytes,
    headers: HeaderMap,
}

impl Ask {
    /// Reads the whole request.
    pub async fn read(request: Request) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let endpoint = parts.uri.path().split('/').filter(|s| !s.is_empty()).map(String::from);
        let rest = parts.extensions.get::<PathRest>().cloned().unwrap_or_default();
        let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or_default();
        let limit = BodyLimit(limit.0.min(BODY_BYTES_MAX));
        let body = match parts.method {
            Method::GET | Method::HEAD => Bytes::new(),
            _ => body::read(&parts.headers, body, limit).await?,
        };
        Ok(Self {
            path: endpoint.chain(rest.0).collect(),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            method: parts.method,
            headers: parts.headers,
            body,
        })
    }

    /// The body, if it is said to be JSON or not said to be anything.
    pub fn json(&self) -> Result<&[u8], Refusal> {
        match content_type(&self.headers).as_deref() {
            None | Some("application/json") => Ok(&self.body),
            Some(other) => {
                let text = format!("the body is {other}; expecting application/json");
                Err(answer::message(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text))
            }
        }
    }
}
