//! What every face tells of its process: `/version`, `/health`, `/flags`.

use super::{Face, Query, Refusal, reply};
use crate::base::version;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The three endpoints; `flags` are the effective settings.
pub fn face(flags: Arc<BTreeMap<String, String>>) -> Face {
    let show_flags =
        move |query: Query| async move { reply::json(&json!({"flags": *flags}), &query) };
    Face::new()
        .endpoint("/version", get(show_version))
        .endpoint("/health", get(async || StatusCode::OK))
        .endpoint("/flags", get(show_flags))
}

async fn show_version(query: Query) -> Result<Response, Refusal> {
    let about = json!({
        "build_date": version::BUILD_DATE,
        "build_time": version::build_time(),
        "build_user": version::BUILD_USER,
        "version": version::MESOS_VERSION,
    });
    reply::json(&about, &query)
}
