//! Whose resources an app may use: the rules of roles in groups.

use crate::base::roles;
use crate::marathon::model::{App, Failures, Group, PathId, Rules};

/// The role that an app of that id gets when it names none.
pub fn default_role(id: &PathId, root: &Group, rules: &Rules) -> String {
    match id.top_level() {
        Some(top) if root.group(&top).is_some_and(|g| g.enforce_role) => top.name().to_string(),
        _ => rules.mesos_role.clone(),
    }
}

pub(super) fn check(
    app: &App,
    before: &Group,
    after: &Group,
    rules: &Rules,
    failures: &mut Failures,
) {
    if let Err(message) = roles::validate(&app.role) {
        failures.add("/role", message);
    }
    let top = app.id.top_level();
    let enforced = top.as_ref().and_then(|top| after.group(top)).is_some_and(|g| g.enforce_role);
    let mut allowed: Vec<String> = Vec::new();
    if !enforced {
        allowed.push(rules.mesos_role.clone());
    }
    if let Some(top) = top {
        allowed.push(top.name().to_string());
    }
    // The role it already has stays allowed.
    if let Some(before) = before.app(&app.id) {
        allowed.push(before.role.clone());
    }
    allowed.dedup();
    if allowed.contains(&app.role) {
        return;
    }
    let message = match allowed.as_slice() {
        [one] => format!("got {}, expected {one}", app.role),
        many => format!("got {}, expected one of: [{}]", app.role, many.join(", ")),
    };
    failures.add("/role", message);
}
