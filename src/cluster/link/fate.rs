//! What has become of other nodes, as their connections tell. Elections are hastened by it, so it is told at once: a reset
//! and a refused connect are the kernel's word, within milliseconds. It is never the ground of a decision about safety.

use crate::cluster::identity::NodeId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How many nodes are followed.
const NODES_MAX: usize = 4096;
/// How long a fresh connect may take that asks whether a node is still there.
const PROBE_TIMEOUT: Duration = Duration::from_millis(250);

/// The pauses before it is asked again, when something still listens.
const PROBE_AGAIN: [Duration; 5] = [
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
];

/// What has become of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Nothing is known: no connection was made yet.
    #[default]
    Unknown,
    /// It is connected.
    Connected,
    /// It has closed its connections in order: it is stopping, or has no more to say.
    Closed,
    /// A connection ended without a word. A fresh connect is under way, which tells more.
    Reset,
    /// A fresh connect was refused: nothing listens there.
    Refused,
    /// It does not answer.
    Silent {
        /// When it was last heard.
        since: Instant,
    },
}

struct Known {
    fate: watch::Sender<Fate>,
    /// Connections that are up, both ways.
    up: usize,
    /// Where it listens, as far as known.
    address: Option<String>,
    probing: bool,
}

impl Default for Known {
    fn default() -> Self {
        Self { fate: watch::Sender::new(Fate::Unknown), up: 0, address: None, probing: false }
    }
}

/// The fates of all nodes; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Fates(Arc<Mutex<BTreeMap<NodeId, Known>>>);

impl Fates {
    fn table(&self) -> MutexGuard<'_, BTreeMap<NodeId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a node. Only members are ever followed; past the limit, those that nobody watches and that
    /// are not connected are forgotten.
    fn with<T>(&self, node: NodeId, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut table = self.table();
        if !table.contains_key(&node) && table.len() >= NODES_MAX {
            table.retain(|_, known| known.up > 0 || known.fate.receiver_count() > 0);
        }
        if !table.contains_key(&node) && table.len() >= NODES_MAX {
            return change(&mut Known::default());
        }
        change(table.entry(node).or_default())
    }

    /// Follows a node.
    pub(super) fn watch(&self, node: NodeId) -> watch::Receiver<Fate> {
        self.with(node, |known| known.fate.subscribe())
    }

    /// Says where a node listens.
    pub(super) fn listens(&self, node: NodeId, address: &str) {
        if !address.is_empty() {
            self.with(node, |known| known.address = Some(address.to_owned()));
        }
    }

    /// A connection is up; it is so until the guard goes.
    pub(super) fn connected(&self, node: NodeId) -> Up {
        self.with(node, |known| {
            known.up += 1;
            known.fate.send_replace(Fate::Connected);
        });
        Up { fates: self.clone(), node, lost: false }
    }

    /// It was heard on a connection.
    pub(super) fn heard(&self, node: NodeId) {
        self.with(node, |known| {
            let silent = |fate: &mut Fate| {
                let was = matches!(fate, Fate::Silent { .. });
                if was {
                    *fate = Fate::Connected;
                }
                was
            };
            known.fate.send_if_modified(silent);
        });
    }

    /// It did not answer in time.
    pub(super) fn silent(&self, node: NodeId, since: Instant) {
        self.with(node, |known| {
            let later = |fate: &mut Fate| {
                let news = !matches!(fate, Fate::Refused | Fate::Silent { .. });
                if news {
                    *fate = Fate::Silent { since };
                }
                news
            };
            known.fate.send_if_modified(later);
        });
    }

    /// A connect to it was refused. With a connection that is up this says only that it is reached elsewhere: should it
    /// have died, that connection tells.
    pub(super) fn refused(&self, node: NodeId) {
        self.with(node, |known| {
            if known.up == 0 {
                known.fate.send_replace(Fate::Refused);
            }
        });
    }

    /// A connection ended without a word: tells so, and asks with a fresh connect what is left of the node.
    fn reset(&self, node: NodeId) {
        let ask = self.with(node, |known| {
            known.fate.send_replace(Fate::Reset);
            let ask = known.address.clone().filter(|_| !known.probing);
            known.probing = ask.is_some();
            ask
        });
        let (Some(address), Ok(io)) = (ask, tokio::runtime::Handle::try_current()) else { return };
        let fates = self.clone();
        io.spawn(async move {
            let mut found = probe(&address).await;
            for pause in PROBE_AGAIN {
                // A process that dies may lose its connections a little before its listener: what listens and is not
                // connected is asked again.
                if found != Fate::Connected || fates.with(node, |known| known.up > 0) {
                    break;
                }
                tokio::time::sleep(pause).await;
                found = probe(&address).await;
            }
            fates.with(node, |known| {
                known.probing = false;
                let told = |fate: &mut Fate| {
                    // Something newer may be known by now.
                    let news = *fate == Fate::Reset;
                    if news {
                        *fate = found;
                    }
                    news
                };
                known.fate.send_if_modified(told);
            });
        });
    }

    fn down(&self, node: NodeId) -> usize {
        self.with(node, |known| {
            known.up = known.up.saturating_sub(1);
            known.up
        })
    }
}

/// A fresh connect: what it says of whoever listens there. `Connected` is the kernel's word that something listens.
pub(super) async fn probe(address: &str) -> Fate {
    let start = Instant::now();
    match tokio::time::timeout(PROBE_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Fate::Connected,
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => Fate::Refused,
        Ok(Err(_)) | Err(_) => Fate::Silent { since: start },
    }
}

/// A connection that is up.
pub(super) struct Up {
    fates: Fates,
    node: NodeId,
    lost: bool,
}

impl Up {
    /// It ended without a word, and not by this node's doing.
    pub(super) fn reset(mut self) {
        self.lost = true;
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let left = self.fates.down(self.node);
        if self.lost {
            self.fates.reset(self.node);
        } else if left == 0 {
            self.fates.with(self.node, |known| {
                let over = |fate: &mut Fate| {
                    let news = *fate == Fate::Connected;
                    if news {
                        *fate = Fate::Closed;
                    }
                    news
                };
                known.fate.send_if_modified(over);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);

    #[tokio::test]
    async fn a_reset_is_told_at_once_and_then_what_a_fresh_connect_says() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let fates = Fates::default();
        let mut fate = fates.watch(NODE);
        assert_eq!(*fate.borrow(), Fate::Unknown);
        fates.listens(NODE, &address);
        let (one, two) = (fates.connected(NODE), fates.connected(NODE));
        assert_eq!(*fate.borrow_and_update(), Fate::Connected);
        one.reset();
        assert_eq!(*fate.borrow_and_update(), Fate::Reset);
        fate.wait_for(|fate| *fate == Fate::Connected).await.expect("it still listens");
        drop(listener);
        two.reset();
        fate.wait_for(|fate| *fate == Fate::Refused).await.expect("it listens no more");
        fates.silent(NODE, Instant::now());
        assert_eq!(*fate.borrow(), Fate::Refused, "more is known than that");
    }

    #[tokio::test]
    async fn a_listener_that_outlives_its_connections_for_a_moment_is_no_sign_of_life() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let fates = Fates::default();
        fates.listens(NODE, &listener.local_addr().expect("an address").to_string());
        let mut fate = fates.watch(NODE);
        fates.connected(NODE).reset();
        // The first connect is taken, and only then the listener goes.
        listener.accept().await.expect("the probe");
        assert_eq!(*fate.borrow_and_update(), Fate::Reset);
        drop(listener);
        fate.changed().await.expect("told");
        assert_eq!(*fate.borrow_and_update(), Fate::Refused);
    }

    #[tokio::test]
    async fn the_last_connection_that_ends_in_order_closes() {
        let fates = Fates::default();
        let (one, two) = (fates.connected(NODE), fates.connected(NODE));
        let fate = fates.watch(NODE);
        drop(one);
        assert_eq!(*fate.borrow(), Fate::Connected);
        let since = Instant::now();
        fates.silent(NODE, since);
        assert_eq!(*fate.borrow(), Fate::Silent { since });
        fates.heard(NODE);
        assert_eq!(*fate.borrow(), Fate::Connected);
        fates.refused(NODE);
        assert_eq!(*fate.borrow(), Fate::Connected, "it is connected, wherever it listens");
        drop(two);
        assert_eq!(*fate.borrow(), Fate::Closed);
        fates.refused(NODE);
        assert_eq!(*fate.borrow(), Fate::Refused);
        fates.heard(NODE);
        assert_eq!(*fate.borrow(), Fate::Refused, "an answer under way is no connection");
    }

    #[test]
    fn what_is_followed_is_bounded() {
        let fates = Fates::default();
        let kept = fates.watch(NodeId(7));
        for node in 0..2 * NODES_MAX as u64 {
            fates.refused(NodeId(node));
        }
        assert!(fates.table().len() <= NODES_MAX);
        assert_eq!(*kept.borrow(), Fate::Refused);
        assert!(fates.table().contains_key(&NodeId(7)), "somebody watches it");
    }
}
