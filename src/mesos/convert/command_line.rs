//! Resources as `--resources` gives them: a JSON array of Resource, or the short text form.

use super::read::{pre_role, resource_from_v1};
use crate::base::ids::Role;
use crate::base::resources::{Reservation, Resource, Resources, check_command_line};
use crate::base::roles;
use crate::mesos::json::Object;
use crate::mesos::v1;

/// Reads `[{"name":"cpus","type":"SCALAR","scalar":{"value":8}}, …]` or `cpus:8;mem:1024`. What names no role is
/// reserved for `default_role` (`*`: unreserved). What must not be said on a command line is refused.
///
/// # Errors
/// The text Mesos answers with.
pub fn parse_resources(text: &str, default_role: &str) -> Result<Resources, String> {
    if !text.trim_start().starts_with('[') {
        return Resources::parse(text, default_role);
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let malformed = |e: String| format!("Some JSON resources were not formatted properly: {e}");
    let all: Vec<Object<v1::Resource>> =
        serde_path_to_error::deserialize(&mut reader).map_err(|e| malformed(e.to_string()))?;
    reader.end().map_err(|e| malformed(e.to_string()))?;
    let mut out: Vec<Resource> = Vec::with_capacity(all.len());
    for Object(wire) in &all {
        let mut resource = resource_from_v1(wire)?;
        if pre_role(wire).is_none() && resource.reservations.is_empty() {
            roles::validate(default_role)?;
            if default_role != roles::DEFAULT {
                resource.reservations.push(Reservation::fixed(Role::from(default_role)));
            }
        }
        out.push(resource);
    }
    check_command_line(out.iter())?;
    Ok(out.into_iter().collect())
}
