//! A change of definitions: checked against what there is now, planned, stored, and handed to a deployment.

use super::deployments::Deployment;
use super::event::Kind;
use super::ids::DeploymentId;
use super::io::{Answer, Change, Deploying, NotFound};
use super::planner;
use super::records::{self, Changed, DeploymentRecord};
use super::service_ports::Exhausted;
use super::tree::Diff;
use super::view::Step;
use super::{Act, MarathonCore, Out};
use crate::base::error::{Code, Error};
use crate::machine::Cx;
use crate::marathon::model::{App, PathId, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Apps in one change: all of it has to fit into one commit.
pub const CHANGE_APPS_MAX: usize = 250;
/// Groups in one change.
pub const CHANGE_GROUPS_MAX: usize = 250;
/// Bytes of the definitions in one change.
pub const CHANGE_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Bytes of one definition.
pub const APP_BYTES_MAX: usize = 1024 * 1024 - 4096;
/// Instances of all apps together.
pub const INSTANCES_MAX: u64 = 100_000;

/// How a change is made.
#[derive(Clone, Debug, Default)]
pub(super) struct Way {
    /// Apps that are restarted even if they do not change.
    pub restart: BTreeSet<PathId>,
    pub force: bool,
    pub dry_run: bool,
    /// Definitions come back: tasks that were launched with one of them are not replaced.
    pub undo: bool,
}

/// Why a change is refused.
type Refused = Answer;

impl MarathonCore {
    pub(super) fn change(&mut self, cx: &mut Cx<'_>, change: &Change, out: &mut Out) -> Answer {
        let diff = Diff::between(&change.base, &change.target);
        if !self.tree.is_fresh(&diff) {
            return Answer::Stale;
        }
        let way = Way {
            restart: change.restart.clone(),
            force: change.force,
            dry_run: change.dry_run,
            undo: false,
        };
        self.deploy(cx, diff, &way, out)
    }

    /// Makes a fresh diff true by a deployment.
    pub(super) fn deploy(
        &mut self,
        cx: &mut Cx<'_>,
        mut diff: Diff,
        way: &Way,
        out: &mut Out,
    ) -> Answer {
        for id in &way.restart {
            let Some(app) = self.tree.app(id) else {
                return Answer::NotFound(NotFound::App(id.clone()));
            };
            let both = || Changed { before: Some(app.clone()), after: Some(app.clone()) };
            diff.apps.entry(id.clone()).or_insert_with(both);
        }
        let version = self.tree.next_version(Timestamp::from(cx.wall));
        if let Err(refused) = self.prepare(&mut diff, version, way) {
            return refused;
        }
        let root = self.tree.preview(&diff, version);
        let lookup = |id: &PathId| match diff.apps.get(id) {
            Some(changed) => changed.after.clone(),
            None => self.tree.app(id).cloned(),
        };
        let changed = diff.apps.iter().map(|(id, c)| (id, c.before.as_ref(), c.after.as_ref()));
        let steps = planner::plan(changed, &lookup, &root);
        if way.dry_run {
            return Answer::Planned(steps);
        }
        let held = self.deployments.holding(diff.apps.keys());
        if let Err(refused) = self.check_room(&held, way.force) {
            return refused;
        }
        for id in &held {
            self.give_up(cx, id, "it was cancelled by a later change", out);
        }
        let deployment: DeploymentId = cx.rng.uuid().into();
        let apps: Vec<Arc<App>> = diff.apps.values().filter_map(|c| c.after.clone()).collect();
        if diff.is_empty() {
            let version = self.tree.root().version;
            let record = DeploymentRecord {
                version,
                steps,
                at: 0,
                apps: diff.versions(),
                groups: diff.groups.clone(),
            };
            // Clients wait for the end of whatever they were given an id of.
            let plan = Deployment::restored(deployment.clone(), record).plan();
            self.publish(cx, Kind::DeploymentSuccess { plan }, out);
            return Answer::Deploying(Deploying { version, deployment, apps });
        }
        self.store(cx, diff, root, steps, &deployment, out);
        Answer::Deploying(Deploying { version, deployment, apps })
    }

    fn check_room(&self, held: &BTreeSet<DeploymentId>, force: bool) -> Result<(), Refused> {
        let max = self.options.max_running_deployments;
        let left = self.deployments.len() - if force { held.len() } else { 0 };
        if left >= max {
            return Err(Answer::TooManyDeployments(max));
        }
        if !force && !held.is_empty() {
            return Err(Answer::Locked(held.iter().cloned().collect()));
        }
        Ok(())
    }

    /// Gives the new definitions their versions and service ports, and drops those that change nothing.
    fn prepare(&self, diff: &mut Diff, version: Timestamp, way: &Way) -> Result<(), Refused> {
        let range = (self.options.local_port_min, self.options.local_port_max);
        let mut taken = BTreeSet::new();
        let (mut bytes, mut wanted) = (0, self.tree.instances());
        let mut same = Vec::new();
        for (id, changed) in &mut diff.apps {
            let before = changed.before.as_ref();
            // What a fresh diff calls before is among them.
            wanted -= before.map_or(0, |app| u64::from(app.instances));
            let Some(after) = &changed.after else { continue };
            let mut app = (**after).clone();
            let assigned =
                self.service_ports.assign(&mut app, before.map(|b| &**b), &mut taken, range);
            assigned.map_err(|Exhausted| exhausted(range))?;
            stamp(&mut app, before.map(|b| &**b), version, way);
            if before.is_some_and(|b| b.version_info == app.version_info) {
                wanted += u64::from(app.instances);
                same.push(id.clone());
                continue;
            }
            app.version = version;
            wanted += u64::from(app.instances);
            let size = records::bytes_of(&[records::app(&app)]);
            if size > APP_BYTES_MAX {
                return Err(too_big(format!("app {id} has {size} bytes"), APP_BYTES_MAX));
            }
            bytes += size;
            changed.after = Some(Arc::new(app));
        }
        same.iter().for_each(|id| drop(diff.apps.remove(id)));
        let (apps, groups) = (diff.apps.len(), diff.groups.len());
        if apps > CHANGE_APPS_MAX {
            return Err(too_big(format!("{apps} apps change at once"), CHANGE_APPS_MAX));
        }
        if groups > CHANGE_GROUPS_MAX {
            return Err(too_big(format!("{groups} groups change at once"), CHANGE_GROUPS_MAX));
        }
        if bytes > CHANGE_BYTES_MAX {
            return Err(too_big(format!("the definitions have {bytes} bytes"), CHANGE_BYTES_MAX));
        }
        if wanted > INSTANCES_MAX {
            return Err(too_big(format!("all apps have {wanted} instances"), INSTANCES_MAX));
        }
        Ok(())
    }

    /// Makes it so: the definitions, the deployment, and the first of its steps.
    fn store(
        &mut self,
        cx: &mut Cx<'_>,
        diff: Diff,
        root: crate::marathon::model::Group,
        steps: Vec<Step>,
        id: &DeploymentId,
        out: &mut Out,
    ) {
        let version = root.version;
        let record = DeploymentRecord {
            version,
            steps,
            at: 0,
            apps: diff.versions(),
            groups: diff.groups.clone(),
        };
        let changed: Vec<PathId> = diff.apps.keys().cloned().collect();
        let group = common_group(diff.apps.keys().chain(diff.groups.keys()));
        for changed in diff.apps.values() {
            changed.before.iter().for_each(|app| self.service_ports.remove(app));
            changed.after.iter().for_each(|app| self.service_ports.add(app));
        }
        self.tell_of_checks(cx, &diff, out);
        let empty = record.steps.is_empty();
        if !empty {
            out.write(records::deployment(id, &record));
        }
        self.tree.apply(diff, root, &mut out.writes);
        let deployment = Deployment::restored(id.clone(), record);
        self.new_roles(&changed, out);
        self.publish(cx, Kind::GroupChangeSuccess { group, version }, out);
        self.count("deployments.counter", 1);
        if empty {
            self.publish(cx, Kind::DeploymentSuccess { plan: deployment.plan() }, out);
        } else {
            self.deployments.insert(deployment);
            self.begin_step(cx, id, out);
        }
        for app in &changed {
            // A deployment starts with a clean slate; scaling alone is no reason for that.
            let scaled_only = self
                .tree
                .app(app)
                .is_some_and(|a| a.version_info.last_config_change_at != a.version);
            if !scaled_only {
                self.queue.reset(app);
            }
            self.touch(app);
        }
        self.pictures.deployments_changed();
        self.collect(changed, out);
    }

    /// Forgets versions that nobody needs any more.
    fn collect(&mut self, apps: Vec<PathId>, out: &mut Out) {
        let (instances, deployments) = (&self.instances, &self.deployments);
        let needed = |app: &PathId, version: Timestamp| {
            instances.needs(app, version) || deployments.needs(app, version)
        };
        let max = self.options.max_versions;
        self.tree.collect(apps.into_iter(), max, needed, &mut out.writes);
    }

    fn new_roles(&mut self, changed: &[PathId], out: &mut Out) {
        let before = self.session.roles.len();
        for app in changed.iter().filter_map(|id| self.tree.app(id)) {
            if !self.session.roles.contains(&app.role) {
                self.session.roles.insert(app.role.clone());
            }
        }
        if self.session.roles.len() > before {
            out.act_now(Act::Roles(self.session.roles.clone()));
            // A role that is new has not been told that offers are wanted.
            self.session.told = None;
        }
    }

    fn tell_of_checks(&self, cx: &Cx<'_>, diff: &Diff, out: &mut Out) {
        let checks = |app: &Option<Arc<App>>| {
            app.as_ref().map(|app| app.health_checks.clone()).unwrap_or_default()
        };
        for (app, changed) in &diff.apps {
            let (before, after) = (checks(&changed.before), checks(&changed.after));
            if before == after {
                continue;
            }
            if !before.is_empty() {
                self.publish(cx, Kind::RemoveHealthCheck { app: app.clone() }, out);
            }
            let version = changed.after.as_ref().map_or(Timestamp::default(), |app| app.version);
            for check in after {
                self.publish(cx, Kind::AddHealthCheck { app: app.clone(), version, check }, out);
            }
        }
    }
}

/// Says when the definition was scaled and changed.
fn stamp(app: &mut App, before: Option<&App>, version: Timestamp, way: &Way) {
    let Some(before) = before else {
        app.version_info.last_scaling_at = version;
        app.version_info.last_config_change_at = version;
        return;
    };
    let came_back = app.version_info.last_config_change_at;
    app.version_info = before.version_info;
    let changed = way.restart.contains(&app.id) || before.differs_from(app);
    if way.undo && came_back != before.version_info.last_config_change_at {
        app.version_info.last_config_change_at = came_back;
        app.version_info.last_scaling_at = version;
    } else if changed {
        app.version_info.last_config_change_at = version;
        app.version_info.last_scaling_at = version;
    } else if before.instances != app.instances {
        app.version_info.last_scaling_at = version;
    }
}

/// The innermost group that holds all of these.
fn common_group<'a>(mut ids: impl Iterator<Item = &'a PathId>) -> PathId {
    let Some(first) = ids.next() else { return PathId::root() };
    let mut group = first.parent();
    for id in ids {
        while !id.is_below(&group) && !group.is_root() {
            group = group.parent();
        }
    }
    group
}

fn exhausted((min, max): (u16, u16)) -> Refused {
    let cause = format!("All ports in the range [{min}-{max}) are already in use");
    Answer::Refused(Error::new(Code::Internal, cause))
}

fn too_big(what: String, max: impl std::fmt::Display) -> Refused {
    let error = Error::new(Code::Invalid, format!("{what}; {max} is the most allowed"));
    Answer::Refused(error.hint("make the change in several parts"))
}
