//! `POST /api/v1`: the operator API of an agent. Which call is asked for, in which codec and as what kind of answer, is
//! decided here in the original's words; what it means is in a file for each kind.

mod about;
mod containers;
mod files;
mod images;
mod media;
mod streams;
mod tables;

use super::{Api, Refusal};
use crate::http::auth::Realm;
use crate::http::{BodyLimit, Face};
use crate::mesos::codec::Codec;
use crate::mesos::v1::agent::call::Type;
use crate::mesos::v1::agent::{Call, Response, response};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use axum::routing::post;
use media::Media;

/// All calls are in the realm of changes, as in the original.
pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new().endpoint("/api/v1", realm.protect(post(handle).with_state(api)))
}

async fn handle(State(api): State<Api>, request: Request) -> Result<HttpResponse, Refusal> {
    let media = media::of(request.headers())?;
    let (parts, body) = request.into_parts();
    if media.streams_in {
        return streams::attach_input(&api, media.content, body).await;
    }
    let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or_default();
    let bytes = crate::http::body::read(&parts.headers, body, limit).await?;
    let decoded = media.content.decode::<Call>(&bytes);
    let call = decoded.map_err(|e| Refusal::bad_request(e.to_string()))?;
    if call.r#type.is_none() {
        return Err(missing("type"));
    }
    let kind = call.r#type();
    if media.streams_out && !streams::answers_with_a_stream(kind) {
        return Err(Refusal::new(
            StatusCode::NOT_ACCEPTABLE,
            format!("Streaming response is not supported for {} call", kind.as_str_name()),
        ));
    }
    match kind {
        Type::LaunchNestedContainerSession => streams::session(&api, media, call).await,
        Type::AttachContainerOutput => streams::attach_output(&api, media, call).await,
        Type::AttachContainerInput => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Expecting 'Content-Type' of application/recordio for ATTACH_CONTAINER_INPUT call",
        )),
        _ => answer(&api, media, kind, call).await,
    }
}

async fn answer(api: &Api, media: Media, kind: Type, call: Call) -> Result<HttpResponse, Refusal> {
    let answer = match kind {
        Type::GetHealth => about::health(),
        Type::GetFlags => about::flags(api),
        Type::GetVersion => about::version(),
        Type::GetMetrics => about::metrics(api, &call).await?,
        Type::GetLoggingLevel => about::logging_level(api)?,
        Type::SetLoggingLevel => {
            about::set_logging_level(api, &call)?;
            return Ok(StatusCode::OK.into_response());
        }
        Type::ListFiles => files::list(api, call).await?,
        Type::ReadFile => files::read(api, call).await?,
        Type::GetState => tables::state(&api.view().await?),
        Type::GetFrameworks => tables::frameworks(&api.view().await?),
        Type::GetExecutors => tables::executors(&api.view().await?),
        Type::GetTasks => tables::tasks(&api.view().await?),
        Type::GetAgent => tables::agent(&api.view().await?),
        Type::GetOperations => tables::operations(),
        Type::GetResourceProviders => tables::resource_providers(),
        Type::GetContainers => containers::get(api, call).await?,
        Type::PruneImages => return images::prune(api, call).await,
        _ => return containers::change(api, media.accept, kind, call).await,
    };
    Ok(told(media.accept, &answer))
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
    invalid(&format!("Expecting '{field}' to be present"))
}

/// The original's sentence for a call that cannot be what it says.
fn invalid(why: &str) -> Refusal {
    Refusal::bad_request(format!("Failed to validate agent::Call: {why}"))
}
