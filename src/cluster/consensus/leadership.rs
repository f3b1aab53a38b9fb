//! Who leads, told to whoever watches; and whether this node needs to tick at all.

use super::types::{Raft, Types};
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver as _;
use openraft::metrics::RaftServerMetrics;
use tokio::sync::watch;

/// Who leads, as far as this node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The leader's node id.
    pub leader: Option<u64>,
    /// Whether it is this node. What it does still needs an epoch: see `Registry::begin`.
    pub is_me: bool,
    /// The term; a greater one is newer.
    pub term: u64,
}

fn seen(metrics: &RaftServerMetrics<Types>) -> Leadership {
    // The vote shown is the last one on the disk; it lags behind the state for as long as a sync
    // takes.
    let vote = &metrics.vote;
    let granted = vote.committed && vote.leader_id.voted_for == metrics.id;
    let is_me = granted && metrics.state == ServerState::Leader;
    // After a restart the stored vote still names this node as the leader it was.
    let leader = metrics.current_leader.filter(|leader| is_me || *leader != metrics.id);
    Leadership { leader, is_me, term: vote.leader_id.term }
}

/// Whether there is anybody else to hear from or to speak to.
fn has_others(metrics: &RaftServerMetrics<Types>) -> bool {
    metrics.membership_config.nodes().any(|(node, _)| *node != metrics.id)
}

/// Follows the protocol until it ends; nobody leads then.
pub(super) fn follow(raft: &Raft) -> watch::Receiver<Leadership> {
    let mut metrics = raft.server_metrics();
    let raft = raft.clone();
    let (tx, rx) = watch::channel(Leadership::default());
    tokio::spawn(async move {
        loop {
            let (now, others) = {
                let metrics = metrics.borrow_watched();
                (seen(&metrics), has_others(&metrics))
            };
            // Ticks drive heartbeats and elections. Alone there is neither, and the CPU may sleep.
            raft.runtime_config().tick(others);
            tx.send_if_modified(|was| std::mem::replace(was, now) != now);
            if metrics.changed().await.is_err() {
                break;
            }
        }
        tx.send_modify(|was| *was = Leadership { leader: None, is_me: false, ..*was });
    });
    rx
}
