//! Who leads, for the faces of this node: what the log says, and where gossip says that node's user ports are.

use super::cluster::Cluster;
use crate::base::error::{Code, Error, Result};
use crate::cluster::consensus::Registry;
use crate::cluster::gossip::{Gossip, Role};
use crate::cluster::identity::NodeId;
use crate::cluster::link::{FaceName, Fate, Link, Peer};
use crate::cluster::roster::{Place, Seat};
use crate::http::leader::{
    Body, Confirmed, Forwarded, LeaderPlace, Leadership, Leading, LedFace, Request, Vacancy,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a majority may take to say that this node leads: less than the 5 s that a request may hang.
const CONFIRM_MAX: Duration = Duration::from_secs(3);
/// A leader that has not answered this node for so long is none to its users: they would wait for it in vain.
const UNHEARD_MAX: Duration = Duration::from_secs(1);

/// What the faces ask.
pub struct NodeLeadership {
    link: Link,
    gossip: Gossip,
    leader: watch::Receiver<Option<Place>>,
    /// Taken when this node leads in fact.
    seat: watch::Receiver<Option<Seat>>,
    /// None on a node that is no master.
    registry: Option<Registry>,
    /// Since when nobody leads, as far as was looked.
    nobody: Mutex<Option<Instant>>,
}

impl NodeLeadership {
    /// Of a node in its cluster.
    pub fn of(cluster: &Cluster) -> Arc<Self> {
        Arc::new(Self {
            link: cluster.link.clone(),
            gossip: cluster.gossip.clone(),
            leader: cluster.leader.clone(),
            seat: cluster.company.seat.subscribe(),
            registry: cluster.registry.clone(),
            nobody: Mutex::new(None),
        })
    }

    /// Since when a node has not answered this one, if that is long.
    fn unheard(&self, node: NodeId) -> Option<Instant> {
        match *self.link.fate(node).borrow() {
            Fate::Silent { since } => Some(since).filter(|since| since.elapsed() > UNHEARD_MAX),
            _ => None,
        }
    }

    /// The way to the leader.
    fn way(&self, to: &LeaderPlace) -> Result<Peer> {
        let place = self.leader.borrow().clone();
        let place = place.filter(|place| place.node.to_string() == to.node);
        let none = || Error::new(Code::Unavailable, "that node does not lead any more");
        let Place { node, address } = place.ok_or_else(none)?;
        Ok(self.link.peer(&address, Some(node)))
    }

    /// Since when nobody takes requests.
    fn since(&self) -> Instant {
        let mut nobody = self.nobody.lock().unwrap_or_else(PoisonError::into_inner);
        *nobody.get_or_insert_with(Instant::now)
    }

    fn nobody(&self) -> Leading {
        let since = self.since();
        let members = self.gossip.members();
        let members = members.borrow();
        let masters = || members.nodes.values().filter(|seen| seen.facts.candidate);
        let alive = masters().filter(|seen| seen.alive).count();
        let why = format!("{alive} of {} nodes that may vote are seen", masters().count());
        Leading::Nobody { since, why }
    }
}

fn role(face: LedFace) -> Role {
    match face {
        LedFace::Master => Role::Master,
        LedFace::Marathon => Role::Marathon,
        LedFace::Chronos => Role::Chronos,
    }
}

fn name(face: LedFace) -> FaceName {
    match face {
        LedFace::Master => FaceName::Master,
        LedFace::Marathon => FaceName::Marathon,
        LedFace::Chronos => FaceName::Chronos,
    }
}

impl Leadership for NodeLeadership {
    fn now(&self, face: LedFace) -> Leading {
        let leader = self.leader.borrow();
        let Some(place) = &*leader else {
            drop(leader);
            return self.nobody();
        };
        if place.node == self.link.node() {
            return Leading::Here;
        }
        if let Some(since) = self.unheard(place.node) {
            let why =
                format!("node {} leads, as far as is known here, and does not answer", place.node);
            return Leading::Nobody { since, why };
        }
        *self.nobody.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let members = self.gossip.members();
        let members = members.borrow();
        let facts = members.nodes.get(&place.node.0).map(|seen| seen.facts.clone());
        let facts = facts.unwrap_or_default();
        Leading::At(LeaderPlace {
            node: place.node.to_string(),
            host: facts.hostname.clone(),
            address: facts.faces.get(&role(face)).and_then(|at| at.parse().ok()),
        })
    }

    fn vacancy(&self) -> Option<Vacancy<'_>> {
        let me = self.link.node();
        let leads = self.leader.borrow().as_ref().map(|place| place.node);
        let taken = |node| node != me || self.seat.borrow().is_some();
        if leads.is_some_and(taken) {
            *self.nobody.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return None;
        }
        let (mut leader, mut seat) = (self.leader.clone(), self.seat.clone());
        let filled = Box::pin(async move {
            loop {
                let leads = leader.borrow_and_update().as_ref().map(|place| place.node);
                let taken = seat.borrow_and_update().is_some();
                if leads.is_some_and(|node| node != me || taken) {
                    return;
                }
                // The node is stopping when one of them ends.
                let changed = tokio::select! {
                    changed = leader.changed() => changed,
                    changed = seat.changed() => changed,
                };
                if changed.is_err() {
                    return;
                }
            }
        });
        Some(Vacancy { since: self.since(), filled })
    }

    fn confirm(&self) -> Confirmed<'_> {
        Box::pin(async {
            let Some(registry) = self.registry.as_ref().filter(|log| log.needs_others()) else {
                return Ok(());
            };
            let asked = tokio::time::timeout(CONFIRM_MAX, registry.read_index());
            let late = |_| Error::new(Code::Timeout, format!("no answer in {CONFIRM_MAX:?}"));
            asked.await.map_err(late)?.map(drop)
        })
    }

    fn sign<'a>(&'a self, of: &'a LeaderPlace) -> Confirmed<'a> {
        Box::pin(async move { self.way(of)?.sign().await })
    }

    fn forward<'a>(
        &'a self,
        to: &'a LeaderPlace,
        face: LedFace,
        request: Request,
    ) -> Forwarded<'a> {
        Box::pin(async move {
            let peer = self.way(to)?;
            Ok(peer.forward(name(face), request).await?.map(Body::new))
        })
    }
}
