//! Changes of single apps.

use super::{Draft, Refused};
use crate::marathon::model::{App, AppBody, Failures, Group, PathId, Rules, define};
use crate::marathon::validate::default_role;

/// The tree with a new app.
///
/// # Errors
/// When it is not valid, or there is something of that id.
pub fn create(root: &Group, body: &AppBody, rules: &Rules) -> Result<(Group, PathId), Refused> {
    let Some(id) = body.update.id.clone() else {
        return Err(Failures::of("/id", "error.path.missing").into());
    };
    if root.app(&id).is_some() {
        return Err(Refused::Exists(format!("An app with id [{id}] already exists.")));
    }
    // What is asked for is a new definition: a version in it is one that was read somewhere.
    let app = define(&id, body, None, &default_role(&id, root, rules), rules)?;
    let mut draft = Draft::new(root, rules);
    draft.put(app);
    Ok((draft.finish(|_| String::new())?, id))
}

/// The tree with apps changed, or, with `create`, made. Of a `partial` body only what is given changes;
/// else all that is missing takes its default.
///
/// # Errors
/// When a definition is not valid, or one is not there and must not be made.
pub fn update(
    root: &Group,
    bodies: &[AppBody],
    partial: bool,
    create: bool,
    rules: &Rules,
) -> Result<Group, Refused> {
    let mut draft = Draft::new(root, rules);
    let many = bodies.len() > 1;
    let prefix = |id: &PathId| if many { format!("/apps/{id}") } else { String::new() };
    for body in bodies {
        let Some(id) = body.update.id.clone() else {
            return Err(Failures::of("/id", "error.path.missing").into());
        };
        if body.is_rollback() {
            draft.failures.extend(&prefix(&id), version_alone());
            continue;
        }
        let before = draft.root.app(&id).cloned();
        if before.is_none() && !create {
            return Err(Refused::NoApp(id));
        }
        let base = before.as_deref().filter(|_| partial);
        match define(&id, body, base, &default_role(&id, root, rules), rules) {
            Ok(app) => draft.put(app),
            Err(failures) => draft.failures.extend(&prefix(&id), failures),
        }
    }
    draft.finish(prefix)
}

/// What is wrong with a version beside other fields.
pub(super) fn version_alone() -> Failures {
    Failures::of("/", "The 'version' field may only be combined with the 'id' field.")
}

/// The tree with an app as it was.
///
/// # Errors
/// When the definition is not valid any more, or the app is not there.
pub fn rollback(root: &Group, earlier: &App, rules: &Rules) -> Result<Group, Refused> {
    if root.app(&earlier.id).is_none() {
        return Err(Refused::NoApp(earlier.id.clone()));
    }
    let mut draft = Draft::new(root, rules);
    draft.put(earlier.clone());
    draft.finish(|_| String::new())
}

/// The tree without an app.
///
/// # Errors
/// When it is not there.
pub fn remove(root: &Group, id: &PathId) -> Result<Group, Refused> {
    let mut root = root.clone();
    let version = root.version;
    if root.remove_app(id, version) { Ok(root) } else { Err(Refused::NoApp(id.clone())) }
}
