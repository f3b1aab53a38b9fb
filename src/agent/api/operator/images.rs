//! Images that nobody uses are removed at once when an operator asks, however full the disk is.

use super::{Api, Refusal};
use crate::mesos::v1::agent::Call;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response as HttpResponse};

/// Answered when they are gone. Besides those the call names the agent's own exclusions stay, too.
pub(super) async fn prune(api: &Api, call: Call) -> Result<HttpResponse, Refusal> {
    let excluded = call.prune_images.unwrap_or_default().excluded_images;
    let failed = |why| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    api.images.prune(&excluded).await.map_err(failed)?;
    Ok(StatusCode::OK.into_response())
}
