//! `/ping`, `/metrics`, and who leads.

use super::ask::Ask;
use super::histogram::Histogram;
use super::{Api, answer};
use crate::chronos::core::view::{Numbers, View};
use crate::http::Refusal;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The version of the metrics' form.
const METRICS_VERSION: &str = "3.0.0";

/// Before the names of the queue's gauges.
const TASK_MANAGER: &str = "org.apache.mesos.chronos.scheduler.jobs.TaskManager";

/// The counter of calls for offers.
const REVIVES: &str =
    "org.apache.mesos.chronos.scheduler.mesos.MesosOfferReviver.reviveOffersCount";

/// Answers on every node, whether Chronos runs here or not.
pub(super) fn ping(ask: &Ask) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let mut response = answer::text("pong\n".into());
    let never = HeaderValue::from_static("must-revalidate,no-cache,no-store");
    response.headers_mut().insert(CACHE_CONTROL, never);
    Ok(response)
}

pub(super) fn leader(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let here = format!("{}:{}", api.identity.hostname, api.identity.port);
    answer::ok(&json!({ "leader": here }))
}

pub(super) async fn metrics(api: &Api, ask: &Ask, rest: &[&str]) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let numbers = api.door().await?.numbers().await.map_err(answer::failed)?;
    match rest {
        [] => {
            let all = originals(&api.view().await?, &numbers);
            if !ask.query.get("pretty").is_some_and(|v| v == "true" || v.is_empty()) {
                return answer::ok(&all);
            }
            let text = serde_json::to_string_pretty(&all).unwrap_or_default();
            let kind = HeaderValue::from_static("application/json");
            Ok((StatusCode::OK, [(CONTENT_TYPE, kind)], text).into_response())
        }
        ["prometheus"] => Ok(prometheus(&numbers)),
        _ => Err(answer::nowhere()),
    }
}

/// Under the original's names.
fn originals(view: &View, numbers: &Numbers) -> Value {
    let mut gauges = Map::new();
    let mut gauge = |name: String, value: usize| {
        gauges.insert(name, json!({ "value": value }));
    };
    gauge(format!("{TASK_MANAGER}.queueSize"), numbers.queue);
    gauge(format!("{TASK_MANAGER}.highQueueSize"), numbers.high_queue);
    gauge("jobs".into(), numbers.jobs);
    gauge("runs".into(), numbers.runs);
    gauge("connected".into(), usize::from(numbers.connected));
    let mut counters = Map::new();
    let mut counter = |name: String, count: u64| {
        counters.insert(name, json!({ "count": count }));
    };
    for (name, count) in &numbers.counts {
        counter((*name).to_string(), *count);
    }
    counter(REVIVES.into(), numbers.counts.get("revives").copied().unwrap_or(0));
    let mut histograms = Map::new();
    for job in &view.jobs {
        let name = &job.entry.job.name;
        let counted = &job.entry.state.counters;
        counter(format!("jobs.run.success.{name}"), counted.success_count);
        counter(format!("jobs.run.failure.{name}"), counted.error_count);
        let histogram = Histogram::of(&job.entry);
        if let Ok(value) = serde_json::to_value(&histogram) {
            histograms.insert(format!("jobs.run.time.{name}"), value);
        }
    }
    json!({
        "version": METRICS_VERSION,
        "gauges": gauges,
        "counters": counters,
        "histograms": histograms,
        "meters": {},
        "timers": {},
    })
}

fn prometheus(numbers: &Numbers) -> Response {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let mut put = |kind: &str, name: &str, value: u64| {
        let _ = write!(out, "# TYPE chronos_{name} {kind}\nchronos_{name} {value}\n");
    };
    put("gauge", "jobs", numbers.jobs as u64);
    put("gauge", "runs", numbers.runs as u64);
    put("gauge", "queue", numbers.queue as u64);
    put("gauge", "high_queue", numbers.high_queue as u64);
    put("gauge", "history_rows", numbers.rows as u64);
    put("gauge", "connected", u64::from(numbers.connected));
    for (name, count) in &numbers.counts {
        put("counter", name, *count);
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, kind)], out).into_response()
}
