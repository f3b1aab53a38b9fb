//! How frames leave: through a [`Courier`], never in the way of gossip itself.
//!
//! A node that does not answer must not hold up what goes to others: at most [`TO_ONE_MAX`] frames are on the way to
//! one address and [`ON_THE_WAY_MAX`] in all, each for at most [`SEND_TIMEOUT`]. What does not fit is dropped and
//! counted: gossip repeats itself.

use super::counts::Counts;
use crate::base::error::Result;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How many frames may wait to be handed to the courier.
const OUTBOX_MAX: usize = 256;
/// How many may be on the way.
const ON_THE_WAY_MAX: usize = 64;
/// How many to one address.
const TO_ONE_MAX: usize = 2;
/// How long one may be on the way.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// A frame on its way.
pub type Sending = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Brings frames to other nodes.
pub trait Courier: Send + Sync + 'static {
    /// Brings a frame to the node at that address, into its [`Inbox`](super::Inbox). It may be lost on the way.
    fn send(&self, to: SocketAddr, frame: Bytes) -> Sending;
}

/// The queue before the courier.
#[derive(Clone)]
pub(super) struct Outbox {
    queue: mpsc::Sender<(SocketAddr, Bytes)>,
    counts: Counts,
}

impl Outbox {
    /// Starts the task that hands over; it ends with the last handle.
    pub(super) fn start(courier: Arc<dyn Courier>, counts: &Counts) -> Self {
        let (queue, frames) = mpsc::channel(OUTBOX_MAX);
        tokio::spawn(hand_over(frames, courier, counts.clone()));
        Self { queue, counts: counts.clone() }
    }

    /// Sends, or drops and counts.
    pub(super) fn send(&self, to: SocketAddr, frame: Bytes) {
        if self.queue.try_send((to, frame)).is_err() {
            self.counts.outbox_overflows.inc();
        }
    }
}

async fn hand_over(
    mut frames: mpsc::Receiver<(SocketAddr, Bytes)>,
    courier: Arc<dyn Courier>,
    counts: Counts,
) {
    let mut on_the_way = FuturesUnordered::new();
    let mut to_one: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    loop {
        tokio::select! {
            frame = frames.recv(), if on_the_way.len() < ON_THE_WAY_MAX => {
                let Some((to, frame)) = frame else { return };
                let there = to_one.entry(to).or_default();
                if *there >= TO_ONE_MAX {
                    counts.outbox_overflows.inc();
                    continue;
                }
                *there += 1;
                counts.sent.inc();
                counts.sent_bytes.add(frame.len() as u64);
                let sending = tokio::time::timeout(SEND_TIMEOUT, courier.send(to, frame));
                on_the_way.push(async move { (to, matches!(sending.await, Ok(Ok(())))) });
            }
            Some((to, arrived)) = on_the_way.next() => {
                if !arrived {
                    counts.undelivered.inc();
                }
                match to_one.get_mut(&to) {
                    Some(there) if *there > 1 => *there -= 1,
                    _ => drop(to_one.remove(&to)),
                }
            }
        }
    }
}
