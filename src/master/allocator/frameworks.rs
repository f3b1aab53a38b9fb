//! What the allocator is told of frameworks: their coming and going, and whether they want offers.

use super::Allocator;
use super::options::FrameworkTraits;
use super::pool::Dirty;
use crate::base::error::{Code, Error};
use crate::base::ids::{AgentId, FrameworkId, Role};
use crate::base::resources::Resources;
use std::collections::BTreeSet;

impl Allocator {
    /// A framework has come (or come back), with what it is known to hold of agents. Agents that
    /// are not there yet tell it themselves when they come.
    pub fn add_framework(
        &mut self,
        id: FrameworkId,
        traits: FrameworkTraits,
        suppressed: &BTreeSet<Role>,
        active: bool,
        used: &[(AgentId, Resources)],
    ) {
        let slot = self.members.ensure(&id, &mut self.tree);
        if let Some(framework) = self.members.get_mut(slot) {
            (framework.added, framework.active) = (true, active);
        }
        for (agent, resources) in used {
            if let Some(agent) = self.pool.find(agent) {
                self.set_used(&id, agent, resources);
            }
        }
        self.set_traits(slot, traits, suppressed);
    }

    /// The roles, capabilities or suppressed roles of a framework have changed. `suppressed` is the
    /// whole list as of now.
    pub fn update_framework(
        &mut self,
        id: &FrameworkId,
        traits: FrameworkTraits,
        suppressed: &BTreeSet<Role>,
    ) {
        if let Some(slot) = self.added(id) {
            self.set_traits(slot, traits, suppressed);
        }
    }

    fn set_traits(&mut self, slot: u32, traits: FrameworkTraits, suppressed: &BTreeSet<Role>) {
        let Some(framework) = self.members.get_mut(slot) else { return };
        let changed = framework.traits != traits;
        let served = framework.clients.values().any(|client| self.tree.is_eligible(*client));
        if traits.min_allocatable.is_empty() {
            self.with_least.remove(&slot);
        } else {
            self.with_least.insert(slot);
        }
        framework.traits = traits;
        let hungry = self.members.settle(slot, Some(suppressed), &mut self.tree);
        let Some(framework) = self.members.get(slot) else { return };
        for client in framework.clients.values() {
            if !self.tree.is_eligible(*client) || hungry.contains(client) {
                self.filters.clear_client(*client);
            }
        }
        self.feed(&hungry);
        if changed && served {
            // It may be able to take now what it could not before.
            self.pool.mark_open(Dirty::All);
        }
        self.members.prune(slot, &mut self.tree);
    }

    /// The framework is connected: it is offered resources in the roles it has not suppressed.
    pub fn activate_framework(&mut self, id: &FrameworkId) {
        self.set_active(id, true);
    }

    /// The framework is not connected: it gets no offers, and its filters end. What it holds stays
    /// held.
    pub fn deactivate_framework(&mut self, id: &FrameworkId) {
        self.set_active(id, false);
    }

    fn set_active(&mut self, id: &FrameworkId, active: bool) {
        let Some(slot) = self.added(id) else { return };
        let Some(framework) = self.members.get_mut(slot) else { return };
        framework.active = active;
        if !active {
            for client in framework.clients.values() {
                self.filters.clear_client(*client);
            }
        }
        let hungry = self.members.settle(slot, None, &mut self.tree);
        self.feed(&hungry);
    }

    /// The framework is gone; all it held is free.
    pub fn remove_framework(&mut self, id: &FrameworkId) {
        let Some(slot) = self.members.find(id) else { return };
        let Some(framework) = self.members.get_mut(slot) else { return };
        (framework.added, framework.active) = (false, false);
        framework.traits = FrameworkTraits::default();
        self.with_least.remove(&slot);
        let agents: Vec<u32> = framework.agents.iter().copied().collect();
        let clients: Vec<u32> = framework.clients.values().copied().collect();
        self.members.settle(slot, None, &mut self.tree);
        for client in &clients {
            self.filters.clear_client(*client);
        }
        for agent in agents {
            for client in &clients {
                self.give_back_all(agent, *client);
            }
            self.pool.mark(agent, Dirty::All);
        }
        self.members.prune(slot, &mut self.tree);
    }

    /// The framework wants offers (REVIVE): in these roles, or in all of its own when none is
    /// named. Its filters in them end.
    pub fn revive(&mut self, id: &FrameworkId, roles: &BTreeSet<Role>) {
        for client in self.clients_in(id, roles) {
            for agent in self.filters.clear_client(client) {
                self.pool.mark(agent, Dirty::For(client));
            }
            self.set_suppressed(client, false);
        }
    }

    /// The framework wants no offers (SUPPRESS): in these roles, or in all of its own when none is
    /// named.
    pub fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<Role>) {
        for client in self.clients_in(id, roles) {
            self.set_suppressed(client, true);
        }
    }

    fn set_suppressed(&mut self, client: u32, suppressed: bool) {
        let Some(state) = self.tree.client_mut(client) else { return };
        state.suppressed = suppressed;
        let hungry = self.members.settle(state.framework, None, &mut self.tree);
        self.feed(&hungry);
    }

    /// Sets the weight of a role, known or not.
    ///
    /// # Errors
    /// A weight that is not a positive number; nothing is changed.
    pub fn update_weight(&mut self, role: Role, weight: f64) -> Result<(), Error> {
        if !(weight.is_finite() && weight > 0.0) {
            let cause = format!("Invalid weight '{weight}': Weights must be positive");
            return Err(Error::new(Code::Invalid, cause));
        }
        self.tree.set_weight(role, weight);
        Ok(())
    }

    /// Everything free is looked at again for clients that were not served before.
    fn feed(&mut self, hungry: &[u32]) {
        match hungry {
            [] => {}
            [one] => self.pool.mark_open(Dirty::For(*one)),
            _ => self.pool.mark_open(Dirty::All),
        }
    }

    /// The slot of a framework that was added.
    pub(super) fn added(&self, id: &FrameworkId) -> Option<u32> {
        self.members.find(id).filter(|slot| self.members.get(*slot).is_some_and(|f| f.added))
    }

    /// The clients of a framework in those of its roles, or in all.
    fn clients_in(&self, id: &FrameworkId, roles: &BTreeSet<Role>) -> Vec<u32> {
        let framework = self.added(id).and_then(|slot| self.members.get(slot));
        let Some(framework) = framework else { return Vec::new() };
        let wanted = |node: &u32| {
            let role = self.tree.node(*node).role.as_ref();
            roles.is_empty() || role.is_some_and(|r| roles.contains(r))
        };
        let subscribed = |client: &u32| self.tree.client(*client).is_some_and(|c| c.subscribed);
        let all = framework.clients.iter().filter(|(node, _)| wanted(node));
        all.map(|(_, client)| *client).filter(subscribed).collect()
    }
}
