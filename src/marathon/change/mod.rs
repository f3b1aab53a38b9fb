//! What a request makes of the tree of groups: the new root, completed and validated, or all that is wrong.
//!
//! Pure: the tree that was read and the request's body go in. Versions and service ports are set by the core.

mod app;
mod group;

#[cfg(test)]
mod tests;

use super::model::{App, Failures, Group, PathId, Rules};
use super::validate;
use std::collections::BTreeSet;
use std::sync::Arc;

pub use app::{create, remove, rollback, update};
pub use group::{create_group, enforce_role, remove_group, rollback_group, update_group};

/// Why a request changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Rules are broken.
    Invalid(Failures),
    /// There is no such app.
    NoApp(PathId),
    /// There is no such group.
    NoGroup(PathId),
    /// Something is there already; the sentence says what.
    Exists(String),
}

impl From<Failures> for Refused {
    fn from(failures: Failures) -> Self {
        Self::Invalid(failures)
    }
}

/// A tree being changed, with the apps that have to be validated.
struct Draft<'a> {
    before: &'a Group,
    root: Group,
    rules: &'a Rules,
    failures: Failures,
    changed: Vec<PathId>,
}

impl<'a> Draft<'a> {
    fn new(before: &'a Group, rules: &'a Rules) -> Self {
        let (root, failures) = (before.clone(), Failures::default());
        Self { before, root, rules, failures, changed: Vec::new() }
    }

    /// Puts an app into the tree. One that is as it was stays the very same.
    fn put(&mut self, mut app: App) {
        if let Some(before) = self.before.app(&app.id) {
            keep_ports(&mut app, before);
            if app.instances == before.instances && !app.differs_from(before) {
                let (before, version) = (Arc::clone(before), self.root.version);
                if self.root.app(&app.id).is_none_or(|now| !Arc::ptr_eq(now, &before)) {
                    self.root.put_app(before, version);
                }
                return;
            }
            app.version = before.version;
            app.version_info = before.version_info;
        }
        self.changed.push(app.id.clone());
        let version = self.root.version;
        self.root.put_app(Arc::new(app), version);
    }

    /// The new tree, if it keeps all rules. Failures of an app are told under `prefix` of it.
    fn finish(mut self, prefix: impl Fn(&PathId) -> String) -> Result<Group, Refused> {
        for id in &self.changed {
            let Some(app) = self.root.app(id) else { continue };
            // The role that it already has is the one in the tree before.
            let found = validate::app(app, self.before, &self.root, self.rules);
            self.failures.extend(&prefix(id), found);
        }
        self.failures.extend("", validate::root(&self.root));
        if self.failures.is_empty() { Ok(self.root) } else { Err(self.failures.into()) }
    }
}

/// Where a new definition leaves a service port open, the one it had at that place stays.
fn keep_ports(app: &mut App, before: &App) {
    let old = before.service_ports();
    let taken: BTreeSet<u16> = app.service_ports().into_iter().collect();
    for (new, old) in app.service_ports_mut().into_iter().zip(old) {
        if *new == 0 && !taken.contains(&old) {
            *new = old;
        }
    }
}
