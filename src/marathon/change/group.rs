//! Changes of groups.

use super::app::version_alone;
use super::{Draft, Refused};
use crate::marathon::model::{App, Failures, Group, GroupUpdate, PathId, Rules, define};
use crate::marathon::validate::default_role;
use std::collections::BTreeSet;

/// The tree with a new group.
///
/// # Errors
/// When it is not valid, or there is something of that id.
pub fn create_group(
    root: &Group,
    id: &PathId,
    update: &GroupUpdate,
    rules: &Rules,
) -> Result<Group, Refused> {
    if root.app(id).is_some() {
        return Err(Refused::Exists(format!("An app with the path {id} already exists.")));
    }
    if root.group(id).is_some() {
        let message = format!("Group {id} is already created. Use PUT to change this group.");
        return Err(Refused::Exists(message));
    }
    update_group(root, id, update, rules)
}

/// The tree with a group changed, or made with the ones above it. Not for an update with `version`.
///
/// # Errors
/// When what comes out is not valid.
pub fn update_group(
    root: &Group,
    id: &PathId,
    update: &GroupUpdate,
    rules: &Rules,
) -> Result<Group, Refused> {
    let mut draft = Draft::new(root, rules);
    if update.version.is_some() {
        return Err(version_alone().into());
    }
    if let Some(factor) = update.scale_by {
        if !update.is_scale_only() {
            let message = "The 'scaleBy' field may only be combined with the 'id' field.";
            return Err(Failures::of("/", message).into());
        }
        let Some(group) = root.group(id) else { return Err(Refused::NoGroup(id.clone())) };
        for app in group.all_apps() {
            draft.put(scaled(app, factor));
        }
        return draft.finish(under_apps);
    }
    lay(&mut draft, id, update);
    let (before, after) = (root.group(id), draft.root.group(id));
    let was = before.is_some_and(|g| g.enforce_role);
    if let (Some(before), Some(after)) = (before, after)
        && was != after.enforce_role
        && !same_apps(before, after)
    {
        draft.failures.add(
            "/enforceRole",
            "enforceRole cannot be modified in a request that adds, removes or modifies services; \
             please make these changes in separate requests.",
        );
    }
    draft.finish(under_apps)
}

/// The tree with a group as it was in an earlier tree; all that is below it is as it was then.
///
/// # Errors
/// When the group was not there then, or a definition is not valid any more.
pub fn rollback_group(
    root: &Group,
    id: &PathId,
    earlier: &Group,
    rules: &Rules,
) -> Result<Group, Refused> {
    let Some(group) = earlier.group(id) else { return Err(Refused::NoGroup(id.clone())) };
    let mut draft = Draft::new(root, rules);
    let version = root.version;
    draft.root.put_group(group.clone(), version);
    for app in group.all_apps() {
        draft.put(App::clone(app));
    }
    draft.finish(under_apps)
}

/// The tree without a group; without the root group's content when it is the root.
///
/// # Errors
/// When it is not there.
pub fn remove_group(root: &Group, id: &PathId) -> Result<Group, Refused> {
    if id.is_root() {
        return Ok(Group { enforce_role: false, ..Group::new(PathId::root(), root.version) });
    }
    let mut root = root.clone();
    let version = root.version;
    if root.remove_group(id, version) { Ok(root) } else { Err(Refused::NoGroup(id.clone())) }
}

/// The tree with a top-level group that does, or does not, give its role to what is below.
///
/// # Errors
/// When it is not a top-level group, or not there.
pub fn enforce_role(root: &Group, id: &PathId, on: bool) -> Result<Group, Refused> {
    if id.is_root() || !id.parent().is_root() {
        return Err(Failures::of("/", "Path needs to be top-level").into());
    }
    if root.group(id).is_none() {
        return Err(Refused::NoGroup(id.clone()));
    }
    let mut root = root.clone();
    let version = root.version;
    root.make(id, version).enforce_role = on;
    Ok(root)
}

/// Where a failure of an app is told when the request is about a group.
fn under_apps(id: &PathId) -> String {
    format!("/apps/{id}")
}

fn scaled(app: &App, factor: f64) -> App {
    let instances = (f64::from(app.instances) * factor).ceil();
    // A float cast saturates; what is too large is refused by its rule.
    App { instances: instances as u32, ..app.clone() }
}

/// Lays an update, and those within it, over the tree.
fn lay(draft: &mut Draft<'_>, id: &PathId, update: &GroupUpdate) {
    if update.version.is_some() || update.scale_by.is_some() {
        let message = "version and scaleBy may only be given for the group that is addressed";
        draft.failures.add("/groups", message);
        return;
    }
    let version = draft.root.version;
    let group = draft.root.make(id, version);
    if let Some(dependencies) = &update.dependencies {
        group.dependencies = dependencies.clone();
    }
    if let Some(on) = update.enforce_role {
        group.enforce_role = on;
    }
    if let Some(groups) = &update.groups {
        let named: BTreeSet<_> = groups.iter().filter_map(|g| g.id.as_ref()).collect();
        // Those on the way to a named one stay as well.
        let kept = |id: &PathId| named.contains(id) || named.iter().any(|n| n.is_below(id));
        group.groups.retain(|id, _| kept(id));
        for child in groups {
            let Some(child_id) = &child.id else { continue };
            if child_id.is_below(id) {
                lay(draft, child_id, child);
            } else {
                let message = format!("Group has to be child of groups with parent {id}");
                draft.failures.add(&format!("/groups/{child_id}"), message);
            }
        }
    }
    if update.apps.is_some() {
        lay_apps(draft, id, update);
    }
}

/// The apps of a group are those of the update and no others.
fn lay_apps(draft: &mut Draft<'_>, id: &PathId, update: &GroupUpdate) {
    let version = draft.root.version;
    draft.root.make(id, version).apps.clear();
    for body in update.apps.iter().flatten() {
        let Some(app_id) = &body.update.id else { continue };
        let path = under_apps(app_id);
        if app_id.parent() != *id || app_id.is_root() {
            let message = format!("App has to be child of group with parent {id}");
            draft.failures.add(&path, message);
            continue;
        }
        if draft.root.app(app_id).is_some() {
            draft.failures.add(&path, "is given twice");
            continue;
        }
        let role = default_role(app_id, &draft.root, draft.rules);
        match define(app_id, body, None, &role, draft.rules) {
            Ok(app) => draft.put(app),
            Err(failures) => draft.failures.extend(&path, failures),
        }
    }
}

/// Whether the same definitions are below both.
fn same_apps(one: &Group, other: &Group) -> bool {
    let (one, other) = (one.all_apps(), other.all_apps());
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(a, b)| a.id == b.id && a.instances == b.instances && !a.differs_from(b))
}
