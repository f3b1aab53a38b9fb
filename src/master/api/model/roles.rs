//! `/roles`: who may use what, and what they have.

use super::{Flat, sum};
use crate::base::resources::Resources;
use crate::master::core::view::{RoleView, View};
use crate::mesos::v0::resources_object;
use serde::Serialize;

/// One role.
#[derive(Serialize)]
struct RoleJson<'a> {
    name: &'a str,
    weight: f64,
    quota: QuotaJson<'a>,
    resources: Flat,
    allocated: Flat,
    offered: Flat,
    reserved: Flat,
    frameworks: Vec<&'a str>,
}

#[derive(Serialize)]
struct QuotaJson<'a> {
    role: &'a str,
    guarantee: Flat,
    limit: Flat,
    consumed: Flat,
}

/// `/roles`.
#[derive(Serialize)]
pub struct RolesJson<'a> {
    roles: Vec<RoleJson<'a>>,
}

/// Here only what is there has a key.
fn present(all: &Resources) -> Flat {
    let names = all.names();
    let mut object = resources_object(all);
    object.retain(|name, _| names.contains(&name.trim_end_matches("_revocable")));
    object
}

fn role(r: &RoleView) -> RoleJson<'_> {
    // Consumed: what is allocated and not reserved, and every reservation, allocated or not.
    let consumed = sum(&r.allocated.unreserved(), &r.reserved);
    RoleJson {
        name: r.name.as_str(),
        weight: r.weight,
        quota: QuotaJson {
            role: r.name.as_str(),
            guarantee: Flat::new(),
            limit: Flat::new(),
            consumed: present(&consumed),
        },
        resources: present(&sum(&r.allocated, &r.offered)),
        allocated: present(&r.allocated),
        offered: present(&r.offered),
        reserved: present(&r.reserved),
        frameworks: r.frameworks.iter().map(|f| f.as_str()).collect(),
    }
}

/// All known roles.
pub fn roles(view: &View) -> RolesJson<'_> {
    RolesJson { roles: view.roles.iter().map(role).collect() }
}
