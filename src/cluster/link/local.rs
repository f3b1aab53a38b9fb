//! The link within one process: an agent dials, the leading master of the same node accepts.

use super::{Connection, pair};
use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::NodeId;
use crate::mesos::internal::{AgentMessage, MasterMessage};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// How many dialled connections may wait for the master to take them.
const ACCEPT_QUEUE_MAX: usize = 1024;

/// The master's end of a connection with an agent.
pub type MasterEnd = Connection<MasterMessage, AgentMessage>;
/// The agent's end of a connection with the master.
pub type AgentEnd = Connection<AgentMessage, MasterMessage>;

/// An agent's connection as it comes to the master.
pub struct Arrival {
    /// The node whose agent it is, as its certificate says; this one for its own agent.
    pub node: NodeId,
    /// The master's end.
    pub end: MasterEnd,
}

/// Where agents find the leading master of this process.
#[derive(Clone)]
pub struct Switchboard {
    node: NodeId,
    leader: Arc<Mutex<Option<mpsc::Sender<Arrival>>>>,
    changed: watch::Sender<u64>,
}

impl Switchboard {
    /// That of this node.
    pub fn new(node: NodeId) -> Self {
        Self { node, leader: Arc::default(), changed: watch::Sender::new(0) }
    }

    /// Makes the caller the master that agents reach, until it drops the queue.
    pub fn lead(&self) -> mpsc::Receiver<Arrival> {
        let (tx, rx) = mpsc::channel(ACCEPT_QUEUE_MAX);
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(tx);
        self.changed.send_modify(|n| *n += 1);
        rx
    }

    /// Connects this node's own agent to the leading master.
    ///
    /// # Errors
    /// [`Code::Unavailable`] while none leads or its queue is full; [`Switchboard::changed`] tells when to try again.
    pub fn dial(&self) -> Result<AgentEnd> {
        let (agent, master) = pair();
        self.put_through(self.node, master).map(|()| agent)
    }

    /// Hands a connection of that node's agent to the leading master.
    ///
    /// # Errors
    /// As [`Switchboard::dial`].
    pub fn put_through(&self, node: NodeId, end: MasterEnd) -> Result<()> {
        let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        match leader.as_ref().map(|l| l.try_send(Arrival { node, end })) {
            Some(Ok(())) => Ok(()),
            _ => Err(Error::new(Code::Unavailable, "no master leads yet")),
        }
    }

    /// Changes whenever another master leads.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_agent_reaches_the_master_that_leads_now() {
        let board = Switchboard::new(NodeId(7));
        assert!(board.dial().is_err(), "nobody leads");
        let mut first = board.lead();
        let agent = board.dial().expect("a master leads");
        let mut master = first.recv().await.expect("the connection arrives");
        assert_eq!(master.node, NodeId(7));
        agent.sender.send(AgentMessage::default()).expect("open");
        assert!(master.end.receiver.recv().await.is_some());
        drop(first);
        assert!(board.dial().is_err(), "the master is gone");
        let mut second = board.lead();
        assert!(board.dial().is_ok());
        assert!(second.recv().await.is_some());
        let (_agent, end) = pair();
        board.put_through(NodeId(8), end).expect("a master leads");
        assert_eq!(second.recv().await.map(|arrival| arrival.node), Some(NodeId(8)));
    }

    #[tokio::test]
    async fn a_side_that_does_not_read_loses_the_connection_not_memory() {
        let (a, mut b) = pair::<u64, u64>();
        for n in 0..super::super::MESSAGES_MAX as u64 {
            a.sender.send(n).expect("room");
        }
        let refused = a.sender.send(0).expect_err("full");
        assert_eq!(refused.code, Code::Overloaded);
        assert_eq!(a.sender.overflows(), 1);
        assert_eq!(b.receiver.recv().await, Some(0));
    }
}
