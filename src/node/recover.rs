//! What survivors of a lost majority hold, and one of them going on alone: from the data folders, without a node.

use crate::base::error::Result;
use crate::cluster::consensus::recover::{self, Held};
use crate::cluster::identity::NodeId;
use crate::cluster::roster::{Book, PREFIX};
use crate::node::io_runtime;
use crate::store::DataDir;
use std::path::Path;

/// A member of the cluster, as a survivor knows it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its id.
    pub node: String,
    /// Its host's name; empty when it is not known.
    pub hostname: String,
    /// Where it was.
    pub address: String,
    /// Whether it votes.
    pub votes: bool,
}

/// What a survivor holds.
#[derive(Clone, Debug)]
pub struct Survivor {
    /// The node.
    pub node: String,
    /// Its cluster.
    pub cluster: String,
    /// The newest term it knows of.
    pub term: u64,
    /// Term and index of its last entry.
    pub last: Option<(u64, u64)>,
    /// The index of the last entry that it knows to be agreed on.
    pub applied: Option<u64>,
    /// All members of the log.
    pub members: Vec<Known>,
}

/// Looks into a data folder; its node must not run.
///
/// # Errors
/// As [`DataDir::open`] and [`recover::held`].
pub fn look(dir: &Path) -> Result<Survivor> {
    let dir = DataDir::open(dir)?;
    let held = recover::held(&dir, PREFIX)?;
    Ok(survivor(held))
}

/// Makes the node of a data folder the only voter; it must not run.
///
/// # Errors
/// As [`recover::go_on_alone`].
pub fn go_on_alone(dir: &Path) -> Result<()> {
    let dir = DataDir::open(dir)?;
    io_runtime()?.block_on(recover::go_on_alone(&dir))
}

fn survivor(held: Held) -> Survivor {
    // Names help; what is held can be told without them.
    let book = Book::read(held.records).unwrap_or_default();
    let members = held.members.iter().map(|(node, address)| Known {
        node: NodeId(*node).to_string(),
        hostname: book.node(NodeId(*node)).map(|n| n.hostname.clone()).unwrap_or_default(),
        address: address.clone(),
        votes: held.voters.contains(node),
    });
    Survivor {
        node: NodeId(held.node).to_string(),
        cluster: format!("{:016x}", held.cluster),
        term: held.term,
        last: held.last,
        applied: held.applied,
        members: members.collect(),
    }
}
