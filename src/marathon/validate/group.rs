//! The rules of the whole tree of groups.

use crate::marathon::model::{Failures, Group, PathId};
use std::collections::{BTreeMap, BTreeSet};

/// The most apps there may be.
pub const APPS_MAX: usize = 50_000;

/// The most groups there may be.
pub const GROUPS_MAX: usize = 50_000;

/// All rules that a new tree breaks as a tree; apps are checked one by one.
pub fn root(root: &Group) -> Failures {
    let mut failures = Failures::default();
    let (apps, groups) = (root.all_apps(), root.all_groups());
    if apps.len() > APPS_MAX {
        failures.add("/apps", format!("there may be at most {APPS_MAX} apps"));
    }
    if groups.len() > GROUPS_MAX {
        failures.add("/groups", format!("there may be at most {GROUPS_MAX} groups"));
    }
    for group in &groups {
        if group.apps.keys().any(|id| group.groups.contains_key(id)) {
            let message = "Groups and Applications may not have the same identifier.";
            failures.add("/", message);
        }
        let top_level = !group.id.is_root() && group.id.parent().is_root();
        if group.enforce_role && !top_level {
            failures.add(
                "/enforceRole",
                format!(
                    "enforceRole can only be set for top-level groups, and {} is not top-level",
                    group.id
                ),
            );
        }
    }
    if is_cyclic(root) {
        failures.add("/", "Dependency graph has cyclic dependencies.");
    }
    failures
}

/// Whether something depends on itself. A dependency of, or on, a group is one of all apps in it; a group
/// does not wait for what is inside it.
fn is_cyclic(root: &Group) -> bool {
    let ids: Vec<&PathId> = root.all_apps().into_iter().map(|a| &a.id).collect();
    let known: BTreeSet<&PathId> = ids.iter().copied().collect();
    let below = |group: &PathId| -> Vec<&PathId> {
        let from = known.range(group.clone()..);
        from.copied()
            .take_while(|id| id.as_str().starts_with(group.as_str()))
            .filter(|id| id.is_below(group))
            .collect()
    };
    let expand = |on: &PathId| -> Vec<&PathId> {
        match known.get(on) {
            Some(id) => vec![*id],
            None => below(on),
        }
    };
    let mut waits: BTreeMap<&PathId, BTreeSet<&PathId>> = BTreeMap::new();
    for app in root.all_apps() {
        for on in &app.dependencies {
            waits.entry(&app.id).or_default().extend(expand(on));
        }
    }
    for group in root.all_groups() {
        for on in &group.dependencies {
            let targets = expand(on);
            for app in group.all_apps() {
                let own = waits.entry(&app.id).or_default();
                own.extend(targets.iter().filter(|id| !id.is_below(&group.id)));
            }
        }
    }
    has_cycle(&waits)
}

/// Takes away, again and again, what waits for nothing; a cycle is what remains (Kahn).
fn has_cycle(waits: &BTreeMap<&PathId, BTreeSet<&PathId>>) -> bool {
    let mut left: BTreeMap<&PathId, usize> = BTreeMap::new();
    let mut waiting: BTreeMap<&PathId, Vec<&PathId>> = BTreeMap::new();
    for (id, on) in waits {
        left.insert(id, on.len());
        for target in on {
            waiting.entry(target).or_default().push(id);
        }
    }
    let mut free: Vec<&PathId> =
        waiting.keys().filter(|id| left.get(*id).is_none_or(|n| *n == 0)).copied().collect();
    while let Some(id) = free.pop() {
        for next in waiting.remove(id).unwrap_or_default() {
            if let Some(count) = left.get_mut(next) {
                *count -= 1;
                if *count == 0 {
                    free.push(next);
                }
            }
        }
    }
    left.values().any(|n| *n > 0)
}
