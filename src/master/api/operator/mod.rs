//! `POST /api/v1`: the operator API. Which call is asked for, in either codec, is decided here; what
//! it means is in a file for each kind. Calls that change something go through the core, the others
//! are written from a [`View`](crate::master::core::view::View).

mod about;
mod agents;
mod frameworks;
pub(super) mod maintenance;
mod observed;
mod reserving;
mod stream;
mod tables;
#[cfg(test)]
mod tests;

pub(super) use reserving::{of as operation, operate};

use super::{Api, Refusal};
use crate::http::auth::Realm;
use crate::http::{Call as Asked, Face, accept_codec};
use crate::mesos::codec::Codec;
use crate::mesos::v1::TimeInfo;
use crate::mesos::v1::master::call::Type;
use crate::mesos::v1::master::{Call, Response, response};
use crate::security::Principal;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use axum::routing::post;

/// All calls are in the realm of changes, as in the original.
pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new().endpoint("/api/v1", realm.protect(post(handle).with_state(api)))
}

async fn handle(
    State(api): State<Api>,
    who: Option<Extension<Principal>>,
    headers: HeaderMap,
    call: Asked<Call>,
) -> Result<HttpResponse, Refusal> {
    let codec = accept_codec(&headers)?;
    let call = call.message;
    if call.r#type.is_none() {
        return Err(missing("type"));
    }
    let answer = match call.r#type() {
        Type::GetHealth => about::health(),
        Type::GetFlags => about::flags(&api),
        Type::GetVersion => about::version(),
        Type::GetMetrics => observed::metrics(&api, &call).await?,
        Type::GetLoggingLevel => observed::logging_level(&api)?,
        Type::SetLoggingLevel => return observed::set_logging_level(&api, &call),
        Type::ListFiles => observed::list_files(&api, call).await?,
        Type::ReadFile => observed::read_file(&api, call).await?,
        Type::Subscribe => return stream::subscribe(&api, codec).await,
        Type::GetMaster => about::master(&api, &api.view().await?),
        Type::GetAgents => agents::get(&api.view().await?),
        Type::GetFrameworks => frameworks::get(&api.view().await?),
        Type::GetExecutors => tables::executors(&api.view().await?),
        Type::GetTasks => tables::tasks(&api.view().await?),
        Type::GetOperations => tables::operations(),
        Type::GetRoles => tables::roles(&api.view().await?),
        Type::GetWeights => tables::weights(&api.view().await?),
        Type::GetState => tables::state(&api.view().await?),
        Type::GetMaintenanceStatus => maintenance::status(&api).await?,
        Type::GetMaintenanceSchedule => maintenance::schedule(&api).await?,
        Type::UpdateMaintenanceSchedule => return maintenance::update(&api, call).await,
        Type::StartMaintenance => return maintenance::start(&api, call).await,
        Type::StopMaintenance => return maintenance::stop(&api, call).await,
        Type::Teardown => return frameworks::teardown(&api, call).await,
        Type::DrainAgent => return agents::drain(&api, call).await,
        Type::DeactivateAgent => return agents::deactivate(&api, call).await,
        Type::ReactivateAgent => return agents::reactivate(&api, call).await,
        Type::ReserveResources
        | Type::UnreserveResources
        | Type::CreateVolumes
        | Type::DestroyVolumes => {
            return reserving::call(&api, call, who.and_then(|who| who.0.value)).await;
        }
        Type::MarkAgentGone => return agents::gone(&api, call).await,
        kind => {
            let text = format!("The call {} is not supported", kind.as_str_name());
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, text));
        }
    };
    Ok(told(codec, &answer))
}

fn told(codec: Codec, answer: &Response) -> HttpResponse {
    let kind = (CONTENT_TYPE, HeaderValue::from_static(codec.media_type()));
    ([kind], codec.encode(answer)).into_response()
}

/// An answer of this kind, without its content.
fn of(kind: response::Type) -> Response {
    Response { r#type: Some(kind as i32), ..Response::default() }
}

/// The original's sentence for a part of a call that is not there.
fn missing(field: &str) -> Refusal {
    Refusal::bad_request(format!(
        "Failed to validate master::Call: Expecting '{field}' to be present"
    ))
}

fn time(at: crate::base::time::Wall) -> TimeInfo {
    TimeInfo { nanoseconds: i64::try_from(at.0).unwrap_or(i64::MAX) }
}
