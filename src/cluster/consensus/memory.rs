//! A transport within one process, for tests: links can be cut, one way or both.

use super::network::{Lane, Peer, Sending, Transport};
use super::serve::Inbox;
use super::snapshot::Chunks;
use super::wire;
use crate::base::error::{Code, Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The links between the nodes of one process; clones are the same links.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Links>>);

#[derive(Default)]
struct Links {
    nodes: BTreeMap<u64, Inbox>,
    cut: BTreeSet<(u64, u64)>,
    snapshots: u64,
    pre_votes: u64,
}

impl Network {
    /// The transport of one node.
    pub fn transport(&self, node: u64) -> Arc<dyn Transport> {
        Arc::new(From { network: self.clone(), node })
    }

    /// Connects a node.
    pub fn attach(&self, node: u64, inbox: Inbox) {
        self.lock().nodes.insert(node, inbox);
    }

    /// Takes a node away.
    pub fn detach(&self, node: u64) {
        self.lock().nodes.remove(&node);
    }

    /// Cuts the way from one node to another.
    pub fn cut(&self, from: u64, to: u64) {
        self.lock().cut.insert((from, to));
    }

    /// Cuts all ways to and from a node.
    pub fn isolate(&self, node: u64) {
        let mut links = self.lock();
        let others: Vec<u64> = links.nodes.keys().copied().filter(|n| *n != node).collect();
        for other in others {
            links.cut.insert((node, other));
            links.cut.insert((other, node));
        }
    }

    /// Repairs all ways.
    pub fn heal(&self) {
        self.lock().cut.clear();
    }

    /// How many snapshots were sent.
    pub fn snapshots(&self) -> u64 {
        self.lock().snapshots
    }

    /// How many nodes were asked whether they would vote.
    pub fn pre_votes(&self) -> u64 {
        self.lock().pre_votes
    }

    fn lock(&self) -> MutexGuard<'_, Links> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, from: u64, to: u64) -> bool {
        !self.lock().cut.contains(&(from, to))
    }

    fn inbox(&self, from: u64, to: u64) -> Result<Inbox> {
        let links = self.lock();
        let inbox = links.nodes.get(&to).filter(|_| !links.cut.contains(&(from, to)));
        inbox.cloned().ok_or_else(lost)
    }
}

fn lost() -> Error {
    Error::new(Code::Unavailable, "the node cannot be reached")
}

/// The transport of one node.
struct From {
    network: Network,
    node: u64,
}

impl Transport for From {
    fn call(&self, to: &Peer, _lane: Lane, request: Vec<u8>) -> Sending {
        let (network, from, to) = (self.network.clone(), self.node, to.node);
        Box::pin(async move {
            let inbox = network.inbox(from, to)?;
            if wire::decode_request(&request).is_ok_and(|asked| asked.asks_pre_vote()) {
                network.lock().pre_votes += 1;
            }
            let answer = inbox.handle(&request).await?;
            // The request arrived; the answer needs the way back.
            if network.open(to, from) { Ok(answer) } else { Err(lost()) }
        })
    }

    fn send_snapshot(&self, to: &Peer, head: Vec<u8>, chunks: Chunks) -> Sending {
        let (network, from, to) = (self.network.clone(), self.node, to.node);
        Box::pin(async move {
            let inbox = network.inbox(from, to)?;
            network.lock().snapshots += 1;
            let answer = inbox.handle_snapshot(&head, chunks).await?;
            if network.open(to, from) { Ok(answer) } else { Err(lost()) }
        })
    }
}
