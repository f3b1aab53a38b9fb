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
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
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
    listeners: Mutex<BTreeMap<u64, Listener>>,
    next: AtomicU64,
    slow: Counter,
}

struct Listener {
    sender: EventSender,
    /// Event types it wants; empty: all.
    types: BTreeSet<String>,
}

impl Hub {
    /// A hub; `slow` counts listeners that lost their stream.
    pub fn new(slow: Counter) -> Self {
        Self(Arc::new(Inner { slow, ..Inner::default() }))
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
        for listener in self.lock().values() {
            listener.sender.finish();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Listener>> {
        // Nothing panics while holding the lock.
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, kind: &str, data: &Value) {
        let frame = sse_event(Some(kind), &data.to_string());
        for listener in self.lock().values() {
            if listener.types.is_empty() || listener.types.contains(kind) {
                // A stream that has ended is taken out by whoever watches it.
                let _ = listener.sender.send_framed(frame.clone());
            }
        }
    }

    /// Adds a listener, if there is room; gives its number.
    fn attach(&self, listener: Listener) -> Option<u64> {
        let mut listeners = self.lock();
        if listeners.len() >= LISTENERS_MAX {
            return None;
        }
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        listeners.insert(number, listener);
        Some(number)
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
    let listener = Listener { sender: sender.clone(), types };
    let Some(number) = api.hub.attach(listener) else {
        let text = format!("{LISTENERS_MAX} clients listen already, the most there may be");
        return Err(answer::message(StatusCode::SERVICE_UNAVAILABLE, &text));
    };
    let (kind, data) = json::attached(api.now(), &ask.peer);
    api.hub.tell(kind, &data);
    tokio::spawn(watch(api.clone(), number, sender, ask.peer.clone()));
    Ok(body.into_response("text/event-stream"))
}

/// Beats until the stream has ended, and tells the others that it has.
async fn watch(api: Api, number: u64, sender: EventSender, peer: String) {
    while tokio::time::timeout(HEARTBEAT, sender.closed()).await.is_err() {
        if sender.send_framed(Bytes::from_static(BEAT)).is_err() {
            break;
        }
    }
    api.hub.lock().remove(&number);
    let (kind, data) = json::detached(api.now(), &peer);
    api.hub.tell(kind, &data);
}
