//! The types openraft is used with, and short names for what it makes of them.

use super::command::{Answer, Command};
use super::propose::Reply;
use openraft::batch::InlineBatch;
use openraft::impls::{BasicNode, BoxedErrorSource, leader_id_std};
use openraft::{EntryPayload, OptionalSend, RaftTypeConfig};

/// The configuration of the protocol: standard terms (one leader a term), random u64 node ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Types;

impl RaftTypeConfig for Types {
    type D = Command;
    type R = Answer;
    type NodeId = u64;
    type Node = BasicNode;
    type Term = u64;
    type LeaderId = leader_id_std::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = EntryPayload<Command, u64, BasicNode>;
    type Entry = openraft::impls::Entry<Term, Self::Payload>;
    // The name that is not deprecated is in a crate that would have to be pinned beside this one.
    #[allow(deprecated)]
    type AsyncRuntime = openraft::impls::TokioRuntime;
    type Responder<T>
        = Reply<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

/// The leader of a log entry: its term.
pub(super) type Term = openraft::alias::CommittedLeaderIdOf<Types>;
pub(super) type LogId = openraft::alias::LogIdOf<Types>;
pub(super) type Entry = openraft::alias::EntryOf<Types>;
pub(super) type Vote = openraft::alias::VoteOf<Types>;
pub(super) type Membership = openraft::Membership<u64, BasicNode>;
pub(super) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
pub(super) type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub(super) type Raft = openraft::Raft<Types, super::state::State>;

/// A log id from its two numbers.
pub(super) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}
