//! `POST /api/v1/executor`: calls in, a stream of events out. Request errors are answered here in the original's words;
//! what a call means is decided by the core.

use super::Api;
use crate::framework::queue::EventReceiver;
use crate::framework::server::ExecutorServer as _;
use crate::http::auth::Realm;
use crate::http::{Call, Face, Refusal, accept_codec, framed};
use crate::mesos::codec::Codec;
use crate::mesos::v1::executor;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use std::convert::Infallible;

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new().endpoint("/api/v1/executor", realm.protect(post(handle).with_state(api)))
}

async fn handle(
    State(api): State<Api>,
    headers: HeaderMap,
    call: Call<executor::Call>,
) -> Result<Response, Refusal> {
    let refused = |refusal: crate::framework::server::Refusal| {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        Refusal::new(status, refusal.text)
    };
    if call.message.r#type() == executor::call::Type::Subscribe {
        let codec = accept_codec(&headers)?;
        let events = api.agent.subscribe(call.message, None).await.map_err(refused)?;
        return Ok(stream(events, codec));
    }
    api.agent.call(call.message, None).await.map_err(refused)?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The events as records, each in a chunk of its own, until the subscription ends.
fn stream(events: EventReceiver<executor::Event>, codec: Codec) -> Response {
    let records = futures_util::stream::unfold(events, move |mut events| async move {
        // The end of the subscription is the end of the stream, whatever ended it.
        let event = events.next().await.ok()?;
        let record = framed(&codec.encode(&*event));
        Some((Ok::<Bytes, Infallible>(record), events))
    });
    let mut response = Response::new(Body::from_stream(records));
    let kind = HeaderValue::from_static(codec.media_type());
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
