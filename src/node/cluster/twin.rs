//! Whether this node may start with the identity it has: not where another process runs with it, since a data folder that
//! was copied would give one voter two votes, and not where it was removed from its cluster.
//!
//! Those that were there before are asked, before the log is opened, whether gossip sees this node alive elsewhere. Where none
//! of them answers there is nobody to be confused. Two copies on one address exclude each other by its port.

use crate::base::error::{Code, Error, Result};
use crate::cluster::gossip::Gossip;
use crate::cluster::identity::NodeId;
use crate::cluster::link::Link;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a member may take to say what it sees.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How often they are asked again: a process that has just ended is taken for alive for a while.
const AGAIN: Duration = Duration::from_millis(250);
/// For how long.
const SURE_AFTER: Duration = Duration::from_secs(5);

/// Waits until no member of `others` sees this node alive at another address than `own`.
///
/// # Errors
/// [`Code::Conflict`] when one still does; [`Code::Forbidden`] when one says that this node was removed.
pub(super) async fn none(
    link: &Link,
    others: &[String],
    own: SocketAddr,
    say: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let (since, own) = (Instant::now(), own.to_string());
    let mut told = false;
    while let Some((at, by)) = seen(link, others, &own).await {
        if since.elapsed() > SURE_AFTER {
            let cause =
                format!("node {} runs at {at} already, as the member at {by} sees it", link.node());
            return Err(Error::new(Code::Conflict, cause).hint(
                "two processes with one identity would vote twice. Stop the other one first, if this node has moved; if the \
                 data folder is a copy, empty it and join as a new node",
            ));
        }
        if !told {
            say(&format!(
                "this node was seen at {at} a moment ago: waiting until it is gone there"
            ));
            told = true;
        }
        tokio::time::sleep(AGAIN).await;
    }
    match *link.removed().borrow() {
        true => Err(removed()),
        false => Ok(()),
    }
}

/// What a node says that is shut out.
pub fn removed() -> Error {
    Error::new(Code::Forbidden, "this node was removed from its cluster")
        .hint("to join again, start it with an empty data directory and a token")
}

/// Where the first member that answers sees this node, if that is elsewhere, and which member that is.
async fn seen(link: &Link, others: &[String], own: &str) -> Option<(String, String)> {
    let mut asked = JoinSet::new();
    for other in others.iter().filter(|other| *other != own).cloned() {
        let peer = link.peer(&other, None);
        asked.spawn(async move {
            let answer = tokio::time::timeout(ANSWER_WITHIN, peer.standing()).await;
            answer.ok().and_then(Result::ok).map(|standing| (standing.seen_at, other))
        });
    }
    while let Some(answer) = asked.join_next().await {
        if let Ok(Some((seen_at, by))) = answer {
            return seen_at.filter(|at| at != own).map(|at| (at, by));
        }
    }
    None
}

/// Where gossip sees a node alive.
pub(super) fn alive_at(gossip: &Gossip, node: NodeId) -> Option<String> {
    let members = gossip.members();
    let members = members.borrow();
    let seen = members.nodes.get(&node.0)?;
    seen.alive.then(|| seen.address.to_string())
}
