//! Whose an agent is. Its id belongs to the node that registered it, as that node's certificate names it: no other node may
//! come with it, nor push it out of its address while it is there. Kept in the registry, so that it holds for every master
//! after this one, and while the agent is unreachable. An agent of before agents had nodes is bound when it next registers.

use super::agents;
use super::io::{Act, LinkId, NodeId};
use super::{MasterCore, Out, registry};
use crate::base::ids::AgentId;
use crate::machine::Cx;
use crate::mesos::v1;

/// Where an agent is to be asked for what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// On that node, reached or not.
    Node(NodeId),
    /// Known from before agents had nodes; it has not registered since.
    Unbound,
    /// There is no such agent.
    Unknown,
}

impl MasterCore {
    /// Where an agent is: registered, awaited, or unreachable.
    pub fn whereabouts(&self, id: &AgentId) -> Whereabouts {
        match self.node_of(id) {
            Some(node) => Whereabouts::Node(node),
            None if self.is_known(id) => Whereabouts::Unbound,
            None => Whereabouts::Unknown,
        }
    }

    /// The agents of a node: registered, awaited, or unreachable.
    pub fn agents_on(&self, node: NodeId) -> Vec<AgentId> {
        let on = self.agents.nodes.iter().filter(|(_, owner)| **owner == node);
        on.map(|(id, _)| id.clone()).collect()
    }

    /// The registered agent of each node.
    pub fn agents_by_node(&self) -> Vec<(NodeId, AgentId)> {
        let registered = &self.agents.registered;
        let of_nodes = self.agents.nodes.iter().filter(|(id, _)| registered.contains_key(*id));
        of_nodes.map(|(id, node)| (*node, id.clone())).collect()
    }

    /// Whether nothing runs on a node, as far as its agents have told: of one that is awaited nobody knows.
    pub fn is_clear(&self, node: NodeId) -> bool {
        self.agents_on(node).iter().all(|id| {
            let agent = self.agents.get(id.as_str());
            agent.is_some_and(|agent| agent.link.is_some() && agent.tasks.is_empty())
        })
    }

    pub(super) fn node_of(&self, id: &AgentId) -> Option<NodeId> {
        self.agents.nodes.get(id).copied()
    }

    fn is_known(&self, id: &AgentId) -> bool {
        let agents = &self.agents;
        agents.registered.contains_key(id)
            || agents.recovered.contains_key(id)
            || agents.unreachable.get(id.as_str()).is_some()
    }

    /// Whether an agent on that node may register as who it says it is, where it says it is.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_node(&self, node: NodeId, info: &v1::AgentInfo) -> Result<(), String> {
        let id = info.id.as_ref().map_or("", |id| id.value.as_str());
        if let Some(owner) = self.agents.nodes.get(id).filter(|owner| **owner != node) {
            return Err(format!("agent {id} is node {owner}'s, and came from node {node}"));
        }
        let address = agents::address(info, Some(node));
        let Some(holder) = self.agents.by_address.get(&address) else { return Ok(()) };
        // One without a link may be gone for good, its machine set up anew: it is replaced as ever.
        let Some(owner) = self.node_of(holder).filter(|owner| *owner != node) else {
            return Ok(());
        };
        if holder.as_str() == id || self.agents.link(holder.as_str()).is_none() {
            return Ok(());
        }
        let (_, hostname, port) = address;
        Err(format!(
            "an agent of node {node} says that it is at {hostname}:{port}, where agent {holder} of node {owner} is; \
             give one of them another hostname or port"
        ))
    }

    /// Has the connection cut. Nobody is told to end: who comes with another's id must not end that one.
    pub(super) fn refuse_link(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        node: NodeId,
        why: String,
        out: &mut Out,
    ) {
        self.metrics.add("slaves_of_other_nodes_refused");
        self.link_closed(cx, link, out);
        out.act(Act::RefuseLink { link, node, why });
    }

    /// The agent is that node's from now on, if it was nobody's.
    pub(super) fn own(&mut self, cx: &Cx<'_>, id: &AgentId, node: NodeId, out: &mut Out) {
        if self.agents.nodes.insert(id.clone(), node).is_some() {
            return;
        }
        // One that is not registered is written down when it is.
        let info = self.agents.get(id.as_str()).map(|agent| agent.info.clone());
        if let Some(info) = info {
            self.admit(cx, id, &info, out);
        }
    }

    /// Writes down that an agent is a member of the cluster.
    pub(super) fn admit(&self, cx: &Cx<'_>, id: &AgentId, info: &v1::AgentInfo, out: &mut Out) {
        out.write(registry::admit(id, info, self.node_of(id), cx.wall));
    }

    /// Takes over what the registry says.
    pub(super) fn recover_node(&mut self, id: &AgentId, node: Option<u64>) {
        if let Some(node) = node {
            self.agents.nodes.insert(id.clone(), NodeId(node));
        }
    }

    /// Forgets whose agents were that nobody knows any more.
    pub(super) fn forget_nodes(&mut self) {
        let mut nodes = std::mem::take(&mut self.agents.nodes);
        nodes.retain(|id, _| self.is_known(id));
        self.agents.nodes = nodes;
    }
}
