//! The queue of events between a server and one subscriber, bounded by encoded bytes.
//!
//! Sending never waits. A reader that falls behind by more than the limit loses its subscription, not single events:
//! a framework that missed an event must subscribe again and reconcile, so nothing after the gap is delivered.

use prost::Message;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How many encoded bytes of events may wait for one subscriber.
pub const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What all queues of one server have in common: the limit and what was counted.
#[derive(Debug)]
pub struct QueueStats {
    overflows: AtomicU64,
}

impl QueueStats {
    /// Nothing counted yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { overflows: AtomicU64::new(0) })
    }

    /// How many subscriptions were ended because their reader was too slow.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }
}

/// Why a subscription is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server closed it; all events before were delivered.
    Closed,
    /// The reader was too slow; events were lost.
    Overflow,
    /// The reader is gone.
    Gone,
}

/// An event was not taken because the subscription is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended(pub End);

struct State<E> {
    events: VecDeque<(usize, Arc<E>)>,
    bytes: usize,
    end: Option<End>,
}

struct Shared<E> {
    state: Mutex<State<E>>,
    bytes_max: usize,
    stats: Arc<QueueStats>,
    readable: Notify,
    ended: Notify,
}

impl<E> Shared<E> {
    /// The lock guards plain data, which is whole between statements: a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, end: End) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(end);
            if end != End::Closed {
                state.events.clear();
                state.bytes = 0;
            }
        }
        drop(state);
        self.readable.notify_one();
        self.ended.notify_waiters();
    }
}

/// The server's side of a subscription.
pub struct EventSender<E>(Arc<Shared<E>>);

/// The subscriber's side.
pub struct EventReceiver<E>(Arc<Shared<E>>);

/// A queue that holds at most `bytes_max` encoded bytes (but always one event, however large).
pub fn queue<E: Message>(
    bytes_max: usize,
    stats: &Arc<QueueStats>,
) -> (EventSender<E>, EventReceiver<E>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State { events: VecDeque::new(), bytes: 0, end: None }),
        bytes_max,
        stats: stats.clone(),
        readable: Notify::new(),
        ended: Notify::new(),
    });
    (EventSender(shared.clone()), EventReceiver(shared))
}

impl<E: Message> EventSender<E> {
    /// Queues an event.
    ///
    /// # Errors
    /// [`Ended`]: the subscription is over; with [`End::Overflow`] possibly by this very event.
    pub fn send(&self, event: Arc<E>) -> Result<(), Ended> {
        let size = event.encoded_len();
        let mut state = self.0.lock();
        if let Some(end) = state.end {
            return Err(Ended(end));
        }
        if !state.events.is_empty() && state.bytes + size > self.0.bytes_max {
            drop(state);
            self.0.stats.overflows.fetch_add(1, Ordering::Relaxed);
            self.0.end(End::Overflow);
            return Err(Ended(End::Overflow));
        }
        state.bytes += size;
        state.events.push_back((size, event));
        drop(state);
        self.0.readable.notify_one();
        Ok(())
    }
}

impl<E> EventSender<E> {
    /// Ends the subscription after what was sent before.
    pub fn close(&self) {
        self.0.end(End::Closed);
    }

    /// Waits until the subscription is over, whoever ended it.
    pub async fn ended(&self) -> End {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if let Some(end) = self.0.lock().end {
                return end;
            }
            ended.await;
        }
    }

    /// How many encoded bytes wait.
    pub fn bytes_waiting(&self) -> usize {
        self.0.lock().bytes
    }
}

impl<E> Drop for EventSender<E> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<E> EventReceiver<E> {
    /// The next event, or why there will be none. Safe to cancel.
    ///
    /// # Errors
    /// The [`End`] of the subscription, the same for ever after.
    pub async fn next(&mut self) -> Result<Arc<E>, End> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some((size, event)) = state.events.pop_front() {
                    state.bytes -= size;
                    return Ok(event);
                }
                if let Some(end) = state.end {
                    return Err(end);
                }
            }
            // A permit stored by `notify_one` between the check and here is not lost.
            self.0.readable.notified().await;
        }
    }
}

impl<E> Drop for EventReceiver<E> {
    fn drop(&mut self) {
        self.0.end(End::Gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos::v1::scheduler::{Event, event};

    fn event(size: usize) -> Arc<Event> {
        let message = "x".repeat(size);
        Arc::new(Event { error: Some(event::Error { message }), ..Default::default() })
    }

    #[tokio::test]
    async fn delivers_in_order_and_then_the_end() {
        let (tx, mut rx) = queue::<Event>(1000, &QueueStats::new());
        tx.send(event(1)).unwrap();
        tx.send(event(2)).unwrap();
        tx.close();
        assert_eq!(tx.send(event(3)), Err(Ended(End::Closed)));
        assert_eq!(rx.next().await.unwrap(), event(1));
        assert_eq!(rx.next().await.unwrap(), event(2));
        assert_eq!(rx.next().await, Err(End::Closed));
    }

    #[tokio::test]
    async fn overflow_ends_the_subscription_and_is_counted() {
        let stats = QueueStats::new();
        let (tx, mut rx) = queue::<Event>(300, &stats);
        tx.send(event(200)).unwrap();
        assert_eq!(tx.send(event(200)), Err(Ended(End::Overflow)));
        assert_eq!(tx.send(event(1)), Err(Ended(End::Overflow)));
        assert_eq!((stats.overflows(), tx.bytes_waiting()), (1, 0));
        assert_eq!(rx.next().await, Err(End::Overflow));
        assert_eq!(tx.ended().await, End::Overflow);
    }

    #[tokio::test]
    async fn one_event_larger_than_the_limit_passes() {
        let (tx, mut rx) = queue::<Event>(10, &QueueStats::new());
        tx.send(event(500)).unwrap();
        assert!(rx.next().await.is_ok());
        assert_eq!(tx.bytes_waiting(), 0);
    }

    #[tokio::test]
    async fn the_server_learns_that_the_reader_is_gone() {
        let (tx, rx) = queue::<Event>(10, &QueueStats::new());
        let waiting = tokio::spawn(async move { tx.ended().await });
        drop(rx);
        assert_eq!(waiting.await.unwrap(), End::Gone);
    }

    #[tokio::test]
    async fn a_dropped_sender_wakes_the_reader() {
        let (tx, mut rx) = queue::<Event>(10, &QueueStats::new());
        let reader = tokio::spawn(async move { rx.next().await });
        drop(tx);
        assert_eq!(reader.await.unwrap(), Err(End::Closed));
    }
}
