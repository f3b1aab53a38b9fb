//! The picture of Marathon between two steps. Parts are made once after each change and shared.

use super::deployments::{Deployment, Place};
use super::instances::Instance;
use super::view::{
    ActionView, AppView, Condition, Counts, DeploymentView, InstanceView, QueueView, View,
};
use super::{MarathonCore, queue};
use crate::marathon::model::{App, Group, PathId, Timestamp};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was made since the last change.
#[derive(Clone, Debug, Default)]
pub(super) struct Pictures {
    apps: BTreeMap<PathId, OnceCell<Arc<AppView>>>,
    all: OnceCell<Arc<BTreeMap<PathId, Arc<AppView>>>>,
    deployments: OnceCell<Arc<Vec<Arc<DeploymentView>>>>,
}

impl Pictures {
    /// Something of that app has changed.
    pub fn touch(&mut self, app: &PathId) {
        self.apps.entry(app.clone()).or_default().take();
        self.all.take();
        self.deployments.take();
    }

    /// The app is no more.
    pub fn forget(&mut self, app: &PathId) {
        self.apps.remove(app);
        self.all.take();
    }

    /// A deployment began, moved or ended.
    pub fn deployments_changed(&mut self) {
        self.deployments.take();
    }
}

impl MarathonCore {
    /// All that may be read, as it was after the last batch.
    pub fn view(&self) -> View {
        View {
            framework_id: self.session.framework_id.clone(),
            subscribed: self.session.subscribed,
            master: self.session.master.clone(),
            root: self.tree.root().clone(),
            apps: self.app_views(),
            leaving: self.leaving(),
            deployments: self.deployment_views(),
            queue: self
                .queue
                .iter()
                .map(|(_, waiting)| Arc::new(self.queue_view(waiting)))
                .collect(),
            root_versions: Arc::new(self.tree.root_versions()),
            metrics: self.metrics(),
        }
    }

    /// The root group, to make a change on.
    pub fn root(&self) -> Arc<Group> {
        self.tree.root().clone()
    }

    /// The root group as of a kept version.
    pub fn root_at(&self, version: Timestamp) -> Option<Arc<Group>> {
        self.tree.root_at(version)
    }

    /// One kept version of an app; of one that is no more too.
    pub fn app_version(&self, app: &PathId, version: Timestamp) -> Option<Arc<App>> {
        self.tree.version(app, version).cloned()
    }

    /// One app, without making a picture of all.
    pub fn app(&self, id: &PathId) -> Option<Arc<AppView>> {
        Some(self.app_view(self.tree.app(id)?))
    }

    fn app_views(&self) -> Arc<BTreeMap<PathId, Arc<AppView>>> {
        let all = self.pictures.all.get_or_init(|| {
            let apps = self.tree.apps().iter();
            Arc::new(apps.map(|(id, app)| (id.clone(), self.app_view(app))).collect())
        });
        all.clone()
    }

    fn app_view(&self, app: &Arc<App>) -> Arc<AppView> {
        match self.pictures.apps.get(&app.id) {
            Some(made) => made.get_or_init(|| Arc::new(self.make_app_view(app))).clone(),
            None => Arc::new(self.make_app_view(app)),
        }
    }

    fn make_app_view(&self, app: &Arc<App>) -> AppView {
        let holder = self.deployments.holder(&app.id);
        AppView {
            counts: counts(self.instances.of(&app.id)),
            deployments: holder.map(|d| d.id.clone()).into_iter().collect(),
            last_failure: self.failures.get(&app.id).cloned(),
            versions: self.tree.versions(&app.id),
            app: app.clone(),
            instances: self.instances.of(&app.id).map(|i| i.view().clone()).collect(),
        }
    }

    fn leaving(&self) -> Vec<Arc<InstanceView>> {
        let gone = self.instances.apps().filter(|id| self.tree.app(id).is_none());
        gone.flat_map(|id| self.instances.of(id)).map(|i| i.view().clone()).collect()
    }

    fn deployment_views(&self) -> Arc<Vec<Arc<DeploymentView>>> {
        let all = self.pictures.deployments.get_or_init(|| {
            let running = self.deployments.oldest_first().into_iter();
            Arc::new(running.map(|d| Arc::new(self.deployment_view(d))).collect())
        });
        all.clone()
    }

    fn deployment_view(&self, deployment: &Deployment) -> DeploymentView {
        let actions = deployment.step().map(|step| step.actions.clone()).unwrap_or_default();
        let current = actions.into_iter().filter(|a| !deployment.done.contains(&a.app));
        DeploymentView {
            id: deployment.id.clone(),
            version: deployment.version,
            affected: deployment.apps.keys().cloned().collect(),
            steps: deployment.steps.clone(),
            current_step: deployment.at + 1,
            current_actions: current
                .map(|action| ActionView {
                    readiness: self.readiness(&action.app, deployment),
                    waits_for: self.waits_for(&action.app, deployment),
                    action,
                })
                .collect(),
        }
    }

    fn readiness(
        &self,
        app: &PathId,
        deployment: &Deployment,
    ) -> Vec<(crate::base::ids::TaskId, String, bool)> {
        if !matches!(deployment.place(app), Place::Now(_)) {
            return Vec::new();
        }
        self.instances
            .of(app)
            .filter(|i| i.condition == Condition::Running)
            .filter_map(|i| {
                let name = i.spec.readiness_checks.first()?.name.clone();
                Some((i.task(), name, i.ready()?))
            })
            .collect()
    }

    /// What holds an action up, in a sentence.
    fn waits_for(&self, app: &PathId, deployment: &Deployment) -> String {
        let target = deployment.apps.get(app).and_then(|c| c.after);
        let target = target.and_then(|v| self.tree.version(app, v));
        let (mut waiting, mut starting, mut unhealthy, mut unready, mut leaving) = (0, 0, 0, 0, 0);
        for i in self.instances.of(app) {
            match i.condition {
                _ if i.goal == super::records::Goal::Decommissioned => leaving += 1,
                Condition::Scheduled => waiting += 1,
                Condition::Running if !i.in_service() => unhealthy += 1,
                Condition::Running if i.ready() == Some(false) => unready += 1,
                Condition::Running => {}
                _ => starting += 1,
            }
        }
        let wanted = target.map_or(0, |app| app.instances);
        let parts: Vec<String> = [
            (waiting, "for an offer"),
            (starting, "to run"),
            (unhealthy, "to be healthy"),
            (unready, "to be ready"),
            (leaving, "to end"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if parts.is_empty() {
            format!("{wanted} instances are in place")
        } else {
            format!("of {wanted} instances: waits for {}", parts.join(", "))
        }
    }

    fn queue_view(&self, waiting: &queue::Waiting) -> QueueView {
        let (now, wall) = self.seen_at;
        let until = self.queue.delayed(&waiting.spec, now);
        let left = until.map(|until| until.since(now));
        let tally = &waiting.tally;
        QueueView {
            app: waiting.spec.clone(),
            count: waiting.ids.len(),
            since: tally.since,
            delayed_until: left.map(|left| {
                let millis = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_millis(wall.millis().saturating_add(millis))
            }),
            processed: tally.processed,
            unused: tally.unused,
            last_unused_at: tally.last_unused_at,
            last_used_at: tally.last_used_at,
            rejects_last: tally.rejects_last(),
            rejects_attempt: tally.rejects_attempt(),
            last_unused_offers: tally.last_unused(),
            explanation: tally.explain(
                &waiting.spec,
                waiting.ids.len(),
                left.map(|left| left.as_secs_f64()),
            ),
        }
    }

    fn metrics(&self) -> BTreeMap<String, u64> {
        let mut all: BTreeMap<String, u64> =
            self.counters.iter().map(|(name, count)| ((*name).to_string(), *count)).collect();
        let counts = counts(self.instances.iter());
        for (name, value) in [
            ("apps.active.gauge", self.tree.apps().len()),
            ("groups.active.gauge", self.tree.root().all_groups().len()),
            ("deployments.active.gauge", self.deployments.len()),
            ("instances.running.gauge", counts.running),
            ("instances.staged.gauge", counts.staged),
            ("instances.inflight-kills.gauge", self.kills.in_flight()),
            ("instances.all.gauge", self.instances.len()),
        ] {
            all.insert(name.to_string(), value as u64);
        }
        all
    }
}

fn counts<'a>(instances: impl Iterator<Item = &'a Instance>) -> Counts {
    let mut counts = Counts::default();
    for instance in instances {
        match instance.condition {
            Condition::Provisioned | Condition::Staging | Condition::Starting => counts.staged += 1,
            Condition::Running => {
                counts.running += 1;
                match instance.healthy() {
                    Some(true) => counts.healthy += 1,
                    Some(false) => counts.unhealthy += 1,
                    None => {}
                }
            }
            _ => {}
        }
    }
    counts
}
