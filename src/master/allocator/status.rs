//! What others may read of the allocator: roles, shares, counters.

use super::Allocator;
use super::options::{Counters, RoleStatus};
use super::tree::shallow;
use crate::base::ids::Role;
use crate::base::resources::Quantities;
use crate::base::roles;
use std::collections::{BTreeMap, BTreeSet};

impl Allocator {
    /// Every role that is subscribed to, holds something, has a reservation or a weight of its own;
    /// and those above them. Costs a walk over all agents.
    pub fn roles(&self) -> BTreeMap<Role, RoleStatus> {
        let mut out: BTreeMap<Role, RoleStatus> = BTreeMap::new();
        let blank = |role: &Role| RoleStatus {
            weight: self.tree.weight(role),
            allocated: Quantities::default(),
            reserved: Quantities::default(),
            dominant_share: 0.0,
            frameworks: BTreeSet::new(),
        };
        for (role, node) in self.tree.roles() {
            let status = out.entry(role.clone()).or_insert_with(|| blank(role));
            status.allocated = node.allocated.quantities();
            status.dominant_share = self.tree.share(&node.allocated);
        }
        for role in self.tree.weights().keys() {
            out.entry(role.clone()).or_insert_with(|| blank(role));
        }
        for framework in self.members.iter() {
            for role in &framework.traits.roles {
                let status = out.entry(role.clone()).or_insert_with(|| blank(role));
                status.frameworks.insert(framework.id.clone());
            }
        }
        for (_, agent) in self.pool.iter() {
            for (role, reserved) in agent.total.reservations() {
                let amounts = reserved.quantities();
                let last = shallow(role.as_str());
                let above = last.into_iter().chain(roles::ancestors(last.unwrap_or(role.as_str())));
                let above: Vec<Role> = above.map(Role::from).collect();
                for role in above.into_iter().chain([role]) {
                    let status = out.entry(role.clone()).or_insert_with(|| blank(&role));
                    status.reserved += &amounts;
                }
            }
        }
        out
    }

    /// What has been done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            filters_active: self.filters.len() as u64,
            filters_dropped: self.filters.dropped,
            ..self.counters
        }
    }
}
