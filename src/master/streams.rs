//! Operators' streams, from the core's word to the task that writes each: a bounded queue of notes a stream, filled on
//! the control thread and never waited for. What is written, and in which form, is the API's business.

use super::core::io::{Input, StreamId};
use super::core::streams::Event;
use super::core::view::View;
use crate::base::error::{Code, Error, Result};
use crate::mesos::codec::Codec;
use crate::telemetry::Counter;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// How many notes may wait for the task that writes a stream. Waiting for readers is not in it: that task waits for
/// nobody, so more than that waits only when it gets no time on the processor.
pub const NOTES_MAX: usize = 16 * 1024;

/// What a stream is told.
#[derive(Clone, Debug)]
pub enum Note {
    /// The first: everything as it is.
    Opened {
        /// The picture.
        view: Arc<View>,
        /// From one heartbeat to the next.
        heartbeat: Duration,
    },
    /// A sign of life.
    Heartbeat,
    /// This happened since.
    Happened(Arc<Happened>),
}

/// What happened in one batch; written once in each codec, whoever reads it.
#[derive(Debug)]
pub struct Happened {
    events: Vec<Event>,
    json: OnceLock<Vec<Bytes>>,
    protobuf: OnceLock<Vec<Bytes>>,
}

impl Happened {
    /// These events, in this order.
    pub fn new(events: Vec<Event>) -> Self {
        Self { events, json: OnceLock::new(), protobuf: OnceLock::new() }
    }

    /// Each event as `write` writes it in that codec.
    pub fn records(&self, codec: Codec, write: impl Fn(&Event) -> Bytes) -> &[Bytes] {
        let records = match codec {
            Codec::Json => &self.json,
            Codec::Protobuf => &self.protobuf,
        };
        records.get_or_init(|| self.events.iter().map(write).collect())
    }
}

struct Entry {
    notes: mpsc::Sender<Note>,
    begun: bool,
}

/// All streams of one incarnation of the master.
pub(super) struct Streams {
    /// None once the core has ended.
    open: Mutex<Option<HashMap<StreamId, Entry>>>,
    next: AtomicU64,
    slow: Counter,
    to_core: mpsc::UnboundedSender<Input>,
}

impl Streams {
    /// None yet; the core is told of ends by `to_core`.
    pub fn new(to_core: mpsc::UnboundedSender<Input>) -> Self {
        Self {
            open: Mutex::new(Some(HashMap::new())),
            next: AtomicU64::new(0),
            slow: Counter::default(),
            to_core,
        }
    }

    /// The lock guards a plain map, whole between statements: a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<StreamId, Entry>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A further stream, and its number, by which the core is to be asked for it.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the core has ended.
    pub fn add(self: &Arc<Self>) -> Result<(StreamId, OperatorStream)> {
        let id = StreamId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, notes) = mpsc::channel(NOTES_MAX);
        let mut open = self.lock();
        let open = open.as_mut().ok_or_else(ended)?;
        open.insert(id, Entry { notes: sender, begun: false });
        Ok((id, OperatorStream { id, notes, streams: self.clone() }))
    }

    /// How many ended because what they are told could not be kept for them.
    pub fn slow(&self) -> &Counter {
        &self.slow
    }

    pub fn opened(&self, id: StreamId, view: Arc<View>, heartbeat: Duration) {
        if let Some(entry) = self.lock().as_mut().and_then(|open| open.get_mut(&id)) {
            entry.begun = true;
            // The first of many: it fails only when nobody waits for it any more.
            let _ = entry.notes.try_send(Note::Opened { view, heartbeat });
        }
    }

    pub fn heartbeat(&self, id: StreamId) {
        self.tell(|entry| *entry == id, &Note::Heartbeat);
    }

    pub fn happened(&self, events: Vec<Event>) {
        self.tell(|_| true, &Note::Happened(Arc::new(Happened::new(events))));
    }

    /// Tells those that have begun; who cannot take it has lost its stream.
    fn tell(&self, whom: impl Fn(&StreamId) -> bool, note: &Note) {
        let mut open = self.lock();
        let Some(open) = open.as_mut() else { return };
        open.retain(|id, entry| {
            if !entry.begun || !whom(id) {
                return true;
            }
            match entry.notes.try_send(note.clone()) {
                Ok(()) => true,
                Err(failed) => {
                    if matches!(failed, TrySendError::Full(_)) {
                        self.slow.inc();
                    }
                    self.tell_core(*id);
                    false
                }
            }
        });
    }

    /// Ends it after what was told before.
    pub fn close(&self, id: StreamId) {
        if let Some(open) = self.lock().as_mut() {
            open.remove(&id);
        }
    }

    /// The core has ended, and with it all streams.
    pub fn end(&self) {
        *self.lock() = None;
    }

    fn tell_core(&self, stream: StreamId) {
        // Fails only when the core has ended.
        let _ = self.to_core.send(Input::StreamClosed { stream });
    }
}

/// The reading side of a stream; the core forgets the stream when it is dropped.
pub struct OperatorStream {
    id: StreamId,
    notes: mpsc::Receiver<Note>,
    streams: Arc<Streams>,
}

impl OperatorStream {
    /// The next note; nothing when the stream has ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<Note> {
        self.notes.recv().await
    }

    /// Counts streams that ended because they were too slow.
    pub fn slow(&self) -> Counter {
        self.streams.slow.clone()
    }
}

impl Drop for OperatorStream {
    fn drop(&mut self) {
        self.streams.close(self.id);
        self.streams.tell_core(self.id);
    }
}

fn ended() -> Error {
    Error::new(Code::Unavailable, "this service is stopping or has lost its leadership")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(agent: &str) -> Vec<Event> {
        vec![Event::AgentRemoved(agent.into())]
    }

    fn streams() -> (Arc<Streams>, mpsc::UnboundedReceiver<Input>) {
        let (to_core, told) = mpsc::unbounded_channel();
        (Arc::new(Streams::new(to_core)), told)
    }

    fn begin(streams: &Arc<Streams>) -> OperatorStream {
        let (id, stream) = streams.add().unwrap();
        streams.opened(id, Arc::default(), Duration::from_secs(1));
        stream
    }

    fn ids(note: &Note) -> Vec<String> {
        let Note::Happened(happened) = note else { return vec![format!("{note:?}")] };
        let agent = |event: &Event| match event {
            Event::AgentRemoved(id) => Bytes::from(id.to_string()),
            other => panic!("{other:?}"),
        };
        let records = happened.records(Codec::Json, agent);
        records.iter().map(|r| String::from_utf8(r.to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn nothing_comes_before_the_picture() {
        let (streams, _told) = streams();
        let (id, mut stream) = streams.add().unwrap();
        streams.happened(removed("before"));
        streams.heartbeat(id);
        streams.opened(id, Arc::default(), Duration::from_secs(1));
        streams.happened(removed("after"));
        streams.heartbeat(id);
        streams.close(id);
        streams.happened(removed("too late"));
        assert!(matches!(stream.next().await, Some(Note::Opened { .. })));
        assert_eq!(ids(&stream.next().await.unwrap()), ["after"]);
        assert!(matches!(stream.next().await, Some(Note::Heartbeat)));
        assert!(stream.next().await.is_none(), "it has ended");
    }

    #[tokio::test]
    async fn one_that_takes_nothing_ends_and_the_others_go_on() {
        let (streams, mut told) = streams();
        let (mut stuck, mut other) = (begin(&streams), begin(&streams));
        assert!(matches!(other.next().await, Some(Note::Opened { .. })));
        for n in 0..NOTES_MAX {
            streams.happened(removed(&n.to_string()));
            assert_eq!(ids(&other.next().await.unwrap()), [n.to_string()]);
        }
        assert_eq!(streams.slow().get(), 1);
        let closed = told.try_recv().unwrap();
        assert!(matches!(closed, Input::StreamClosed { stream } if stream == stuck.id));
        let mut notes = 0;
        while stuck.next().await.is_some() {
            notes += 1;
        }
        assert_eq!(notes, NOTES_MAX, "what was taken is told");
    }

    #[tokio::test]
    async fn events_are_written_once_for_all_readers_of_a_codec() {
        let (streams, _told) = streams();
        let (mut one, mut two) = (begin(&streams), begin(&streams));
        streams.happened(removed("a"));
        let mut written = 0;
        for stream in [&mut one, &mut two] {
            stream.next().await.unwrap();
            let Some(Note::Happened(happened)) = stream.next().await else { panic!("no event") };
            let count = std::cell::Cell::new(0);
            happened.records(Codec::Json, |_| {
                count.set(count.get() + 1);
                Bytes::new()
            });
            written += count.get();
        }
        assert_eq!(written, 1);
    }

    #[tokio::test]
    async fn the_core_learns_of_a_reader_that_goes_and_readers_of_a_core_that_does() {
        let (streams, mut told) = streams();
        let gone = begin(&streams);
        let id = gone.id;
        drop(gone);
        let closed = told.try_recv().unwrap();
        assert!(matches!(closed, Input::StreamClosed { stream } if stream == id));
        let mut left = begin(&streams);
        streams.end();
        assert!(matches!(left.next().await, Some(Note::Opened { .. })));
        assert!(left.next().await.is_none());
        assert!(streams.add().is_err());
    }
}
