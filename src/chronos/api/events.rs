//! `/mesolith/v1/events`: what happens, told to everybody who listens, as server-sent events `job`, `run`, `connection`.
//!
//! Nothing is repeated and nothing waits for a listener: one that reads too slowly loses its stream.

use super::{Api, answer};
use crate::chronos::core::io::Notice;
use crate::http::{EventSender, Framing, Refusal, event_stream, sse_event};
use crate::telemetry::Counter;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most listeners at a time.
pub const LISTENERS_MAX: usize = 1024;

/// How many bytes wait for one listener before it loses its stream.
const LISTENER_BYTES_MAX: usize = 1024 * 1024;

/// How often a listener hears that the stream is alive.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What a heartbeat is: a comment.
const BEAT: &[u8] = b": alive\n\n";

/// Tells what happens. Clones are the same hub.
#[derive(Clone, Default)]
pub struct Hub(Arc<Inner>);

#[derive(Default)]
struct Inner {
    listeners: Mutex<Vec<EventSender>>,
    slow: Counter,
}

impl Hub {
    /// A hub; `slow` counts listeners that lost their stream.
    pub fn new(slow: Counter) -> Self {
        Self(Arc::new(Inner { listeners: Mutex::default(), slow }))
    }

    /// Tells a notice of the core.
    pub fn publish(&self, notice: &Notice) {
        let mut listeners = self.lock();
        if listeners.is_empty() {
            return;
        }
        let kind = match notice {
            Notice::Job { .. } | Notice::JobDeleted { .. } => "job",
            Notice::Run { .. } | Notice::RunEnded { .. } => "run",
            Notice::Connection { .. } => "connection",
        };
        let Ok(data) = serde_json::to_string(notice) else { return };
        let frame = sse_event(Some(kind), &data);
        listeners.retain(|listener| listener.send_framed(frame.clone()).is_ok());
    }

    /// Ends all streams: Chronos does not run here any more.
    pub fn close(&self) {
        for listener in self.lock().drain(..) {
            listener.finish();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<EventSender>> {
        // Nothing panics while holding the lock.
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn serve(api: &Api) -> Result<Response, Refusal> {
    let hub = &api.hub;
    let (sender, body) = event_stream(Framing::Raw, LISTENER_BYTES_MAX, hub.0.slow.clone());
    {
        let mut listeners = hub.lock();
        listeners.retain(|listener| !listener.is_closed());
        if listeners.len() >= LISTENERS_MAX {
            let text = format!("{LISTENERS_MAX} listeners, the most allowed, are there already");
            return Err(answer::message(StatusCode::SERVICE_UNAVAILABLE, &text));
        }
        listeners.push(sender.clone());
    }
    tokio::spawn(async move {
        // The first shows at once that the stream is open.
        while sender.send_framed(Bytes::from_static(BEAT)).is_ok() {
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
        }
    });
    Ok(body.into_response("text/event-stream"))
}
