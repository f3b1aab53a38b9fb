//! The resources of one task and its executor.

use crate::base::ids::Role;
use crate::base::resources::{Resources, Scalar};
use crate::mesos::{convert, v1};
use std::collections::{BTreeMap, BTreeSet};

/// Reads resources and checks them by themselves; `whose` is `Task` or `Executor`.
pub fn read(whose: &str, all: &[v1::Resource]) -> Result<Resources, String> {
    let resources = convert::resources_from_v1(all)
        .map_err(|why| format!("{whose} uses invalid resources: {why}"))?;
    check_persistence(whose, &resources)?;
    check_revocable(whose, &resources)?;
    if resources.gpus().thousandths() % Scalar::whole(1).thousandths() != 0 {
        return Err(format!(
            "{whose} uses invalid resources: The 'gpus' resource must be an unsigned integer"
        ));
    }
    check_allocation(whose, &resources)?;
    Ok(resources)
}

/// One volume is used once.
fn check_persistence(whose: &str, resources: &Resources) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for resource in resources.iter() {
        let Some(id) = resource.persistence_id() else { continue };
        let role = resource.reserved_for().map_or("*", |role| role.as_str());
        if !seen.insert((role, id)) {
            return Err(format!(
                "{whose} uses duplicate persistence ID: Persistence ID '{id}' is not unique"
            ));
        }
    }
    Ok(())
}

/// One name is either revocable or not.
pub fn check_revocable(whose: &str, resources: &Resources) -> Result<(), String> {
    let mut kinds: BTreeMap<&str, bool> = BTreeMap::new();
    for resource in resources.iter() {
        let name: &str = &resource.name;
        if *kinds.entry(name).or_insert(resource.revocable) != resource.revocable {
            return Err(format!(
                "{whose} (and its executor, if exists) uses both revocable and non-revocable '{name}'"
            ));
        }
    }
    Ok(())
}

/// All of it allocated to one role.
pub fn check_allocation(whose: &str, resources: &Resources) -> Result<(), String> {
    let mut roles: BTreeSet<&Role> = BTreeSet::new();
    for resource in resources.iter() {
        match &resource.allocated_to {
            Some(role) => roles.insert(role),
            None => return Err(format!("{whose} uses resources that are not allocated")),
        };
    }
    if roles.len() > 1 {
        return Err(format!(
            "{whose} uses resources allocated to multiple roles: {}",
            super::braces(roles)
        ));
    }
    Ok(())
}
