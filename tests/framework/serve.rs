//! Serves a [`SchedulerServer`] or [`ExecutorServer`] over HTTP, as a master or agent does.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use mesolith::framework::queue::EventReceiver;
use mesolith::framework::server::{ExecutorServer, Refusal, Reply, SchedulerServer};
use mesolith::http::negotiate::{accept_codec, request_codec};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::recordio;
use mesolith::mesos::v1::{executor, scheduler};
use prost::Message;
use serde::Serialize;
use std::sync::Arc;

/// A server that ends with this value.
pub struct Running {
    pub address: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn serve(router: Router) -> Running {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Running { address, task }
}

fn refused(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap();
    let mut response = (status, refusal.text).into_response();
    if let Some(location) = refusal.location {
        response.headers_mut().insert(header::LOCATION, location.parse().unwrap());
    }
    response
}

/// The stream reads the queue only as fast as the client reads the stream.
fn stream<E: Message + Serialize + 'static>(events: EventReceiver<E>, codec: Codec) -> Response {
    let records = futures_util::stream::unfold(events, move |mut events| async move {
        let event = events.next().await.ok()?;
        let record = recordio::frame(&codec.encode(&*event));
        Some((Ok::<_, std::convert::Infallible>(record), events))
    });
    ([(header::CONTENT_TYPE, codec.media_type())], Body::from_stream(records)).into_response()
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_string())
}

fn principal(headers: &HeaderMap) -> Option<String> {
    let text = header_text(headers, "authorization")?;
    let basic = text.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(basic).ok()?;
    Some(String::from_utf8(decoded).ok()?.split_once(':')?.0.to_string())
}

fn replied(reply: Result<Reply, Refusal>) -> Response {
    match reply {
        Ok(Reply::Accepted) => StatusCode::ACCEPTED.into_response(),
        Ok(Reply::Done) => StatusCode::OK.into_response(),
        Err(refusal) => refused(refusal),
    }
}

pub fn scheduler_face(server: Arc<dyn SchedulerServer>) -> Router {
    Router::new().route("/api/v1/scheduler", post(scheduler_call)).with_state(server)
}

async fn scheduler_call(
    State(server): State<Arc<dyn SchedulerServer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let codec = request_codec(&headers).unwrap();
    let answer = accept_codec(&headers).unwrap();
    let call: scheduler::Call = match codec.decode(&body) {
        Ok(call) => call,
        Err(e) => return refused(Refusal::new(400, e.to_string())),
    };
    let stream_id = header_text(&headers, "mesos-stream-id");
    if call.r#type() != scheduler::call::Type::Subscribe {
        let principal = principal(&headers);
        return replied(server.call(stream_id.as_deref(), call, principal).await);
    }
    match server.subscribe(call, principal(&headers)).await {
        Ok(subscription) => {
            let mut response = stream(subscription.events, answer);
            let id = subscription.stream_id.parse().unwrap();
            response.headers_mut().insert("Mesos-Stream-Id", id);
            response
        }
        Err(refusal) => refused(refusal),
    }
}

pub fn executor_face(server: Arc<dyn ExecutorServer>) -> Router {
    Router::new().route("/api/v1/executor", post(executor_call)).with_state(server)
}

async fn executor_call(
    State(server): State<Arc<dyn ExecutorServer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call: executor::Call = request_codec(&headers).unwrap().decode(&body).unwrap();
    let authorization = header_text(&headers, "authorization").unwrap_or_default();
    let token = authorization.strip_prefix("Bearer ").map(str::to_string);
    if call.r#type() != executor::call::Type::Subscribe {
        return replied(server.call(call, token).await);
    }
    match server.subscribe(call, token).await {
        Ok(events) => stream(events, accept_codec(&headers).unwrap()),
        Err(refusal) => refused(refusal),
    }
}
