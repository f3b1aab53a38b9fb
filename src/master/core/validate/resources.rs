//! The resources of one task and its executor.

use crate::base::ids::{self, Role};
use crate::base::resources::{Resource, Resources, Scalar};
use crate::mesos::{convert, v1};
use std::collections::{BTreeMap, BTreeSet};

/// Reads resources and checks them by themselves; `whose` is `Task` or `Executor`.
pub fn read(whose: &str, all: &[v1::Resource]) -> Result<Resources, String> {
    let resources = convert::resources_from_v1(all)
        .map_err(|why| format!("{whose} uses invalid resources: {why}"))?;
    check_disks(&resources).map_err(|why| format!("{whose} uses invalid resources: {why}"))?;
    check_unique(&resources)
        .map_err(|why| format!("{whose} uses duplicate persistence ID: {why}"))?;
    check_revocable(whose, &resources)?;
    if resources.gpus().thousandths() % Scalar::whole(1).thousandths() != 0 {
        return Err(format!(
            "{whose} uses invalid resources: The 'gpus' resource must be an unsigned integer"
        ));
    }
    check_allocation(whose, &resources)?;
    Ok(resources)
}

/// A persistent volume is of one role's disk, with a name of its own and a place in the container.
pub fn check_disks(resources: &Resources) -> Result<(), String> {
    resources.iter().try_for_each(check_disk).map_err(|why| format!("Invalid DiskInfo: {why}"))
}

fn check_disk(resource: &Resource) -> Result<(), String> {
    let Some(disk) = &resource.disk else { return Ok(()) };
    let Some(persistence) = &disk.persistence else {
        return match (&disk.volume, &disk.source) {
            (Some(_), _) => Err("Non-persistent volume not supported".into()),
            (None, None) => Err("DiskInfo is set but empty".into()),
            (None, Some(_)) => Ok(()),
        };
    };
    if resource.revocable {
        return Err("Persistent volumes cannot be created from revocable resources".into());
    }
    if resource.reservations.is_empty() {
        return Err("Persistent volumes cannot be created from unreserved resources".into());
    }
    let Some(volume) = &disk.volume else {
        return Err("Expecting 'volume' to be set for persistent volume".into());
    };
    if volume.host_path.is_some() {
        return Err("Expecting 'host_path' to be unset for persistent volume".into());
    }
    ids::check(&persistence.id)
        .map_err(|why| format!("Invalid persistence ID for persistent volume: {why}"))
}

/// A role has one volume of a name.
pub fn check_unique(resources: &Resources) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for resource in resources.iter() {
        let Some(id) = resource.persistence_id() else { continue };
        let role = resource.reserved_for().map_or("*", |role| role.as_str());
        let again = !resource.shared && resources.count(resource) > 1;
        if !seen.insert((role, id)) || again {
            return Err(format!("Persistence ID '{id}' is not unique"));
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
                "{whose} (and its executor, if exists) uses both revocable and non-revocable \
                 '{name}'"
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
