//! `/metrics`, `/metrics/snapshot`, `/logging/toggle` and `/system/stats.json`: the same on masters
//! and agents.

use super::auth::Realm;
use super::reply::{self, Refusal};
use super::{Face, PathRest, Query};
use crate::base::error::{Code, Error};
use crate::base::units::parse_duration;
use crate::mesos::v1::{DurationInfo, Metric};
use crate::telemetry::{Level, Logging, Metrics, TOGGLE_MAX};
use axum::Extension;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use std::collections::BTreeMap;
use std::time::Duration;

/// The endpoints of one role: metrics in the `read` realm, `/logging/toggle` in the `write` realm,
/// `/system/stats.json` in none, as in Mesos.
pub fn routes(metrics: &Metrics, logging: Option<Logging>, read: &Realm, write: &Realm) -> Face {
    let (snapshots, text) = (metrics.clone(), metrics.clone());
    let snapshot = move |query: Query| async move {
        snapshots.refresh().await;
        snapshot(&snapshots, &query)
    };
    let prometheus = move |Extension(PathRest(rest)): Extension<PathRest>| async move {
        if rest.is_empty() {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            text.refresh().await;
            Ok(([(CONTENT_TYPE, kind)], text.prometheus()).into_response())
        } else {
            Err(Refusal::of(StatusCode::NOT_FOUND))
        }
    };
    let machine = Metrics::new().with_system();
    let system = move |query: Query| async move { reply::json(&system_stats(&machine), &query) };
    let mut face = Face::new()
        .endpoint("/metrics", read.protect(get(prometheus)))
        .endpoint("/metrics/snapshot", read.protect(any(snapshot)))
        .endpoint("/system/stats.json", any(system));
    if let Some(logging) = logging {
        let toggle = move |query: Query| async move { toggle(&logging, &query) };
        face = face.endpoint("/logging/toggle", write.protect(any(toggle)));
    }
    face
}

fn snapshot(metrics: &Metrics, query: &Query) -> Result<Response, Refusal> {
    let timeout = query.get("timeout").map(|text| {
        parse_duration(text)
            .map_err(|e| Refusal::bad_request(format!("Invalid timeout '{text}': {e}.\n")))
    });
    reply::json(&metrics.snapshot(timeout.transpose()?), query)
}

/// GET_METRICS of the operator APIs: what `/metrics/snapshot` says. Gauges not asked within `timeout` are left out.
pub async fn metric_list(metrics: &Metrics, timeout: Option<DurationInfo>) -> Vec<Metric> {
    let timeout = timeout.map(|t| Duration::from_nanos(u64::try_from(t.nanoseconds).unwrap_or(0)));
    metrics.refresh().await;
    let all = metrics.snapshot(timeout).into_iter();
    all.map(|(name, value)| Metric { name, value: Some(value) }).collect()
}

fn own_log(logging: Option<&Logging>) -> Result<&Logging, Refusal> {
    let none = || Error::new(Code::Unavailable, "This process has no log of its own");
    Ok(logging.ok_or_else(none)?)
}

/// GET_LOGGING_LEVEL of the operator APIs: how much is logged.
///
/// # Errors
/// 503 where this process has no log of its own.
pub fn logging_level(logging: Option<&Logging>) -> Result<u32, Refusal> {
    Ok(own_log(logging)?.level().verbosity())
}

/// SET_LOGGING_LEVEL of the operator APIs: more is logged for a while.
///
/// # Errors
/// 400 for less than usual or a longer time than allowed, 503 where this process has no log of its own.
pub fn set_logging_level(
    logging: Option<&Logging>,
    verbosity: u32,
    lasting: DurationInfo,
) -> Result<(), Refusal> {
    let logging = own_log(logging)?;
    let lasting = match u64::try_from(lasting.nanoseconds).map(Duration::from_nanos) {
        Ok(lasting) if lasting <= TOGGLE_MAX => lasting,
        _ => return Err(Refusal::bad_request("The duration is not between nothing and 1weeks")),
    };
    let level = Level::of_verbosity(verbosity);
    if level < logging.usual() {
        return Err(Refusal::bad_request(format!("'{verbosity}' < original level.\n")));
    }
    Ok(logging.set_level(level, lasting)?)
}

/// The machine's numbers under the names this endpoint has for them.
fn system_stats(machine: &Metrics) -> BTreeMap<String, f64> {
    let rename = |name: &str| match name {
        load if load.starts_with("load_") => format!("avg_{load}"),
        other => other.to_owned(),
    };
    let all = machine.snapshot(None).into_iter();
    all.filter_map(|(name, value)| Some((rename(name.strip_prefix("system/")?), value))).collect()
}

/// Raises the verbosity for a while; without parameters tells it.
fn toggle(logging: &Logging, query: &Query) -> Result<Response, Refusal> {
    let bad = |text: String| Err(Refusal::bad_request(text));
    let (level, duration) = match (query.get("level"), query.get("duration")) {
        (None, None) => {
            let text = format!("{}\n", logging.level().verbosity());
            return Ok(reply::text(StatusCode::OK, text));
        }
        (Some(_), None) => return bad("Expecting 'duration=value' in query.\n".to_owned()),
        (None, Some(_)) => return bad("Expecting 'level=value' in query.\n".to_owned()),
        (Some(level), Some(duration)) => (level, duration),
    };
    let Ok(number) = level.parse::<i32>() else {
        return bad(format!("Failed to convert '{level}' to number.\n"));
    };
    let Ok(number) = u32::try_from(number) else {
        return bad(format!("Invalid level '{number}'.\n"));
    };
    let lasting: Duration = match parse_duration(duration) {
        Ok(lasting) if lasting <= TOGGLE_MAX => lasting,
        Ok(_) => return bad(format!("The duration '{duration}' is over 1weeks.\n")),
        Err(e) => return bad(format!("{e}.\n")),
    };
    let level = Level::of_verbosity(number);
    if level < logging.usual() {
        return bad(format!("'{number}' < original level.\n"));
    }
    logging.set_level(level, lasting)?;
    Ok(StatusCode::OK.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::{body, serve, status};
    use crate::telemetry::LoggingOptions;

    #[tokio::test]
    async fn metrics_in_both_forms() {
        let metrics = Metrics::new().with_system();
        metrics.counter("master/tasks_finished").inc();
        let open = Realm::open("read");
        let world = serve(routes(&metrics, None, &open, &open).alias("master")).await;
        let get = async |target: &str| world.ask(&format!("GET {target}"), "", "").await;
        let snapshot = get("/metrics/snapshot").await;
        assert!(body(&snapshot).starts_with(r#"{"master/tasks_finished":1.0,"system/"#));
        assert_eq!(body(&get("/metrics/snapshot?timeout=5secs").await), body(&snapshot));
        let bad = get("/metrics/snapshot?timeout=foo").await;
        let said = "Invalid timeout 'foo': Failed to convert '' to number.\n";
        assert_eq!((status(&bad), body(&bad)), ("400", said));
        let text = get("/master/metrics").await;
        assert!(body(&text).contains("\nmesos_master_tasks_finished 1\n"), "{text}");
        assert_eq!(status(&get("/metrics/other").await), "404");
        assert_eq!(status(&get("/logging/toggle").await), "404", "no logging to toggle here");
        let system = get("/system/stats.json").await;
        assert!(body(&system).starts_with(r#"{"avg_load_15min":"#), "{system}");
    }

    #[tokio::test]
    async fn the_verbosity_is_told_and_raised() {
        let (logging, _subscriber) = Logging::build(LoggingOptions::default()).unwrap();
        let open = Realm::open("write");
        let face = routes(&Metrics::new(), Some(logging.clone()), &open, &open);
        let world = serve(face).await;
        let ask = async |query: &str| {
            let answer = world.ask(&format!("POST /logging/toggle{query}"), "", "").await;
            (status(&answer).to_owned(), body(&answer).to_owned())
        };
        let answers = [
            ("", "200", "0\n"),
            ("?level=1", "400", "Expecting 'duration=value' in query.\n"),
            ("?duration=1secs", "400", "Expecting 'level=value' in query.\n"),
            ("?level=x&duration=1secs", "400", "Failed to convert 'x' to number.\n"),
            ("?level=-1&duration=1secs", "400", "Invalid level '-1'.\n"),
            ("?level=1&duration=1", "400", "Invalid duration '1'.\n"),
            ("?level=1&duration=2weeks", "400", "The duration '2weeks' is over 1weeks.\n"),
            ("?level=3&duration=10mins", "200", ""),
            ("", "200", "3\n"),
        ];
        for (query, code, text) in answers {
            assert_eq!(ask(query).await, (code.to_owned(), text.to_owned()), "{query}");
        }
        assert_eq!(logging.level(), Level::Trace);
    }
}
