//! Changing who takes part. Which change is wise is decided in `membership`; this only carries out
//! one.

use super::registry::Registry;
use super::types::{LogId, Types};
use crate::base::error::{Code, Error, Result, Retry};
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::BasicNode;
use openraft::{ChangeMembers, Instant as _};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a change may take: a new member first gets the whole state.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where it is reached.
    pub address: String,
    /// Whether it votes; others only listen.
    pub votes: bool,
}

/// What this leader knows of a member's part in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many entries it lacks; not known before it first answered.
    pub behind: Option<u64>,
    /// When it last answered.
    pub heard: Option<Instant>,
}

fn refused(e: RaftError<Types, ClientWriteError<Types>>) -> Error {
    match e {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            super::propose::elsewhere(forward).into()
        }
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => {
            super::propose::ProposeError::Unknown.into()
        }
        RaftError::APIError(e) => {
            Error { retry: Retry::Later, ..Error::new(Code::Conflict, e.to_string()) }
        }
        RaftError::Fatal(e) => Error::new(Code::Unavailable, e.to_string()),
    }
}

async fn in_time<T>(change: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Error::new(Code::Timeout, "the change of members was not confirmed in time");
    tokio::time::timeout(CHANGE_TIMEOUT, change).await.unwrap_or_else(|_| Err(late()))
}

impl Registry {
    /// All members, as last known here.
    pub fn members(&self) -> BTreeMap<u64, Member> {
        let members = self.membership();
        let voters: BTreeSet<u64> = members.voter_ids().collect();
        let member = |(id, node): (&u64, &BasicNode)| {
            (*id, Member { address: node.addr.clone(), votes: voters.contains(id) })
        };
        members.nodes().map(member).collect()
    }

    /// Whether it takes other nodes to be a majority.
    pub fn needs_others(&self) -> bool {
        super::leadership::needs_others(&self.raft().server_metrics().borrow_watched())
    }

    /// What is known of each member; nothing when this node does not lead.
    pub fn progress(&self) -> Option<BTreeMap<u64, Progress>> {
        let metrics = self.raft().metrics();
        let now = metrics.borrow_watched();
        let (replication, heartbeat) = (now.replication.as_ref()?, now.heartbeat.as_ref()?);
        let last = now.last_log_index.unwrap_or(0);
        let known = |(node, matched): (&u64, &Option<LogId>)| {
            let behind = matched.as_ref().map(|id| last.saturating_sub(id.index));
            let ago = heartbeat.get(node).copied().flatten().map(|at| at.elapsed());
            let heard = ago.and_then(|ago| Instant::now().checked_sub(ago));
            (*node, Progress { behind, heard })
        };
        Some(replication.iter().map(known).collect())
    }

    /// The voters to be, while a change of voters is under way.
    pub fn voters_to_be(&self) -> Option<BTreeSet<u64>> {
        match self.membership().get_joint_config().as_slice() {
            [_, next, ..] => Some(next.clone()),
            _ => None,
        }
    }

    /// Who votes now; before the change, while one is under way.
    pub fn voters(&self) -> BTreeSet<u64> {
        self.membership().get_joint_config().first().cloned().unwrap_or_default()
    }

    /// A member is reached elsewhere. Only on the leader. (It is the same node: its id is bound to its key.)
    ///
    /// # Errors
    /// As [`Registry::add_learner`].
    pub async fn move_member(&self, node: u64, address: &str) -> Result<()> {
        let to = BTreeMap::from([(node, BasicNode { addr: address.into() })]);
        let change = self.raft().change_membership(ChangeMembers::SetNodes(to), true);
        in_time(async { change.await.map(drop).map_err(refused) }).await
    }

    /// Adds a member that listens, and waits until it has caught up. Only on the leader.
    ///
    /// # Errors
    /// [`Code::Unavailable`] on others, [`Code::Conflict`] while another change is under way,
    /// [`Code::Timeout`].
    pub async fn add_learner(&self, node: u64, address: &str) -> Result<()> {
        let to = BasicNode { addr: address.into() };
        in_time(async {
            let added = self.raft().add_learner(node, to, false).await.map_err(refused)?;
            self.caught_up(node, added.log_id.index).await
        })
        .await
    }

    /// Waits until a member has the log up to `index`. (The library's own waiting is content with a
    /// member that has nothing, as long as there are few entries.)
    async fn caught_up(&self, node: u64, index: u64) -> Result<()> {
        let mut metrics = self.raft().metrics();
        loop {
            {
                let now = metrics.borrow_watched();
                let Some(replication) = &now.replication else {
                    return Err(Error::new(Code::Unavailable, "leadership was lost meanwhile"));
                };
                if replication.get(&node).copied().flatten().is_some_and(|id| id.index >= index) {
                    return Ok(());
                }
            }
            let ended = |_| Error::new(Code::Unavailable, "the registry has stopped");
            metrics.changed().await.map_err(ended)?;
        }
    }

    /// Makes exactly these members voters; those that are no longer voters go on listening. Only on
    /// the leader.
    ///
    /// # Errors
    /// As [`Registry::add_learner`]; [`Code::Conflict`] also when one of them is no member.
    pub async fn change_voters(&self, voters: BTreeSet<u64>) -> Result<()> {
        let change = self.raft().change_membership(voters, true);
        in_time(async { change.await.map(drop).map_err(refused) }).await
    }

    /// Removes members that do not vote. Only on the leader.
    ///
    /// # Errors
    /// As [`Registry::add_learner`]; [`Code::Conflict`] also when one of them votes.
    pub async fn remove_learners(&self, nodes: BTreeSet<u64>) -> Result<()> {
        let change = self.raft().change_membership(ChangeMembers::RemoveNodes(nodes), false);
        in_time(async { change.await.map(drop).map_err(refused) }).await
    }

    /// Asks a voter that has caught up to take over. Whether it did is seen in `leadership`. Only
    /// on the leader.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when this node has stopped.
    pub async fn transfer_leadership(&self, to: u64) -> Result<()> {
        let asked = self.raft().trigger().transfer_leader(to).await;
        asked.map_err(|e| Error::new(Code::Unavailable, e.to_string()))
    }
}
