//! Giving up a deployment: leaving everything as it is, or undoing what it changed.

use super::change::Way;
use super::event::Kind;
use super::ids::DeploymentId;
use super::io::{Answer, NotFound};
use super::records::{self, Changed};
use super::tree::Diff;
use super::{MarathonCore, Out};
use crate::machine::Cx;
use std::collections::BTreeSet;
use std::sync::Arc;

impl MarathonCore {
    pub(super) fn cancel(
        &mut self,
        cx: &mut Cx<'_>,
        id: &DeploymentId,
        force: bool,
        out: &mut Out,
    ) -> Answer {
        if self.deployments.get(id).is_none() {
            return Answer::NotFound(NotFound::Deployment(id.clone()));
        }
        if force {
            self.give_up(cx, id, "it was cancelled", out);
            return Answer::Done;
        }
        let diff = self.undoing(id);
        let way = Way { restart: BTreeSet::new(), force: true, dry_run: false, undo: true };
        let answer = self.deploy(cx, diff, &way, out);
        // Where there was nothing to undo, it ends all the same.
        if matches!(answer, Answer::Deploying(_)) && self.deployments.get(id).is_some() {
            self.give_up(cx, id, "it was undone", out);
        }
        answer
    }

    /// What brings everything that a deployment touched back to what it was, on top of what there is now.
    fn undoing(&self, id: &DeploymentId) -> Diff {
        let Some(deployment) = self.deployments.get(id) else { return Diff::default() };
        let now = self.tree.root();
        let mut root = (**now).clone();
        self.tree.put_back(&mut root, &deployment.apps, &deployment.groups);
        let mut diff = Diff::between(now, &Arc::new(root));
        // A restart changes no definition: it is undone by launching with the former one.
        for (app, changed) in &deployment.apps {
            let after = changed.before.and_then(|v| self.tree.version(app, v)).cloned();
            let before = self.tree.app(app).cloned();
            if before.is_some() && after.is_some() {
                diff.apps.insert(app.clone(), Changed { before, after });
            }
        }
        diff
    }

    /// A deployment ends here; its apps are free.
    pub(super) fn give_up(&mut self, cx: &Cx<'_>, id: &DeploymentId, reason: &str, out: &mut Out) {
        let Some(deployment) = self.deployments.remove(id) else { return };
        out.write(records::no_deployment(id));
        self.count("deployments.dismissed.counter", 1);
        let plan = deployment.plan();
        if let Some(step) = deployment.step() {
            let step = step.clone();
            self.publish(cx, Kind::DeploymentStepFailure { plan: plan.clone(), step }, out);
        }
        self.publish(cx, Kind::DeploymentFailed { plan, reason: reason.into() }, out);
        self.pictures.deployments_changed();
        for app in deployment.apps.keys() {
            self.touch(app);
        }
    }
}
