//! The text form of resources, as `--resources` has it: `cpus:4;mem(eng):512.5;ports:[31000-32000];set:{a,b}`.
//!
//! The rules and texts are those of Mesos, odd ones too: spaces inside values are dropped, empty tokens are skipped.

use super::{Ranges, Reservation, Resource, Resources, Scalar, Value, ValueKind};
use crate::base::ids::Role;
use crate::base::roles;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What a value's text means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// One of the three kinds of amounts.
    Value(Value),
    /// Anything else, without its spaces: good for attributes, not for resources.
    Text(String),
}

/// Reads a value: `[..]` ranges, `{..}` a set, a number a scalar, all else text.
///
/// # Errors
/// The text Mesos answers with.
pub fn parse_value(text: &str) -> Result<Parsed, String> {
    let text: String = text.chars().filter(|c| *c != ' ').collect();
    if text.is_empty() {
        return Err("Expecting non-empty string".into());
    }
    if [('{', '}'), ('[', ']'), ('(', ')')].iter().any(|(o, c)| !brackets_match(&text, *o, *c)) {
        return Err("Mismatched brackets".into());
    }
    match (text.find('['), text.find('{')) {
        (Some(0), _) => parse_ranges(&text),
        (Some(_), _) => Err("Unexpected '[' found".into()),
        (None, Some(0)) => parse_set(&text),
        (None, Some(_)) => Err("Unexpected '{' found".into()),
        (None, None) => parse_scalar(text),
    }
}

fn brackets_match(text: &str, open: char, close: char) -> bool {
    let mut depth = 0usize;
    for c in text.chars() {
        if c == open {
            depth += 1;
        } else if c == close {
            let Some(less) = depth.checked_sub(1) else { return false };
            depth = less;
        }
    }
    depth == 0
}

fn tokens<'a>(text: &'a str, delimiters: &'a [char]) -> impl Iterator<Item = &'a str> {
    text.split(delimiters).filter(|t| !t.is_empty())
}

fn parse_ranges(text: &str) -> Result<Parsed, String> {
    let ends: Vec<&str> = tokens(text, &['[', ']', '-', ',', '\n']).collect();
    if !ends.len().is_multiple_of(2) {
        return Err("Expecting one or more \"ranges\"".into());
    }
    let mut ranges = Vec::with_capacity(ends.len() / 2);
    for pair in ends.chunks_exact(2) {
        let (Some(begin), Some(end)) = (number(pair[0]), number(pair[1])) else {
            return Err(format!("Expecting non-negative integers in '{}'", pair[0]));
        };
        if begin > end {
            return Err("Invalid ranges resource: begin > end".into());
        }
        ranges.push((begin, end));
    }
    Ok(Parsed::Value(Value::Ranges(Ranges::new(ranges))))
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn parse_set(text: &str) -> Result<Parsed, String> {
    let mut items = BTreeSet::new();
    for item in tokens(text, &['{', '}', ',', '\n']) {
        if !items.insert(item.to_string()) {
            return Err("Invalid set resource: duplicated elements".into());
        }
    }
    Ok(Parsed::Value(Value::Set(items)))
}

fn parse_scalar(text: String) -> Result<Parsed, String> {
    let Some(value) = text.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0) else {
        return Ok(Parsed::Text(text));
    };
    if value.is_subnormal() {
        return Err("Subnormal values not supported".into());
    }
    match Scalar::checked(value) {
        Some(scalar) => Ok(Parsed::Value(Value::Scalar(scalar))),
        None => Err(format!("Value {text} is over the limit of {}", Scalar::MAX)),
    }
}

/// Reads one resource from its name, its value's text and its role (`*` is unreserved).
///
/// # Errors
/// The text Mesos answers with.
pub fn parse_resource(name: &str, value: &str, role: &str) -> Result<Resource, String> {
    let invalid = |e: String| match e.starts_with("Invalid ") {
        true => e,
        false => format!("Failed to parse resource {name} value {value} error {e}"),
    };
    let parsed = match parse_value(value).map_err(invalid)? {
        Parsed::Value(parsed) => parsed,
        Parsed::Text(_) => {
            return Err(format!("Bad type for resource {name} value {value} type TEXT"));
        }
    };
    if name.is_empty() {
        return Err("Empty resource name".into());
    }
    roles::validate(role)?;
    let mut resource = Resource::new(name, parsed);
    if role != roles::DEFAULT {
        resource.reservations.push(Reservation::fixed(Role::from(role)));
    }
    Ok(resource)
}

/// Refuses what the command line must not say: volumes, revocable resources, dynamic reservations, and one
/// name with two kinds of value.
///
/// # Errors
/// The text Mesos answers with.
pub fn check_command_line<'a>(all: impl Iterator<Item = &'a Resource>) -> Result<(), String> {
    let mut kinds: BTreeMap<&str, ValueKind> = BTreeMap::new();
    for resource in all {
        if resource.persistence_id().is_some() {
            return Err("Persistent volumes cannot be specified at the command line".into());
        }
        if resource.revocable {
            return Err("Revocable resources cannot be specified at the command line; do not \
                        include a 'revocable' key in the resources JSON"
                .into());
        }
        if resource.is_dynamically_reserved() {
            return Err("Dynamic reservations cannot be specified at the command line; do not \
                        include a reservation with DYNAMIC type in the resources JSON"
                .into());
        }
        let kind = resource.value.kind();
        if *kinds.entry(&resource.name).or_insert(kind) != kind {
            return Err(format!(
                "Resources with the same name ('{}') but different types are not allowed",
                resource.name
            ));
        }
    }
    Ok(())
}

impl Resources {
    /// Reads `cpus:4;mem(eng):512`; what names no role is reserved for `default_role` (`*`: unreserved).
    /// Amounts of zero are accepted and dropped.
    ///
    /// # Errors
    /// The text Mesos answers with.
    pub fn parse(text: &str, default_role: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        for token in tokens(text, &[';']) {
            let mut parts = tokens(token, &[':']);
            let (Some(left), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
                return Err(format!("Bad value for resources, missing or extra ':' in {token}"));
            };
            let mismatched =
                || format!("Bad value for resources, mismatched parentheses in {token}");
            let (name, role) = match left.split_once('(') {
                None => (left, default_role),
                Some((name, rest)) if !name.contains(')') => {
                    (name, rest.split_once(')').ok_or_else(mismatched)?.0.trim())
                }
                Some(_) => return Err(mismatched()),
            };
            all.push(parse_resource(name.trim(), value, role)?);
        }
        check_command_line(all.iter())?;
        Ok(all.into_iter().collect())
    }

    /// The text that [`Resources::parse`] reads back; `None` when they hold what it cannot say (dynamic
    /// or refined reservations, disks, allocations, revocable or shared ones, odd characters).
    pub fn to_text(&self) -> Option<String> {
        let mut out = String::new();
        for r in self.iter() {
            let plain = r.allocated_to.is_none()
                && r.disk.is_none()
                && r.provider_id.is_none()
                && !r.revocable
                && !r.shared;
            let role = match r.reservations.as_slice() {
                [] => String::new(),
                [one] if *one == Reservation::fixed(one.role.clone()) => format!("({})", one.role),
                _ => return None,
            };
            if !plain {
                return None;
            }
            let separator = if out.is_empty() { "" } else { ";" };
            // Writing to a string cannot fail.
            let _ = write!(out, "{separator}{}{role}:{}", r.name, r.value);
        }
        // Names and items are free text: say nothing rather than something else.
        Self::parse(&out, roles::DEFAULT).is_ok_and(|back| back == *self).then_some(out)
    }
}
