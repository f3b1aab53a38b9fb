//! The library's sockets, made of an inbox and an outbox.
//!
//! Everything that comes in is judged here, before the library sees it: it must be a frame of this cluster in its
//! sender's name, and name no more nodes than there is room for.

use super::counts::Counts;
use super::courier::Outbox;
use super::frame::{Content, Frame, outline};
use super::roster::Roster;
use super::{FRAME_BYTES_MAX, Refusal};
use async_trait::async_trait;
use bytes::Bytes;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatMessage, Deserializable as _, Serializable as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// How many frames may wait to be read.
pub const INBOX_MAX: usize = 256;

/// What came in: who the link says it is from, and the frame.
pub(super) type Arrived = (Option<u64>, Bytes);
type Queue = mpsc::Sender<Arrived>;

/// Where the link puts what other nodes send. Clones are the same one; it outlives the tasks that read it.
#[derive(Clone)]
pub struct Inbox {
    /// The queue of the socket that is open now.
    queue: Arc<Mutex<Option<Queue>>>,
    counts: Counts,
}

impl Inbox {
    pub(super) fn new(counts: &Counts) -> Self {
        Self { queue: Arc::default(), counts: counts.clone() }
    }

    /// Takes a frame in. `from` is the node that the link knows it to come from, by its certificate: frames in
    /// another name are dropped. Answers whether there was room; what was dropped is counted.
    pub fn put(&self, from: Option<u64>, frame: Bytes) -> bool {
        if frame.len() > FRAME_BYTES_MAX {
            self.counts.garbage.inc();
            return false;
        }
        let bytes = frame.len() as u64;
        let taken = self.lock().as_ref().is_some_and(|q| q.try_send((from, frame)).is_ok());
        if taken {
            self.counts.received.inc();
            self.counts.received_bytes.add(bytes);
        } else {
            self.counts.inbox_overflows.inc();
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Option<Queue>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes sockets for the library: one at a time reads the inbox.
#[derive(Clone)]
pub(super) struct Sockets {
    pub(super) cluster: u64,
    pub(super) node: u64,
    pub(super) address: SocketAddr,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) roster: Roster,
    pub(super) refused: watch::Sender<Option<Refusal>>,
    pub(super) counts: Counts,
}

#[async_trait]
impl Transport for Sockets {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        Ok(Box::new(Open { frames: self.listen(), with: self.clone() }))
    }
}

struct Open {
    frames: mpsc::Receiver<Arrived>,
    with: Sockets,
}

#[async_trait]
impl Socket for Open {
    /// Never waits, and never fails: what cannot be sent is counted.
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let message = Content::Message(message.serialize_to_vec().into());
        self.with.send(to, message);
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            // Another socket reads the inbox now: this one is of no more use.
            let next = self.frames.recv().await;
            let (from, bytes) = next.ok_or_else(|| anyhow::anyhow!("the inbox was taken over"))?;
            if let Some(message) = self.with.read(from, &bytes) {
                return Ok(message);
            }
        }
    }
}

impl Sockets {
    /// Takes the inbox over.
    pub(super) fn listen(&self) -> mpsc::Receiver<Arrived> {
        let (queue, frames) = mpsc::channel(INBOX_MAX);
        *self.inbox.lock() = Some(queue);
        frames
    }

    fn send(&self, to: SocketAddr, content: Content) {
        let (cluster, sender, address) = (self.cluster, self.node, self.address);
        self.outbox.send(to, Frame { cluster, sender, address, content }.encode());
    }

    /// The message in a frame; none: it was dropped, and counted.
    pub(super) fn read(
        &self,
        from: Option<u64>,
        bytes: &Bytes,
    ) -> Option<(SocketAddr, ChitchatMessage)> {
        let counts = &self.counts;
        let Some(frame) = Frame::decode(bytes) else {
            counts.garbage.inc();
            return None;
        };
        if frame.cluster != self.cluster {
            counts.foreign.inc();
            return None;
        }
        if frame.sender == self.node || from.is_some_and(|from| from != frame.sender) {
            counts.forged.inc();
            return None;
        }
        let message = match &frame.content {
            Content::Message(message) => message,
            Content::NoRoom => {
                self.refused.send_replace(Some(Refusal::no_room(frame.sender)));
                return None;
            }
        };
        let Some(outline) = outline(message) else {
            counts.garbage.inc();
            return None;
        };
        if !self.roster.admit(frame.sender, &outline.names) {
            counts.refused.inc();
            if outline.opens {
                self.send(frame.address, Content::NoRoom);
            }
            return None;
        }
        let Ok(message) = ChitchatMessage::deserialize(&mut &message[..]) else {
            counts.garbage.inc();
            return None;
        };
        if self.refused.borrow().is_some() {
            self.refused.send_replace(None);
        }
        Some((frame.address, message))
    }
}
