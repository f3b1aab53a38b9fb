//! `/mesolith/v1/events`: what changed in the cluster, as server-sent events, for pages that load
//! the read endpoints anew when they must.
//!
//! Events: `resync` (load everything: at the start, and after more changed than was told) and
//! `change` (which objects are in which state now). Changes are gathered for a quarter of a second.
//! Nothing is replayed; a page that was away is told to load everything.

use super::{Api, Refusal};
use crate::http::auth::Realm;
use crate::http::{EventSender, Face, Framing, event_stream, sse_event};
use crate::master::core::changes::{Changes, Object};
use crate::telemetry::Counter;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::{Instant, sleep_until};

/// How many pages may watch at a time.
const WATCHERS_MAX: usize = 512;

/// How many bytes may wait for one page.
const WATCHER_BYTES_MAX: usize = 1024 * 1024;

/// How often one page is told something.
#[derive(Clone, Copy)]
struct Pace {
    /// The least time between two events.
    interval: Duration,
    /// After this long without an event a comment is sent, so that a dead connection is found out.
    heartbeat: Duration,
}

const PACE: Pace =
    Pace { interval: Duration::from_millis(250), heartbeat: Duration::from_secs(15) };

#[derive(Clone)]
struct Watching {
    api: Api,
    places: Arc<Semaphore>,
    overflows: Counter,
}

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    let places = Arc::new(Semaphore::new(WATCHERS_MAX));
    let watching = Watching { api, places, overflows: Counter::default() };
    Face::new().endpoint("/mesolith/v1/events", realm.protect(get(open).with_state(watching)))
}

async fn open(State(watching): State<Watching>) -> Result<Response, Refusal> {
    let Ok(place) = watching.places.clone().try_acquire_owned() else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Too many pages watch already"));
    };
    // Taken before the master is asked for: a change of leader in between ends the stream.
    let leading = {
        let mut leading = watching.api.leading.clone();
        leading.mark_unchanged();
        leading
    };
    let changes = watching.api.master()?.watch();
    let (sender, body) = event_stream(Framing::Raw, WATCHER_BYTES_MAX, watching.overflows.clone());
    tokio::spawn(tell(sender, changes, leading, PACE, place));
    Ok(body.into_response("text/event-stream"))
}

/// Feeds one page until it goes, reads too slowly, or this master leads no more.
async fn tell<T>(
    sender: EventSender,
    mut changes: broadcast::Receiver<Arc<Changes>>,
    mut leading: watch::Receiver<T>,
    pace: Pace,
    _place: OwnedSemaphorePermit,
) {
    let mut pending = Changes { overflow: true, ..Changes::default() };
    let mut last = Instant::now();
    let mut due = last;
    loop {
        tokio::select! {
            () = sender.closed() => return,
            _ = leading.changed() => return sender.finish(),
            got = changes.recv() => match got {
                Ok(more) => {
                    if pending.is_empty() {
                        due = last + pace.interval;
                    }
                    pending.merge(&more);
                }
                Err(RecvError::Lagged(_)) => {
                    pending = Changes { overflow: true, ..Changes::default() };
                    due = last + pace.interval;
                }
                Err(RecvError::Closed) => return sender.finish(),
            },
            () = sleep_until(due) => {
                let event = match pending.is_empty() {
                    true => Bytes::from_static(b": nothing changed\n\n"),
                    false => event(&std::mem::take(&mut pending)),
                };
                if sender.send(event).is_err() {
                    return;
                }
                last = Instant::now();
                due = last + pace.heartbeat;
            }
        }
    }
}

fn event(changes: &Changes) -> Bytes {
    if changes.overflow {
        return sse_event(Some("resync"), "{}");
    }
    let objects: Vec<Value> = changes
        .objects
        .iter()
        .map(|(object, state)| match object {
            Object::Agent(id) => json!({"kind": "agent", "id": id, "state": state}),
            Object::Framework(id) => json!({"kind": "framework", "id": id, "state": state}),
            Object::Task(framework, id) => {
                json!({"kind": "task", "framework_id": framework, "id": id, "state": state})
            }
            Object::Offer(id) => json!({"kind": "offer", "id": id, "state": state}),
        })
        .collect();
    sse_event(Some("change"), &json!({"changes": objects}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::EventBody;
    use http_body_util::BodyExt as _;

    const QUICK: Pace =
        Pace { interval: Duration::from_millis(50), heartbeat: Duration::from_millis(200) };

    struct Page {
        body: EventBody,
        changes: broadcast::Sender<Arc<Changes>>,
        leading: watch::Sender<u8>,
        places: Arc<Semaphore>,
    }

    fn page() -> Page {
        let (sender, body) = event_stream(Framing::Raw, WATCHER_BYTES_MAX, Counter::default());
        let (changes, receiver) = broadcast::channel(4);
        let (leading, watched) = watch::channel(0);
        let places = Arc::new(Semaphore::new(1));
        let place = places.clone().try_acquire_owned().unwrap();
        tokio::spawn(tell(sender, receiver, watched, QUICK, place));
        Page { body, changes, leading, places }
    }

    impl Page {
        async fn next(&mut self) -> Option<String> {
            let frame = self.body.frame().await?.unwrap();
            Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
        }

        fn task(&self, id: &str, state: &'static str) {
            let object = Object::Task("f".into(), id.into());
            let changes = Changes { objects: [(object, state)].into(), overflow: false };
            self.changes.send(Arc::new(changes)).unwrap();
        }
    }

    #[tokio::test]
    async fn changes_are_gathered_and_each_object_is_told_once_as_it_is_last() {
        let mut page = page();
        assert_eq!(page.next().await.unwrap(), "event: resync\ndata: {}\n\n");
        let start = Instant::now();
        page.task("a", "TASK_STAGING");
        page.task("b", "TASK_STAGING");
        page.task("a", "TASK_RUNNING");
        let told = page.next().await.unwrap();
        assert!(start.elapsed() >= QUICK.interval - Duration::from_millis(10), "not at once");
        let data = told.strip_prefix("event: change\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        let task = |id: &str, state: &str| json!({"kind": "task", "framework_id": "f", "id": id, "state": state});
        assert_eq!(
            data,
            json!({"changes": [task("a", "TASK_RUNNING"), task("b", "TASK_STAGING")]})
        );
        assert_eq!(page.next().await.unwrap(), ": nothing changed\n\n");
        assert!(start.elapsed() >= QUICK.heartbeat);
    }

    #[tokio::test]
    async fn after_a_gap_everything_is_to_be_loaded_anew() {
        let mut page = page();
        page.next().await.unwrap();
        for n in 0..6 {
            page.task(&n.to_string(), "TASK_STAGING");
        }
        assert_eq!(page.next().await.unwrap(), "event: resync\ndata: {}\n\n");
    }

    #[tokio::test]
    async fn a_change_of_leader_ends_the_stream_and_frees_the_place() {
        let mut page = page();
        page.next().await.unwrap();
        assert_eq!(page.places.available_permits(), 0);
        page.leading.send(1).unwrap();
        assert_eq!(page.next().await, None);
        let freed = page.places.acquire();
        tokio::time::timeout(Duration::from_secs(5), freed).await.unwrap().unwrap().forget();
    }
}
