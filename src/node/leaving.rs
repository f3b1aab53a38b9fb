//! Nodes that are to leave, as the leader sees to it: the master's core is told which agents are on them, and the nodes are
//! told that they may go when nothing is left there. It decides nothing: what to ask, whom, and for how long is the core's.

use crate::base::error::Result;
use crate::base::ids::AgentId;
use crate::cluster::identity::NodeId;
use crate::cluster::roster::Seat;
use crate::master::core::io::{self, Input};
use crate::master::service::Master;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;

/// How often is looked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Sees to it until it is dropped: one incarnation of the leader. `cleared` holds the nodes that nothing is left on.
pub async fn see_off(seat: Seat, master: Master, cleared: watch::Sender<BTreeSet<NodeId>>) {
    let mut book = seat.book();
    let mut asked = BTreeSet::new();
    loop {
        let leaving: BTreeSet<NodeId> = {
            let book = book.borrow_and_update();
            book.nodes().filter(|record| record.leaving).map(|record| record.node).collect()
        };
        match look(&master, &leaving).await {
            Ok((agents, clear)) => {
                if agents != asked {
                    asked.clone_from(&agents);
                    if let Err(e) = master.handle().send(Input::AskBack { agents }).await {
                        // The core has ended, and takes this with it.
                        return tracing::debug!("agents are not asked back: {e}");
                    }
                }
                cleared.send_if_modified(|now| {
                    let other = *now != clear;
                    *now = clear;
                    other
                });
            }
            Err(e) => return tracing::debug!("what runs on nodes that leave is not known: {e}"),
        }
        tokio::select! {
            changed = book.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK_EVERY), if !leaving.is_empty() => {}
        }
    }
}

/// The agents on nodes that leave, and the nodes that nothing is left on.
async fn look(
    master: &Master,
    leaving: &BTreeSet<NodeId>,
) -> Result<(BTreeSet<AgentId>, BTreeSet<NodeId>)> {
    let nodes = leaving.clone();
    let on = |node: &NodeId| io::NodeId(node.0);
    master
        .handle()
        .look(move |core| {
            let agents = nodes.iter().flat_map(|node| core.agents_on(on(node))).collect();
            let clear = nodes.iter().filter(|node| core.is_clear(on(node))).copied().collect();
            (agents, clear)
        })
        .await
}
