//! `/mesolith/v1/state/<namespace>[/<key>]`: frameworks' own state, as `framework::state::wire` describes it. Whether a
//! change may be made is decided by the state server.

use crate::base::error::{Code, Error};
use crate::framework::state::{Change, Expect, LIST_MAX, Scope, StateServer, Version, wire};
use crate::http::auth::Realm;
use crate::http::body::Payload;
use crate::http::{Face, PathRest, Query, Refusal};
use crate::security::Principal;
use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use std::sync::Arc;

/// Where the state is served from, at the time of each request.
pub trait Door: Send + Sync + 'static {
    /// The server, or the answer where there is none.
    ///
    /// # Errors
    /// The answer of a node that does not lead.
    fn state(&self) -> Result<Arc<dyn StateServer>, Refusal>;
}

/// The endpoint.
pub fn face(door: impl Door, realm: &Realm) -> Face {
    let door: Arc<dyn Door> = Arc::new(door);
    Face::new().endpoint(wire::STATE_PATH, realm.protect(any(handle).with_state(door)))
}

async fn handle(
    State(door): State<Arc<dyn Door>>,
    principal: Option<Extension<Principal>>,
    method: Method,
    Extension(PathRest(rest)): Extension<PathRest>,
    headers: HeaderMap,
    query: Query,
    body: Payload,
) -> Result<Response, Refusal> {
    let server = door.state()?;
    let Some((namespace, key)) = rest.split_first() else {
        return Err(Refusal::of(StatusCode::NOT_FOUND));
    };
    let scope =
        Scope { namespace: namespace.clone(), principal: principal.and_then(|p| p.0.value) };
    let request = Request { server, scope, headers, query, body };
    let answered = match (method.as_str(), key.is_empty()) {
        ("GET" | "HEAD", true) => request.list().await,
        ("POST", true) => request.commit().await,
        ("GET" | "HEAD", false) => request.get(key.join("/")).await,
        ("PUT", false) => request.put(key.join("/")).await,
        ("DELETE", false) => request.delete(key.join("/")).await,
        (_, true) => {
            return Err(crate::http::reply::method_not_allowed(&["GET", "POST"], &method).into());
        }
        (_, false) => {
            let allowed = ["GET", "PUT", "DELETE"];
            return Err(crate::http::reply::method_not_allowed(&allowed, &method).into());
        }
    };
    Ok(answered.unwrap_or_else(|e| refused(&e)))
}

struct Request {
    server: Arc<dyn StateServer>,
    scope: Scope,
    headers: HeaderMap,
    query: Query,
    body: Payload,
}

impl Request {
    async fn get(self, key: String) -> Result<Response, Error> {
        match self.server.get(self.scope, key.clone()).await? {
            Some(entry) => {
                let kind = (CONTENT_TYPE, "application/octet-stream".to_string());
                Ok(([kind, (ETAG, wire::etag(entry.version))], entry.value).into_response())
            }
            None => Err(Error::new(Code::NotFound, format!("there is no key {key:?}"))),
        }
    }

    async fn put(self, key: String) -> Result<Response, Error> {
        let expect = self.expectation()?;
        let value = self.body.0.to_vec();
        self.change(Change::Put { key, value, expect }).await
    }

    async fn delete(self, key: String) -> Result<Response, Error> {
        let expect = self.expectation()?;
        self.change(Change::Delete { key, expect }).await
    }

    async fn change(self, change: Change) -> Result<Response, Error> {
        let versions = self.server.commit(self.scope, vec![change]).await?;
        let version: Version = versions.first().copied().unwrap_or_default();
        Ok((StatusCode::NO_CONTENT, [(ETAG, wire::etag(version))]).into_response())
    }

    async fn commit(self) -> Result<Response, Error> {
        let commit: wire::Commit = serde_json::from_slice(&self.body.0)
            .map_err(|e| Error::new(Code::Invalid, format!("the body is no commit: {e}")))?;
        let versions = self.server.commit(self.scope, commit.changes).await?;
        Ok(Json(wire::Committed { versions }).into_response())
    }

    async fn list(self) -> Result<Response, Error> {
        let limit = match self.query.get("limit") {
            None => LIST_MAX,
            Some(text) => {
                text.parse().ok().filter(|n| (1..=LIST_MAX).contains(n)).ok_or_else(|| {
                    Error::new(Code::Invalid, format!("'limit' must be 1 to {LIST_MAX}"))
                })?
            }
        };
        let prefix = self.query.get("prefix").unwrap_or_default().to_string();
        let after = self.query.get("after").map(str::to_string);
        Ok(Json(self.server.list(self.scope, prefix, after, limit).await?).into_response())
    }

    fn expectation(&self) -> Result<Expect, Error> {
        let text = |name: HeaderName| match self.headers.get(&name).map(|value| value.to_str()) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Error::new(Code::Invalid, format!("'{name}' is not text"))),
        };
        wire::expectation(text(IF_MATCH)?, text(IF_NONE_MATCH)?)
    }
}

fn refused(error: &Error) -> Response {
    // A code has a status of its own among HTTP's.
    let status =
        StatusCode::from_u16(wire::status_of(error)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(wire::Refused::from(error))).into_response()
}
