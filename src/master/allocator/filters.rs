//! Offer filters: what a framework refused on an agent is not offered to it again for a while.

use crate::base::resources::Resources;
use crate::base::time::Mono;
use std::collections::{BTreeMap, BTreeSet};

/// Filters of one framework in one role on one agent; when there is one more, the oldest goes.
pub const FILTERS_PER_CLIENT_MAX: usize = 8;

#[derive(Clone, Debug)]
struct Filter {
    refused: Resources,
    until: Mono,
    id: u64,
}

/// All filters, by agent and client, with their ends.
#[derive(Debug, Default)]
pub(super) struct Filters {
    by_agent: Vec<BTreeMap<u32, Vec<Filter>>>,
    by_client: BTreeSet<(u32, u32)>,
    due: BTreeMap<(Mono, u64), (u32, u32)>,
    next: u64,
    /// How many were dropped for [`FILTERS_PER_CLIENT_MAX`].
    pub dropped: u64,
}

impl Filters {
    /// How many are in force.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// When the first ends.
    pub fn first_end(&self) -> Option<Mono> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    fn of(&self, agent: u32, client: u32) -> &[Filter] {
        let of_agent = self.by_agent.get(agent as usize);
        of_agent.and_then(|m| m.get(&client)).map_or(&[], Vec::as_slice)
    }

    /// Until when an offer of that much is not made; `None` when no filter speaks against it.
    pub fn blocked_until(&self, agent: u32, client: u32, offer: &Resources) -> Option<Mono> {
        let filters = self.of(agent, client).iter();
        // Mostly it is the very same again; that is cheaper to see.
        filters.filter(|f| f.refused == *offer || f.refused.contains(offer)).map(|f| f.until).max()
    }

    /// Whether the agent has none at all.
    pub fn is_clear(&self, agent: u32) -> bool {
        self.by_agent.get(agent as usize).is_none_or(BTreeMap::is_empty)
    }

    /// The client refused that much on the agent.
    pub fn add(&mut self, agent: u32, client: u32, refused: Resources, until: Mono) {
        if self.by_agent.len() <= agent as usize {
            self.by_agent.resize_with(agent as usize + 1, BTreeMap::new);
        }
        let all = self.by_agent[agent as usize].entry(client).or_default();
        if all.iter().any(|f| f.until >= until && f.refused.contains(&refused)) {
            return;
        }
        // What the new one says as well, and longer, need not be kept.
        all.retain(|f| {
            let keep = f.until > until || !refused.contains(&f.refused);
            if !keep {
                self.due.remove(&(f.until, f.id));
            }
            keep
        });
        if all.len() >= FILTERS_PER_CLIENT_MAX {
            let oldest = all.remove(0);
            self.due.remove(&(oldest.until, oldest.id));
            self.dropped += 1;
        }
        self.next += 1;
        all.push(Filter { refused, until, id: self.next });
        self.due.insert((until, self.next), (agent, client));
        self.by_client.insert((client, agent));
    }

    /// Takes the first filter that has ended; answers whose it was: agent and client. Call until
    /// `None`.
    pub fn pop_ended(&mut self, now: Mono) -> Option<(u32, u32)> {
        let first = self.due.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let ((_, id), (agent, client)) = first.remove_entry();
        let of_agent = self.by_agent.get_mut(agent as usize)?;
        if let Some(all) = of_agent.get_mut(&client) {
            all.retain(|f| f.id != id);
            if all.is_empty() {
                of_agent.remove(&client);
                self.by_client.remove(&(client, agent));
            }
        }
        Some((agent, client))
    }

    /// Removes all filters of a client; answers on which agents there were some.
    pub fn clear_client(&mut self, client: u32) -> Vec<u32> {
        let range = (client, 0)..=(client, u32::MAX);
        let agents: Vec<u32> = self.by_client.range(range).map(|(_, agent)| *agent).collect();
        for agent in &agents {
            self.clear_pair(*agent, client);
        }
        agents
    }

    /// Removes all filters on an agent.
    pub fn clear_agent(&mut self, agent: u32) {
        let Some(of_agent) = self.by_agent.get_mut(agent as usize) else { return };
        for (client, all) in std::mem::take(of_agent) {
            self.by_client.remove(&(client, agent));
            for filter in all {
                self.due.remove(&(filter.until, filter.id));
            }
        }
    }

    fn clear_pair(&mut self, agent: u32, client: u32) {
        self.by_client.remove(&(client, agent));
        let of_agent = self.by_agent.get_mut(agent as usize);
        for filter in of_agent.and_then(|m| m.remove(&client)).unwrap_or_default() {
            self.due.remove(&(filter.until, filter.id));
        }
    }
}
