//! Calls about the agent's process: well-being, settings, version, metrics, verbosity.

use super::{Api, Refusal, missing, of};
use crate::base::error::{Code, Error};
use crate::base::version;
use crate::mesos::v1::agent::response::{self, Type};
use crate::mesos::v1::agent::{Call, Response};
use crate::mesos::v1::{Flag, Metric, VersionInfo};
use crate::telemetry::{Level, Logging, TOGGLE_MAX};
use std::time::Duration;

/// An agent that answers is well.
pub(super) fn health() -> Response {
    let get_health = Some(response::GetHealth { healthy: true });
    Response { get_health, ..of(Type::GetHealth) }
}

/// The effective settings.
pub(super) fn flags(api: &Api) -> Response {
    let flag =
        |(name, value): (&String, &String)| Flag { name: name.clone(), value: Some(value.clone()) };
    let flags = api.identity.flags.iter().map(flag).collect();
    Response { get_flags: Some(response::GetFlags { flags }), ..of(Type::GetFlags) }
}

/// As `/version` says.
pub(super) fn version() -> Response {
    let version_info = VersionInfo {
        version: version::MESOS_VERSION.into(),
        build_date: Some(version::BUILD_DATE.into()),
        build_time: Some(version::build_time()),
        build_user: Some(version::BUILD_USER.into()),
        ..VersionInfo::default()
    };
    let get_version = Some(response::GetVersion { version_info });
    Response { get_version, ..of(Type::GetVersion) }
}

/// As `/metrics/snapshot` says.
pub(super) async fn metrics(api: &Api, call: &Call) -> Result<Response, Refusal> {
    let asked = call.get_metrics.as_ref().ok_or_else(|| missing("get_metrics"))?;
    let timeout = asked.timeout.as_ref().map(|t| u64::try_from(t.nanoseconds).unwrap_or(0));
    api.metrics.refresh().await;
    let all = api.metrics.snapshot(timeout.map(Duration::from_nanos));
    let metrics = all.into_iter().map(|(name, value)| Metric { name, value: Some(value) });
    let get_metrics = Some(response::GetMetrics { metrics: metrics.collect() });
    Ok(Response { get_metrics, ..of(Type::GetMetrics) })
}

fn logging(api: &Api) -> Result<&Logging, Refusal> {
    let none = || Error::new(Code::Unavailable, "This process has no log of its own");
    Ok(api.logging.as_ref().ok_or_else(none)?)
}

/// How much is logged.
pub(super) fn logging_level(api: &Api) -> Result<Response, Refusal> {
    let get_logging_level =
        Some(response::GetLoggingLevel { level: logging(api)?.level().verbosity() });
    Ok(Response { get_logging_level, ..of(Type::GetLoggingLevel) })
}

/// Logs more for a while.
pub(super) fn set_logging_level(api: &Api, call: &Call) -> Result<(), Refusal> {
    let asked = call.set_logging_level.as_ref().ok_or_else(|| missing("set_logging_level"))?;
    let logging = logging(api)?;
    let lasting = u64::try_from(asked.duration.nanoseconds).map(Duration::from_nanos);
    let lasting = match lasting {
        Ok(lasting) if lasting <= TOGGLE_MAX => lasting,
        _ => return Err(Refusal::bad_request("The duration is not between nothing and 1weeks")),
    };
    let level = Level::of_verbosity(asked.level);
    if level < logging.usual() {
        let text = format!("'{}' < original level.\n", asked.level);
        return Err(Refusal::bad_request(text));
    }
    Ok(logging.set_level(level, lasting)?)
}
