//! Nodes that are to leave, as the leader sees to it: what runs there is asked back, ended when that takes too long, and
//! the node is told that it may go when nothing is left. What to ask and whom decides the master's core.

use crate::base::error::Result;
use crate::base::ids::AgentId;
use crate::cluster::identity::NodeId;
use crate::cluster::roster::Seat;
use crate::master::core::io::{self, Answer, Input};
use crate::master::service::Master;
use crate::mesos::v1::DrainConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long frameworks may take to put what they have there elsewhere; then it is ended.
pub const CLEAR_WITHIN: Duration = Duration::from_secs(60);
/// How often is looked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Sees to it until it is dropped: one incarnation of the leader. `cleared` holds the nodes that nothing is left on.
pub async fn see_off(seat: Seat, master: Master, cleared: watch::Sender<BTreeSet<NodeId>>) {
    let mut book = seat.book();
    let mut since: BTreeMap<NodeId, Instant> = BTreeMap::new();
    let mut drained: BTreeSet<AgentId> = BTreeSet::new();
    let mut asked = BTreeSet::new();
    loop {
        let leaving: BTreeSet<NodeId> = {
            let book = book.borrow_and_update();
            book.nodes().filter(|record| record.leaving).map(|record| record.node).collect()
        };
        since.retain(|node, _| leaving.contains(node));
        for node in &leaving {
            since.entry(*node).or_insert_with(Instant::now);
        }
        match look(&master, &leaving).await {
            Ok(found) => {
                let agents: BTreeSet<AgentId> =
                    found.values().flat_map(|on| on.agents.iter().cloned()).collect();
                if agents != asked {
                    asked.clone_from(&agents);
                    // A core that has ended takes this with it.
                    let _ = master.handle().send(Input::AskBack { agents }).await;
                }
                for (node, on) in found.iter().filter(|(_, on)| !on.is_clear) {
                    let late = since.get(node).is_some_and(|at| at.elapsed() > CLEAR_WITHIN);
                    for agent in on.agents.iter().filter(|_| late) {
                        if drained.insert(agent.clone()) {
                            drain(&master, agent).await;
                        }
                    }
                }
                let clear = found.iter().filter(|(_, on)| on.is_clear).map(|(node, _)| *node);
                let clear: BTreeSet<NodeId> = clear.collect();
                cleared.send_if_modified(|now| {
                    let other = *now != clear;
                    *now = clear;
                    other
                });
            }
            // It comes with the end of the incarnation.
            Err(e) => tracing::debug!("what runs on nodes that leave is not known: {e}"),
        }
        tokio::select! {
            changed = book.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK_EVERY), if !leaving.is_empty() => {}
        }
    }
}

/// What is on a node.
struct On {
    agents: Vec<AgentId>,
    is_clear: bool,
}

async fn look(master: &Master, leaving: &BTreeSet<NodeId>) -> Result<BTreeMap<NodeId, On>> {
    let nodes = leaving.clone();
    master
        .handle()
        .look(move |core| {
            let on = |node: NodeId| {
                let id = io::NodeId(node.0);
                (node, On { agents: core.agents_on(id), is_clear: core.is_clear(id) })
            };
            nodes.into_iter().map(on).collect()
        })
        .await
}

async fn drain(master: &Master, agent: &AgentId) {
    tracing::info!("agent {agent} is drained: its node leaves, and tasks are left on it");
    let config = DrainConfig { max_grace_period: None, mark_gone: None };
    let agent_id = agent.clone();
    match master.request(|request| Input::DrainAgent { request, agent_id, config }).await {
        Ok(Answer::Done) => {}
        Ok(other) => tracing::warn!("agent {agent} cannot be drained: {other:?}"),
        Err(e) => tracing::warn!("agent {agent} cannot be drained: {e}"),
    }
}
