//! Core: who is offered what. Hierarchical dominant-resource fairness over roles and frameworks,
//! incremental.
//!
//! The master tells it of agents, frameworks, and of what is given back; [`Allocator::allocate`]
//! answers what to offer now. It follows events: an agent is looked at only when something has
//! changed that could let somebody take of it, and there is no tick. An agent that was looked at
//! and is not dirty has nothing that anybody served could take.
//!
//! It does not make offers, check tasks or know sessions, and it does not yet know quota: a limit
//! would be one more rule in [`cycle`]'s `judge`, a guarantee a first walk over the same tree.

mod agents;
mod cycle;
mod explain;
mod filters;
mod frameworks;
mod labels;
mod members;
mod options;
mod pool;
mod status;
#[cfg(test)]
mod tests;
mod tree;
mod vector;

pub use filters::FILTERS_PER_CLIENT_MAX;
pub use options::{
    AgentTraits, Allocation, Counters, FrameworkTraits, Mismatch, Options, RoleStatus,
};

use crate::base::resources::Resources;
use crate::base::time::Mono;
use filters::Filters;
use members::Members;
use pool::Pool;
use std::collections::BTreeSet;
use std::time::Duration;
use tree::Tree;
use vector::Vector;

/// The allocator of one master.
#[derive(Debug)]
pub struct Allocator {
    pool: Pool,
    members: Members,
    tree: Tree,
    filters: Filters,
    /// [`Options::min_allocatable`].
    least: Vec<Vector>,
    /// Frameworks with minimal offers of their own.
    with_least: BTreeSet<u32>,
    filter_gpu_resources: bool,
    filter_life_min: Duration,
    counters: Counters,
}

impl Allocator {
    /// An allocator of an empty cluster.
    pub fn new(options: Options) -> Self {
        Self {
            pool: Pool::default(),
            members: Members::default(),
            tree: Tree::new(options.weights, options.fair_sharing_excluded),
            filters: Filters::default(),
            least: options.min_allocatable.iter().map(Vector::from_quantities).collect(),
            with_least: BTreeSet::new(),
            filter_gpu_resources: options.filter_gpu_resources,
            filter_life_min: options.allocation_interval,
            counters: Counters::default(),
        }
    }

    /// Whether [`Allocator::allocate`] has something to look at now.
    pub fn has_work(&self) -> bool {
        self.pool.has_dirty()
    }

    /// When [`Allocator::allocate`] has something to look at, if nothing else happens: the first
    /// end of a filter.
    pub fn wake_at(&self) -> Option<Mono> {
        self.filters.first_end()
    }

    /// What a client holds of an agent has changed.
    fn count_held(&mut self, agent: u32, client: u32, before: &Resources, after: &Resources) {
        let (had, has) = (Vector::of(before), Vector::of(after));
        self.tree.changed(client, &had, &has);
        self.note_held(agent, client, !before.is_empty(), !after.is_empty());
    }

    /// Keeps the index of who holds something where.
    fn note_held(&mut self, agent: u32, client: u32, had: bool, has: bool) {
        if had == has {
            return;
        }
        let Some(state) = self.tree.client_mut(client) else { return };
        state.agents = if has { state.agents + 1 } else { state.agents.saturating_sub(1) };
        let Some(framework) = self.members.get_mut(state.framework) else { return };
        if has {
            framework.agents.insert(agent);
            return;
        }
        let used = self.pool.get(agent).map(|a| &a.used);
        if !framework.clients.values().any(|c| used.is_some_and(|u| u.contains_key(c))) {
            framework.agents.remove(&agent);
        }
    }
}
