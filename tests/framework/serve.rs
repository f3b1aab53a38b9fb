//! Serves a [`SchedulerServer`], [`ExecutorServer`] or [`StateServer`] over HTTP, as a master or agent does.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use mesolith::base::error::{Code, Error};
use mesolith::framework::queue::EventReceiver;
use mesolith::framework::server::{ExecutorServer, Refusal, Reply, SchedulerServer};
use mesolith::framework::state::{Change, Scope, StateServer, wire};
use mesolith::http::negotiate::{accept_codec, request_codec};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::recordio;
use mesolith::mesos::v1::{executor, scheduler};
use prost::Message;
use serde::Serialize;
use std::collections::BTreeMap;
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

pub fn state_face(server: Arc<dyn StateServer>) -> Router {
    let one = get(state_get).put(state_put).delete(state_delete);
    Router::new()
        .route("/mesolith/v1/state/{namespace}", get(state_list).post(state_commit))
        .route("/mesolith/v1/state/{namespace}/{*key}", one)
        .with_state(server)
}

type Door = State<Arc<dyn StateServer>>;

fn scope(namespace: String, headers: &HeaderMap) -> Scope {
    Scope { namespace, principal: principal(headers) }
}

fn failed(error: Error) -> Response {
    let status = StatusCode::from_u16(wire::status_of(&error)).unwrap();
    (status, axum::Json(wire::Refused::from(&error))).into_response()
}

async fn state_get(
    State(server): Door,
    Path((namespace, key)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match server.get(scope(namespace, &headers), key).await {
        Ok(Some(entry)) => {
            ([(header::ETAG, wire::etag(entry.version))], entry.value).into_response()
        }
        Ok(None) => failed(Error::new(Code::NotFound, "there is no such entry")),
        Err(error) => failed(error),
    }
}

async fn state_change(
    server: Arc<dyn StateServer>,
    namespace: String,
    headers: HeaderMap,
    make: impl FnOnce(mesolith::framework::state::Expect) -> Change,
) -> Response {
    let (a, b) = (header_text(&headers, "if-match"), header_text(&headers, "if-none-match"));
    let done = match wire::expectation(a.as_deref(), b.as_deref()) {
        Ok(expect) => server.commit(scope(namespace, &headers), vec![make(expect)]).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(versions) => {
            (StatusCode::NO_CONTENT, [(header::ETAG, wire::etag(versions[0]))]).into_response()
        }
        Err(error) => failed(error),
    }
}

async fn state_put(
    State(server): Door,
    Path((namespace, key)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let value = body.to_vec();
    state_change(server, namespace, headers, |expect| Change::Put { key, value, expect }).await
}

async fn state_delete(
    State(server): Door,
    Path((namespace, key)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    state_change(server, namespace, headers, |expect| Change::Delete { key, expect }).await
}

async fn state_list(
    State(server): Door,
    Path(namespace): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let prefix = query.get("prefix").cloned().unwrap_or_default();
    let limit = query["limit"].parse().unwrap();
    let after = query.get("after").cloned();
    match server.list(scope(namespace, &headers), prefix, after, limit).await {
        Ok(page) => axum::Json(page).into_response(),
        Err(error) => failed(error),
    }
}

async fn state_commit(
    State(server): Door,
    Path(namespace): Path<String>,
    headers: HeaderMap,
    axum::Json(commit): axum::Json<wire::Commit>,
) -> Response {
    match server.commit(scope(namespace, &headers), commit.changes).await {
        Ok(versions) => axum::Json(wire::Committed { versions }).into_response(),
        Err(error) => failed(error),
    }
}
