//! The tree of roles and the order in which it is served: weighted dominant share, level by level.
//!
//! A *client* is one framework in one role (the original's word). A role that has both clients and
//! roles below it competes with those through a leaf of its own, of weight 1, as in the original.

use super::labels::Labels;
use super::vector::{Vector, Whole};
use crate::base::ids::Role;
use crate::base::roles;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Levels of roles that have shares of their own. What is deeper competes at the last of them: role
/// names come from outside, and a walk must not go as deep as somebody likes to write.
pub(super) const ROLE_LEVELS_MAX: usize = 32;

/// The node above all top-level roles.
pub(super) const ROOT: u32 = 0;

/// The place in an order: least share first, then fewest allocations, then the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The bits of a share that is not negative: they sort as the numbers do.
    share: u64,
    count: u64,
    label: u64,
    slot: u32,
}

/// One framework in one role.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The framework's slot.
    pub framework: u32,
    /// The role's node.
    pub node: u32,
    /// Whether the framework is in the role now (else it only holds resources from before).
    pub subscribed: bool,
    /// Whether it wants no offers in this role.
    pub suppressed: bool,
    /// Its least offer, if it is not the cluster's.
    pub least: Option<Vec<Vector>>,
    /// What it holds, over all agents.
    pub allocated: Vector,
    /// On how many agents it holds something.
    pub agents: u32,
    count: u64,
    label: u64,
    eligible: bool,
    key: Option<Key>,
}

/// One role.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Its whole name; empty at the root.
    pub role: Option<Role>,
    /// The node above.
    pub parent: u32,
    /// What it and all below it hold.
    pub allocated: Vector,
    own_allocated: Vector,
    weight: f64,
    label: u64,
    count: u64,
    own_count: u64,
    /// Clients, and child nodes, whether they are served or not: what keeps the node.
    members: u32,
    kids: u32,
    /// How many clients are served, here and in all below.
    own_eligible: u32,
    eligible: u32,
    key: Option<Key>,
    own_key: Option<Key>,
    clients: BTreeSet<Key>,
    children: BTreeSet<Key>,
}

/// Roles, clients, shares and their order.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    free_nodes: Vec<u32>,
    names: Labels<Role>,
    clients: Vec<Option<Client>>,
    free_clients: Vec<u32>,
    weights: BTreeMap<Role, f64>,
    whole: Whole,
    /// The orders must be made anew: the cluster's total, a weight or a label has changed.
    stale: bool,
}

impl Tree {
    /// A tree without roles.
    pub fn new(weights: BTreeMap<Role, f64>, excluded: BTreeSet<String>) -> Self {
        Self {
            nodes: vec![Node { weight: 1.0, ..Node::default() }],
            free_nodes: Vec::new(),
            names: Labels::default(),
            clients: Vec::new(),
            free_clients: Vec::new(),
            weights,
            whole: Whole::new(excluded),
            stale: false,
        }
    }

    /// The node of a role, if somebody is in it or below it.
    pub fn find(&self, role: &str) -> Option<u32> {
        self.names.slot(role)
    }

    /// The node that has a role and all below it under itself, if somebody is there.
    pub fn find_above(&self, role: &str) -> Option<u32> {
        self.find(shallow(role).unwrap_or(role))
    }

    /// A node. Slots come from this tree alone.
    pub fn node(&self, slot: u32) -> &Node {
        &self.nodes[slot as usize]
    }

    /// A client. `None` once it is gone.
    pub fn client(&self, slot: u32) -> Option<&Client> {
        self.clients.get(slot as usize)?.as_ref()
    }

    /// A client, to change what has no part in the order.
    pub fn client_mut(&mut self, slot: u32) -> Option<&mut Client> {
        self.clients.get_mut(slot as usize)?.as_mut()
    }

    /// Roles with somebody in them or below them, by name.
    pub fn roles(&self) -> impl Iterator<Item = (&Role, &Node)> {
        self.names.iter().map(|(role, _, slot)| (role, self.node(slot)))
    }

    /// The configured weight of a role.
    pub fn weight(&self, role: &Role) -> f64 {
        self.weights.get(role).copied().unwrap_or(1.0)
    }

    /// Every weight that was set.
    pub fn weights(&self) -> &BTreeMap<Role, f64> {
        &self.weights
    }

    /// The share of what was allocated in the whole cluster, without weight.
    pub fn share(&self, allocated: &Vector) -> f64 {
        self.whole.share(allocated)
    }

    /// The cluster has become larger.
    pub fn grow(&mut self, by: &Vector) {
        self.whole.grow(by);
        self.stale = true;
    }

    /// The cluster has become smaller.
    pub fn shrink(&mut self, by: &Vector) {
        self.whole.shrink(by);
        self.stale = true;
    }

    /// Sets the weight of a role, whether it is known yet or not.
    pub fn set_weight(&mut self, role: Role, weight: f64) {
        if let Some(slot) = self.names.slot(&role) {
            self.nodes[slot as usize].weight = weight;
            self.stale = true;
        }
        self.weights.insert(role, weight);
    }

    /// The node of a role, made with all above it if need be.
    fn ensure(&mut self, role: &Role) -> u32 {
        if let Some(slot) = self.names.slot(role) {
            return slot;
        }
        let name = role.as_str();
        let parent = match shallow(name).or_else(|| roles::parent(name)) {
            Some(up) => self.ensure(&up.into()),
            None => ROOT,
        };
        let slot = self.free_nodes.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            (self.nodes.len() - 1) as u32
        });
        let weight = self.weight(role);
        self.nodes[slot as usize] =
            Node { role: Some(role.clone()), parent, weight, ..Node::default() };
        match self.names.insert(role.clone(), slot) {
            Some(label) => self.nodes[slot as usize].label = label,
            None => {
                for (_, label, slot) in self.names.iter() {
                    self.nodes[slot as usize].label = label;
                }
                self.stale = true;
            }
        }
        self.nodes[parent as usize].kids += 1;
        // The parent's own leaf now has somebody to compete with.
        self.place_own(parent);
        slot
    }

    /// A new client of a role; not served until [`Tree::set_eligible`].
    pub fn add_client(&mut self, framework: u32, label: u64, role: &Role) -> u32 {
        let node = self.ensure(role);
        self.nodes[node as usize].members += 1;
        let client = Client {
            framework,
            node,
            subscribed: false,
            suppressed: false,
            least: None,
            allocated: Vector::default(),
            agents: 0,
            count: 0,
            label,
            eligible: false,
            key: None,
        };
        match self.free_clients.pop() {
            Some(slot) => {
                self.clients[slot as usize] = Some(client);
                slot
            }
            None => {
                self.clients.push(Some(client));
                (self.clients.len() - 1) as u32
            }
        }
    }

    /// Forgets a client that holds nothing, and the roles that only it kept.
    pub fn remove_client(&mut self, slot: u32) {
        self.set_eligible(slot, false);
        let Some(client) = self.clients.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        self.free_clients.push(slot);
        self.nodes[client.node as usize].members -= 1;
        let mut at = client.node;
        while at != ROOT && self.node(at).members == 0 && self.node(at).kids == 0 {
            let parent = self.node(at).parent;
            if let Some(role) = self.nodes[at as usize].role.take() {
                self.names.remove(&role);
            }
            self.free_nodes.push(at);
            self.nodes[parent as usize].kids -= 1;
            self.place_own(parent);
            at = parent;
        }
    }

    /// The framework's name has a new label.
    pub fn relabel_client(&mut self, slot: u32, label: u64) {
        if let Some(client) = self.client_mut(slot) {
            client.label = label;
            self.stale = true;
        }
    }

    /// Whether the client is served.
    pub fn is_eligible(&self, slot: u32) -> bool {
        self.client(slot).is_some_and(|c| c.eligible)
    }

    /// Serves a client, or no longer.
    pub fn set_eligible(&mut self, slot: u32, eligible: bool) {
        let Some(client) = self.client_mut(slot) else { return };
        if client.eligible == eligible {
            return;
        }
        client.eligible = eligible;
        let mut at = client.node;
        let change = |n: &mut u32| if eligible { *n += 1 } else { *n -= 1 };
        change(&mut self.nodes[at as usize].own_eligible);
        loop {
            change(&mut self.nodes[at as usize].eligible);
            if at == ROOT {
                break;
            }
            at = self.node(at).parent;
        }
        self.place(slot);
    }

    /// The client holds more, by an allocation.
    pub fn allocated(&mut self, slot: u32, by: &Vector) {
        self.account(slot, |v| v.add(by), 1);
    }

    /// The client holds less.
    pub fn released(&mut self, slot: u32, by: &Vector) {
        self.account(slot, |v| v.subtract(by), 0);
    }

    /// The client holds `has` where it held `had`.
    pub fn changed(&mut self, slot: u32, had: &Vector, has: &Vector) {
        if had == has {
            return;
        }
        let count = u64::from(has.contains(had));
        let change = |v: &mut Vector| {
            v.add(has);
            v.subtract(had);
        };
        self.account(slot, change, count);
    }

    fn account(&mut self, slot: u32, change: impl Fn(&mut Vector), count: u64) {
        let Some(client) = self.client_mut(slot) else { return };
        change(&mut client.allocated);
        client.count += count;
        let mut at = client.node;
        let node = &mut self.nodes[at as usize];
        change(&mut node.own_allocated);
        node.own_count += count;
        loop {
            let node = &mut self.nodes[at as usize];
            change(&mut node.allocated);
            node.count += count;
            if at == ROOT {
                break;
            }
            at = node.parent;
        }
        self.place(slot);
    }

    /// Puts a client, its role and all roles above at their places in the orders.
    fn place(&mut self, slot: u32) {
        if self.stale {
            return;
        }
        let Some(client) = self.clients.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        let node = &mut self.nodes[client.node as usize];
        let key = client.eligible.then(|| client.key_now(slot, &self.whole));
        replace(&mut node.clients, &mut client.key, key);
        let mut at = client.node;
        self.place_own(at);
        while at != ROOT {
            let parent = self.node(at).parent;
            // Two nodes of one vector: the child's key goes into the parent's set.
            let key = self.node(at).key_now(at, &self.whole);
            let mut old = std::mem::replace(&mut self.nodes[at as usize].key, key);
            replace(&mut self.nodes[parent as usize].children, &mut old, key);
            at = parent;
        }
    }

    /// Puts a role's own leaf at its place beside the roles below it.
    fn place_own(&mut self, at: u32) {
        if self.stale || at == ROOT {
            return;
        }
        let node = &mut self.nodes[at as usize];
        let key = node.own_key_now(at, &self.whole);
        replace(&mut node.children, &mut node.own_key, key);
    }

    /// Whether the orders are right as they are.
    pub fn is_fresh(&self) -> bool {
        !self.stale
    }

    /// Makes all orders anew if what they stand on has changed. To be called before [`Tree::walk`].
    pub fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        for node in &mut self.nodes {
            node.clients.clear();
            node.children.clear();
            (node.key, node.own_key) = (None, None);
        }
        for (slot, client) in self.clients.iter_mut().enumerate() {
            let Some(client) = client else { continue };
            client.key = client.eligible.then(|| client.key_now(slot as u32, &self.whole));
            self.nodes[client.node as usize].clients.extend(client.key);
        }
        for at in 1..self.nodes.len() {
            if self.nodes[at].role.is_none() {
                continue;
            }
            let key = self.nodes[at].key_now(at as u32, &self.whole);
            self.nodes[at].key = key;
            let parent = self.nodes[at].parent as usize;
            self.nodes[parent].children.extend(key);
            let own = self.nodes[at].own_key_now(at as u32, &self.whole);
            self.nodes[at].own_key = own;
            self.nodes[at].children.extend(own);
        }
    }

    /// Visits the clients that are served, in their order, but for the roles that `enter` leaves
    /// out.
    pub fn walk<B>(
        &self,
        enter: &impl Fn(u32) -> bool,
        visit: &mut impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        debug_assert!(!self.stale, "refresh() comes before walk()");
        self.walk_node(ROOT, enter, visit)
    }

    fn walk_node<B>(
        &self,
        at: u32,
        enter: &impl Fn(u32) -> bool,
        visit: &mut impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let node = self.node(at);
        if node.children.is_empty() {
            return node.clients.iter().try_for_each(|key| visit(key.slot));
        }
        for key in &node.children {
            if key.slot == at {
                node.clients.iter().try_for_each(|key| visit(key.slot))?;
            } else if enter(key.slot) {
                self.walk_node(key.slot, enter, visit)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether one of the two roles is above the other, or they are the same.
    pub fn on_one_path(&self, a: u32, b: u32) -> bool {
        self.is_at_or_above(a, b) || self.is_at_or_above(b, a)
    }

    fn is_at_or_above(&self, above: u32, mut at: u32) -> bool {
        loop {
            if at == above {
                return true;
            }
            if at == ROOT {
                return false;
            }
            at = self.node(at).parent;
        }
    }
}

impl Client {
    fn key_now(&self, slot: u32, whole: &Whole) -> Key {
        let share = whole.share(&self.allocated).to_bits();
        Key { share, count: self.count, label: self.label, slot }
    }
}

impl Node {
    fn key_now(&self, slot: u32, whole: &Whole) -> Option<Key> {
        let share = || (whole.share(&self.allocated) / self.weight).to_bits();
        (self.eligible > 0).then(|| Key {
            share: share(),
            count: self.count,
            label: self.label,
            slot,
        })
    }

    /// The key of the own leaf: only beside other roles; its label is below all of theirs.
    fn own_key_now(&self, slot: u32, whole: &Whole) -> Option<Key> {
        let share = || whole.share(&self.own_allocated).to_bits();
        (self.kids > 0 && self.own_eligible > 0).then(|| Key {
            share: share(),
            count: self.own_count,
            label: 0,
            slot,
        })
    }
}

/// The role above it at the last level, for a role that is deeper.
pub(super) fn shallow(role: &str) -> Option<&str> {
    let (at, _) = role.match_indices('/').nth(ROLE_LEVELS_MAX - 1)?;
    Some(&role[..at])
}

/// Takes the old key out of an order and puts the new one in.
fn replace(order: &mut BTreeSet<Key>, old: &mut Option<Key>, new: Option<Key>) {
    if *old == new {
        return;
    }
    if let Some(old) = old {
        order.remove(old);
    }
    order.extend(new);
    *old = new;
}
