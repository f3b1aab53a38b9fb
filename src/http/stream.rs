//! Event streams: records handed over without waiting, bounded by bytes, each flushed as a chunk of
//! its own.
//!
//! A subscriber that does not read fast enough loses its stream, never the sender its time.

use crate::mesos::recordio;
use crate::telemetry::Counter;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// How many bytes may wait for one subscriber, unless its owner says otherwise.
pub const STREAM_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What each record costs beside its bytes, so that empty ones are bounded too.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// How records are set apart from one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Length, newline, record.
    RecordIo,
    /// The record is a server-sent event already, with its blank line.
    Raw,
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too much is waiting: the subscriber reads too slowly, and the stream has ended.
    #[error("the subscriber reads too slowly")]
    Overflow,
    /// The subscriber has gone, or the stream has ended.
    #[error("the subscriber has gone")]
    Closed,
}

#[derive(Debug, Default)]
struct Queue {
    /// Comes before all records, and is not counted: it may be larger than the limit.
    first: Option<Bytes>,
    records: VecDeque<Bytes>,
    bytes: usize,
    /// No further record will come.
    ended: bool,
    /// Nobody will read any more.
    gone: bool,
    senders: usize,
    reader: Option<Waker>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    closed: Notify,
    limit: usize,
    framing: Framing,
    overflows: Counter,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while holding the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, discard: bool) {
        let mut queue = self.lock();
        queue.ended = true;
        if discard {
            queue.records.clear();
            queue.bytes = 0;
        }
        let reader = queue.reader.take();
        drop(queue);
        self.closed.notify_waiters();
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// The sending side; clones share the stream, and the last one to go ends it after what is waiting.
#[derive(Debug)]
pub struct EventSender(Arc<Shared>);

/// The reading side, to be put into a response.
#[derive(Debug)]
pub struct EventBody(Arc<Shared>);

/// A stream that holds at most `limit` bytes for its reader; `overflows` counts those that ended by
/// it.
pub fn event_stream(
    framing: Framing,
    limit: usize,
    overflows: Counter,
) -> (EventSender, EventBody) {
    let queue = Mutex::new(Queue { senders: 1, ..Queue::default() });
    let shared = Arc::new(Shared { queue, closed: Notify::new(), limit, framing, overflows });
    (EventSender(shared.clone()), EventBody(shared))
}

/// A record framed once, for [`EventSender::send_framed`] to many subscribers.
pub fn framed(record: &[u8]) -> Bytes {
    recordio::frame(record).into()
}

impl EventSender {
    /// Hands a record over, framed as the stream is. Never waits.
    ///
    /// # Errors
    /// [`SendError`]; the stream has then ended.
    pub fn send(&self, record: Bytes) -> Result<(), SendError> {
        match self.0.framing {
            Framing::RecordIo => self.send_framed(framed(&record)),
            Framing::Raw => self.send_framed(record),
        }
    }

    /// Hands a record over that is framed already.
    ///
    /// # Errors
    /// [`SendError`]; the stream has then ended.
    pub fn send_framed(&self, record: Bytes) -> Result<(), SendError> {
        let mut queue = self.0.lock();
        if queue.gone || queue.ended {
            return Err(SendError::Closed);
        }
        let cost = record.len() + RECORD_OVERHEAD_BYTES;
        if queue.bytes + cost > self.0.limit {
            drop(queue);
            self.0.overflows.inc();
            self.0.end(true);
            return Err(SendError::Overflow);
        }
        queue.bytes += cost;
        queue.records.push_back(record);
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    /// Ends the stream after what is waiting, whoever else holds a sender.
    pub fn finish(&self) {
        self.0.end(false);
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        let queue = self.0.lock();
        queue.gone || queue.ended
    }

    /// Waits until the subscriber has gone or the stream has ended.
    pub async fn closed(&self) {
        loop {
            let mut notified = std::pin::pin!(self.0.closed.notified());
            // Registered before looking, so that no notice is lost in between.
            notified.as_mut().enable();
            if self.is_closed() {
                return;
            }
            notified.await;
        }
    }

    /// How many bytes wait for the subscriber, with what each record costs.
    pub fn waiting_bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

impl Clone for EventSender {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(self.0.clone())
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.senders -= 1;
        let last = queue.senders == 0;
        drop(queue);
        if last {
            self.0.end(false);
        }
    }
}

impl EventBody {
    /// The same with a record before all others, framed already, that does not count against the limit: what everything
    /// else follows on may be larger than all that may wait.
    #[must_use]
    pub fn after(self, first: Bytes) -> Self {
        self.0.lock().first = Some(first);
        self
    }

    /// 200 with this body and that `Content-Type`; neither compressed nor cached.
    pub fn into_response(self, content_type: &'static str) -> Response {
        let mut response = Response::new(Body::new(self));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut queue = self.0.lock();
        if let Some(first) = queue.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Some(record) = queue.records.pop_front() {
            queue.bytes = queue.bytes.saturating_sub(record.len() + RECORD_OVERHEAD_BYTES);
            return Poll::Ready(Some(Ok(Frame::data(record))));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        queue.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        // Unknown: the body is chunked.
        SizeHint::default()
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.gone = true;
        queue.first = None;
        queue.records.clear();
        queue.bytes = 0;
        drop(queue);
        self.0.closed.notify_waiters();
    }
}

/// One server-sent event: its name, if any, and its data, whose lines are kept.
pub fn sse_event(name: Option<&str>, data: &str) -> Bytes {
    let mut out = String::with_capacity(data.len() + 32);
    if let Some(name) = name {
        out.push_str("event: ");
        // A line break would begin another field.
        out.extend(name.chars().filter(|c| !c.is_control()));
        out.push('\n');
    }
    for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::time::Duration;
    use tokio::time::timeout;

    fn stream(limit: usize) -> (EventSender, EventBody, Counter) {
        let overflows = Counter::default();
        let (sender, body) = event_stream(Framing::RecordIo, limit, overflows.clone());
        (sender, body, overflows)
    }

    async fn next(body: &mut EventBody) -> Option<Bytes> {
        let frame = timeout(Duration::from_secs(5), body.frame()).await.unwrap();
        frame.map(|f| f.unwrap().into_data().unwrap())
    }

    #[tokio::test]
    async fn each_record_is_a_frame_and_the_last_sender_ends_it() {
        let (sender, mut body, _) = stream(1000);
        let other = sender.clone();
        sender.send(Bytes::from_static(b"{}")).unwrap();
        other.send(Bytes::from_static(b"abc")).unwrap();
        drop(sender);
        assert_eq!(next(&mut body).await.unwrap(), "2\n{}");
        assert!(!other.is_closed());
        drop(other);
        assert_eq!(next(&mut body).await.unwrap(), "3\nabc");
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn a_slow_reader_loses_the_stream_not_the_sender_its_time() {
        let (sender, mut body, overflows) = stream(400);
        let record = Bytes::from(vec![b'x'; 100]);
        assert_eq!(sender.send(record.clone()), Ok(()));
        assert_eq!(sender.send(record.clone()), Ok(()));
        assert!(sender.waiting_bytes() <= 400);
        assert_eq!(sender.send(record.clone()), Err(SendError::Overflow));
        assert_eq!(sender.send(record), Err(SendError::Closed));
        assert_eq!(overflows.get(), 1);
        assert_eq!(next(&mut body).await, None, "what waited is dropped and the stream ends");
        timeout(Duration::from_secs(5), sender.closed()).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_record_may_be_larger_than_all_that_may_wait() {
        let (sender, body, overflows) = stream(200);
        let mut body = body.after(framed(&vec![b'x'; 1000]));
        sender.send(Bytes::from_static(b"{}")).unwrap();
        assert_eq!(next(&mut body).await.unwrap().len(), 1005);
        assert_eq!(next(&mut body).await.unwrap(), "2\n{}");
        assert_eq!((overflows.get(), sender.waiting_bytes()), (0, 0));
    }

    #[tokio::test]
    async fn room_comes_back_as_the_reader_reads() {
        let (sender, mut body, overflows) = stream(200);
        for _ in 0..50 {
            sender.send(Bytes::from(vec![b'x'; 100])).unwrap();
            next(&mut body).await.unwrap();
        }
        assert_eq!((overflows.get(), sender.waiting_bytes()), (0, 0));
    }

    #[tokio::test]
    async fn the_sender_sees_the_reader_go() {
        let (sender, body, _) = stream(1000);
        let watch = tokio::spawn({
            let sender = sender.clone();
            async move { sender.closed().await }
        });
        tokio::task::yield_now().await;
        drop(body);
        timeout(Duration::from_secs(5), watch).await.unwrap().unwrap();
        assert_eq!(sender.send(Bytes::new()), Err(SendError::Closed));
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken_by_records_and_by_the_end() {
        let (sender, mut body, _) = stream(1000);
        let reader = tokio::spawn(async move { (next(&mut body).await, next(&mut body).await) });
        tokio::task::yield_now().await;
        sender.send(Bytes::from_static(b"a")).unwrap();
        tokio::task::yield_now().await;
        sender.finish();
        let got = timeout(Duration::from_secs(5), reader).await.unwrap().unwrap();
        assert_eq!(got, (Some(Bytes::from_static(b"1\na")), None));
    }

    #[test]
    fn server_sent_events_keep_their_lines() {
        assert_eq!(
            sse_event(Some("a\nb"), "x\r\ny\rz"),
            "event: ab\ndata: x\ndata: y\ndata: z\n\n"
        );
        assert_eq!(sse_event(None, ""), "data: \n\n");
    }
}
