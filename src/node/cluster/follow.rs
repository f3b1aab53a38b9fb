//! What a node follows while it runs: who leads, who is there, who was removed, and when its certificate is to be renewed.

use super::twin;
use crate::base::error::{Code, Error, Result};
use crate::cluster::consensus::Registry;
use crate::cluster::gossip::{Gossip, Member, Members};
use crate::cluster::identity::{Credentials, Folder, NodeId, Revoked, wall_now};
use crate::cluster::link::{Answering, GossipFrame, Link, Renewed, Standing, Standings};
use crate::cluster::roster::{Place, Seat, is_leaving, revoked_in};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often is looked for the address of a leader that is not known yet.
const ADDRESS_EVERY: Duration = Duration::from_millis(100);
/// How often a node looks how it stands.
const STANDING_EVERY: Duration = Duration::from_secs(2);
/// How often one that leaves asks whether it may go.
const LEAVING_EVERY: Duration = Duration::from_millis(250);
/// How long one that may go still answers: whoever watches it by its own ports sees that nothing rests on it any more.
const LINGER: Duration = Duration::from_secs(2);

/// What all of them look at.
#[derive(Clone)]
pub(super) struct Watching {
    pub link: Link,
    pub gossip: Gossip,
    /// Holds the leader's hold on the book while this node leads.
    pub seat: watch::Receiver<Option<Seat>>,
    pub folder: Folder,
}

pub(super) async fn take_gossip(mut frames: mpsc::Receiver<GossipFrame>, gossip: Gossip) {
    let inbox = gossip.inbox();
    while let Some(frame) = frames.recv().await {
        inbox.put(Some(frame.from.0), frame.bytes);
    }
}

/// Who leads and where, from the log's own word.
pub(super) async fn leader(
    registry: Registry,
    mut watching: Watching,
    place: watch::Sender<Option<Place>>,
) {
    let mut leadership = registry.leadership();
    let mut members = watching.gossip.members();
    // Told apart from gossip: whoever hears of gossip's change first would ask the link before the link knows.
    let mut located = watching.link.located();
    loop {
        located.mark_unchanged();
        let now = *leadership.borrow_and_update();
        let known = members.borrow_and_update().clone();
        let led = watching.seat.borrow_and_update().as_ref().map(|seat| seat.epoch().0);
        let found = now.leader.and_then(|node| {
            // A node that has just joined hears from the leader before it has the list of members.
            let member = registry.members().get(&node).map(|member| member.address.clone());
            let seen = || known.nodes.get(&node).map(|seen| seen.address.to_string());
            let was = member.or_else(seen)?;
            let node = NodeId(node);
            Some(Place { node, address: watching.link.where_is(node, &was) })
        });
        // One that has just been let in listens to the log only a while later; its tasks need not wait for that.
        let outside = || !registry.members().contains_key(&registry.node_id());
        let found = match now.leader {
            None if outside() => claimed(&known, |_| true),
            _ => found,
        };
        let lacks_address = found.is_none() && now.leader.is_some();
        tell(&place, found);
        let led = led.filter(|_| now.is_me);
        let told = watching.gossip.facts(|facts| {
            facts.leader = led.map(|epoch| (registry.node_id(), epoch));
        });
        if let Err(e) = told {
            tracing::warn!("gossip does not carry who leads: {e}");
        }
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() { return },
            changed = members.changed() => if changed.is_err() { return },
            changed = located.changed() => if changed.is_err() { return },
            changed = watching.seat.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(ADDRESS_EVERY), if lacks_address => {}
        }
    }
}

/// Who leads as gossip has it, for a node without the log: who says so of itself, with the newest epoch. It may be wrong;
/// whoever is taken for the leader says so when it is asked.
pub(super) async fn hint(gossip: Gossip, place: watch::Sender<Option<Place>>) {
    let mut members = gossip.members();
    loop {
        let known = members.borrow_and_update().clone();
        tell(&place, claimed(&known, |seen| seen.alive));
        if members.changed().await.is_err() {
            return;
        }
    }
}

/// Who says that it leads, with the newest epoch, among those that count.
fn claimed(known: &Members, counts: impl Fn(&Member) -> bool) -> Option<Place> {
    let claims = known.nodes.iter().filter_map(|(node, seen)| {
        let (leader, epoch) = seen.facts.leader?;
        (counts(seen) && leader == *node).then_some((epoch, *node, seen.address))
    });
    let (_, node, address) = claims.max_by_key(|(epoch, node, _)| (*epoch, *node))?;
    Some(Place { node: NodeId(node), address: address.to_string() })
}

fn tell(place: &watch::Sender<Option<Place>>, found: Option<Place>) {
    place.send_if_modified(|before| {
        let other = *before != found;
        *before = found;
        other
    });
}

/// Where the others are: the link goes there though the log still has an older address, gossip goes back there after a
/// division, and the next start looks for them there.
pub(super) async fn members(registry: Option<Registry>, watching: Watching, named: Vec<String>) {
    let Watching { link, gossip, folder, .. } = watching;
    let me = link.node();
    let mut members = gossip.members();
    let mut kept = Vec::new();
    loop {
        let known = members.borrow_and_update().clone();
        let alive = known.nodes.iter().filter(|(node, seen)| seen.alive && **node != me.0);
        let alive: Vec<(NodeId, String, bool)> = alive
            .map(|(node, seen)| (NodeId(*node), seen.address.to_string(), seen.facts.candidate))
            .collect();
        link.locate(alive.iter().map(|(node, at, _)| (*node, at.clone())));
        let in_log = registry.as_ref().map(Registry::members).unwrap_or_default();
        let in_log = in_log.into_iter().filter(|(node, _)| *node != me.0);
        let in_log = in_log.map(|(node, member)| link.where_is(NodeId(node), &member.address));
        let mut masters: Vec<String> =
            alive.iter().filter(|(_, _, master)| *master).map(|(_, at, _)| at.clone()).collect();
        masters.sort();
        let mut seeds: Vec<String> = in_log.chain(masters.iter().cloned()).collect();
        seeds.extend(named.iter().chain(&kept).cloned());
        let mut seen = BTreeSet::new();
        seeds.retain(|seed| seen.insert(seed.clone()));
        if !seeds.is_empty() {
            gossip.seeds(seeds);
        }
        if !masters.is_empty() && masters != kept {
            match folder.keep_others(&masters) {
                Ok(()) => kept = masters,
                Err(e) => tracing::warn!("where the others are cannot be kept: {e}"),
            }
        }
        if members.changed().await.is_err() {
            return;
        }
    }
}

/// How a node's part in its cluster ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It was to leave, and nothing rests on it any more.
    Left,
    /// It was removed.
    Removed,
}

/// How this node stands: removed nodes are shut out; where it is to leave, others are told, and it waits until it may go.
pub(super) async fn standing(
    registry: Option<Registry>,
    watching: Watching,
    mut leader: watch::Receiver<Option<Place>>,
    revoked: Revoked,
    gone: watch::Sender<Option<Gone>>,
) {
    let Watching { link, gossip, .. } = watching;
    let mut removed = link.removed();
    let mut members = gossip.members();
    loop {
        // A node alone has nobody to shut out. One that is shut out itself may never see another one.
        if registry.is_some() {
            tokio::select! {
                seen = members.wait_for(|now| now.nodes.len() > 1) => if seen.is_err() { return },
                told = removed.wait_for(|removed| *removed) => {
                    if told.is_ok() {
                        gone.send_replace(Some(Gone::Removed));
                    }
                    return;
                }
            }
        }
        let place = leader.borrow_and_update().clone();
        let mut now = match &registry {
            Some(registry) => here(registry, link.node()),
            None => asked(&link, place.as_ref()).await,
        };
        let leaving = now.as_ref().is_ok_and(|now| now.leaving);
        if leaving && registry.is_some() {
            now = asked(&link, place.as_ref()).await;
        }
        match now {
            Ok(now) => {
                revoked.set(now.removed.into_iter().collect());
                if now.may_go {
                    tokio::time::sleep(LINGER).await;
                    gone.send_replace(Some(Gone::Left));
                    return;
                }
            }
            Err(e) => tracing::debug!("how this node stands is not known: {e}"),
        }
        if let Err(e) = gossip.facts(|facts| facts.leaving = leaving) {
            tracing::warn!("gossip does not carry that this node leaves: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(if leaving { LEAVING_EVERY } else { STANDING_EVERY }) => {}
            changed = leader.changed(), if registry.is_none() => if changed.is_err() { return },
            told = removed.wait_for(|removed| *removed) => {
                if told.is_ok() {
                    gone.send_replace(Some(Gone::Removed));
                }
                return;
            }
        }
    }
}

/// What this node's copy of the registry says.
fn here(registry: &Registry, node: NodeId) -> Result<Standing> {
    let (removed, leaving) = (revoked_in(registry)?, is_leaving(registry, node)?);
    Ok(Standing { removed, leaving, may_go: false, seen_at: None })
}

/// What the leader says.
async fn asked(link: &Link, leader: Option<&Place>) -> Result<Standing> {
    let none = || Error::new(Code::Unavailable, "nobody leads at present");
    let leader = leader.ok_or_else(none)?;
    link.peer(&leader.address, Some(leader.node)).standing().await
}

/// What this node tells others of how they stand. `cleared` are those that nothing is left on.
pub(super) fn standings(
    registry: Registry,
    gossip: Gossip,
    seat: watch::Receiver<Option<Seat>>,
    cleared: watch::Receiver<BTreeSet<NodeId>>,
) -> Standings {
    Arc::new(move |node| {
        let now = here(&registry, node)?;
        let in_log = registry.members().contains_key(&node.0);
        let is_clear = seat.borrow().is_some() && cleared.borrow().contains(&node);
        let may_go = now.leaving && is_clear && !in_log;
        Ok(Standing { may_go, seen_at: twin::alive_at(&gossip, node), ..now })
    })
}

pub(super) fn renew(
    link: Link,
    leader: watch::Receiver<Option<Place>>,
    seat: watch::Receiver<Option<Seat>>,
    credentials: watch::Receiver<Arc<Credentials>>,
) -> Answering<Result<Renewed>> {
    Box::pin(async move {
        let seat = seat.borrow().clone();
        if let Some(seat) = seat {
            let own = credentials.borrow().clone();
            let member = crate::cluster::identity::Member {
                node: own.certificate.node,
                cluster: own.certificate.cluster,
                roles: own.certificate.roles,
                key: own.key.public(),
            };
            return seat.renew(&member, wall_now());
        }
        let place = leader.borrow().clone();
        let none = || Error::new(Code::Unavailable, "nobody leads at present");
        let place = place.ok_or_else(none)?;
        link.peer(&place.address, Some(place.node)).renew().await
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::gossip::Facts;

    fn member(alive: bool, leader: Option<(u64, u64)>) -> Member {
        Member {
            address: "10.0.0.1:5052".parse().expect("an address"),
            generation: 1,
            alive,
            since: tokio::time::Instant::now(),
            facts: Arc::new(Facts { leader, ..Facts::default() }),
        }
    }

    #[test]
    fn the_leader_is_who_says_so_of_itself_with_the_newest_epoch() {
        type Seen = (u64, bool, Option<(u64, u64)>);
        let known = |nodes: &[Seen]| {
            let nodes = nodes.iter().map(|(node, alive, led)| (*node, member(*alive, *led)));
            let known = Members { nodes: nodes.collect(), refused: None };
            let of = |place: Option<Place>| place.map(|place| place.node.0);
            (of(claimed(&known, |seen| seen.alive)), of(claimed(&known, |_| true)))
        };
        let (nobody, both) = ((None, None), |node| (Some(node), Some(node)));
        assert_eq!(known(&[]), nobody);
        assert_eq!(known(&[(1, true, None), (2, true, Some((2, 7)))]), both(2));
        // One that was the leader, and has not noticed.
        assert_eq!(known(&[(1, true, Some((1, 9))), (2, true, Some((2, 7)))]), both(1));
        // What others say is no claim, and what the dead said counts only for one that has heard of nobody's life yet.
        assert_eq!(known(&[(1, true, Some((2, 9))), (2, false, Some((2, 9)))]), (None, Some(2)));
    }
}
