//! What each dirty app does next: its instances are compared with what they shall be, and started or ended until they
//! are. Decided from the present alone, so that it makes no difference what happened in between.

use super::deployments::Place;
use super::ids::{DeploymentId, InstanceId};
use super::instances::Instance;
use super::records::Goal;
use super::rollout::{self, Present};
use super::view::{ActionKind, Condition};
use super::{MarathonCore, Out, victims};
use crate::machine::Cx;
use crate::marathon::model::{App, PathId, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What an app shall come to.
#[derive(Clone, Debug)]
enum Job {
    /// No instances.
    Stop,
    /// So many instances of whatever version; new ones are of this.
    Keep(Arc<App>, usize),
    /// The same, and those launched since then have to be in place.
    Scale(Arc<App>, Timestamp),
    /// All of this configuration.
    Replace(Arc<App>),
}

impl MarathonCore {
    /// Compares all dirty apps, and lets deployments go on, until nothing moves.
    pub(super) fn evaluate(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        while !self.dirty.is_empty() {
            let mut deployments: BTreeSet<DeploymentId> = BTreeSet::new();
            while let Some(app) = self.dirty.pop_first() {
                deployments.extend(self.deployments.holder(&app).map(|d| d.id.clone()));
                // What it does may make the app dirty again: then it is looked at once more.
                self.evaluate_app(cx, &app, out);
            }
            for id in deployments {
                self.advance(cx, &id, out);
            }
        }
    }

    fn job(&self, app: &PathId) -> (Job, Option<DeploymentId>) {
        let present = self.tree.app(app);
        let keep = |app: &Arc<App>| Job::Keep(app.clone(), app.instances as usize);
        let Some(deployment) = self.deployments.holder(app) else {
            return (present.map_or(Job::Stop, keep), None);
        };
        let changed = deployment.apps.get(app);
        let version = |v: Option<Timestamp>| v.and_then(|v| self.tree.version(app, v)).cloned();
        let before = version(changed.and_then(|c| c.before));
        let after = version(changed.and_then(|c| c.after));
        let none_yet = |app: &Arc<App>| Job::Keep(app.clone(), 0);
        let id = Some(deployment.id.clone());
        match (deployment.place(app), before, after) {
            (Place::Now(ActionKind::ScaleApplication), _, Some(app)) => {
                (Job::Scale(app, deployment.version), id)
            }
            (Place::Now(ActionKind::RestartApplication), _, Some(app)) => (Job::Replace(app), id),
            (Place::Now(ActionKind::StopApplication), ..) => (Job::Stop, id),
            // Not its turn yet: as it was; a new one waits.
            (Place::Before | Place::Now(_), Some(before), _) => (keep(&before), None),
            (Place::Before | Place::Now(_), None, Some(after)) => (none_yet(&after), None),
            (Place::After, _, Some(after)) => (keep(&after), None),
            _ => (Job::Stop, None),
        }
    }

    fn evaluate_app(&mut self, cx: &mut Cx<'_>, app: &PathId, out: &mut Out) {
        let (job, deployment) = self.job(app);
        let (most, done) = match &job {
            Job::Stop => {
                let all: Vec<InstanceId> = self.instances.of(app).map(|i| i.id.clone()).collect();
                all.iter().for_each(|id| self.decommission(cx, id, out));
                (0, self.instances.of(app).next().is_none())
            }
            Job::Keep(spec, count) => (self.keep(cx, spec, *count, out), false),
            Job::Scale(spec, since) => {
                let most = self.keep(cx, spec, spec.instances as usize, out);
                (most, self.is_scaled(spec, *since))
            }
            Job::Replace(spec) => self.replace(cx, spec, out),
        };
        self.note_waiting(cx, app, most);
        if let Some(id) = deployment.filter(|_| done) {
            self.action_done(cx, &id, app, out);
        }
        let present = self.tree.app(app).cloned();
        self.queue.forget(app, present.as_deref(), cx.now);
        if present.is_none() && self.instances.of(app).next().is_none() {
            self.failures.remove(app);
            self.pictures.forget(app);
        }
    }

    /// Brings an app to so many instances. Answers how many there may be, with those that are on their way out: these
    /// count until they have ended, so a single instance stays single.
    fn keep(&mut self, cx: &mut Cx<'_>, spec: &Arc<App>, count: usize, out: &mut Out) -> usize {
        let active: Vec<&Instance> =
            self.instances.of(&spec.id).filter(|i| i.is_active()).collect();
        let there = active.len();
        if active.iter().any(|i| i.yields) {
            return self.roll(cx, spec, count, |i| i.yields, out).0;
        }
        if there > count {
            let victims = victims::for_scaling(active, there - count, spec);
            self.end_known(cx, &spec.id, &victims, out);
        }
        self.refresh(spec);
        self.schedule(cx, spec, count.saturating_sub(there));
        rollout::most(count, &spec.upgrade_strategy)
    }

    /// Ends instances of an app. Before the master has told of every task of it, what is remembered of them may be long
    /// over: then only those that have no task are ended.
    fn end_known(&mut self, cx: &Cx<'_>, app: &PathId, victims: &[InstanceId], out: &mut Out) {
        let known = self.session.subscribed && self.instances.all_heard(app);
        for id in victims {
            if known || self.instances.get(id).is_some_and(|i| !i.is_launched()) {
                self.decommission(cx, id, out);
            }
        }
    }

    fn is_scaled(&self, spec: &App, since: Timestamp) -> bool {
        let mut active = 0;
        for instance in self.instances.of(&spec.id) {
            if instance.goal == Goal::Decommissioned {
                return false;
            }
            if !instance.is_active() {
                continue;
            }
            active += 1;
            let launched_before = instance.staged_at.is_some_and(|at| at < since);
            if !instance.in_place() && !launched_before {
                return false;
            }
        }
        active == spec.instances as usize
    }

    /// The next moves of a replacement; answers how many instances there may be, and whether it is done.
    fn replace(&mut self, cx: &mut Cx<'_>, spec: &Arc<App>, out: &mut Out) -> (usize, bool) {
        let config = spec.version_info.last_config_change_at;
        let target = spec.instances as usize;
        self.roll(cx, spec, target, |i| i.yields || i.config() != config, out)
    }

    /// The next moves from those instances that are `former` to as many others as there shall be.
    fn roll(
        &mut self,
        cx: &mut Cx<'_>,
        spec: &Arc<App>,
        target: usize,
        former: impl Fn(&Instance) -> bool,
        out: &mut Out,
    ) -> (usize, bool) {
        let of_former = |i: &&Instance| i.is_active() && former(i);
        // Former ones that only wait to be launched are launched no more.
        let waiting: Vec<InstanceId> = self
            .instances
            .of(&spec.id)
            .filter(of_former)
            .filter(|i| i.condition == Condition::Scheduled)
            .map(|i| i.id.clone())
            .collect();
        waiting.iter().for_each(|id| self.decommission(cx, id, out));
        self.refresh(spec);
        let mut now = Present { target, ..Present::default() };
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for instance in self.instances.of(&spec.id) {
            if instance.goal == Goal::Decommissioned {
                now.leaving += 1;
            } else if of_former(&instance) {
                now.old += 1;
                now.old_in_service += usize::from(instance.in_service());
                old.push(instance);
            } else if instance.is_active() {
                now.new += 1;
                now.new_in_service += usize::from(instance.in_place());
                new.push(instance);
            }
        }
        let moves = rollout::next(now, &spec.upgrade_strategy);
        let mut victims = victims::for_replacing(old, moves.kill_old, spec);
        victims.extend(victims::for_replacing(new, moves.kill_new, spec));
        self.end_known(cx, &spec.id, &victims, out);
        self.schedule(cx, spec, moves.start);
        (moves.most, moves.done)
    }

    /// Instances that wait are launched as what counts now.
    fn refresh(&mut self, spec: &Arc<App>) {
        let stale: Vec<InstanceId> = self
            .instances
            .of(&spec.id)
            .filter(|i| i.condition == Condition::Scheduled && i.spec.version != spec.version)
            .map(|i| i.id.clone())
            .collect();
        for id in stale {
            if let Some(instance) = self.instances.get_mut(&id) {
                instance.spec = spec.clone();
            }
        }
    }

    /// So many more instances. They are stored when they are launched: until then nobody misses them.
    fn schedule(&mut self, cx: &mut Cx<'_>, spec: &Arc<App>, count: usize) {
        let now = self.stamp(cx);
        for _ in 0..count {
            let id = InstanceId::new(&spec.id, &cx.rng.uuid());
            self.instances.insert(Instance::scheduled(id, spec.clone(), now));
        }
    }

    /// Tells the queue which instances of an app wait: as many as there is room for beside those that have a task.
    fn note_waiting(&mut self, cx: &Cx<'_>, app: &PathId, most: usize) {
        let launched = self
            .instances
            .of(app)
            .filter(|i| i.is_launched() && i.condition != Condition::UnreachableInactive)
            .count();
        let waiting = self.instances.of(app).filter(|i| i.condition == Condition::Scheduled);
        let mut spec = None;
        let ids: BTreeSet<InstanceId> = waiting
            .take(most.saturating_sub(launched))
            .map(|i| {
                spec = Some(i.spec.clone());
                i.id.clone()
            })
            .collect();
        let now = self.stamp(cx);
        match spec {
            Some(spec) => {
                if let Some(until) = self.queue.delayed(&spec, cx.now) {
                    self.timers.set(super::Timer::Delay(app.clone()), until);
                }
                self.queue.set(app, now, spec, ids);
            }
            None => {
                self.queue.remove(app);
                self.timers.cancel(&super::Timer::Delay(app.clone()));
            }
        }
        self.pictures.touch(app);
    }
}
