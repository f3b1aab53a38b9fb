//! `/metrics` and `/metrics/prometheus`: the core's numbers under Marathon's names.

use super::ask::Ask;
use super::{Api, answer, not_allowed, reads};
use crate::http::Refusal;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Before every name (`--metrics_name_prefix`).
const PREFIX: &str = "marathon.";

pub(super) async fn serve(api: &Api, ask: &Ask, rest: &[&str]) -> Result<Response, Refusal> {
    if !reads(&ask.method) {
        return Err(not_allowed("GET, HEAD"));
    }
    let view = api.view().await?;
    let (mut gauges, mut counters) = (Map::new(), Map::new());
    let mut text = String::new();
    for (name, value) in &view.metrics {
        let full = format!("{PREFIX}{name}");
        let counter = name.split('.').any(|part| part == "counter");
        let kind = if counter { "counter" } else { "gauge" };
        let plain = full.replace(['.', '-'], "_");
        // Writing into a String cannot fail.
        let _ = write!(text, "# TYPE {plain} {kind}\n{plain} {value}\n");
        if counter {
            counters.insert(full, json!({ "count": value }));
        } else {
            gauges.insert(full, json!({ "value": value }));
        }
    }
    match rest {
        [] => Ok(answer::ok(&json!({
            "version": "4.0.0",
            "gauges": Value::Object(gauges),
            "counters": Value::Object(counters),
            "histograms": {},
            "meters": {},
            "timers": {},
        }))),
        ["prometheus"] => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            Ok(([(CONTENT_TYPE, kind)], text).into_response())
        }
        _ => Err(answer::message(StatusCode::NOT_FOUND, "URI not found")),
    }
}
