//! The plan of a deployment: from what was and what shall be to steps in the order of dependencies. Pure.
//!
//! First all removed apps are stopped together, then all new ones made known together, then one step for each level of
//! dependencies: an app is scaled or restarted when all it depends on is in place.

use super::view::{Action, ActionKind, Step};
use crate::marathon::model::{App, Group, PathId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What becomes of one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stop,
    Start,
    Scale,
    Restart,
}

/// Whether tasks of the former definition have to be replaced. Configurations are told apart by when they were made.
pub(super) fn is_replaced(before: &App, after: &App) -> bool {
    before.version_info.last_config_change_at != after.version_info.last_config_change_at
}

fn fate(before: Option<&Arc<App>>, after: Option<&Arc<App>>) -> Option<Fate> {
    match (before, after) {
        (None, None) => None,
        (Some(_), None) => Some(Fate::Stop),
        (None, Some(_)) => Some(Fate::Start),
        (Some(before), Some(after)) if is_replaced(before, after) => {
            Some(if after.instances == 0 { Fate::Scale } else { Fate::Restart })
        }
        (Some(before), Some(after)) => (before.instances != after.instances).then_some(Fate::Scale),
    }
}

/// The steps. `changed` gives each app as it was and as it shall be; `all` tells how any app
/// shall be, `root` the groups.
pub(super) fn plan<'a>(
    changed: impl Iterator<Item = (&'a PathId, Option<&'a Arc<App>>, Option<&'a Arc<App>>)>,
    all: &dyn Fn(&PathId) -> Option<Arc<App>>,
    root: &Group,
) -> Vec<Step> {
    let fates: BTreeMap<&PathId, Fate> =
        changed.filter_map(|(id, before, after)| Some((id, fate(before, after)?))).collect();
    let of = |wanted: Fate, action: ActionKind| Step {
        actions: fates
            .iter()
            .filter(|(_, fate)| **fate == wanted)
            .map(|(id, _)| Action { action, app: (*id).clone() })
            .collect(),
    };
    let mut steps = vec![
        of(Fate::Stop, ActionKind::StopApplication),
        of(Fate::Start, ActionKind::StartApplication),
    ];
    let placed: BTreeSet<&PathId> =
        fates.iter().filter(|(_, fate)| **fate != Fate::Stop).map(|(id, _)| *id).collect();
    let levels = levels(&placed, all, root);
    let mut by_level: BTreeMap<usize, Step> = BTreeMap::new();
    for id in placed {
        let action = match fates.get(id) {
            Some(Fate::Restart) => ActionKind::RestartApplication,
            _ => ActionKind::ScaleApplication,
        };
        let level = levels.get(id).copied().unwrap_or(0);
        by_level.entry(level).or_default().actions.push(Action { action, app: id.clone() });
    }
    steps.extend(by_level.into_values());
    steps.retain(|step| !step.actions.is_empty());
    steps
}

/// What an app waits for: what it names, and what the groups it is in name. A named group stands for all apps in it.
fn needs(app: &App, all: &dyn Fn(&PathId) -> Option<Arc<App>>, root: &Group) -> BTreeSet<PathId> {
    let mut named: BTreeSet<PathId> = app.dependencies.iter().cloned().collect();
    let groups = std::iter::once(PathId::root()).chain(app.id.ancestors());
    for group in groups.filter_map(|id| root.group(&id)) {
        named.extend(group.dependencies.iter().cloned());
    }
    let mut needs = BTreeSet::new();
    for id in named {
        if all(&id).is_some() {
            needs.insert(id);
        } else if let Some(group) = root.group(&id) {
            needs.extend(group.all_apps().into_iter().map(|app| app.id.clone()));
        }
    }
    needs.remove(&app.id);
    needs
}

/// The length of the longest way down the dependencies of each app. A circle (validation lets none through) ends where
/// it was entered first.
fn levels(
    wanted: &BTreeSet<&PathId>,
    all: &dyn Fn(&PathId) -> Option<Arc<App>>,
    root: &Group,
) -> BTreeMap<PathId, usize> {
    // Everything that can be reached, and who waits for whom.
    let mut waits_for: BTreeMap<PathId, BTreeSet<PathId>> = BTreeMap::new();
    let mut waited_by: BTreeMap<PathId, Vec<PathId>> = BTreeMap::new();
    let mut open: VecDeque<PathId> = wanted.iter().map(|id| (*id).clone()).collect();
    while let Some(id) = open.pop_front() {
        if waits_for.contains_key(&id) {
            continue;
        }
        let needs = all(&id).map(|app| needs(&app, all, root)).unwrap_or_default();
        for need in &needs {
            waited_by.entry(need.clone()).or_default().push(id.clone());
            open.push_back(need.clone());
        }
        waits_for.insert(id, needs);
    }
    let mut missing: BTreeMap<PathId, usize> =
        waits_for.iter().map(|(id, needs)| (id.clone(), needs.len())).collect();
    let mut levels: BTreeMap<PathId, usize> = BTreeMap::new();
    let mut ready: VecDeque<PathId> =
        missing.iter().filter(|(_, n)| **n == 0).map(|(id, _)| id.clone()).collect();
    while let Some(id) = ready.pop_front() {
        let level = levels.get(&id).copied().unwrap_or(0);
        levels.entry(id.clone()).or_insert(level);
        for waiting in waited_by.get(&id).into_iter().flatten() {
            let known = levels.entry(waiting.clone()).or_insert(0);
            *known = (*known).max(level + 1);
            if let Some(left) = missing.get_mut(waiting) {
                *left -= 1;
                if *left == 0 {
                    ready.push_back(waiting.clone());
                }
            }
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::model::Timestamp;

    fn id(text: &str) -> PathId {
        PathId::parse(text).expect("an id")
    }

    fn at(n: i64) -> Timestamp {
        Timestamp::from_millis(n)
    }

    fn app(name: &str, config: i64, instances: u32, needs: &[&str]) -> Arc<App> {
        let mut app = App::new(id(name), "*", at(config));
        app.instances = instances;
        app.dependencies = needs.iter().map(|n| id(n)).collect();
        Arc::new(app)
    }

    fn steps(before: &[Arc<App>], after: &[Arc<App>], groups: &[(&str, &[&str])]) -> Vec<String> {
        let map = |apps: &[Arc<App>]| -> BTreeMap<PathId, Arc<App>> {
            apps.iter().map(|app| (app.id.clone(), app.clone())).collect()
        };
        let (before, after) = (map(before), map(after));
        let mut root = Group::new(PathId::root(), at(1));
        for app in after.values() {
            root.put_app(app.clone(), at(1));
        }
        for (name, needs) in groups {
            root.make(&id(name), at(1)).dependencies = needs.iter().map(|n| id(n)).collect();
        }
        let ids: BTreeSet<&PathId> = before.keys().chain(after.keys()).collect();
        let changed = ids.into_iter().map(|id| (id, before.get(id), after.get(id)));
        let text = |action: &Action| {
            let kind = action.action.name().replace("Application", "");
            format!("{kind} {}", action.app)
        };
        let line = |step: &Step| step.actions.iter().map(text).collect::<Vec<_>>().join(", ");
        plan(changed, &|id| after.get(id).cloned(), &root).iter().map(line).collect()
    }

    // covers: MAR-0306, MAR-0308
    #[test]
    fn new_apps_are_started_then_scaled_together() {
        let apps = [app("/a", 1, 1, &[]), app("/b", 1, 1, &[])];
        assert_eq!(steps(&[], &apps, &[]), ["Start /a, Start /b", "Scale /a, Scale /b"]);
    }

    // covers: MAR-0307, MAR-0506
    #[test]
    fn what_is_needed_comes_first() {
        let apps =
            [app("/app", 1, 1, &["/db"]), app("/db", 1, 1, &[]), app("/web", 1, 1, &["/app"])];
        assert_eq!(
            steps(&[], &apps, &[]),
            ["Start /app, Start /db, Start /web", "Scale /db", "Scale /app", "Scale /web"]
        );
    }

    // covers: MAR-0507
    #[test]
    fn groups_wait_for_groups() {
        let apps = [app("/a/x", 1, 1, &[]), app("/b/y", 1, 1, &[]), app("/b/c/z", 1, 1, &[])];
        assert_eq!(
            steps(&[], &apps, &[("/a", &["/b"])]),
            ["Start /a/x, Start /b/c/z, Start /b/y", "Scale /b/c/z, Scale /b/y", "Scale /a/x"]
        );
    }

    // covers: MAR-0309, MAR-0310, MAR-0311, MAR-0312, MAR-0313
    #[test]
    fn each_app_gets_what_its_change_asks_for() {
        let before = [
            app("/changed", 1, 2, &[]),
            app("/gone", 1, 1, &[]),
            app("/same", 1, 1, &[]),
            app("/scaled", 1, 1, &[]),
            app("/zero", 1, 1, &[]),
        ];
        let after = [
            app("/changed", 2, 2, &[]),
            app("/same", 1, 1, &[]),
            app("/scaled", 1, 3, &[]),
            app("/zero", 2, 0, &[]),
        ];
        assert_eq!(
            steps(&before, &after, &[]),
            ["Stop /gone", "Restart /changed, Scale /scaled, Scale /zero"]
        );
        assert_eq!(steps(&before[1..2], &[], &[]), ["Stop /gone"]);
        assert!(steps(&before, &before, &[]).is_empty());
    }

    #[test]
    fn a_circle_ends() {
        let apps = [app("/a", 1, 1, &["/b"]), app("/b", 1, 1, &["/a"])];
        assert_eq!(steps(&[], &apps, &[]).len(), 2);
    }
}
