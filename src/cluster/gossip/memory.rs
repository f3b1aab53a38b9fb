//! A courier within one process, for tests and benches: ways can be cut, frames are counted.

use super::courier::{Courier, Sending};
use super::socket::Inbox;
use crate::base::error::{Code, Error};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ways between the nodes of one process; clones are the same ones.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Ways>>);

#[derive(Default)]
struct Ways {
    nodes: BTreeMap<SocketAddr, (u64, Inbox)>,
    cut: BTreeSet<SocketAddr>,
    frames: u64,
    bytes: u64,
}

impl Network {
    /// The courier of the node at an address.
    pub fn courier(&self, node: u64, at: SocketAddr) -> Arc<dyn Courier> {
        Arc::new(From { network: self.clone(), node, at })
    }

    /// Connects a node.
    pub fn attach(&self, node: u64, at: SocketAddr, inbox: Inbox) {
        self.lock().nodes.insert(at, (node, inbox));
    }

    /// Takes a node away.
    pub fn detach(&self, at: SocketAddr) {
        self.lock().nodes.remove(&at);
    }

    /// Cuts a node off.
    pub fn cut(&self, at: SocketAddr) {
        self.lock().cut.insert(at);
    }

    /// Connects it again.
    pub fn heal(&self, at: SocketAddr) {
        self.lock().cut.remove(&at);
    }

    /// How many frames were carried, and their bytes.
    pub fn carried(&self) -> (u64, u64) {
        let ways = self.lock();
        (ways.frames, ways.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Ways> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The courier of one node.
struct From {
    network: Network,
    node: u64,
    at: SocketAddr,
}

impl Courier for From {
    fn send(&self, to: SocketAddr, frame: Bytes) -> Sending {
        let inbox = {
            let mut ways = self.network.lock();
            let open = !ways.cut.contains(&self.at) && !ways.cut.contains(&to);
            let inbox = ways.nodes.get(&to).filter(|_| open).map(|(_, inbox)| inbox.clone());
            if inbox.is_some() {
                ways.frames += 1;
                ways.bytes += frame.len() as u64;
            }
            inbox
        };
        let node = self.node;
        Box::pin(async move {
            let lost = || Error::new(Code::Unavailable, "the node cannot be reached");
            // What there is no room for is counted there.
            inbox.ok_or_else(lost)?.put(Some(node), frame);
            Ok(())
        })
    }
}
