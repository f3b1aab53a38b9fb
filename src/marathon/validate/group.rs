//! The rules of the whole tree of groups.

use crate::marathon::model::{App, Failures, Group, PathId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    if failures.is_empty() && is_cyclic(&apps, &groups) {
        failures.add("/", "Dependency graph has cyclic dependencies.");
    }
    failures
}

/// What the graph of dependencies is of. A group is two points, so that the graph stays as small as the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node<'a> {
    App(&'a PathId),
    /// What everything in the group waits for.
    Gate(&'a PathId),
    /// Everything in the group.
    Whole(&'a PathId),
}

/// Whether something depends on itself. A dependency on a group is one on all that is below it, one of a
/// group is one of all that is below it; a group does not wait for what is in it.
fn is_cyclic(apps: &[&Arc<App>], groups: &[&Group]) -> bool {
    let dependent = apps.iter().any(|a| !a.dependencies.is_empty());
    if !dependent && groups.iter().all(|g| g.dependencies.is_empty()) {
        return false;
    }
    let known_apps: BTreeSet<&PathId> = apps.iter().map(|a| &a.id).collect();
    let known_groups: BTreeSet<&PathId> = groups.iter().map(|g| &g.id).collect();
    let target = |on: &PathId| {
        let app = known_apps.get(on).map(|id| Node::App(id));
        app.or_else(|| known_groups.get(on).map(|id| Node::Whole(id)))
    };
    let mut waits: BTreeMap<Node<'_>, BTreeSet<Node<'_>>> = BTreeMap::new();
    let mut edge = |from, to| waits.entry(from).or_default().insert(to);
    for group in groups {
        let (gate, whole) = (Node::Gate(&group.id), Node::Whole(&group.id));
        for child in group.groups.values() {
            edge(Node::Gate(&child.id), gate);
            edge(whole, Node::Whole(&child.id));
        }
        for app in group.apps.values() {
            edge(Node::App(&app.id), gate);
            edge(whole, Node::App(&app.id));
            for on in app.dependencies.iter().filter_map(target) {
                edge(Node::App(&app.id), on);
            }
        }
        let outside = |on: &&PathId| **on != group.id && !on.is_below(&group.id);
        for on in group.dependencies.iter().filter(outside).filter_map(target) {
            edge(gate, on);
        }
    }
    has_cycle(&waits)
}

/// Takes away, again and again, what waits for nothing; a cycle is what remains (Kahn).
fn has_cycle(waits: &BTreeMap<Node<'_>, BTreeSet<Node<'_>>>) -> bool {
    let mut left: BTreeMap<Node<'_>, usize> = BTreeMap::new();
    let mut waiting: BTreeMap<Node<'_>, Vec<Node<'_>>> = BTreeMap::new();
    for (node, on) in waits {
        left.insert(*node, on.len());
        for target in on {
            waiting.entry(*target).or_default().push(*node);
        }
    }
    let mut free: Vec<Node<'_>> =
        waiting.keys().filter(|node| !left.contains_key(*node)).copied().collect();
    while let Some(node) = free.pop() {
        for next in waiting.remove(&node).unwrap_or_default() {
            if let Some(count) = left.get_mut(&next) {
                *count -= 1;
                if *count == 0 {
                    free.push(next);
                }
            }
        }
    }
    left.values().any(|n| *n > 0)
}
