//! What this node does so that a change of the leader is short: what the connections say of the leader goes to the log at
//! once, and a leader that stops in order hands over before.

use crate::cluster::consensus::{Registry, Word};
use crate::cluster::identity::NodeId;
use crate::cluster::link::{Fate, Lane, Link};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long handing over may take; after that the others find out by themselves.
const HAND_OVER: Duration = Duration::from_secs(1);
/// How often is looked whether all voters are connected.
const CONNECTED_EVERY: Duration = Duration::from_secs(2);
/// What an election needs, and then the new leader.
const LANES: [Lane; 2] = [Lane::Log, Lane::Heartbeat];
/// How recently a voter must have answered to be handed over to.
const HEARD_WITHIN: Duration = Duration::from_millis(500);

/// Follows what becomes of whoever leads, and has another elected when it is gone.
pub async fn follow(link: Link, registry: Registry) {
    let (say, word) = watch::channel(Word::Nothing);
    let hastened = match registry.hasten(word) {
        Ok(hastened) => hastened,
        Err(e) => return tracing::warn!("elections are not hastened: {e}"),
    };
    tokio::join!(hastened, connect(link.clone(), registry.clone()), tell(link, registry, say));
}

/// Keeps voters connected with each other: whoever leads next has no time to shake hands.
async fn connect(link: Link, registry: Registry) {
    loop {
        let (me, members) = (registry.node_id(), registry.members());
        let votes = members.get(&me).is_some_and(|member| member.votes);
        let others = members.into_iter().filter(|(node, member)| *node != me && member.votes);
        for (node, member) in others.filter(|_| votes) {
            let peer = link.peer(&member.address, Some(NodeId(node)));
            for lane in LANES {
                let peer = peer.clone();
                // One that cannot be reached is told of elsewhere, and tried again.
                tokio::spawn(async move { peer.ready(lane).await });
            }
        }
        tokio::time::sleep(CONNECTED_EVERY).await;
    }
}

async fn tell(link: Link, registry: Registry, say: watch::Sender<Word>) {
    let mut leadership = registry.leadership();
    let mut followed: Option<(u64, watch::Receiver<Fate>)> = None;
    loop {
        let leader = leadership.borrow_and_update().leader;
        // One that was lost stays followed until another leads: it may live after all.
        if let Some(leader) = leader
            && followed.as_ref().is_none_or(|(node, _)| *node != leader)
        {
            followed = Some((leader, link.fate(NodeId(leader))));
        }
        if let Some((node, fate)) = &mut followed {
            let now = word(*node, *fate.borrow_and_update());
            say.send_if_modified(|before| std::mem::replace(before, now) != now);
        }
        let fate = async {
            match &mut followed {
                Some((_, fate)) => fate.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() { return },
            changed = fate => if changed.is_err() { return },
        }
    }
}

/// What a fate means for who leads. One that closed its connections in order has handed over, or is refused at the next
/// connect; silence has a time-out of its own.
fn word(node: u64, fate: Fate) -> Word {
    match fate {
        Fate::Refused => Word::Gone(node),
        Fate::Connected => Word::There(node),
        Fate::Unknown | Fate::Closed | Fate::Reset | Fate::Silent { .. } => Word::Nothing,
    }
}

/// Hands leadership over if this node leads and another voter is there to take it.
pub async fn hand_over(registry: &Registry) {
    let mut leadership = registry.leadership();
    let leads = leadership.borrow_and_update().is_me;
    let Some(to) = successor(registry).filter(|_| leads) else { return };
    if let Err(e) = registry.transfer_leadership(to).await {
        return tracing::debug!("leadership is not handed over: {e}");
    }
    let taken = leadership.wait_for(|now| now.leader.is_some() && !now.is_me);
    match tokio::time::timeout(HAND_OVER, taken).await {
        Ok(_) => {}
        Err(_) => tracing::warn!("node {to:016x} did not take over in {HAND_OVER:?}"),
    }
}

/// The voter that lacks the least.
fn successor(registry: &Registry) -> Option<u64> {
    let (members, progress) = (registry.members(), registry.progress()?);
    let now = Instant::now();
    let able = progress.into_iter().filter_map(|(node, progress)| {
        let votes = members.get(&node).is_some_and(|member| member.votes);
        let heard = now.saturating_duration_since(progress.heard?) < HEARD_WITHIN;
        (votes && heard && node != registry.node_id()).then_some((progress.behind?, node))
    });
    able.min().map(|(_, node)| node)
}
