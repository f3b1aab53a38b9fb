//! Carries out what `core::hasten` decides: the way from the kernel's word about the leader into the protocol.
//!
//! Nothing is marked and no message is new. This node's own refusal to elect another leader is taken back as if the
//! leader had asked for it (the protocol's own way to do that, bound to one leader of one term), and the election begins
//! with the pre-vote, which changes no term when the others refuse.

use super::core::hasten::{Act, Hasten, Sight, Word};
use super::registry::Registry;
use super::types::{Raft, Types, Vote};
use crate::base::error::{Code, Error, Result};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use openraft::errors::Fatal;
use openraft::raft::TransferLeaderRequest;
use std::future::pending;
use std::time::Instant;
use tokio::sync::watch;

impl Registry {
    /// Elects at once when `word` says that the leader is gone, as long as others have seen the same; until the registry
    /// ends or nobody gives the word any more.
    ///
    /// # Errors
    /// [`Code::System`] when the system gives no randomness.
    pub fn hasten(
        &self,
        word: watch::Receiver<Word>,
    ) -> Result<impl Future<Output = ()> + Send + use<>> {
        let seed = getrandom::u64()
            .map_err(|e| Error::new(Code::System, format!("no randomness: {e}")))?;
        Ok(follow(self.clone(), word, Rng::new(seed)))
    }

    /// As the protocol has it in memory: what `leadership` tells waits for the disk, and an election that has begun
    /// meanwhile must not be asked for again.
    async fn sight(&self) -> std::result::Result<Sight, Fatal<Types>> {
        let state = self.raft().with_raft_state(|state| {
            let voters = state.membership_state.effective().voter_ids().collect();
            (*state.vote_ref(), voters)
        });
        let (vote, voters) = state.await?;
        let leader = vote.committed.then_some(vote.leader_id.voted_for);
        Ok(Sight { me: self.node_id(), leader, term: vote.leader_id.term, voters })
    }
}

async fn follow(registry: Registry, mut word: watch::Receiver<Word>, mut rng: Rng) {
    let start = Instant::now();
    let mut leadership = registry.leadership();
    let mut hasten = Hasten::default();
    loop {
        let said = *word.borrow_and_update();
        leadership.mark_unchanged();
        let Ok(sight) = registry.sight().await else { return };
        let now = Mono::default() + start.elapsed();
        for act in hasten.step(now, &sight, said, &mut rng) {
            if let Err(e) = carry_out(registry.raft(), act).await {
                tracing::debug!("no election is hastened any more: {e}");
                return;
            }
        }
        let wait = hasten.wake_at().map(|at| at.since(Mono::default() + start.elapsed()));
        let due = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => pending().await,
            }
        };
        tokio::select! {
            changed = word.changed() => if changed.is_err() { return },
            changed = leadership.changed() => if changed.is_err() { return },
            () = due => {}
        }
    }
}

async fn carry_out(raft: &Raft, act: Act) -> std::result::Result<(), Fatal<Types>> {
    match act {
        Act::Release { leader, term } => {
            tracing::info!("the leader of term {term}, node {leader:016x}, is gone");
            let vote = Vote::new_committed(term, leader);
            // For another node than this one it only ends the waiting for that leader, if it is followed still.
            let release = TransferLeaderRequest::new(vote, leader, None);
            raft.handle_transfer_leader(release).await.map(drop)
        }
        Act::Campaign => raft.trigger().elect(true).await,
    }
}
