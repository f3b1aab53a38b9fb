//! Who leads, told to whoever watches; and whether this node needs to tick at all.
//!
//! The library's leader leads until it hears of a newer one, for ever if nothing reaches it. Here a leader that no majority
//! has answered for a while leads no more, until one does: what it is asked for is refused rather than held up, and what it
//! knows is not told as if it were all there is.

use super::types::{Raft, Types};
use openraft::async_runtime::WatchReceiver as _;
use openraft::metrics::RaftServerMetrics;
use openraft::{Instant as _, ServerState};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a leader that hears from no majority looks whether it does again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

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

/// Whether it takes others to be a majority.
pub(super) fn needs_others(metrics: &RaftServerMetrics<Types>) -> bool {
    let configs = metrics.membership_config.membership().get_joint_config();
    configs.iter().any(|voters| voters.iter().any(|voter| *voter != metrics.id))
}

/// When a majority last answered this leader.
fn answered(raft: &Raft) -> Option<Instant> {
    let metrics = raft.metrics();
    let at = metrics.borrow_watched().last_quorum_acked?;
    Instant::now().checked_sub(at.elapsed())
}

/// Follows the protocol until it ends; nobody leads then. A leader needs an answer of a majority every `patience`.
pub(super) fn follow(raft: &Raft, patience: Duration) -> watch::Receiver<Leadership> {
    let mut metrics = raft.server_metrics();
    let raft = raft.clone();
    let (tx, rx) = watch::channel(Leadership::default());
    tokio::spawn(async move {
        let mut leads_since = None;
        loop {
            let (mut now, others, depends) = {
                let metrics = metrics.borrow_watched();
                (seen(&metrics), has_others(&metrics), needs_others(&metrics))
            };
            // Ticks drive heartbeats and elections. Alone there is neither, and the CPU may sleep.
            raft.runtime_config().tick(others);
            leads_since = now.is_me.then(|| leads_since.unwrap_or_else(Instant::now));
            let mut look = None;
            if let Some(since) = leads_since.filter(|_| depends) {
                let until = answered(&raft).map_or(since, |at| at.max(since)) + patience;
                look = Some(until);
                if Instant::now() >= until {
                    (now.leader, now.is_me) = (None, false);
                    look = Some(Instant::now() + LOOK_AGAIN);
                }
            }
            tx.send_if_modified(|was| std::mem::replace(was, now) != now);
            tokio::select! {
                changed = metrics.changed() => if changed.is_err() { break },
                () = at(look) => {}
            }
        }
        tx.send_modify(|was| *was = Leadership { leader: None, is_me: false, ..*was });
    });
    rx
}

async fn at(look: Option<Instant>) {
    match look {
        Some(look) => tokio::time::sleep_until(look).await,
        None => std::future::pending().await,
    }
}
