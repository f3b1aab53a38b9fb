//! Resources off the wire, in either format of reservations.

use super::{describe::describe, disk, labels_from_v1};
use crate::base::ids::Role;
use crate::base::resources::{
    Ranges, Reservation, ReservationKind, Resource, Resources, Scalar, Value,
};
use crate::base::roles;
use crate::mesos::v1::{self, resource::ReservationInfo, resource::reservation_info, value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reads resources; what is of zero amount is accepted and dropped.
///
/// # Errors
/// The text Mesos answers with, naming the first resource at fault.
pub fn resources_from_v1(all: &[v1::Resource]) -> Result<Resources, String> {
    let mut out = Resources::new();
    for resource in all {
        let read = resource_from_v1(resource)
            .map_err(|e| format!("Resource '{}' is invalid: {e}", describe(resource)))?;
        out.add_one(read);
    }
    Ok(out)
}

/// Reads one resource. Its amount may be zero.
///
/// # Errors
/// The text Mesos answers with.
pub fn resource_from_v1(r: &v1::Resource) -> Result<Resource, String> {
    if r.name.is_empty() {
        return Err("Empty resource name".into());
    }
    let value = read_value(r)?;
    let disk = match &r.disk {
        None => None,
        Some(_) if r.name != "disk" => {
            return Err(format!("DiskInfo should not be set for {} resource", r.name));
        }
        Some(info) => Some(Arc::new(disk::read(info)?)),
    };
    let reservations = match r.reservations.as_slice() {
        [] => read_pre(r)?,
        stack => read_post(r, stack)?,
    };
    if r.shared.is_some() {
        if r.name != "disk" {
            return Err(format!("Resource {} cannot be shared", r.name));
        }
        if disk.as_ref().is_none_or(|d| d.persistence.is_none()) {
            return Err("Only persistent volumes can be shared".into());
        }
    }
    let allocated_to = r.allocation_info.as_ref().and_then(|a| a.role.as_deref());
    allocated_to.map_or(Ok(()), roles::validate)?;
    Ok(Resource {
        name: r.name.as_str().into(),
        value,
        reservations,
        disk,
        revocable: r.revocable.is_some(),
        shared: r.shared.is_some(),
        provider_id: r.provider_id.as_ref().map(|p| p.value.as_str().into()),
        allocated_to: allocated_to.map(Role::from),
    })
}

fn read_value(r: &v1::Resource) -> Result<Value, String> {
    match value::Type::try_from(r.r#type) {
        Ok(value::Type::Scalar) => match (&r.scalar, &r.ranges, &r.set) {
            (Some(scalar), None, None) => read_scalar(scalar.value),
            _ => Err("Invalid scalar resource".into()),
        },
        Ok(value::Type::Ranges) => match (&r.scalar, &r.ranges, &r.set) {
            (None, Some(ranges), None) => read_ranges(ranges).map(Value::Ranges),
            _ => Err("Invalid ranges resource".into()),
        },
        Ok(value::Type::Set) => match (&r.scalar, &r.ranges, &r.set) {
            (None, None, Some(set)) => read_set(set).map(Value::Set),
            _ => Err("Invalid set resource".into()),
        },
        Ok(value::Type::Text) => Err("Unsupported resource type".into()),
        Err(_) => Err("Invalid resource type".into()),
    }
}

fn read_scalar(value: f64) -> Result<Value, String> {
    let Some(scalar) = Scalar::checked(value) else {
        let limit = Scalar::MAX;
        return Err(format!("Invalid scalar resource: {value} is not a number up to {limit}"));
    };
    // Less than nothing, or so little that it rounds to nothing.
    if value != 0.0 && scalar <= Scalar::ZERO {
        return Err("Invalid scalar resource: value <= 0".into());
    }
    Ok(Value::Scalar(scalar))
}

pub(super) fn read_ranges(ranges: &value::Ranges) -> Result<Ranges, String> {
    let mut all: Vec<(u64, u64)> = ranges.range.iter().map(|r| (r.begin, r.end)).collect();
    if all.iter().any(|(begin, end)| begin > end) {
        return Err("Invalid ranges resource: begin > end".into());
    }
    all.sort_unstable();
    if all.windows(2).any(|pair| pair[1].0 <= pair[0].1) {
        return Err("Invalid ranges resource: overlapping ranges".into());
    }
    Ok(Ranges::new(all))
}

pub(super) fn read_set(set: &value::Set) -> Result<BTreeSet<String>, String> {
    let items: BTreeSet<String> = set.item.iter().cloned().collect();
    if items.len() < set.item.len() {
        return Err("Invalid set resource: duplicated elements".into());
    }
    Ok(items)
}

/// The format before refinement: `role`, and `reservation` if it is dynamic.
fn read_pre(r: &v1::Resource) -> Result<Vec<Reservation>, String> {
    let role = pre_role(r).unwrap_or(roles::DEFAULT);
    roles::validate(role)?;
    let Some(info) = &r.reservation else {
        let reserved = role != roles::DEFAULT;
        return Ok(reserved.then(|| Reservation::fixed(role)).into_iter().collect());
    };
    for (set, field) in [(info.r#type.is_some(), "type"), (info.role.is_some(), "role")] {
        if set {
            return Err(format!(
                "'Resource.ReservationInfo.{field}' must not be set for the \
                 'Resource.reservation' field"
            ));
        }
    }
    if role == roles::DEFAULT {
        return Err("Invalid reservation: role \"*\" cannot be dynamically reserved".into());
    }
    Ok(vec![reservation(info, ReservationKind::Dynamic, role)])
}

/// The format with refinement: a stack, each level a strict sub-role of the one below.
fn read_post(r: &v1::Resource, stack: &[ReservationInfo]) -> Result<Vec<Reservation>, String> {
    let mut out: Vec<Reservation> = Vec::with_capacity(stack.len());
    for info in stack {
        let missing =
            |f| format!("Invalid reservation: 'Resource.ReservationInfo.{f}' field must be set.");
        let kind = info.r#type.ok_or_else(|| missing("type"))?;
        let role = info.role.as_deref().ok_or_else(|| missing("role"))?;
        roles::validate(role)?;
        if role == roles::DEFAULT {
            return Err("Invalid reservation: role \"*\" cannot be reserved".into());
        }
        let kind = match reservation_info::Type::try_from(kind) {
            Ok(reservation_info::Type::Static) => ReservationKind::Static,
            Ok(reservation_info::Type::Dynamic) => ReservationKind::Dynamic,
            _ => return Err("Unsupported 'Resource.ReservationInfo.Type'".into()),
        };
        if let Some(below) = out.last() {
            if kind == ReservationKind::Static {
                return Err("Invalid refined reservation: A refined reservation cannot be \
                            STATIC"
                    .into());
            }
            if !roles::is_strict_subrole_of(role, below.role.as_str()) {
                return Err(format!(
                    "Invalid refined reservation: role '{role}' is not a refinement of '{}'",
                    below.role
                ));
            }
        }
        out.push(reservation(info, kind, role));
    }
    check_both_formats(r, &out)?;
    Ok(out)
}

/// Both formats at once are accepted only of a single reservation, and only if they agree.
fn check_both_formats(r: &v1::Resource, stack: &[Reservation]) -> Result<(), String> {
    let (role, pre) = (pre_role(r), r.reservation.as_ref());
    let [single] = stack else {
        let set = [(role.is_some(), "role"), (pre.is_some(), "reservation")];
        return match set.into_iter().find(|(set, _)| *set) {
            Some((_, field)) => Err(format!(
                "Invalid resource format: 'Resource.{field}' must not be set if there is more \
                 than one reservation in 'Resource.reservations'"
            )),
            None => Ok(()),
        };
    };
    if let Some(role) = role.filter(|role| *role != single.role.as_str()) {
        return Err(format!(
            "Invalid resource format: 'Resource.role' field with '{role}' does not match the \
             role '{}' in 'Resource.reservations'",
            single.role
        ));
    }
    if single.kind == ReservationKind::Static {
        return match pre {
            None => Ok(()),
            Some(_) => Err("Invalid resource format: 'Resource.reservation' must not be set if \
                            the single reservation in 'Resource.reservations' is STATIC"
                .into()),
        };
    }
    if role.is_some() != pre.is_some() {
        return Err("Invalid resource format: 'Resource.role' and 'Resource.reservation' must \
                    either be both set or both not set if the single reservation in \
                    'Resource.reservations' is DYNAMIC"
            .into());
    }
    pre.map_or(Ok(()), |pre| check_agree(pre, single))
}

fn check_agree(pre: &ReservationInfo, post: &Reservation) -> Result<(), String> {
    // Unset and empty count as the same here.
    let principals =
        (pre.principal.as_deref().unwrap_or(""), post.principal.as_deref().unwrap_or(""));
    if principals.0 != principals.1 {
        return Err(format!(
            "Invalid resource format: 'Resource.reservation.principal' field with '{}' does not \
             match the principal '{}' in 'Resource.reservations'",
            principals.0, principals.1
        ));
    }
    let labels = (
        pre.labels.as_ref().map(labels_from_v1).unwrap_or_default(),
        post.labels.clone().unwrap_or_default(),
    );
    if labels.0 != labels.1 {
        return Err(format!(
            "Invalid resource format: 'Resource.reservation.labels' field with '{}' does not \
             match the labels '{}' in 'Resource.reservations'",
            labels.0, labels.1
        ));
    }
    Ok(())
}

fn reservation(info: &ReservationInfo, kind: ReservationKind, role: &str) -> Reservation {
    Reservation {
        kind,
        role: role.into(),
        principal: info.principal.clone(),
        labels: info.labels.as_ref().map(labels_from_v1),
    }
}

/// The deprecated field, which older frameworks still use.
#[allow(deprecated)]
pub(super) fn pre_role(r: &v1::Resource) -> Option<&str> {
    r.role.as_deref()
}
