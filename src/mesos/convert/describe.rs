//! A resource as it came, for messages about it: it may be one that cannot be read.

use super::read::pre_role;
use crate::mesos::v1;
use std::fmt::Write as _;

/// Close to how Mesos prints a resource: name, allocation, reservations, value.
pub(super) fn describe(r: &v1::Resource) -> String {
    let mut out = r.name.clone();
    // Writing to a string cannot fail.
    if let Some(role) = r.allocation_info.as_ref().and_then(|a| a.role.as_ref()) {
        let _ = write!(out, "(allocated: {role})");
    }
    let mut stack: Vec<String> = Vec::new();
    for info in &r.reservations {
        let kind = info.r#type().as_str_name();
        let mut text = format!("({kind},{}", info.role());
        if let Some(principal) = &info.principal {
            let _ = write!(text, ",{principal}");
        }
        text.push(')');
        stack.push(text);
    }
    if let (true, Some(role)) = (stack.is_empty(), pre_role(r).filter(|role| *role != "*")) {
        let kind = if r.reservation.is_some() { "DYNAMIC" } else { "STATIC" };
        stack.push(format!("({kind},{role})"));
    }
    if !stack.is_empty() {
        let _ = write!(out, "(reservations: [{}])", stack.join(","));
    }
    if let Some(persistence) = r.disk.as_ref().and_then(|d| d.persistence.as_ref()) {
        let _ = write!(out, "[{}]", persistence.id);
    }
    out.push_str(if r.revocable.is_some() { "{REV}" } else { "" });
    out.push_str(if r.shared.is_some() { "<SHARED>" } else { "" });
    out.push(':');
    if let Some(scalar) = &r.scalar {
        let _ = write!(out, "{}", scalar.value);
    } else if let Some(ranges) = &r.ranges {
        let all: Vec<_> = ranges.range.iter().map(|r| format!("{}-{}", r.begin, r.end)).collect();
        let _ = write!(out, "[{}]", all.join(", "));
    } else if let Some(set) = &r.set {
        let _ = write!(out, "{{{}}}", set.item.join(", "));
    }
    out
}
