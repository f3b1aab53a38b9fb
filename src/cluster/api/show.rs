//! The cluster as JSON.

use super::{Api, ms};
use crate::base::error::Result;
use crate::base::time::Wall;
use crate::cluster::gossip::{Facts, Member};
use crate::cluster::identity::{NodeId, wall_now};
use crate::cluster::membership::{Order, Standing};
use crate::cluster::roster::NodeRecord;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
pub(super) struct Cluster {
    cluster: String,
    this: String,
    leader: Option<Leader>,
    epoch: u64,
    policy: Policy,
    waits: Option<String>,
    last_step: Option<LastStep>,
    failure: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Serialize)]
struct Leader {
    node: String,
    address: String,
}

#[derive(Serialize)]
struct LastStep {
    text: String,
    at: u64,
}

#[derive(Serialize)]
struct Policy {
    voters_max: usize,
}

#[derive(Serialize)]
struct Node {
    node: String,
    hostname: String,
    address: String,
    zone: String,
    roles: Vec<&'static str>,
    version: String,
    standing: Standing,
    alive: Option<bool>,
    /// Since when it is alive or not, as this node saw it.
    since: Option<u64>,
    joined: u64,
    explanation: String,
    order: &'static str,
    leaving: bool,
    /// The agent that runs there.
    agent_id: Option<String>,
    faces: BTreeMap<&'static str, String>,
}

fn word(order: Order) -> &'static str {
    match order {
        Order::None => "none",
        Order::Promote => "promote",
        Order::Demote => "demote",
        Order::Pin => "pin",
    }
}

/// All nodes that were let in, as the leader sees them.
/// `asked` is the node that the request came to first.
pub(super) fn cluster(
    api: &Api,
    asked: NodeId,
    agents: &BTreeMap<NodeId, String>,
) -> Result<Cluster> {
    let seat = api.seat()?;
    let book = seat.book();
    let book = book.borrow().clone();
    let steering = api.steering.borrow().clone();
    let members = api.gossip.members();
    let members = members.borrow().clone();
    let nodes = book.nodes().map(|record| {
        let told = steering.explanations.iter().find(|e| e.node == record.node.0);
        let (standing, text) = match told {
            Some(e) => (e.standing, e.text.clone()),
            None => (Standing::Outside, "gossip does not know it".to_string()),
        };
        let seen = members.nodes.get(&record.node.0);
        let agent_id = agents.get(&record.node).cloned();
        Node { agent_id, ..node(record, seen, standing, text) }
    });
    let registry = seat.registry();
    Ok(Cluster {
        cluster: format!("{:016x}", registry.cluster_id()),
        this: asked.to_string(),
        leader: api
            .leader
            .borrow()
            .as_ref()
            .map(|place| Leader { node: place.node.to_string(), address: place.address.clone() }),
        epoch: seat.epoch().0,
        policy: Policy { voters_max: api.policy.voters_max },
        waits: steering.waits.clone(),
        last_step: steering.last.clone().map(|(text, at)| LastStep { text, at: ms(at) }),
        failure: steering.failure.clone(),
        nodes: nodes.collect(),
    })
}

fn node(record: &NodeRecord, seen: Option<&Member>, standing: Standing, text: String) -> Node {
    let none = Facts::default();
    let facts = seen.map_or(&none, |seen| &*seen.facts);
    let since = seen.map(|seen| {
        let ago = u64::try_from(seen.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        ms(Wall(wall_now().0.saturating_sub(ago)))
    });
    let roles = match seen {
        Some(_) => facts.roles.iter().map(|role| role.name()).collect(),
        None => record.roles.iter().map(|role| role.name()).collect(),
    };
    Node {
        node: record.node.to_string(),
        hostname: match facts.hostname.is_empty() {
            true => record.hostname.clone(),
            false => facts.hostname.clone(),
        },
        address: seen.map_or_else(|| record.address.clone(), |seen| seen.address.to_string()),
        zone: record.zone.clone(),
        roles,
        version: facts.version.clone(),
        standing,
        alive: seen.map(|seen| seen.alive),
        since,
        joined: ms(record.joined),
        explanation: text,
        order: word(record.order),
        leaving: record.leaving,
        agent_id: None,
        faces: facts.faces.iter().map(|(role, at)| (role.name(), at.clone())).collect(),
    }
}
