//! Taking resources apart by reservation, allocation and role, and looking for wanted amounts among them.

use super::{Quantities, Reservation, Resource, Resources, Scalar, Value};
use crate::base::ids::Role;
use std::collections::BTreeMap;

impl Resources {
    /// What is reserved for exactly that role.
    pub fn reserved(&self, role: &str) -> Self {
        self.filter(|r| r.reserved_for().is_some_and(|of| of.as_str() == role))
    }

    /// What is reserved, by role.
    pub fn reservations(&self) -> BTreeMap<Role, Self> {
        let roles = self.iter().filter_map(Resource::reserved_for).cloned();
        let roles: std::collections::BTreeSet<Role> = roles.collect();
        roles.into_iter().map(|role| (role.clone(), self.reserved(role.as_str()))).collect()
    }

    /// What nobody reserved.
    pub fn unreserved(&self) -> Self {
        self.filter(|r| r.reservations.is_empty())
    }

    /// What a framework of that role may use: unreserved, or reserved for it or a role above it.
    pub fn allocatable_to(&self, role: &str) -> Self {
        self.filter(|r| r.allocatable_to(role))
    }

    /// What may be taken back.
    pub fn revocable(&self) -> Self {
        self.filter(|r| r.revocable)
    }

    /// What may not be taken back.
    pub fn non_revocable(&self) -> Self {
        self.filter(|r| !r.revocable)
    }

    /// Shared volumes.
    pub fn shared(&self) -> Self {
        self.filter(|r| r.shared)
    }

    /// Everything but shared volumes.
    pub fn non_shared(&self) -> Self {
        self.filter(|r| !r.shared)
    }

    /// Persistent volumes.
    pub fn persistent_volumes(&self) -> Self {
        self.filter(|r| r.persistence_id().is_some())
    }

    /// What is of that name.
    pub fn named(&self, name: &str) -> Self {
        self.filter(|r| &*r.name == name)
    }

    /// All of it, allocated to that role.
    pub fn allocate(&self, role: &Role) -> Self {
        self.with(|r| r.allocated_to = Some(role.clone()))
    }

    /// All of it, allocated to nobody.
    pub fn unallocate(&self) -> Self {
        self.with(|r| r.allocated_to = None)
    }

    /// By role it is allocated to; what is allocated to nobody is left out.
    pub fn allocations(&self) -> BTreeMap<Role, Self> {
        let mut out: BTreeMap<Role, Self> = BTreeMap::new();
        let roles: Vec<Role> = self.iter().filter_map(|r| r.allocated_to.clone()).collect();
        for role in roles {
            out.entry(role)
                .or_insert_with_key(|k| self.filter(|r| r.allocated_to.as_ref() == Some(k)));
        }
        out
    }

    /// All of it without reservations, still allocated as it was.
    pub fn to_unreserved(&self) -> Self {
        self.with(|r| r.reservations.clear())
    }

    /// All of it without reservations and allocations.
    pub fn flatten(&self) -> Self {
        self.with(|r| {
            r.reservations.clear();
            r.allocated_to = None;
        })
    }

    /// All of it with one more reservation on top.
    pub fn push_reservation(&self, reservation: &Reservation) -> Self {
        self.with(|r| r.reservations.push(reservation.clone()))
    }

    /// All of it without its newest reservation; `None` if something has none.
    pub fn pop_reservation(&self) -> Option<Self> {
        let all_reserved = self.iter().all(|r| !r.reservations.is_empty());
        all_reserved.then(|| {
            self.with(|r| {
                r.reservations.pop();
            })
        })
    }

    fn with(&self, change: impl Fn(&mut Resource)) -> Self {
        self.map(|r| {
            let mut r = r.clone();
            change(&mut r);
            Some(r)
        })
    }

    /// Picks the wanted amounts for a framework of `role` out of these: first from what is reserved for
    /// it (the most refined first), then from what is unreserved. Reservations and allocations of `wanted`
    /// do not matter; volumes and whole disks are never picked. `None` when there is not enough.
    pub fn find(&self, wanted: &Self, role: &str) -> Option<Self> {
        let mut usable: Vec<&Resource> =
            self.iter().filter(|r| !r.is_exclusive() && r.allocatable_to(role)).collect();
        // A longer role is the more refined one; of equal ones the canonical order stays.
        usable
            .sort_by_key(|r| std::cmp::Reverse(r.reserved_for().map_or(0, |of| of.as_str().len())));
        let mut left = self.clone();
        let mut found = Self::new();
        for want in wanted.iter() {
            let mut missing = want.value.clone();
            for from in &usable {
                let suits = from.name == want.name && from.revocable == want.revocable;
                if missing.is_empty() || !suits {
                    continue;
                }
                let part = left.amount_of(from).and_then(|now| now.common(&missing));
                let Some(part) = part.filter(|p| !p.is_empty()) else { continue };
                missing.subtract(&part);
                let mut taken = (*from).clone();
                taken.value = part;
                left.subtract_one(&taken);
                found.add_one(taken);
            }
            if !missing.is_empty() {
                return None;
            }
        }
        Some(found)
    }

    fn amount_of(&self, kind: &Resource) -> Option<Value> {
        self.iter().find(|r| r.same_kind(kind)).map(|r| r.value.clone())
    }

    /// At most so much of each scalar named in `limits`, all of the other scalars, and what is no scalar
    /// whole. Exclusive resources that do not fit are left out. For quota and headroom.
    pub fn chop(&self, limits: &Quantities) -> Self {
        let mut left = limits.clone();
        self.map(|r| {
            let Value::Scalar(amount) = r.value else { return Some(r.clone()) };
            if !limits.iter().any(|(name, _)| *name == r.name) {
                return Some(r.clone());
            }
            let take = amount.min(left.get(&r.name));
            if take.is_zero() || (take < amount && r.is_exclusive()) {
                return None;
            }
            left.add_one(&r.name, Scalar::ZERO - take);
            Some(Resource { value: Value::Scalar(take), ..r.clone() })
        })
    }
}
