//! The nodes that were removed: whoever wires this feeds it from the registry, verifiers ask it.

use super::node::NodeId;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// The set of removed nodes; clones are the same set.
#[derive(Clone, Debug)]
pub struct Revoked(watch::Sender<Arc<BTreeSet<NodeId>>>);

impl Default for Revoked {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

impl Revoked {
    /// Replaces the set. Connections of nodes in it end at once.
    pub fn set(&self, nodes: BTreeSet<NodeId>) {
        self.0.send_if_modified(|now| {
            let differs = **now != nodes;
            if differs {
                *now = Arc::new(nodes);
            }
            differs
        });
    }

    /// Whether the node was removed.
    pub fn contains(&self, node: NodeId) -> bool {
        self.0.borrow().contains(&node)
    }

    /// Sees each change.
    pub fn changes(&self) -> watch::Receiver<Arc<BTreeSet<NodeId>>> {
        self.0.subscribe()
    }
}
