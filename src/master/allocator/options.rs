//! What the allocator is told about the cluster, agents and frameworks, and what it answers.

use crate::base::ids::{AgentId, FrameworkId, Role};
use crate::base::resources::{Quantities, Resources};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How the allocator decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Weights of roles (`--weights`, UPDATE_WEIGHTS); 1 where none is given.
    pub weights: BTreeMap<Role, f64>,
    /// What an offer must hold at least: any one of the alternatives suffices; none given, any
    /// offer does (`--min_allocatable_resources`).
    pub min_allocatable: Vec<Quantities>,
    /// Names of resources that do not count in shares (`--fair_sharing_excluded_resource_names`).
    pub fair_sharing_excluded: BTreeSet<String>,
    /// Whether agents with gpus are kept for frameworks that ask for them
    /// (`--filter_gpu_resources`).
    pub filter_gpu_resources: bool,
    /// The least life of a filter (`--allocation_interval`). Allocation itself follows events, not
    /// a clock.
    pub allocation_interval: Duration,
}

impl Default for Options {
    /// The original's defaults.
    fn default() -> Self {
        let alternatives = ["cpus:0.01", "mem:32"];
        Self {
            weights: BTreeMap::new(),
            min_allocatable: alternatives
                .iter()
                .filter_map(|t| Quantities::parse(t).ok())
                .collect(),
            fair_sharing_excluded: BTreeSet::new(),
            filter_gpu_resources: true,
            allocation_interval: Duration::from_secs(1),
        }
    }
}

/// What matters of an agent besides its resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentTraits {
    /// Whether its resources may be offered now: it is connected and not deactivated.
    pub active: bool,
    /// Whether it is in another region than the master: offered to REGION_AWARE frameworks alone.
    pub remote_region: bool,
}

impl Default for AgentTraits {
    fn default() -> Self {
        Self { active: true, remote_region: false }
    }
}

/// What matters of a framework: its roles and capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameworkTraits {
    /// The roles it is subscribed to.
    pub roles: BTreeSet<Role>,
    /// GPU_RESOURCES.
    pub gpu: bool,
    /// REVOCABLE_RESOURCES.
    pub revocable: bool,
    /// SHARED_RESOURCES.
    pub shared: bool,
    /// RESERVATION_REFINEMENT.
    pub reservation_refinement: bool,
    /// REGION_AWARE.
    pub region_aware: bool,
    /// `offer_filters`: the least offer by role, instead of [`Options::min_allocatable`]; an empty
    /// list makes any offer do.
    pub min_allocatable: BTreeMap<Role, Vec<Quantities>>,
}

/// Resources of one agent for one framework in one role: one offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Whom it is for.
    pub framework: FrameworkId,
    /// In which of its roles.
    pub role: Role,
    /// Where.
    pub agent: AgentId,
    /// What; each resource is allocated to `role`.
    pub resources: Resources,
}

/// Resources given back that were not allocated: a disagreement between master and allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Who was said to hold them.
    pub framework: FrameworkId,
    /// Where.
    pub agent: AgentId,
    /// What was not allocated; the rest was taken back.
    pub excess: Resources,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { framework, agent, excess } = self;
        write!(f, "Framework {framework} gave back {excess} of agent {agent} that it did not hold")
    }
}

impl std::error::Error for Mismatch {}

/// What the allocator has done so far, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Allocation cycles that looked at one agent or more (`allocator/mesos/allocation_runs`).
    pub allocation_runs: u64,
    /// Agents looked at in all of them.
    pub candidates: u64,
    /// Allocations made in all of them.
    pub allocations: u64,
    /// Offer filters in force now.
    pub filters_active: u64,
    /// Filters dropped because a framework had too many on one agent.
    pub filters_dropped: u64,
    /// Times that more was given back than was held.
    pub mismatches: u64,
}

/// Where a role stands.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleStatus {
    /// Its weight.
    pub weight: f64,
    /// Scalars allocated (offered ones too) in it and in roles below it.
    pub allocated: Quantities,
    /// Scalars reserved for it and roles below it, allocated or not.
    pub reserved: Quantities,
    /// The largest allocated part of any resource of the cluster, not divided by the weight.
    pub dominant_share: f64,
    /// Frameworks subscribed to this very role.
    pub frameworks: BTreeSet<FrameworkId>,
}
