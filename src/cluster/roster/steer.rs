//! Follows the policy: decides again whenever something changed, carries the step out, and tells what was decided and why.
//! One step at a time; the next decision waits for its end.

use super::seat::Seat;
use crate::base::error::Result;
use crate::base::time::{Mono, Wall};
use crate::cluster::gossip::{Gossip, Members};
use crate::cluster::identity::{NodeId, Role, wall_now};
use crate::cluster::membership::{
    Candidate, Explanation, Life, Member, Memory, Node, Policy, Step, Versions, View, decide,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often is looked at what nothing tells of (how far members are) while there is more than one node.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What was decided last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steering {
    /// One for each member and candidate, by node.
    pub explanations: Vec<Explanation>,
    /// Why no step is taken though one is due.
    pub waits: Option<String>,
    /// The last step that was taken, why, and when.
    pub last: Option<(String, Wall)>,
    /// Steps that were carried out, and that failed.
    pub steps: u64,
    /// The last that failed, and why.
    pub failure: Option<String>,
}

/// The monotonic time of an incarnation.
#[derive(Clone, Copy)]
struct Since(Instant);

impl Since {
    fn now(self) -> Mono {
        self.at(Instant::now())
    }

    fn at(self, instant: Instant) -> Mono {
        // What was before this incarnation was at its beginning.
        Mono(1) + instant.saturating_duration_since(self.0)
    }
}

/// Steers until it is dropped: one incarnation of the leader.
pub async fn steer(
    seat: Seat,
    gossip: Gossip,
    policy: Policy,
    versions: Versions,
    told: watch::Sender<Arc<Steering>>,
) {
    let since = Since(Instant::now());
    let (mut members, mut book) = (gossip.members(), seat.book());
    let mut memory = Memory::default();
    let mut steering = Steering::default();
    loop {
        let known = members.borrow_and_update().clone();
        book.borrow_and_update();
        let in_log = seat.registry().members();
        let alive = |node: NodeId| known.nodes.get(&node.0).is_some_and(|seen| seen.alive);
        let departed = book.borrow().departed(|node| in_log.contains_key(&node.0), alive);
        if let Some(node) = departed {
            tracing::info!("cluster: node {node} has left");
            match seat.remove(node, wall_now()).await {
                Ok(()) => {
                    gossip.forget(node.0).await;
                    continue;
                }
                Err(e) => tracing::warn!("cluster: node {node} has left and stays listed: {e}"),
            }
        }
        let view = view(&seat, &known, versions, since);
        let now = since.now();
        let decision = decide(&view, &policy, &mut memory, now);
        steering.explanations = decision.explanations;
        let Some(step) = decision.step else {
            steering.waits = decision.reason;
            publish(&told, &steering);
            let alone = view.members.len() < 2 && view.candidates.len() < 2;
            let look = (!alone).then_some(LOOK_EVERY);
            let wake = decision.wake.map(|at| at.since(now)).into_iter().chain(look).min();
            tokio::select! {
                changed = members.changed() => if changed.is_err() { return },
                changed = book.changed() => if changed.is_err() { return },
                () = sleep(wake) => {}
            }
            continue;
        };
        let why = decision.reason.unwrap_or_default();
        (steering.waits, steering.last) = (None, Some((why.clone(), wall_now())));
        publish(&told, &steering);
        tracing::info!("cluster: {why}");
        match carry_out(&seat, &step).await {
            Ok(()) => (steering.steps, steering.failure) = (steering.steps + 1, None),
            Err(e) => {
                tracing::warn!("cluster: {why}: it did not work: {e}");
                steering.failure = Some(format!("{why}: {e}"));
            }
        }
    }
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn publish(told: &watch::Sender<Arc<Steering>>, steering: &Steering) {
    told.send_if_modified(|now| {
        let other = **now != *steering;
        if other {
            *now = Arc::new(steering.clone());
        }
        other
    });
}

/// All that a decision rests on, as of now.
fn view(seat: &Seat, known: &Members, versions: Versions, since: Since) -> View {
    let registry = seat.registry();
    let book = seat.book();
    let book = book.borrow();
    let progress = registry.progress().unwrap_or_default();
    let voters = registry.voters();
    let members: BTreeMap<Node, Member> = registry
        .members()
        .into_iter()
        .map(|(node, member)| {
            let progress = progress.get(&node);
            let member = Member {
                address: member.address,
                votes: voters.contains(&node),
                behind: progress.and_then(|p| p.behind),
                heard: progress.and_then(|p| p.heard).map(|at| since.at(at)),
            };
            (node, member)
        })
        .collect();
    let candidate = |(node, seen): (&u64, &crate::cluster::gossip::Member)| {
        let record = book.node(NodeId(*node))?;
        let (oldest, newest) = seen.facts.wire?;
        let at = since.at(seen.since.into_std());
        let candidate = Candidate {
            address: seen.address.to_string(),
            zone: seen.facts.zone.clone(),
            master: record.roles.has(Role::Master) && seen.facts.candidate,
            versions: Versions { oldest, newest },
            life: match seen.alive {
                true => Life::Alive { since: at },
                false => Life::Dead { since: at },
            },
            leaving: record.leaving || seen.facts.leaving,
            order: record.order,
        };
        Some((*node, candidate))
    };
    View {
        me: registry.node_id(),
        versions,
        members,
        joint: registry.voters_to_be(),
        changing: false,
        candidates: known.nodes.iter().filter_map(candidate).collect(),
    }
}

async fn carry_out(seat: &Seat, step: &Step) -> Result<()> {
    let registry = seat.registry();
    match step {
        Step::AddLearner { node, address } => registry.add_learner(*node, address).await,
        Step::ChangeVoters { voters } => registry.change_voters(voters.clone()).await,
        Step::RemoveLearner { node } => registry.remove_learners(BTreeSet::from([*node])).await,
        Step::TransferLeadership { to } => registry.transfer_leadership(*to).await,
        Step::UpdateAddress { node, address } => {
            registry.move_member(*node, address).await?;
            seat.moved(NodeId(*node), address.clone()).await
        }
    }
}
