//! Join tokens.

use super::{Api, body, ms};
use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::{NewToken, Roles, TokenId, TokenRecord, wall_now};
use crate::cluster::roster::Issued;
use crate::http::body::Payload;
use crate::http::{PathRest, Query, Refusal, reply};
use axum::Extension;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// `node` (the default) or `agent`.
    #[serde(default)]
    roles: Option<String>,
    /// For ever without.
    #[serde(default)]
    ttl_seconds: Option<u64>,
    #[serde(default)]
    note: String,
}

#[derive(Serialize)]
struct Listed {
    tokens: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    roles: Vec<&'static str>,
    created: u64,
    expires: Option<u64>,
    revoked: Option<u64>,
    state: &'static str,
    note: String,
}

#[derive(Serialize)]
struct Made {
    token: String,
    id: String,
    expires: Option<u64>,
    /// Where a node may join with it.
    join: Vec<String>,
}

pub(super) async fn handle(
    State(api): State<Api>,
    method: Method,
    Extension(PathRest(rest)): Extension<PathRest>,
    query: Query,
    payload: Payload,
) -> std::result::Result<Response, Refusal> {
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET" | "HEAD", []) => reply::json(&list(&api)?, &query),
        ("POST", []) => made(&api, issue(&api, &payload).await?),
        ("DELETE", [id]) => {
            api.seat()?.revoke(token_id(id)?, wall_now()).await?;
            Ok(StatusCode::OK.into_response())
        }
        ("POST", [id, "rotate"]) => {
            let issued = api.seat()?.rotate(token_id(id)?, wall_now()).await?;
            made(&api, issued)
        }
        (_, []) => Err(reply::method_not_allowed(&["GET", "POST"], &method).into()),
        (_, [_]) => Err(reply::method_not_allowed(&["DELETE"], &method).into()),
        _ => Err(Refusal::of(StatusCode::NOT_FOUND)),
    }
}

fn token_id(text: &str) -> Result<TokenId> {
    text.parse()
}

fn list(api: &Api) -> Result<Listed> {
    let book = api.seat()?.book();
    let book = book.borrow().clone();
    let now = wall_now();
    let shown = |token: &TokenRecord| Shown {
        id: token.id.to_string(),
        roles: token.roles.iter().map(|role| role.name()).collect(),
        created: ms(token.created),
        expires: token.expires.map(ms),
        revoked: token.revoked.map(ms),
        state: match (token.revoked.is_some(), token.is_valid(now)) {
            (true, _) => "revoked",
            (false, true) => "valid",
            (false, false) => "expired",
        },
        note: token.note.clone(),
    };
    Ok(Listed { tokens: book.tokens().map(shown).collect() })
}

async fn issue(api: &Api, payload: &Payload) -> Result<Issued> {
    let wanted: Wanted = body(payload)?;
    let roles = match wanted.roles.as_deref() {
        None | Some("node") => Roles::FULL,
        Some("agent") => Roles::AGENT,
        Some(other) => {
            let cause = format!("'roles' is {other:?}: expected \"node\" or \"agent\"");
            return Err(Error::new(Code::Invalid, cause));
        }
    };
    let life = wanted.ttl_seconds.map(Duration::from_secs);
    let new = NewToken { roles, life, note: wanted.note };
    api.seat()?.issue(new, wall_now()).await
}

fn made(api: &Api, issued: Issued) -> std::result::Result<Response, Refusal> {
    let book = api.seat()?.book();
    let book = book.borrow().clone();
    let made = Made {
        token: issued.token.text()?,
        id: issued.record.id.to_string(),
        expires: issued.record.expires.map(ms),
        join: book.nodes().map(|node| node.address.clone()).collect(),
    };
    Ok((StatusCode::CREATED, axum::Json(made)).into_response())
}
