//! Calls about this process: metrics, verbosity, and its own files. Sandboxes are at `/files` and at the agents' own
//! operator APIs, since the original's master has no others than its own files, too.

use super::super::{Api, Refusal};
use super::{missing, of};
use crate::http::{files, observe};
use crate::mesos::v1::master::response::{self, Type};
use crate::mesos::v1::master::{Call, Response};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response as HttpResponse};

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
pub(super) fn set_logging_level(api: &Api, call: &Call) -> Result<HttpResponse, Refusal> {
    let asked = call.set_logging_level.as_ref().ok_or_else(|| missing("set_logging_level"))?;
    observe::set_logging_level(api.logging.as_ref(), asked.level, asked.duration)?;
    Ok(StatusCode::OK.into_response())
}

/// The files of a directory.
pub(super) async fn list_files(api: &Api, call: Call) -> Result<Response, Refusal> {
    let path = call.list_files.ok_or_else(|| missing("list_files"))?.path;
    let file_infos = files::list(&api.files, path).await?;
    let list_files = Some(response::ListFiles { file_infos });
    Ok(Response { list_files, ..of(Type::ListFiles) })
}

/// A part of a file.
pub(super) async fn read_file(api: &Api, call: Call) -> Result<Response, Refusal> {
    let asked = call.read_file.ok_or_else(|| missing("read_file"))?;
    let (size, data) = files::read(&api.files, asked.path, asked.offset, asked.length).await?;
    let read_file = Some(response::ReadFile { size, data });
    Ok(Response { read_file, ..of(Type::ReadFile) })
}
