//! Frameworks: what they can, where they hold something, and whether they want more.

use super::labels::Labels;
use super::options::FrameworkTraits;
use super::tree::Tree;
use super::vector::Vector;
use crate::base::ids::{FrameworkId, Role};
use std::collections::{BTreeMap, BTreeSet};

/// One framework.
#[derive(Debug)]
pub(super) struct Framework {
    /// Its id.
    pub id: FrameworkId,
    label: u64,
    /// Whether it has been added; else it is known from agents alone, by what it holds there.
    pub added: bool,
    /// Whether it is connected.
    pub active: bool,
    /// What it can.
    pub traits: FrameworkTraits,
    /// Its clients, by the role's node.
    pub clients: BTreeMap<u32, u32>,
    /// Agents where it holds something.
    pub agents: BTreeSet<u32>,
}

/// All frameworks.
#[derive(Debug, Default)]
pub(super) struct Members {
    slots: Vec<Option<Framework>>,
    empty: Vec<u32>,
    by_id: Labels<FrameworkId>,
}

impl Members {
    /// The slot of a framework, added or only known from agents.
    pub fn find(&self, id: &FrameworkId) -> Option<u32> {
        self.by_id.slot(id)
    }

    /// A framework.
    pub fn get(&self, slot: u32) -> Option<&Framework> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// A framework, to change it.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Framework> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// All frameworks, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Framework> {
        self.by_id.iter().filter_map(|(_, _, slot)| self.get(slot))
    }

    /// The slot of a framework, made if need be.
    pub fn ensure(&mut self, id: &FrameworkId, tree: &mut Tree) -> u32 {
        if let Some(slot) = self.find(id) {
            return slot;
        }
        let slot = self.empty.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize] = Some(Framework {
            id: id.clone(),
            label: 0,
            added: false,
            active: false,
            traits: FrameworkTraits::default(),
            clients: BTreeMap::new(),
            agents: BTreeSet::new(),
        });
        match self.by_id.insert(id.clone(), slot) {
            Some(label) => {
                if let Some(framework) = self.get_mut(slot) {
                    framework.label = label;
                }
            }
            None => self.relabel(tree),
        }
        slot
    }

    fn relabel(&mut self, tree: &mut Tree) {
        for (_, label, slot) in self.by_id.iter() {
            let Some(Some(framework)) = self.slots.get_mut(slot as usize) else { continue };
            framework.label = label;
            framework.clients.values().for_each(|client| tree.relabel_client(*client, label));
        }
    }

    /// The client of a framework in a role, made if need be.
    pub fn client(&mut self, slot: u32, role: &Role, tree: &mut Tree) -> Option<u32> {
        let framework = self.get_mut(slot)?;
        let known = tree.find(role.as_str()).and_then(|node| framework.clients.get(&node));
        if let Some(client) = known {
            return Some(*client);
        }
        let client = tree.add_client(slot, framework.label, role);
        let node = tree.client(client)?.node;
        framework.clients.insert(node, client);
        Some(client)
    }

    /// Writes a framework's roles, suppression and minimal offers into its clients, and serves
    /// those that are to be served. Answers the clients that were not served before.
    pub fn settle(
        &mut self,
        slot: u32,
        suppressed: Option<&BTreeSet<Role>>,
        tree: &mut Tree,
    ) -> Vec<u32> {
        let Some(framework) = self.get(slot) else { return Vec::new() };
        let (roles, active) = (framework.traits.roles.clone(), framework.active);
        for role in &roles {
            self.client(slot, role, tree);
        }
        let mut hungry = Vec::new();
        let Some(framework) = self.get(slot) else { return hungry };
        for (node, client) in &framework.clients {
            let role = tree.node(*node).role.clone();
            let Some(state) = tree.client_mut(*client) else { continue };
            state.subscribed = role.as_ref().is_some_and(|r| roles.contains(r));
            if let (Some(suppressed), Some(role)) = (suppressed, &role) {
                state.suppressed = suppressed.contains(role);
            }
            let least = role.as_ref().and_then(|r| framework.traits.min_allocatable.get(r));
            state.least = least.map(|all| all.iter().map(Vector::from_quantities).collect());
            let served = active && state.subscribed && !state.suppressed;
            if served && !tree.is_eligible(*client) {
                hungry.push(*client);
            }
            tree.set_eligible(*client, served);
        }
        hungry
    }

    /// Forgets clients that are neither subscribed nor hold anything, and the framework when it is
    /// neither added nor has clients.
    pub fn prune(&mut self, slot: u32, tree: &mut Tree) {
        let Some(framework) = self.get_mut(slot) else { return };
        framework.clients.retain(|_, client| {
            let keep = tree.client(*client).is_some_and(|c| c.subscribed || c.agents > 0);
            if !keep {
                tree.remove_client(*client);
            }
            keep
        });
        if framework.added || !framework.clients.is_empty() {
            return;
        }
        if let Some(framework) = self.slots.get_mut(slot as usize).and_then(Option::take) {
            self.by_id.remove(&framework.id);
            self.empty.push(slot);
        }
    }
}
