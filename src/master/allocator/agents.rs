//! What the allocator is told of agents: their coming and going, their resources, and what is used
//! of those.

use super::Allocator;
use super::options::{AgentTraits, Mismatch};
use super::pool::{Dirty, Returned};
use super::vector::Vector;
use crate::base::ids::{AgentId, FrameworkId, Role};
use crate::base::resources::Resources;
use crate::base::time::Mono;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

impl Allocator {
    /// An agent has come, with all it has and what is used of it (allocated resources, by
    /// framework). One that is already there takes on what is said now. The order in which agents
    /// and frameworks come does not matter: what is said of a framework on an agent by both counts
    /// once.
    pub fn add_agent(
        &mut self,
        id: AgentId,
        traits: AgentTraits,
        total: Resources,
        used: &[(FrameworkId, Resources)],
    ) {
        if self.pool.find(&id).is_some() {
            self.remove_agent(&id);
        }
        let slot = self.pool.insert(id, traits, total.unallocate());
        if let Some(agent) = self.pool.get(slot) {
            self.tree.grow(&agent.total_vector);
        }
        for (framework, resources) in used {
            self.set_used(framework, slot, resources);
        }
    }

    /// What an agent has has changed: new totals, oversubscription, reservations. Growth ends all
    /// filters on it.
    pub fn update_agent_total(&mut self, id: &AgentId, total: Resources) {
        let Some(slot) = self.pool.find(id) else { return };
        let Some(agent) = self.pool.get_mut(slot) else { return };
        let total = total.unallocate();
        let grown = !agent.total.contains(&total);
        self.tree.shrink(&agent.total_vector);
        agent.total_vector = Vector::of(&total);
        agent.total = total;
        agent.recount();
        self.tree.grow(&agent.total_vector);
        if grown {
            self.filters.clear_agent(slot);
        }
        self.pool.mark(slot, Dirty::All);
    }

    /// The traits of an agent have changed (activation included).
    pub fn update_agent(&mut self, id: &AgentId, traits: AgentTraits) {
        let Some(slot) = self.pool.find(id) else { return };
        if let Some(agent) = self.pool.get_mut(slot) {
            agent.traits = traits;
        }
        self.pool.mark(slot, Dirty::All);
    }

    /// The agent's resources may be offered.
    pub fn activate_agent(&mut self, id: &AgentId) {
        self.set_agent_active(id, true);
    }

    /// The agent's resources may not be offered for now; what is held stays held.
    pub fn deactivate_agent(&mut self, id: &AgentId) {
        self.set_agent_active(id, false);
    }

    fn set_agent_active(&mut self, id: &AgentId, active: bool) {
        let traits = self.pool.find(id).and_then(|slot| self.pool.get(slot)).map(|a| a.traits);
        if let Some(traits) = traits {
            self.update_agent(id, AgentTraits { active, ..traits });
        }
    }

    /// The agent is gone, and all that was held of it.
    pub fn remove_agent(&mut self, id: &AgentId) {
        let Some(slot) = self.pool.find(id) else { return };
        self.filters.clear_agent(slot);
        let Some(agent) = self.pool.remove(slot) else { return };
        self.tree.shrink(&agent.total_vector);
        for (client, held) in &agent.used {
            self.count_held(slot, *client, held, &Resources::new());
            if let Some(framework) = self.tree.client(*client).map(|c| c.framework) {
                self.members.prune(framework, &mut self.tree);
            }
        }
    }

    /// Allocated resources of an agent are known to be used by a framework without an offer: tasks
    /// that came with a re-registration.
    pub fn assign(&mut self, framework: &FrameworkId, agent: &AgentId, resources: &Resources) {
        let Some(slot) = self.pool.find(agent) else { return };
        let member = self.members.ensure(framework, &mut self.tree);
        for (role, part) in resources.allocations() {
            let Some(client) = self.members.client(member, &role, &mut self.tree) else { continue };
            let before = self.held(slot, client);
            self.set_held(slot, client, &before + &part.unallocate());
        }
        self.members.prune(member, &mut self.tree);
    }

    /// A framework no longer holds `resources` (allocated ones) of an agent: it declined or did not
    /// take them, its task or executor ended, the offer was rescinded. Agents and frameworks that
    /// are gone, are gone.
    ///
    /// With `filter`, what was given back is not offered to it again for that long, but at least
    /// [`super::Options::allocation_interval`]; so a DECLINE with `refuse_seconds` 0 comes with
    /// `Some(Duration::ZERO)`, or the offer would be made again at once, for ever.
    ///
    /// # Errors
    /// What was not held. The rest was taken back.
    pub fn recover(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        resources: &Resources,
        filter: Option<Duration>,
        now: Mono,
    ) -> Result<(), Mismatch> {
        let Some(slot) = self.pool.find(agent) else { return Ok(()) };
        let Some(member) = self.members.find(framework) else { return Ok(()) };
        let mut excess = Resources::new();
        for (role, part) in by_role(resources) {
            let client = role.as_ref().and_then(|r| self.client_of(member, r.as_str()));
            let (Some(client), Some(role)) = (client, role) else {
                excess += &part;
                continue;
            };
            let part = part.unallocate();
            let Returned { back, missing, .. } = self.give_back(slot, client, &part);
            if !missing.is_empty() {
                excess += &missing.allocate(&role);
            }
            if let Some(life) = filter.filter(|_| !back.is_empty() && self.tree.is_eligible(client))
            {
                self.filters.add(slot, client, back, now + life.max(self.filter_life_min));
            }
        }
        self.pool.mark(slot, Dirty::All);
        self.members.prune(member, &mut self.tree);
        if excess.is_empty() {
            return Ok(());
        }
        self.counters.mismatches += 1;
        Err(Mismatch { framework: framework.clone(), agent: agent.clone(), excess })
    }

    /// What a framework holds of an agent has become something else, by RESERVE, CREATE and their
    /// kin: `consumed` and `converted` are allocated resources. The agent's total changes with it.
    ///
    /// # Errors
    /// What was not held; then nothing has changed.
    pub fn convert(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        consumed: &Resources,
        converted: &Resources,
    ) -> Result<(), Mismatch> {
        let Some(slot) = self.pool.find(agent) else { return Ok(()) };
        let Some(member) = self.members.find(framework) else { return Ok(()) };
        let mut after = Vec::new();
        let mut excess = consumed.filter(|r| r.allocated_to.is_none());
        for (role, part) in consumed.allocations() {
            let client = self.client_of(member, role.as_str());
            let held = client.map(|c| self.held(slot, c)).unwrap_or_default();
            match held.checked_sub(&part.unallocate()) {
                Some(left) => after.extend(client.map(|c| (c, left))),
                None => excess += &(&part.unallocate() - &held).allocate(&role),
            }
        }
        if !excess.is_empty() {
            self.counters.mismatches += 1;
            return Err(Mismatch { framework: framework.clone(), agent: agent.clone(), excess });
        }
        let Some(entry) = self.pool.get_mut(slot) else { return Ok(()) };
        let total = &(&entry.total - &consumed.unallocate()) + &converted.unallocate();
        self.tree.shrink(&entry.total_vector);
        entry.total_vector = Vector::of(&total);
        entry.total = total;
        self.tree.grow(&entry.total_vector);
        for (client, left) in after {
            self.set_held(slot, client, left);
        }
        self.assign(framework, agent, converted);
        Ok(())
    }

    /// Says what a framework holds of an agent, whatever was known before.
    pub(super) fn set_used(&mut self, framework: &FrameworkId, slot: u32, used: &Resources) {
        let member = self.members.ensure(framework, &mut self.tree);
        let known = self.members.get(member).map(|f| f.clients.clone()).unwrap_or_default();
        let mut now: BTreeMap<u32, Resources> =
            known.into_values().map(|client| (client, Resources::new())).collect();
        for (role, part) in used.allocations() {
            if let Some(client) = self.members.client(member, &role, &mut self.tree) {
                now.insert(client, part.unallocate());
            }
        }
        for (client, held) in now {
            self.set_held(slot, client, held);
        }
        self.members.prune(member, &mut self.tree);
    }

    /// What a client holds of an agent.
    pub(super) fn held(&self, slot: u32, client: u32) -> Resources {
        let held = self.pool.get(slot).and_then(|a| a.used.get(&client));
        held.cloned().unwrap_or_default()
    }

    fn set_held(&mut self, slot: u32, client: u32, after: Resources) {
        let before = self.held(slot, client);
        let Some(agent) = self.pool.get_mut(slot).filter(|_| before != after) else { return };
        if after.is_empty() {
            agent.used.remove(&client);
        } else {
            agent.used.insert(client, after.clone());
        }
        agent.recount();
        self.count_held(slot, client, &before, &after);
        self.pool.mark(slot, Dirty::All);
    }

    /// Takes back from a client.
    fn give_back(&mut self, slot: u32, client: u32, part: &Resources) -> Returned {
        let Some(agent) = self.pool.get_mut(slot) else { return Returned::default() };
        let returned = agent.give_back(client, part);
        self.count_returned(slot, client, &returned);
        returned
    }

    /// Takes back all that a client holds of an agent.
    pub(super) fn give_back_all(&mut self, slot: u32, client: u32) {
        let Some(agent) = self.pool.get_mut(slot) else { return };
        let returned = agent.give_back_all(client);
        self.count_returned(slot, client, &returned);
    }

    fn count_returned(&mut self, slot: u32, client: u32, returned: &Returned) {
        self.tree.released(client, &returned.less);
        if returned.ended {
            self.note_held(slot, client, true, false);
        }
    }

    pub(super) fn client_of(&self, member: u32, role: &str) -> Option<u32> {
        let node = self.tree.find(role)?;
        self.members.get(member)?.clients.get(&node).copied()
    }
}

/// By role it is allocated to, and what is allocated to nobody. Nearly always it is one.
fn by_role(resources: &Resources) -> Vec<(Option<Role>, Cow<'_, Resources>)> {
    let first = resources.iter().next().and_then(|r| r.allocated_to.clone());
    if first.is_some() && resources.iter().all(|r| r.allocated_to == first) {
        return vec![(first, Cow::Borrowed(resources))];
    }
    let some = resources.allocations().into_iter().map(|(r, part)| (Some(r), Cow::Owned(part)));
    let none = resources.filter(|r| r.allocated_to.is_none());
    some.chain((!none.is_empty()).then_some((None, Cow::Owned(none)))).collect()
}
