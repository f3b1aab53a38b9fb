//! The receiving side: what other nodes ask of this one.

use super::snapshot::{self, Chunks};
use super::types::Raft;
use super::wire::{self, Envelope, Request, Response};
use crate::base::error::{Code, Error, Result};
use openraft::storage::Snapshot;

/// Takes the requests that a transport brings from other nodes. The transport has made sure that
/// they come from members of the cluster.
#[derive(Clone)]
pub struct Inbox {
    pub(super) raft: Raft,
    pub(super) cluster: u64,
    pub(super) node: u64,
}

impl Inbox {
    /// Answers a request.
    ///
    /// # Errors
    /// [`Code::Invalid`] for bytes that are no request, [`Code::Forbidden`] when it is meant for
    /// another cluster or node, [`Code::Unavailable`] when this node is stopping or its database
    /// has failed.
    pub async fn handle(&self, request: &[u8]) -> Result<Vec<u8>> {
        let response = match self.open(request)? {
            Request::Append(form) => {
                let answer = self.raft.append_entries(form.into_request()?).await;
                Response::Append(answer.map_err(stopped)?.into())
            }
            Request::Vote(form) => {
                Response::Vote(self.raft.vote(form.into()).await.map_err(stopped)?.into())
            }
            Request::PreVote(form) => {
                Response::Vote(self.raft.pre_vote(form.into()).await.map_err(stopped)?.into())
            }
            Request::Transfer(form) => {
                let answer = self.raft.handle_transfer_leader(form.into()).await;
                Response::Transfer(wire::transfer_form(answer.map_err(stopped)?))
            }
            Request::Snapshot(_) => {
                return Err(Error::new(Code::Invalid, "a snapshot's head came without chunks"));
            }
        };
        wire::encode(&response)
    }

    /// Takes a snapshot. Nothing is changed unless it is whole.
    ///
    /// # Errors
    /// As [`Inbox::handle`].
    pub async fn handle_snapshot(&self, head: &[u8], chunks: Chunks) -> Result<Vec<u8>> {
        let Request::Snapshot(form) = self.open(head)? else {
            return Err(Error::new(Code::Invalid, "chunks came without a snapshot's head"));
        };
        let received = tokio::task::spawn_blocking(move || snapshot::receive(chunks));
        let received = received.await.map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        let vote = form.vote.into();
        let snapshot = Snapshot { meta: form.into_meta()?, snapshot: received? };
        let answer = self.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        wire::encode(&Response::Snapshot(answer.vote.into()))
    }

    fn open(&self, request: &[u8]) -> Result<Request> {
        let Envelope { cluster, to, request } = wire::decode_request(request)?;
        if cluster != self.cluster {
            return Err(Error::new(Code::Forbidden, "the request is from another cluster"));
        }
        if to != self.node {
            return Err(Error::new(
                Code::Forbidden,
                format!("the request is for node {to:016x}, this is {:016x}", self.node),
            ));
        }
        Ok(request)
    }
}

/// The protocol has ended on this node.
fn stopped(e: impl std::fmt::Display) -> Error {
    Error::new(Code::Unavailable, format!("the registry of this node has stopped: {e}"))
}
