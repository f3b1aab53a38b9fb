//! Agents' streams: a [`Connection`] of messages carried over one request, whose body goes one way and whose answer's body
//! goes the other. A side that does not read makes the other side's queue fill up, as within one process; bytes on the way
//! are bounded by the stream's window.

use super::Connection;
use super::doors::AgentDoor;
use super::frames::{Body, BoxError, Feed, Frames, put, stream};
use super::listen::Session;
use super::pair;
use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::Member;
use crate::mesos::codec::Codec;
use crate::telemetry::Counter;
use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use prost::{Message, Name};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

/// The largest message, in bytes: an agent with thousands of tasks registers with all of them.
pub const AGENT_MESSAGE_BYTES_MAX: usize = 64 << 20;
/// How many messages are taken together.
const TOGETHER_MAX: usize = 256;
/// From how many bytes on messages that are taken together are sent.
const TOGETHER_BYTES: usize = 64 << 10;
/// How many messages in a row may be unreadable before the stream is given up.
const UNREADABLE_MAX: usize = 16;

/// Takes an agent's stream.
pub(super) fn accept(
    session: &Session,
    member: &Member,
    agents: &dyn AgentDoor,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let (agent, master) = pair();
    agents.accept(member.node, master)?;
    let (feed, body) = stream();
    tokio::spawn(carry(
        agent,
        request.into_body(),
        feed,
        session.link.0.counts.bad_messages.clone(),
    ));
    Ok(Response::new(body))
}

/// Carries messages between an end and the network until both ways are over, or one breaks. What was sent before an end
/// was dropped still arrives.
pub(super) async fn carry<O, I>(end: Connection<O, I>, body: Incoming, feed: Feed, bad: Counter)
where
    O: Message + Name + Default + DeserializeOwned + 'static,
    I: Message + Name + Default + Serialize + 'static,
{
    let Connection { sender, receiver } = end;
    let inwards = take(body, sender.queue, bad);
    let outwards = give(receiver, feed);
    let (mut inwards, mut outwards) = (std::pin::pin!(inwards), std::pin::pin!(outwards));
    let (mut more_in, mut more_out) = (true, true);
    while more_in || more_out {
        let over = tokio::select! {
            ended = inwards.as_mut(), if more_in => {
                more_in = false;
                ended
            }
            ended = outwards.as_mut(), if more_out => {
                more_out = false;
                ended
            }
        };
        if let Err(e) = over {
            tracing::debug!("an agent's stream ended: {e}");
            return;
        }
    }
}

/// From the network into the queue; waits while it is full.
async fn take<M>(body: Incoming, queue: mpsc::Sender<M>, bad: Counter) -> Result<()>
where
    M: Message + Name + Default + DeserializeOwned,
{
    let mut frames = Frames::new(body, AGENT_MESSAGE_BYTES_MAX);
    let mut unreadable = 0;
    while let Some(bytes) = frames.next().await? {
        match Codec::Protobuf.decode::<M>(&bytes) {
            Ok(message) => {
                unreadable = 0;
                let gone = |_| Error::new(Code::Unavailable, "nobody takes messages here any more");
                queue.send(message).await.map_err(gone)?;
            }
            // Of a newer version, or damaged by a defect: one message is lost, as it may be at any time.
            Err(e) => {
                bad.inc();
                unreadable += 1;
                tracing::warn!("a message on an agent's stream was dropped: {e}");
                if unreadable > UNREADABLE_MAX {
                    return Err(Error::new(Code::Invalid, "too many messages cannot be read"));
                }
            }
        }
    }
    Ok(())
}

/// From the queue to the network; what waits is sent together.
async fn give<M: Message>(mut queue: mpsc::Receiver<M>, feed: Feed) -> Result<()> {
    let mut waiting = Vec::new();
    let mut out = BytesMut::new();
    loop {
        let taken = tokio::select! {
            taken = queue.recv_many(&mut waiting, TOGETHER_MAX) => taken,
            () = feed.closed() => return Err(gone()),
        };
        if taken == 0 {
            return Ok(());
        }
        for message in waiting.drain(..) {
            if let Err(e) = put(&mut out, &message.encode_to_vec(), AGENT_MESSAGE_BYTES_MAX) {
                // The other side must not take the stream for whole.
                let broken: BoxError = e.to_string().into();
                let _ = feed.send(Err(broken)).await;
                return Err(e);
            }
            if out.len() >= TOGETHER_BYTES {
                send(&feed, out.split().freeze()).await?;
            }
        }
        if !out.is_empty() {
            send(&feed, out.split().freeze()).await?;
        }
    }
}

async fn send(feed: &Feed, bytes: Bytes) -> Result<()> {
    feed.send(Ok(Frame::data(bytes))).await.map_err(|_| gone())
}

fn gone() -> Error {
    Error::new(Code::Unavailable, "the connection is gone")
}
