//! `POST /api/v1/scheduler`: calls in, a stream of events out. Request errors are answered here in the original's
//! words; what a call means is decided by the core.

use super::Api;
use crate::framework::queue::EventReceiver;
use crate::framework::server::{self, Reply, SchedulerServer, Subscription};
use crate::http::auth::Realm;
use crate::http::{Call, Face, Refusal, accept_codec, framed, reply};
use crate::mesos::codec::Codec;
use crate::mesos::v1::scheduler;
use crate::security::Principal;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use std::convert::Infallible;

/// Names a subscription; sent with every call after it.
const STREAM_ID: HeaderName = HeaderName::from_static("mesos-stream-id");

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    let handlers = post(handle).with_state(api);
    Face::new().endpoint("/api/v1/scheduler", realm.protect(handlers))
}

async fn handle(
    State(api): State<Api>,
    principal: Option<Extension<Principal>>,
    headers: HeaderMap,
    call: Call<scheduler::Call>,
) -> Result<Response, Refusal> {
    let principal = principal.and_then(|p| p.0.value);
    let stream_id = match headers.get(STREAM_ID).map(HeaderValue::to_str) {
        None => None,
        Some(Ok(id)) => Some(id.to_string()),
        Some(Err(_)) => return Err(Refusal::bad_request("The 'Mesos-Stream-Id' is not text")),
    };
    if call.message.r#type() == scheduler::call::Type::Subscribe {
        if stream_id.is_some() {
            return Err(Refusal::bad_request(
                "Subscribe calls should not include the 'Mesos-Stream-Id' header",
            ));
        }
        let codec = accept_codec(&headers)?;
        let opened = api.master()?.subscribe(call.message, principal).await.map_err(refused)?;
        return Ok(stream(opened, codec));
    }
    match api.master()?.call(stream_id.as_deref(), call.message, principal).await {
        Ok(Reply::Accepted) => Ok(StatusCode::ACCEPTED.into_response()),
        Ok(Reply::Done) => Ok(StatusCode::OK.into_response()),
        Err(refusal) => Err(refused(refusal)),
    }
}

fn refused(refusal: server::Refusal) -> Refusal {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = reply::text(status, refusal.text);
    if let Some(Ok(location)) = refusal.location.map(HeaderValue::try_from) {
        response.headers_mut().insert(axum::http::header::LOCATION, location);
    }
    response.into()
}

/// The events as records, each in a chunk of its own, until the subscription ends.
fn stream(subscription: Subscription, codec: Codec) -> Response {
    let records = futures_util::stream::unfold(subscription.events, move |mut events| async move {
        let record = next_record(&mut events, codec).await?;
        Some((Ok::<Bytes, Infallible>(record), events))
    });
    let mut response = Response::new(Body::from_stream(records));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(codec.media_type()));
    if let Ok(id) = HeaderValue::try_from(subscription.stream_id) {
        headers.insert(STREAM_ID, id);
    }
    response
}

async fn next_record(events: &mut EventReceiver<scheduler::Event>, codec: Codec) -> Option<Bytes> {
    // The end of the subscription is the end of the stream, whatever ended it.
    let event = events.next().await.ok()?;
    Some(framed(&codec.encode(&*event)))
}
