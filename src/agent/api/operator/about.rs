//! Calls about the agent's process: well-being, settings, version, metrics, verbosity.

use super::{Api, Refusal, missing, of};
use crate::base::version;
use crate::http::observe;
use crate::mesos::v1::agent::response::{self, Type};
use crate::mesos::v1::agent::{Call, Response};
use crate::mesos::v1::{Flag, VersionInfo};

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
    let metrics = observe::metric_list(&api.metrics, asked.timeout).await;
    let get_metrics = Some(response::GetMetrics { metrics });
    Ok(Response { get_metrics, ..of(Type::GetMetrics) })
}

/// How much is logged.
pub(super) fn logging_level(api: &Api) -> Result<Response, Refusal> {
    let level = observe::logging_level(api.logging.as_ref())?;
    let get_logging_level = Some(response::GetLoggingLevel { level });
    Ok(Response { get_logging_level, ..of(Type::GetLoggingLevel) })
}

/// Logs more for a while.
pub(super) fn set_logging_level(api: &Api, call: &Call) -> Result<(), Refusal> {
    let asked = call.set_logging_level.as_ref().ok_or_else(|| missing("set_logging_level"))?;
    observe::set_logging_level(api.logging.as_ref(), asked.level, asked.duration)
}
