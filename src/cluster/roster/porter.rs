//! The porter of every node: knows who leads, and lets nodes in where that is this one.

use super::seat::Seat;
use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::{Member, NodeId, wall_now};
use crate::cluster::link::{
    Admission, Answering, JoinRefusal, JoinRequest, Joined, Leader, Renewed,
};
use std::net::IpAddr;
use tokio::sync::watch;

/// Who leads, and where its cluster port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The node.
    pub node: NodeId,
    /// `host:port`.
    pub address: String,
}

/// Passes joins and renewals to who decides them.
pub struct Porter {
    me: NodeId,
    seat: watch::Receiver<Option<Seat>>,
    leader: watch::Receiver<Option<Place>>,
}

impl Porter {
    /// Of a node. `seat` holds the leader's hold on the book while this node leads; `leader` who leads, as far as it knows.
    pub fn new(
        me: NodeId,
        seat: watch::Receiver<Option<Seat>>,
        leader: watch::Receiver<Option<Place>>,
    ) -> Self {
        Self { me, seat, leader }
    }

    fn seat(&self) -> Option<Seat> {
        self.seat.borrow().clone()
    }
}

impl Admission for Porter {
    fn leader(&self) -> Leader {
        if self.seat.borrow().is_some() {
            return Leader::Here;
        }
        match &*self.leader.borrow() {
            Some(place) if place.node != self.me => {
                Leader::At { node: place.node, address: place.address.clone() }
            }
            // It is elected, and not ready.
            _ => Leader::Nobody,
        }
    }

    fn admit(
        &self,
        request: JoinRequest,
        from: IpAddr,
    ) -> Answering<std::result::Result<Joined, JoinRefusal>> {
        let seat = self.seat();
        Box::pin(async move {
            match seat {
                Some(seat) => seat.admit(request, from, wall_now()).await,
                None => Err(JoinRefusal::no_leader()),
            }
        })
    }

    fn renew(&self, member: Member) -> Answering<Result<Renewed>> {
        let seat = self.seat();
        Box::pin(async move {
            match seat {
                Some(seat) => seat.renew(&member, wall_now()),
                None => Err(Error::new(Code::Unavailable, "this node does not lead")),
            }
        })
    }
}
