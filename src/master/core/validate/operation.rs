//! RESERVE, UNRESERVE, CREATE and DESTROY, of a framework or of an operator: whether they may be, and what they make of
//! resources. Whether there is that much is asked afterwards.

use super::super::agents::Agent;
use super::super::frameworks::Framework;
use super::resources;
use crate::base::ids::FrameworkId;
use crate::base::resources::{
    Conversion, Persistence, Reservation, ReservationKind, Resource, Resources,
};
use crate::mesos::{convert, v1};
use std::collections::BTreeSet;
use v1::framework_info::capability::Type as Capability;
use v1::offer::Operation;
use v1::offer::operation::Type as Kind;

/// Who asks, and of whom.
pub struct Asked<'a> {
    /// None: an operator.
    pub framework: Option<(&'a FrameworkId, &'a Framework)>,
    /// Who that is, if it is known.
    pub principal: Option<&'a str>,
    pub agent: &'a Agent,
}

/// What the operation does; `None` for a kind that is not one of the four.
pub fn check(asked: &Asked<'_>, operation: &Operation) -> Option<Result<Conversion, String>> {
    let missing = |what: &str| Err(format!("Expecting '{what}' to be present"));
    Some(match operation.r#type() {
        Kind::Reserve => match &operation.reserve {
            Some(reserve) => asked.reserve(&reserve.source, &reserve.resources),
            None => missing("reserve"),
        },
        Kind::Unreserve => match &operation.unreserve {
            Some(unreserve) => asked.unreserve(&unreserve.resources),
            None => missing("unreserve"),
        },
        Kind::Create => match &operation.create {
            Some(create) => asked.create(&create.volumes),
            None => missing("create"),
        },
        Kind::Destroy => match &operation.destroy {
            Some(destroy) => asked.destroy(&destroy.volumes),
            None => missing("destroy"),
        },
        _ => return None,
    })
}

fn read(all: &[v1::Resource]) -> Result<Resources, String> {
    let checked = convert::resources_from_v1(all).and_then(|resources| {
        resources::check_disks(&resources)?;
        Ok(resources)
    });
    checked.map_err(|why| format!("Invalid resources: {why}"))
}

fn dynamic(resource: &Resource) -> Result<(), String> {
    match resource.is_dynamically_reserved() {
        true => Ok(()),
        false => Err(format!("Resource {resource} is not dynamically reserved")),
    }
}

impl Asked<'_> {
    fn reserve(
        &self,
        source: &[v1::Resource],
        resources: &[v1::Resource],
    ) -> Result<Conversion, String> {
        let (source, reserved) = (read(source)?, read(resources)?);
        for resource in reserved.iter() {
            dynamic(resource)?;
            self.reserved_for_its_own(resource)?;
            self.reserved_by_itself(resource)?;
            if resource.persistence_id().is_some() {
                return Err(format!("A persistent volume {resource} must already be reserved"));
            }
        }
        if source.is_empty() {
            return Conversion::reserve(&reserved).ok_or_else(|| "Nothing is reserved".into());
        }
        self.change(source, reserved)
    }

    /// Resources that are reserved already are reserved otherwise.
    fn change(&self, source: Resources, reserved: Resources) -> Result<Conversion, String> {
        if self.framework.is_some() {
            return Err("A reservation update is not supported for frameworks".into());
        }
        if source.iter().any(|r| r.persistence_id().is_some()) {
            return Err("The reservation of a persistent volume cannot be updated".into());
        }
        if source.flatten() != reserved.flatten() {
            return Err(format!(
                "Source resources {source} and reserved resources {reserved} are not of the same \
                 quantities"
            ));
        }
        let fixed = |all: &Resources| {
            all.map(|r| {
                let is_static = |level: &&Reservation| level.kind == ReservationKind::Static;
                let reservations = r.reservations.iter().filter(is_static).cloned().collect();
                Some(Resource { reservations, ..r.clone() })
            })
        };
        if fixed(&source) != fixed(&reserved) {
            return Err("A static reservation cannot be updated".into());
        }
        Ok(Conversion { consumed: source, converted: reserved })
    }

    /// A framework reserves what was allocated to a role of its own, and for that role; an operator what is nobody's.
    fn reserved_for_its_own(&self, resource: &Resource) -> Result<(), String> {
        let allocated = resource.allocated_to.as_ref();
        let Some((_, framework)) = self.framework else {
            return match allocated {
                None => Ok(()),
                Some(_) => Err("A reserve operation was attempted with an allocated resource, \
                                but the operator API only allows reservations to be made to \
                                unallocated resources"
                    .into()),
            };
        };
        let Some(allocated) = allocated else {
            return Err(format!(
                "A reserve operation was attempted on unallocated resource '{resource}', but \
                 frameworks can only perform reservations on allocated resources"
            ));
        };
        let role = resource.reserved_for().map_or("*", |role| role.as_str());
        if allocated.as_str() != role {
            return Err(format!(
                "A reserve operation was attempted for a resource with role '{role}', but the \
                 resource was allocated to role '{allocated}'"
            ));
        }
        if !framework.roles.contains(allocated) {
            return Err(format!(
                "A reserve operation was attempted for a resource allocated to role \
                 '{allocated}', but the framework only has roles '{}'",
                super::braces(&framework.roles)
            ));
        }
        Ok(())
    }

    /// Who is known reserves in its own name.
    fn reserved_by_itself(&self, resource: &Resource) -> Result<(), String> {
        let Some(principal) = self.principal else { return Ok(()) };
        match resource.reservations.last().and_then(|r| r.principal.as_deref()) {
            Some(named) if named == principal => Ok(()),
            Some(named) => Err(format!(
                "A reserve operation was attempted by principal '{principal}', but there is a \
                 reserved resource in the request with principal '{named}' set"
            )),
            None => Err(format!(
                "A reserve operation was attempted by principal '{principal}', but there is a \
                 reserved resource in the request with no principal set"
            )),
        }
    }

    fn unreserve(&self, resources: &[v1::Resource]) -> Result<Conversion, String> {
        let reserved = read(resources)?;
        for resource in reserved.iter() {
            dynamic(resource)?;
            if resource.persistence_id().is_some() {
                return Err(format!(
                    "A dynamically reserved persistent volume {resource} cannot be unreserved \
                     directly. Please destroy the persistent volume first then unreserve the \
                     resource"
                ));
            }
        }
        Conversion::unreserve(&reserved).ok_or_else(|| "Nothing is reserved".into())
    }

    fn create(&self, volumes: &[v1::Resource]) -> Result<Conversion, String> {
        let volumes = read_volumes(volumes)?;
        for volume in volumes.iter() {
            let disk = volume.disk.as_deref();
            if disk.and_then(|d| d.volume.as_ref()).is_some_and(|v| v.read_only == Some(true)) {
                return Err("Read-only persistent volume not supported".into());
            }
            if let Some((id, framework)) = self.framework
                && volume.shared
                && !framework.has(Capability::SharedResources)
            {
                return Err(format!(
                    "Create volume operation for '{volume}' has been attempted by framework \
                     '{id}' with no SHARED_RESOURCES capability"
                ));
            }
            self.created_by_itself(disk.and_then(|d| d.persistence.as_ref()))?;
        }
        resources::check_unique(&volumes)?;
        let name =
            |r: &Resource| Some((r.reserved_for().cloned(), r.persistence_id()?.to_string()));
        let taken: BTreeSet<_> = self.agent.total.iter().filter_map(name).collect();
        if let Some((_, id)) = volumes.iter().filter_map(name).find(|name| taken.contains(name)) {
            return Err(format!("Persistence ID '{id}' is not unique"));
        }
        Ok(Conversion::create(&volumes))
    }

    /// Who is known creates in its own name.
    fn created_by_itself(&self, persistence: Option<&Persistence>) -> Result<(), String> {
        let Some(principal) = self.principal else { return Ok(()) };
        match persistence.and_then(|p| p.principal.as_deref()) {
            Some(named) if named == principal => Ok(()),
            Some(named) => Err(format!(
                "Create volume operation attempted by principal '{principal}', but there is a \
                 volume in the operation with principal '{named}' set in 'disk.persistence'"
            )),
            None => Err(format!(
                "Create volume operation attempted by principal '{principal}', but there is a \
                 volume in the operation with no principal set in 'disk.persistence'"
            )),
        }
    }

    fn destroy(&self, volumes: &[v1::Resource]) -> Result<Conversion, String> {
        let volumes = read_volumes(volumes)?;
        let bare = volumes.unallocate();
        if !self.agent.total.contains(&bare) {
            return Err("Persistent volumes not found".into());
        }
        let used = self.agent.used_total.unallocate();
        if bare.iter().any(|volume| used.count(volume) > 0) {
            return Err("Persistent volumes in use".into());
        }
        Ok(Conversion::destroy(&volumes))
    }
}

fn read_volumes(all: &[v1::Resource]) -> Result<Resources, String> {
    let volumes = read(all)?;
    for volume in volumes.iter() {
        let why = match &volume.disk {
            None => format!("Resource {volume} does not have DiskInfo"),
            Some(disk) if disk.persistence.is_none() => {
                "'persistence' is not set in DiskInfo".into()
            }
            Some(_) => continue,
        };
        return Err(format!("Not a persistent volume: {why}"));
    }
    if let Some(twice) = volumes.iter().find(|volume| volumes.count(volume) > 1) {
        return Err(format!("The persistent volume {twice} is named more than once"));
    }
    Ok(volumes)
}
