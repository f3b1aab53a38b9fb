//! Reading changes of groups.

use super::app;
use super::cursor::At;
use crate::marathon::model::group::GroupUpdate;
use crate::marathon::model::path::PathId;

/// The largest factor that a group is scaled by.
const SCALE_MAX: f64 = 1_000_000.0;

/// Reads a change of a group; one within another has to be `named`.
pub(super) fn read(at: &At<'_>, base: &PathId, named: bool) -> Option<GroupUpdate> {
    let object = at.object()?;
    let given = if named { object.required("id") } else { object.get("id") };
    let id = given.and_then(|at| at.path_id(base));
    let own = id.clone().unwrap_or_else(|| base.clone());
    if let Some(pods) = object.get("pods").filter(|at| !at.is_empty()) {
        pods.refuse("pods are not supported yet");
    }
    Some(GroupUpdate {
        apps: object.get("apps").and_then(|at| at.list(|at| app::read_named(at, &own))),
        groups: object.get("groups").and_then(|at| at.list(|at| read(at, &own, true))),
        dependencies: object.get("dependencies").and_then(|at| at.set(|at| at.path_id(&own))),
        version: object.get("version").and_then(|at| app::timestamp(&at)),
        scale_by: object.get("scaleBy").and_then(|at| at.number(0.0, SCALE_MAX)),
        enforce_role: object.get("enforceRole").and_then(|at| at.boolean()),
        id,
    })
}
