//! The way to other nodes: openraft's network traits on a small transport of bytes.

use super::snapshot::Chunks;
use super::types::{SnapshotMeta, Types, Vote};
use super::wire::{self, Envelope, Request, Response, SnapshotForm};
use crate::base::error::{Code, Error, Result};
use openraft::alias::SnapshotOf;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a follower may take over entries at the least: its disk's sync is part of it. The library would have it in less
/// than a heartbeat, which is too short for a slow disk and ends never for a large entry on a slow network. Heartbeats go
/// another way, so nobody takes the leader for dead meanwhile.
const APPEND_TIMEOUT: Duration = Duration::from_secs(1);
/// How much longer for each MiB of entries.
const APPEND_MIB_TIMEOUT: Duration = Duration::from_secs(1);
/// How many times as long it may take in the end. What did not arrive in time is sent again as a whole, and gets twice the
/// time: on a network that is slower than that it would never arrive.
const PATIENCE_MAX: u32 = 8;

/// Which connection a request goes over: heartbeats never wait behind entries, entries never behind
/// snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Log entries and votes.
    Log,
    /// Signs of life.
    Heartbeat,
    /// Whole states.
    Snapshot,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub node: u64,
    /// Where it is reached, `host:port`.
    pub address: String,
}

/// A future of a transport.
pub type Sending = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + Send>>;

/// Carries requests to other nodes and their responses back. The other side gives the bytes to its
/// [`Inbox`](super::Inbox). A transport knows nothing of what they say; its callers limit the time.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request. `Code::Unavailable` says that the node cannot be reached at all.
    fn call(&self, to: &Peer, lane: Lane, request: Vec<u8>) -> Sending;

    /// Sends a snapshot: a head, then its chunks.
    fn send_snapshot(&self, to: &Peer, head: Vec<u8>, chunks: Chunks) -> Sending;
}

/// Makes ways to nodes.
pub(super) struct Factory {
    pub cluster: u64,
    pub transport: Option<Arc<dyn Transport>>,
}

impl Factory {
    fn way(&self, node: u64, to: &BasicNode, lane: Lane) -> Way {
        let peer = Peer { node, address: to.addr.clone() };
        let transport = self.transport.clone();
        Way { cluster: self.cluster, peer, lane, transport, patience: 1 }
    }
}

impl RaftNetworkFactory<Types> for Factory {
    type Network = Way;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Way {
        self.way(target, node, Lane::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &BasicNode) -> Way {
        self.way(target, node, Lane::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &BasicNode) -> Way {
        self.way(target, node, Lane::Snapshot)
    }
}

/// The way to one node.
pub(super) struct Way {
    cluster: u64,
    peer: Peer,
    lane: Lane,
    transport: Option<Arc<dyn Transport>>,
    /// How many times the usual time entries get.
    patience: u32,
}

impl Way {
    fn transport(&self) -> Result<&Arc<dyn Transport>> {
        let none = || Error::new(Code::Unavailable, "this node has no way to other nodes");
        self.transport.as_ref().ok_or_else(none)
    }

    fn envelope(&self, request: Request) -> Result<Vec<u8>> {
        wire::encode(&Envelope { cluster: self.cluster, to: self.peer.node, request })
    }

    async fn ask(&self, request: Request, within: Duration) -> Result<Response> {
        let bytes = self.envelope(request)?;
        self.ask_bytes(bytes, within).await
    }

    async fn append(&mut self, request: Request, within: Duration) -> Result<Response> {
        let bytes = self.envelope(request)?;
        let mib = u32::try_from(bytes.len() >> 20).unwrap_or(u32::MAX);
        let usual = APPEND_TIMEOUT + APPEND_MIB_TIMEOUT.saturating_mul(mib);
        let start = Instant::now();
        let answer = self.ask_bytes(bytes, within.max(usual.saturating_mul(self.patience))).await;
        match &answer {
            Err(e) if e.code == Code::Timeout => {
                self.patience = (self.patience * 2).min(PATIENCE_MAX);
            }
            Ok(_) if start.elapsed() < usual => self.patience = 1,
            _ => {}
        }
        answer
    }

    async fn ask_bytes(&self, bytes: Vec<u8>, within: Duration) -> Result<Response> {
        let answer = self.transport()?.call(&self.peer, self.lane, bytes);
        wire::decode_response(&in_time(answer, within).await?)
    }

    async fn snapshot(&self, vote: Vote, meta: &SnapshotMeta, chunks: Chunks) -> Result<Response> {
        let head = self.envelope(Request::Snapshot(SnapshotForm::new(vote, meta)))?;
        let answer = self.transport()?.send_snapshot(&self.peer, head, chunks);
        wire::decode_response(&answer.await?)
    }
}

async fn in_time(answer: Sending, within: Duration) -> Result<Vec<u8>> {
    tokio::time::timeout(within, answer)
        .await
        .unwrap_or_else(|_| Err(Error::new(Code::Timeout, format!("no answer in {within:?}"))))
}

/// A failed request as openraft sees it: unreachable nodes are tried again later, others at once.
fn rpc(e: Error) -> RPCError<Types> {
    match e.code {
        Code::Unavailable => RPCError::Unreachable(Unreachable::new(&e)),
        _ => RPCError::Network(NetworkError::new(&e)),
    }
}

impl RaftNetworkV2<Types> for Way {
    type SnapshotData = Chunks;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> std::result::Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        match self.append(Request::Append((&request).into()), option.soft_ttl()).await {
            Ok(Response::Append(answer)) => Ok(answer.into()),
            Ok(_) => Err(rpc(Response::unfitting())),
            Err(e) => Err(rpc(e)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> std::result::Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask(Request::Vote((&request).into()), option.soft_ttl()).await {
            Ok(Response::Vote(answer)) => Ok(answer.into()),
            Ok(_) => Err(rpc(Response::unfitting())),
            Err(e) => Err(rpc(e)),
        }
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> std::result::Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask(Request::PreVote((&request).into()), option.soft_ttl()).await {
            Ok(Response::Vote(answer)) => Ok(answer.into()),
            Ok(_) => Err(rpc(Response::unfitting())),
            Err(e) => Err(rpc(e)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<Types, Chunks>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> std::result::Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let sent = self.snapshot(vote, &snapshot.meta, snapshot.snapshot);
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = sent => match sent {
                Ok(Response::Snapshot(vote)) => Ok(SnapshotResponse::new(vote.into())),
                Ok(_) => Err(StreamingError::Network(NetworkError::new(&Response::unfitting()))),
                Err(e) if e.code == Code::Unavailable => {
                    Err(StreamingError::Unreachable(Unreachable::new(&e)))
                }
                Err(e) => Err(StreamingError::Network(NetworkError::new(&e))),
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> std::result::Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self.ask(Request::Transfer((&request).into()), option.soft_ttl()).await {
            Ok(Response::Transfer(answer)) => Ok(wire::transfer_response(answer)),
            Ok(_) => Err(rpc(Response::unfitting())),
            Err(e) => Err(rpc(e)),
        }
    }
}
