//! What nodes say to each other about the log: one request, one response, each with a schema
//! number.

use super::record::{self, EntryRecord, IdRecord, StoredMembersRecord, VoteRecord};
use super::types::{LogId, SnapshotMeta, Types, Vote};
use crate::base::error::{Code, Error, Result};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

/// A request with whom it is from and for, so that a wrong cluster or node is noticed.
#[derive(Serialize, Deserialize)]
pub(super) struct Envelope {
    pub cluster: u64,
    pub to: u64,
    pub request: Request,
}

impl Envelope {
    pub(super) fn asks_pre_vote(&self) -> bool {
        matches!(self.request, Request::PreVote(_))
    }
}

#[derive(Serialize, Deserialize)]
pub(super) enum Request {
    Append(AppendForm),
    Vote(VoteForm),
    PreVote(VoteForm),
    Transfer(TransferForm),
    /// The head of a snapshot; its chunks follow.
    Snapshot(SnapshotForm),
}

#[derive(Serialize, Deserialize)]
pub(super) enum Response {
    Append(AppendedForm),
    Vote(VotedForm),
    Transfer(Option<TransferRefusal>),
    Snapshot(VoteRecord),
}

impl Response {
    /// The error for a response that does not fit its request.
    pub(super) fn unfitting() -> Error {
        Error::new(Code::Invalid, "the response does not fit the request")
    }
}

pub(super) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>> {
    record::encode(message)
}

pub(super) fn decode_request(bytes: &[u8]) -> Result<Envelope> {
    record::decode("a request from another node", bytes)
}

pub(super) fn decode_response(bytes: &[u8]) -> Result<Response> {
    record::decode("a response from another node", bytes)
}

fn id(id: Option<LogId>) -> Option<IdRecord> {
    id.map(Into::into)
}

fn log_id(id: Option<IdRecord>) -> Option<LogId> {
    id.map(Into::into)
}

#[derive(Serialize, Deserialize)]
pub(super) struct AppendForm {
    vote: VoteRecord,
    previous: Option<IdRecord>,
    entries: Vec<EntryRecord>,
    commit: Option<IdRecord>,
}

impl From<&AppendEntriesRequest<Types>> for AppendForm {
    fn from(r: &AppendEntriesRequest<Types>) -> Self {
        Self {
            vote: r.vote.into(),
            previous: id(r.prev_log_id),
            entries: r.entries.iter().map(Into::into).collect(),
            commit: id(r.leader_commit),
        }
    }
}

impl AppendForm {
    pub(super) fn into_request(self) -> Result<AppendEntriesRequest<Types>> {
        let entries: Result<Vec<_>> =
            self.entries.into_iter().map(EntryRecord::into_entry).collect();
        Ok(AppendEntriesRequest {
            vote: self.vote.into(),
            prev_log_id: log_id(self.previous),
            entries: entries?,
            leader_commit: log_id(self.commit),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) enum AppendedForm {
    Success,
    Partial(Option<IdRecord>),
    Conflict,
    HigherVote(VoteRecord),
}

impl From<AppendEntriesResponse<Types>> for AppendedForm {
    fn from(r: AppendEntriesResponse<Types>) -> Self {
        match r {
            AppendEntriesResponse::Success => Self::Success,
            AppendEntriesResponse::PartialSuccess(to) => Self::Partial(id(to)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<AppendedForm> for AppendEntriesResponse<Types> {
    fn from(r: AppendedForm) -> Self {
        match r {
            AppendedForm::Success => Self::Success,
            AppendedForm::Partial(to) => Self::PartialSuccess(log_id(to)),
            AppendedForm::Conflict => Self::Conflict,
            AppendedForm::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct VoteForm {
    vote: VoteRecord,
    last: Option<IdRecord>,
    transfer: bool,
}

impl From<&VoteRequest<Types>> for VoteForm {
    fn from(r: &VoteRequest<Types>) -> Self {
        Self { vote: r.vote.into(), last: id(r.last_log_id), transfer: r.leadership_transfer }
    }
}

impl From<VoteForm> for VoteRequest<Types> {
    fn from(r: VoteForm) -> Self {
        let mut request = VoteRequest::new(r.vote.into(), log_id(r.last));
        request.leadership_transfer = r.transfer;
        request
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct VotedForm {
    vote: VoteRecord,
    granted: bool,
    last: Option<IdRecord>,
}

impl From<VoteResponse<Types>> for VotedForm {
    fn from(r: VoteResponse<Types>) -> Self {
        Self { vote: r.vote.into(), granted: r.vote_granted, last: id(r.last_log_id) }
    }
}

impl From<VotedForm> for VoteResponse<Types> {
    fn from(r: VotedForm) -> Self {
        VoteResponse::new(Vote::from(r.vote), log_id(r.last), r.granted)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct TransferForm {
    from: VoteRecord,
    to: u64,
    last: Option<IdRecord>,
}

impl From<&TransferLeaderRequest<Types>> for TransferForm {
    fn from(r: &TransferLeaderRequest<Types>) -> Self {
        Self {
            from: (*r.from_leader()).into(),
            to: *r.to_node_id(),
            last: id(r.last_log_id().copied()),
        }
    }
}

impl From<TransferForm> for TransferLeaderRequest<Types> {
    fn from(r: TransferForm) -> Self {
        TransferLeaderRequest::new(r.from.into(), r.to, log_id(r.last))
    }
}

/// Why leadership was not taken over.
#[derive(Serialize, Deserialize)]
pub(super) enum TransferRefusal {
    Vote { expected: VoteRecord, actual: VoteRecord },
    Log { expected: Option<IdRecord>, actual: Option<IdRecord> },
}

pub(super) fn transfer_form(r: TransferLeaderResponse<Types>) -> Option<TransferRefusal> {
    match r {
        Ok(()) => None,
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            Some(TransferRefusal::Vote { expected: expected.into(), actual: actual.into() })
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            Some(TransferRefusal::Log { expected: id(expected), actual: id(actual) })
        }
    }
}

pub(super) fn transfer_response(r: Option<TransferRefusal>) -> TransferLeaderResponse<Types> {
    match r {
        None => Ok(()),
        Some(TransferRefusal::Vote { expected, actual }) => Err(TransferLeaderError::VoteChanged {
            expected: expected.into(),
            actual: actual.into(),
        }),
        Some(TransferRefusal::Log { expected, actual }) => {
            Err(TransferLeaderError::LogNotFlushed {
                expected: log_id(expected),
                actual: log_id(actual),
            })
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct SnapshotForm {
    pub vote: VoteRecord,
    last: Option<IdRecord>,
    members: StoredMembersRecord,
}

impl SnapshotForm {
    pub(super) fn new(vote: Vote, meta: &SnapshotMeta) -> Self {
        Self {
            vote: vote.into(),
            last: id(meta.last_log_id),
            members: (&meta.last_membership).into(),
        }
    }

    pub(super) fn into_meta(self) -> Result<SnapshotMeta> {
        let last_membership = self.members.into_stored()?;
        Ok(SnapshotMeta { last_log_id: log_id(self.last), last_membership })
    }
}

#[cfg(test)]
mod tests;
