//! Files of agents, for the master's face: those of this process's agent, and the way to other nodes' over the link.

use super::agent;
use super::cluster::Cluster;
use crate::agent::service::Agent;
use crate::base::error::{Code, Error, Result};
use crate::cluster::gossip::Gossip;
use crate::cluster::identity::NodeId;
use crate::cluster::link::{FaceName, Link};
use crate::cluster::roster::Seat;
use crate::http::Inside;
use crate::http::files::FileTable;
use crate::http::leader::{Body, Request};
use crate::master::api::files::{AgentFiles, Asking, Own};
use crate::master::core::io;
use std::time::Duration;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// How long another node may take to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The agent of this node, and the others.
pub struct NodeFiles {
    /// Of this node's agent, where it has one.
    local: Option<(Agent, FileTable)>,
    /// What answers as that agent's port does.
    face: Option<Inside>,
    link: Link,
    gossip: Gossip,
    /// What is known of all nodes while this one leads.
    seat: watch::Receiver<Option<Seat>>,
}

impl NodeFiles {
    /// Of a node in its cluster.
    pub fn of(cluster: &Cluster, role: Option<&agent::Role>, face: Option<Inside>) -> Self {
        Self {
            local: role.map(|role| (role.agent.clone(), role.files.clone())),
            face,
            link: cluster.link.clone(),
            gossip: cluster.gossip.clone(),
            seat: cluster.company.seat.subscribe(),
        }
    }

    /// Where a node is reached: as itself says, or as the cluster wrote down.
    fn address(&self, node: NodeId) -> Result<String> {
        let members = self.gossip.members();
        let seen = members.borrow().nodes.get(&node.0).filter(|seen| seen.alive).cloned();
        if let Some(seen) = seen {
            return Ok(seen.address.to_string());
        }
        let seat = self.seat.borrow().clone();
        let book = seat.map(|seat| seat.book().borrow().clone());
        let record = book.and_then(|book| book.node(node).cloned());
        let none = || Error::new(Code::Unavailable, format!("node {node} is not in the cluster"));
        record.map(|record| record.address).ok_or_else(none)
    }
}

impl AgentFiles for NodeFiles {
    fn own(&self) -> Own<'_> {
        Box::pin(async move {
            let (agent, table) = self.local.as_ref()?;
            let id = agent.handle().look(|core| core.agent_id()).await.ok()??;
            Some((id, table.clone()))
        })
    }

    fn ask<'a>(&'a self, node: io::NodeId, request: Request) -> Asking<'a> {
        Box::pin(async move {
            let node = NodeId(node.0);
            if node == self.link.node() {
                // This node's own agent is asked here: the one that is meant is another.
                return Err(Error::new(Code::Unavailable, "its node runs another agent now"));
            }
            let peer = self.link.peer(&self.address(node)?, Some(node));
            let asked = peer.forward(FaceName::Agent, request);
            let late = |_| {
                let cause = format!("node {node} has not answered in {ANSWER_TIMEOUT:?}");
                Error::new(Code::Timeout, cause)
            };
            Ok(tokio::time::timeout(ANSWER_TIMEOUT, asked).await.map_err(late)??.map(Body::new))
        })
    }

    fn call<'a>(&'a self, node: Option<io::NodeId>, request: Request) -> Asking<'a> {
        Box::pin(async move {
            let node = node.map(|node| NodeId(node.0)).filter(|node| *node != self.link.node());
            if let Some(node) = node {
                let peer = self.link.peer(&self.address(node)?, Some(node));
                return Ok(peer.forward(FaceName::Agent, request).await?.map(Body::new));
            }
            let none = || Error::new(Code::Unavailable, "its node runs no agent now");
            let face = self.face.clone().ok_or_else(none)?;
            match face.oneshot(request).await {
                Ok(answer) => Ok(answer),
                Err(never) => match never {},
            }
        })
    }
}
