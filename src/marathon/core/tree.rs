//! Definitions and their history: the root group, every kept version of every app, and what each version of the root
//! changed, so that older ones can be shown and gone back to.
//!
//! Nothing here knows deployments; which versions are still needed by them or by instances is told by the caller.

use super::records::{self, Changed, Delta, GroupMeta, GroupRecord};
use crate::base::kv::Op;
use crate::marathon::model::{App, Group, PathId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What differs between two trees.
#[derive(Clone, Debug, Default)]
pub(super) struct Diff {
    /// Apps: as they were, as they shall be.
    pub apps: BTreeMap<PathId, Changed<Arc<App>>>,
    /// Groups without what is in them.
    pub groups: BTreeMap<PathId, Changed<GroupMeta>>,
}

/// All definitions.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: Arc<Group>,
    /// Each app of `root`.
    apps: BTreeMap<PathId, Arc<App>>,
    versions: BTreeMap<PathId, BTreeMap<Timestamp, Arc<App>>>,
    /// What versions of the root changed, oldest first.
    history: VecDeque<(Timestamp, Delta)>,
}

/// Whether one stands for the same definition as the other, whatever their versions.
fn same(a: &App, b: &App) -> bool {
    a.instances == b.instances && !a.differs_from(b)
}

fn meta(group: &Group) -> GroupMeta {
    GroupMeta { dependencies: group.dependencies.clone(), enforce_role: group.enforce_role }
}

impl Diff {
    /// What differs; parts that both share are not looked at.
    pub fn between(base: &Arc<Group>, target: &Arc<Group>) -> Self {
        let mut diff = Self::default();
        diff.groups_of(Some(base), Some(target));
        diff
    }

    fn groups_of(&mut self, base: Option<&Arc<Group>>, target: Option<&Arc<Group>>) {
        if let (Some(base), Some(target)) = (base, target)
            && Arc::ptr_eq(base, target)
        {
            return;
        }
        let Some(id) = target.or(base).map(|g| &g.id) else { return };
        let (before, after) = (base.map(|g| meta(g)), target.map(|g| meta(g)));
        if before != after {
            self.groups.insert(id.clone(), Changed { before, after });
        }
        let (none_apps, none_groups) = (BTreeMap::new(), BTreeMap::new());
        let base_apps = base.map_or(&none_apps, |g| &g.apps);
        let target_apps = target.map_or(&none_apps, |g| &g.apps);
        for id in base_apps.keys().chain(target_apps.keys()) {
            self.app(id, base_apps.get(id), target_apps.get(id));
        }
        let base_groups = base.map_or(&none_groups, |g| &g.groups);
        let target_groups = target.map_or(&none_groups, |g| &g.groups);
        let ids: BTreeSet<&PathId> = base_groups.keys().chain(target_groups.keys()).collect();
        for id in ids {
            self.groups_of(base_groups.get(id), target_groups.get(id));
        }
    }

    fn app(&mut self, id: &PathId, base: Option<&Arc<App>>, target: Option<&Arc<App>>) {
        if let (Some(base), Some(target)) = (base, target)
            && (Arc::ptr_eq(base, target) || same(base, target))
        {
            return;
        }
        let changed = Changed { before: base.cloned(), after: target.cloned() };
        self.apps.insert(id.clone(), changed);
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.groups.is_empty()
    }

    /// The versions of the apps, before and after.
    pub fn versions(&self) -> BTreeMap<PathId, Changed<Timestamp>> {
        let of = |app: &Option<Arc<App>>| app.as_ref().map(|app| app.version);
        let both = |c: &Changed<Arc<App>>| Changed { before: of(&c.before), after: of(&c.after) };
        self.apps.iter().map(|(id, changed)| (id.clone(), both(changed))).collect()
    }
}

impl Tree {
    /// No apps, and only the root group.
    pub fn new() -> Self {
        Self {
            root: Arc::new(Group::new(PathId::root(), Timestamp::from_millis(0))),
            apps: BTreeMap::new(),
            versions: BTreeMap::new(),
            history: VecDeque::new(),
        }
    }

    /// The tree as it was stored. Fails with the app whose current version is not there.
    pub fn restore(
        groups: BTreeMap<PathId, GroupRecord>,
        versions: BTreeMap<PathId, BTreeMap<Timestamp, Arc<App>>>,
        current: BTreeMap<PathId, Timestamp>,
        history: BTreeMap<Timestamp, Delta>,
    ) -> Result<Self, PathId> {
        let mut root = Group::new(PathId::root(), Timestamp::from_millis(0));
        let mut apps = BTreeMap::new();
        for (id, version) in current {
            let app = versions.get(&id).and_then(|all| all.get(&version)).cloned();
            let Some(app) = app else { return Err(id) };
            root.put_app(app.clone(), version);
            apps.insert(id, app);
        }
        // Versions are what the rows say, not what putting things in made of them. Making a group gives its version
        // to those above it, so parents come after their children.
        for (id, record) in groups.into_iter().rev() {
            let group = root.make(&id, record.version);
            group.dependencies = record.meta.dependencies;
            group.enforce_role = record.meta.enforce_role;
        }
        let history = history.into_iter().collect();
        Ok(Self { root: Arc::new(root), apps, versions, history })
    }

    /// The root group.
    pub fn root(&self) -> &Arc<Group> {
        &self.root
    }

    /// The definition that counts.
    pub fn app(&self, id: &PathId) -> Option<&Arc<App>> {
        self.apps.get(id)
    }

    /// Every app, by id.
    pub fn apps(&self) -> &BTreeMap<PathId, Arc<App>> {
        &self.apps
    }

    /// One kept version of an app, also of one that is no more.
    pub fn version(&self, id: &PathId, version: Timestamp) -> Option<&Arc<App>> {
        self.versions.get(id)?.get(&version)
    }

    /// Kept versions of an app, newest first, beginning with the one that counts.
    pub fn versions(&self, id: &PathId) -> Vec<Timestamp> {
        let present = self.apps.get(id).map(|app| app.version);
        let all = self.versions.get(id).into_iter().flatten().rev().map(|(version, _)| *version);
        present.into_iter().chain(all.filter(|version| Some(*version) != present)).collect()
    }

    /// Versions of the root group that can be gone back to, newest first, beginning with the present one.
    pub fn root_versions(&self) -> Vec<Timestamp> {
        let former = self.history.iter().rev().map(|(_, delta)| delta.previous);
        std::iter::once(self.root.version).chain(former).collect()
    }

    /// The root group as it was; none if that version is not kept.
    pub fn root_at(&self, version: Timestamp) -> Option<Arc<Group>> {
        if version == self.root.version {
            return Some(self.root.clone());
        }
        let mut root = (*self.root).clone();
        for (_, delta) in self.history.iter().rev() {
            self.put_back(&mut root, &delta.apps, &delta.groups);
            if delta.previous == version {
                root.version = version;
                return Some(Arc::new(root));
            }
        }
        None
    }

    /// Undoes changes in `root`: apps and groups are what they were before. Groups that come back are there before
    /// their apps; those that go do so after them, and only if nothing else is in them.
    pub fn put_back(
        &self,
        root: &mut Group,
        apps: &BTreeMap<PathId, Changed<Timestamp>>,
        groups: &BTreeMap<PathId, Changed<GroupMeta>>,
    ) {
        let version = root.version;
        for (id, changed) in groups {
            if let Some(before) = &changed.before {
                let group = root.make(id, version);
                group.dependencies = before.dependencies.clone();
                group.enforce_role = before.enforce_role;
            }
        }
        for (id, changed) in apps {
            match changed.before.and_then(|v| self.version(id, v)) {
                Some(app) => root.put_app(app.clone(), version),
                None => {
                    root.remove_app(id, version);
                }
            }
        }
        // Children before parents.
        for (id, changed) in groups.iter().rev() {
            let empty = root.group(id).is_some_and(|g| g.apps.is_empty() && g.groups.is_empty());
            if changed.before.is_none() && empty {
                root.remove_group(id, version);
            }
        }
    }

    /// Whether what a diff was made on is still so.
    pub fn is_fresh(&self, diff: &Diff) -> bool {
        let apps = diff.apps.iter().all(|(id, changed)| {
            let base = changed.before.as_ref().map(|app| app.version);
            base == self.apps.get(id).map(|app| app.version)
        });
        let groups = diff.groups.iter().all(|(id, changed)| {
            changed.before == self.root.group(id).map(meta) && self.may_go(id, changed, diff)
        });
        apps && groups
    }

    /// A group that goes has nothing in it that stays.
    fn may_go(&self, id: &PathId, changed: &Changed<GroupMeta>, diff: &Diff) -> bool {
        if changed.after.is_some() {
            return true;
        }
        let Some(group) = self.root.group(id) else { return true };
        let gone_app = |id: &PathId| diff.apps.get(id).is_some_and(|c| c.after.is_none());
        let gone_group = |id: &PathId| diff.groups.get(id).is_some_and(|c| c.after.is_none());
        group.apps.keys().all(gone_app) && group.groups.keys().all(gone_group)
    }

    /// The first version that is later than all there are.
    pub fn next_version(&self, now: Timestamp) -> Timestamp {
        now.max(self.root.version.next())
    }

    /// The root group as a fresh diff makes it.
    pub fn preview(&self, diff: &Diff, version: Timestamp) -> Group {
        let mut root = (*self.root).clone();
        root.version = version;
        for (id, _) in diff.apps.iter().filter(|(_, changed)| changed.after.is_none()) {
            root.remove_app(id, version);
        }
        // Children before parents.
        for (id, _) in diff.groups.iter().rev().filter(|(_, changed)| changed.after.is_none()) {
            root.remove_group(id, version);
        }
        for (id, changed) in &diff.groups {
            if let Some(after) = &changed.after {
                let group = root.make(id, version);
                group.dependencies = after.dependencies.clone();
                group.enforce_role = after.enforce_role;
            }
        }
        for app in diff.apps.values().filter_map(|changed| changed.after.as_ref()) {
            root.put_app(app.clone(), version);
        }
        root
    }

    /// Makes a fresh diff true; `root` is its preview, and `apps` of it have their versions already. Writes all rows,
    /// the one that makes them count at last.
    pub fn apply(&mut self, diff: Diff, root: Group, writes: &mut Vec<Op>) {
        let version = root.version;
        let previous = self.root.version;
        self.root = Arc::new(root);
        // The way to everything that changed got the version.
        let mut touched: BTreeSet<PathId> = BTreeSet::from([PathId::root()]);
        for id in diff.apps.keys().chain(diff.groups.keys()) {
            touched.extend(id.ancestors());
        }
        touched.extend(diff.groups.keys().cloned());
        for id in &touched {
            match self.root.group(id) {
                Some(group) => {
                    let record = GroupRecord { meta: meta(group), version: group.version };
                    writes.push(records::group(id, &record));
                }
                None => writes.push(records::no_group(id)),
            }
        }
        for (id, changed) in &diff.apps {
            let Some(app) = &changed.after else {
                self.apps.remove(id);
                writes.push(records::no_current(id));
                continue;
            };
            self.apps.insert(id.clone(), app.clone());
            self.versions.entry(id.clone()).or_default().insert(app.version, app.clone());
            writes.push(records::app(app));
            writes.push(records::current(id, app.version));
        }
        let delta = Delta { previous, apps: diff.versions(), groups: diff.groups };
        writes.push(records::root(version, &delta));
        self.history.push_back((version, delta));
    }

    /// Forgets versions that are over the limit and that nobody needs: of these apps, and of the root.
    pub fn collect(
        &mut self,
        apps: impl Iterator<Item = PathId>,
        max: usize,
        needed: impl Fn(&PathId, Timestamp) -> bool,
        writes: &mut Vec<Op>,
    ) {
        let mut apps: BTreeSet<PathId> = apps.collect();
        while self.history.len() > max {
            if let Some((version, delta)) = self.history.pop_front() {
                writes.push(records::no_root(version));
                apps.extend(delta.apps.into_keys());
            }
        }
        for id in apps {
            self.collect_app(&id, max, &needed, writes);
        }
    }

    fn collect_app(
        &mut self,
        id: &PathId,
        max: usize,
        needed: &impl Fn(&PathId, Timestamp) -> bool,
        writes: &mut Vec<Op>,
    ) {
        let present = self.apps.get(id).map(|app| app.version);
        let Some(all) = self.versions.get(id) else { return };
        // An app that is no more is kept only as far as the root can go back to it.
        let keep = if present.is_some() { max } else { 0 };
        let over = all.len().saturating_sub(keep);
        let mut forget = Vec::new();
        for version in all.keys().take(over) {
            let told = self.history.iter().any(|(_, delta)| {
                let changed = delta.apps.get(id);
                changed.is_some_and(|c| c.before == Some(*version) || c.after == Some(*version))
            });
            if Some(*version) != present && !told && !needed(id, *version) {
                forget.push(*version);
            }
        }
        for version in forget {
            if let Some(all) = self.versions.get_mut(id) {
                all.remove(&version);
            }
            writes.push(records::no_app(id, version));
        }
        if self.versions.get(id).is_some_and(BTreeMap::is_empty) {
            self.versions.remove(id);
        }
    }
}
