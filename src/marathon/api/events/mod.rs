//! `/v2/events`: what happens, told to everybody who listens, as server-sent events.
//!
//! Nothing is repeated and nothing waits for a listener: one that reads too slowly loses its stream.

mod json;

use super::ask::Ask;
use super::{Api, answer};
use crate::http::{EventSender, Framing, Refusal, event_stream, sse_event};
use crate::marathon::core::event::Event;
use crate::marathon::model::{App, Timestamp};
use crate::telemetry::Counter;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most listeners at a time.
pub const LISTENERS_MAX: usize = 1024;

/// How many bytes wait for one listener before it loses its stream.
const LISTENER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often a listener hears that the stream is alive.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What a heartbeat is: a blank line.
const BEAT: &[u8] = b"\r\n";

/// Tells events to listeners. Clones are the same hub.
#[derive(Clone, Default)]
pub struct Hub(Arc<Inner>);

#[derive(Default)]
struct Inner {
    listeners: Mutex<Vec<Listener>>,
    slow: Counter,
}

struct Listener {
    sender: EventSender,
    /// Event types it wants; empty: all.
    types: BTreeSet<String>,
    peer: String,
}

impl Hub {
    /// A hub; `slow` counts listeners that lost their stream.
    pub fn new(slow: Counter) -> Self {
        Self(Arc::new(Inner { listeners: Mutex::default(), slow }))
    }

    /// Tells what the core says.
    pub fn publish(&self, event: &Event) {
        if self.lock().is_empty() {
            return;
        }
        let (kind, data) = json::event(event);
        self.tell(kind, &data);
    }

    /// Tells of a change that a client made.
    pub(super) fn api_post(&self, at: Timestamp, client: &str, uri: &str, app: &App) {
        if self.lock().is_empty() {
            return;
        }
        let (kind, data) = json::api_post(at, client, uri, app);
        self.tell(kind, &data);
    }

    /// Ends all streams: leadership is lost.
    pub fn close(&self) {
        for listener in self.lock().drain(..) {
            listener.sender.finish();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listener>> {
        // Nothing panics while holding the lock.
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, kind: &str, data: &Value) {
        let frame = sse_event(Some(kind), &data.to_string());
        self.lock().retain(|listener| {
            if !listener.types.is_empty() && !listener.types.contains(kind) {
                return !listener.sender.is_closed();
            }
            listener.sender.send_framed(frame.clone()).is_ok()
        });
    }

    fn attach(&self, listener: Listener) -> bool {
        let mut listeners = self.lock();
        listeners.retain(|l| !l.sender.is_closed());
        let room = listeners.len() < LISTENERS_MAX;
        if room {
            listeners.push(listener);
        }
        room
    }
}

/// A stream for a client, its own attachment first.
pub(super) async fn serve(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    if ask.method != Method::GET || !ask.wants_events() {
        let text = "HTTP 405 Method Not Allowed: GET with Accept: text/event-stream";
        return Err(answer::message(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    // Only who leads has events.
    api.door().await?;
    // Plans are always told lightly, whatever `plan-format` asks for.
    let types: BTreeSet<String> = ask.all("event_type").into_iter().map(String::from).collect();
    let (sender, body) = event_stream(Framing::Raw, LISTENER_BYTES_MAX, api.hub.0.slow.clone());
    let peer = ask.peer.clone();
    let listener = Listener { sender: sender.clone(), types, peer: peer.clone() };
    if !api.hub.attach(listener) {
        let text = format!("{LISTENERS_MAX} clients listen already, the most there may be");
        return Err(answer::message(StatusCode::SERVICE_UNAVAILABLE, &text));
    }
    let (kind, data) = json::attached(api.now(), &peer);
    api.hub.tell(kind, &data);
    tokio::spawn(watch(api.clone(), sender));
    Ok(body.into_response("text/event-stream"))
}

/// Beats until the client has gone, and tells the others that it has.
async fn watch(api: Api, sender: EventSender) {
    while tokio::time::timeout(HEARTBEAT, sender.closed()).await.is_err() {
        if sender.send_framed(Bytes::from_static(BEAT)).is_err() {
            break;
        }
    }
    let mut gone = Vec::new();
    api.hub.lock().retain(|listener| {
        let closed = listener.sender.is_closed();
        if closed {
            gone.push(listener.peer.clone());
        }
        !closed
    });
    for peer in gone {
        let (kind, data) = json::detached(api.now(), &peer);
        api.hub.tell(kind, &data);
    }
}
