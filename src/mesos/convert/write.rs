//! Resources for the wire, in the format the reader understands.

use super::{disk, labels_to_v1};
use crate::base::resources::{Reservation, ReservationKind, Resource, Resources, Value};
use crate::base::roles;
use crate::mesos::v1::{self, resource::ReservationInfo, resource::reservation_info, value};

/// How reservations are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `role` and `reservation`, for frameworks without RESERVATION_REFINEMENT. Cannot say refined
    /// reservations.
    Pre,
    /// `reservations`. As long as there is at most one, `role` and `reservation` are written as well, for
    /// readers that know those alone; readers of either format accept that, and it may be sent back as it is.
    Post,
}

impl Format {
    /// The format of operator endpoints, in which Mesos fills both forms: the same as [`Format::Post`].
    pub const ENDPOINT: Self = Self::Post;
}

/// Writes resources. Those the format cannot say (refined reservations in [`Format::Pre`]) are left out:
/// a framework that does not know refinement never sees them, as in Mesos.
pub fn resources_to_v1(all: &Resources, format: Format) -> Vec<v1::Resource> {
    let mut out = Vec::with_capacity(all.len());
    for resource in all.iter() {
        // Equal whole disks (of several agents) stand side by side; a shared volume is one thing.
        let times = if resource.shared { 1 } else { all.count(resource).max(1) };
        if let Some(written) = resource_to_v1(resource, format) {
            out.extend(std::iter::repeat_n(written, times as usize));
        }
    }
    out
}

/// Writes one resource; `None` if the format cannot say its reservations.
#[allow(deprecated)]
pub fn resource_to_v1(r: &Resource, format: Format) -> Option<v1::Resource> {
    if format == Format::Pre && r.is_refined() {
        return None;
    }
    let single = match r.reservations.as_slice() {
        [single] => Some(single),
        _ => None,
    };
    let dynamic = single.filter(|s| s.kind == ReservationKind::Dynamic);
    let mut out = v1::Resource {
        name: r.name.to_string(),
        allocation_info: r
            .allocated_to
            .as_ref()
            .map(|role| v1::resource::AllocationInfo { role: Some(role.to_string()) }),
        disk: r.disk.as_deref().map(disk::write),
        revocable: r.revocable.then(Default::default),
        shared: r.shared.then(Default::default),
        provider_id: r
            .provider_id
            .as_ref()
            .map(|id| v1::ResourceProviderId { value: id.to_string() }),
        role: match (single, r.is_refined()) {
            (Some(single), _) => Some(single.role.to_string()),
            (None, true) => None,
            (None, false) => Some(roles::DEFAULT.into()),
        },
        reservation: dynamic.map(|d| ReservationInfo { r#type: None, role: None, ..info(d) }),
        ..Default::default()
    };
    if format == Format::Post {
        out.reservations = r.reservations.iter().map(info).collect();
    }
    write_value(&r.value, &mut out);
    Some(out)
}

fn write_value(value: &Value, out: &mut v1::Resource) {
    match value {
        Value::Scalar(v) => {
            out.set_type(value::Type::Scalar);
            out.scalar = Some(value::Scalar { value: v.as_f64() });
        }
        Value::Ranges(v) => {
            out.set_type(value::Type::Ranges);
            let range = v.iter().map(|(begin, end)| value::Range { begin, end }).collect();
            out.ranges = Some(value::Ranges { range });
        }
        Value::Set(v) => {
            out.set_type(value::Type::Set);
            out.set = Some(value::Set { item: v.iter().cloned().collect() });
        }
    }
}

fn info(r: &Reservation) -> ReservationInfo {
    let kind = match r.kind {
        ReservationKind::Static => reservation_info::Type::Static,
        ReservationKind::Dynamic => reservation_info::Type::Dynamic,
    };
    ReservationInfo {
        r#type: Some(kind.into()),
        role: Some(r.role.to_string()),
        principal: r.principal.clone(),
        labels: r.labels.as_ref().map(labels_to_v1),
    }
}
