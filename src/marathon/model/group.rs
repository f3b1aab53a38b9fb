//! Groups: a tree of apps. Parts are shared, so that a change of one app copies only the way to it.

use super::app::App;
use super::body::AppBody;
use super::path::PathId;
use super::timestamp::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A group with all that is below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its id.
    pub id: PathId,
    /// The apps directly in it, by id.
    pub apps: BTreeMap<PathId, Arc<App>>,
    /// The groups directly in it, by id.
    pub groups: BTreeMap<PathId, Arc<Group>>,
    /// Apps and groups that are deployed before it.
    pub dependencies: Vec<PathId>,
    /// When it, or something below it, was last changed.
    pub version: Timestamp,
    /// Whether services below it get its role; top-level groups only.
    pub enforce_role: bool,
}

impl Group {
    /// An empty group.
    pub fn new(id: PathId, version: Timestamp) -> Group {
        Group {
            id,
            apps: BTreeMap::new(),
            groups: BTreeMap::new(),
            dependencies: Vec::new(),
            version,
            enforce_role: false,
        }
    }

    /// The app of that id in this group or below it.
    pub fn app(&self, id: &PathId) -> Option<&Arc<App>> {
        self.group(&id.parent())?.apps.get(id)
    }

    /// The group of that id: this one or one below it.
    pub fn group(&self, id: &PathId) -> Option<&Group> {
        if *id == self.id {
            return Some(self);
        }
        if !id.is_below(&self.id) {
            return None;
        }
        let mut at = self;
        for step in id.ancestors().chain([id.clone()]).filter(|s| s.is_below(&self.id)) {
            at = at.groups.get(&step)?;
        }
        Some(at)
    }

    /// Every app in it and below it: its own first, each level by id.
    pub fn all_apps(&self) -> Vec<&Arc<App>> {
        let mut all: Vec<_> = self.apps.values().collect();
        for group in self.groups.values() {
            all.extend(group.all_apps());
        }
        all
    }

    /// Itself and every group below it.
    pub fn all_groups(&self) -> Vec<&Group> {
        let mut all = vec![self];
        for group in self.groups.values() {
            all.extend(group.all_groups());
        }
        all
    }

    /// Puts an app where its id says, making the groups on the way; they get the version.
    pub fn put_app(&mut self, app: Arc<App>, version: Timestamp) {
        let parent = app.id.parent();
        let group = self.make(&parent, version);
        group.apps.insert(app.id.clone(), app);
    }

    /// Takes an app out; the groups on the way get the version. False if it is not there.
    pub fn remove_app(&mut self, id: &PathId, version: Timestamp) -> bool {
        if self.app(id).is_none() {
            return false;
        }
        self.make(&id.parent(), version).apps.remove(id).is_some()
    }

    /// Puts a group where its id says in place of what was there, making the groups on the way.
    pub fn put_group(&mut self, group: Group, version: Timestamp) {
        if group.id == self.id {
            *self = group;
            return;
        }
        let parent = group.id.parent();
        self.make(&parent, version).groups.insert(group.id.clone(), Arc::new(group));
    }

    /// Takes a group out with all that is below it. False if it is not there, or is this one.
    pub fn remove_group(&mut self, id: &PathId, version: Timestamp) -> bool {
        if *id == self.id || self.group(id).is_none() {
            return false;
        }
        self.make(&id.parent(), version).groups.remove(id).is_some()
    }

    /// The group of that id, made with the ones above it if it is not there; all of them get the version.
    pub fn make(&mut self, id: &PathId, version: Timestamp) -> &mut Group {
        self.version = version;
        let mut at = self;
        let way: Vec<PathId> = id.ancestors().chain([id.clone()]).collect();
        for step in way.into_iter().filter(|s| !s.is_root()) {
            // `self` need not be the root group.
            if step == at.id || !step.is_below(&at.id) {
                continue;
            }
            let next = at
                .groups
                .entry(step.clone())
                .or_insert_with(|| Arc::new(Group::new(step, version)));
            at = Arc::make_mut(next);
            at.version = version;
        }
        at
    }
}

impl GroupUpdate {
    /// Whether nothing but `id` and one other field is given.
    fn has_only(&self, other: &GroupUpdate) -> bool {
        let bare = GroupUpdate { id: None, ..self.clone() };
        bare == *other
    }

    /// Whether it has nothing but `id` and `version`.
    pub fn is_version_only(&self) -> bool {
        self.has_only(&GroupUpdate { version: self.version, ..GroupUpdate::default() })
    }

    /// Whether it has nothing but `id` and `scaleBy`.
    pub fn is_scale_only(&self) -> bool {
        self.has_only(&GroupUpdate { scale_by: self.scale_by, ..GroupUpdate::default() })
    }
}

/// A change of a group; what is `None` stays. Ids are absolute already.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupUpdate {
    /// Of which group; none: the one that is addressed.
    pub id: Option<PathId>,
    /// All apps of the group, whole definitions; each has its id.
    pub apps: Option<Vec<AppBody>>,
    /// Groups below; each has its id. Ones that are not named are removed.
    pub groups: Option<Vec<GroupUpdate>>,
    /// Apps and groups that are deployed before it.
    pub dependencies: Option<Vec<PathId>>,
    /// A version of the group to go back to; then nothing else is given.
    pub version: Option<Timestamp>,
    /// Instances of every app below are multiplied by this and rounded up; then nothing else is given.
    pub scale_by: Option<f64>,
    /// Whether services below get its role.
    pub enforce_role: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> PathId {
        PathId::parse(text).expect("an id")
    }

    #[test]
    fn a_change_copies_only_the_way_to_it() {
        let (one, two) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        let mut root = Group::new(PathId::root(), one);
        for app in ["/a/b/x", "/a/y", "/c/z", "/top"] {
            root.put_app(Arc::new(App::new(id(app), "*", one)), one);
        }
        let before = root.clone();
        root.put_app(Arc::new(App::new(id("/a/b/new"), "*", two)), two);
        assert!(Arc::ptr_eq(&before.groups[&id("/c")], &root.groups[&id("/c")]));
        assert_eq!(root.group(&id("/a/b")).map(|g| g.version), Some(two));
        assert_eq!(root.group(&id("/c")).map(|g| g.version), Some(one));
        assert!(root.app(&id("/a/b/new")).is_some() && before.app(&id("/a/b/new")).is_none());
        let all: Vec<_> = root.all_apps().iter().map(|a| a.id.to_string()).collect();
        assert_eq!(all, ["/top", "/a/y", "/a/b/new", "/a/b/x", "/c/z"]);
        assert!(root.group(&id("/a/none")).is_none() && root.app(&id("/none")).is_none());
        assert!(root.remove_app(&id("/a/y"), two) && !root.remove_app(&id("/a/y"), two));
        assert!(root.remove_group(&id("/a"), two) && root.app(&id("/a/b/x")).is_none());
        assert!(!root.remove_group(&PathId::root(), two));
        let names: Vec<_> = root.all_groups().iter().map(|g| g.id.to_string()).collect();
        assert_eq!(names, ["/", "/c"]);
    }
}
