//! What this node asks of others: the log's transport, gossip, an agent's stream, a new certificate.

use super::agents;
use super::door::Door;
use super::frames::{BoxError, put, read_whole, stream, whole};
use super::handle::Link;
use super::local::AgentEnd;
use super::pair;
use super::peer::{Lane, Peer, post};
use super::serve::{CHUNK_BYTES_MAX, GOSSIP_BYTES_MAX, RAFT_BYTES_MAX};
use super::wire::{Renewed, Standing, TALK_BYTES_MAX, from_json, read_error, read_renewed};
use crate::base::error::{Code, Error, Result};
use crate::cluster::consensus::{self, Chunks, Transport};
use crate::cluster::identity::{NodeId, Trust, Usage, wall_now};
use bytes::{Bytes, BytesMut};
use hyper::body::Frame;

/// How much the list of removed nodes may take, in bytes: all that the registry remembers, many times over.
const STANDING_BYTES_MAX: usize = 1 << 20;

impl Peer {
    /// Sends gossip; it may be dropped on the way and at the other end.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the node cannot be reached, [`Code::Invalid`] for too large a message.
    pub async fn gossip(&self, message: Bytes) -> Result<()> {
        if message.len() > GOSSIP_BYTES_MAX {
            let cause = format!("gossip may have {GOSSIP_BYTES_MAX} bytes");
            return Err(Error::new(Code::Invalid, cause));
        }
        self.ask(Lane::Gossip, Door::Gossip, whole(message), TALK_BYTES_MAX).await.map(drop)
    }

    /// Connects this node's agent with the master that leads there.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the node cannot be reached or does not lead.
    pub async fn dial_agent(&self) -> Result<AgentEnd> {
        let (feed, body) = stream();
        let answer = self.send(Lane::Agent, post(Door::Agent, body)?).await?;
        let status = answer.status();
        if !status.is_success() {
            let body = read_whole(answer.into_body(), TALK_BYTES_MAX).await?;
            return Err(read_error(status.as_u16(), &body));
        }
        let (agent, master) = pair();
        let bad = self.link.0.counts.bad_messages.clone();
        tokio::spawn(agents::carry(master, answer.into_body(), feed, bad));
        Ok(agent)
    }

    /// Asks how this node stands with the cluster.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the node cannot be reached or does not have the log.
    pub async fn standing(&self) -> Result<Standing> {
        let asked = self.ask(Lane::Proxy, Door::Standing, whole(Vec::new()), STANDING_BYTES_MAX);
        from_json("how this node stands", &asked.await?)
    }

    /// Asks for a new certificate for this node's key. Any member can be asked, it passes the request on.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the node cannot be reached or nobody leads; [`Code::Forbidden`] when this node is not
    /// wanted any more.
    pub async fn renew(&self) -> Result<Renewed> {
        let own = self.link.0.credentials.borrow().certificate.clone();
        let body = whole(own.leaf);
        let answer = self.ask(Lane::Proxy, Door::Renew, body, TALK_BYTES_MAX).await?;
        let renewed = read_renewed(&answer)?;
        let trust = Trust { authorities: renewed.authorities.clone(), ..self.link.trust() };
        let member = trust.check(&renewed.certificate.leaf, Usage::Client, wall_now());
        let fits = member.is_ok_and(|member| {
            member.node == self.link.node() && member.cluster == self.link.cluster()
        });
        if !fits || renewed.certificate.node != own.node {
            return Err(Error::new(Code::Invalid, "the new certificate is not one for this node"));
        }
        Ok(renewed)
    }
}

impl Link {
    fn raft_peer(&self, to: &consensus::Peer) -> Peer {
        let node = NodeId(to.node);
        self.peer(&self.where_is(node, &to.address), Some(node))
    }
}

impl Transport for Link {
    fn call(
        &self,
        to: &consensus::Peer,
        lane: consensus::Lane,
        request: Vec<u8>,
    ) -> consensus::Sending {
        let peer = self.raft_peer(to);
        let door = match lane {
            consensus::Lane::Heartbeat => Door::RaftHeartbeat,
            consensus::Lane::Log | consensus::Lane::Snapshot => Door::RaftCall,
        };
        Box::pin(async move {
            let answer = peer.ask(lane.into(), door, whole(request), RAFT_BYTES_MAX).await?;
            Ok(answer.to_vec())
        })
    }

    fn send_snapshot(
        &self,
        to: &consensus::Peer,
        head: Vec<u8>,
        chunks: Chunks,
    ) -> consensus::Sending {
        let peer = self.raft_peer(to);
        Box::pin(async move {
            let (feed, body) = stream();
            // Chunks are read from the disk: on a thread that may wait.
            let reading = tokio::task::spawn_blocking(move || {
                for piece in std::iter::once(Ok(head)).chain(chunks) {
                    let mut out = BytesMut::new();
                    let framed = piece.and_then(|piece| put(&mut out, &piece, CHUNK_BYTES_MAX));
                    let piece = match &framed {
                        Ok(()) => Ok(Frame::data(out.freeze())),
                        Err(e) => Err(BoxError::from(e.to_string())),
                    };
                    if feed.blocking_send(piece).is_err() || framed.is_err() {
                        return framed;
                    }
                }
                Ok(())
            });
            let answer = peer.ask(Lane::Snapshot, Door::RaftSnapshot, body, RAFT_BYTES_MAX).await;
            match answer {
                Ok(answer) => Ok(answer.to_vec()),
                // What failed on this side is the better reason.
                Err(e) => match reading.await {
                    Ok(Err(own)) => Err(own),
                    _ => Err(e),
                },
            }
        })
    }
}
