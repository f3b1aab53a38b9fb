//! The course of a deployment: a step begins, ends when all its actions are done, and the next one follows.

use super::event::Kind;
use super::ids::DeploymentId;
use super::records;
use super::view::ActionKind;
use super::{MarathonCore, Out};
use crate::machine::Cx;

impl MarathonCore {
    /// The present step of a deployment begins.
    pub(super) fn begin_step(&mut self, cx: &Cx<'_>, id: &DeploymentId, out: &mut Out) {
        let Some(deployment) = self.deployments.get_mut(id) else { return };
        deployment.done.clear();
        let Some(step) = deployment.step().cloned() else { return };
        // Being known is all there is to it.
        for action in &step.actions {
            if action.action == ActionKind::StartApplication {
                deployment.done.insert(action.app.clone());
            }
        }
        let plan = deployment.plan();
        for action in &step.actions {
            self.touch(&action.app);
        }
        self.pictures.deployments_changed();
        self.publish(cx, Kind::DeploymentInfo { plan, step }, out);
    }

    /// An action of the present step is done.
    pub(super) fn action_done(
        &mut self,
        cx: &Cx<'_>,
        id: &DeploymentId,
        app: &crate::marathon::model::PathId,
        out: &mut Out,
    ) {
        let Some(deployment) = self.deployments.get_mut(id) else { return };
        if !deployment.done.insert(app.clone()) {
            return;
        }
        let stopped = deployment.step().is_some_and(|step| {
            step.actions.iter().any(|a| a.app == *app && a.action == ActionKind::StopApplication)
        });
        self.pictures.deployments_changed();
        if stopped {
            self.publish(cx, Kind::AppTerminated { app: app.clone() }, out);
        }
    }

    /// Goes on as long as steps are done. Answers whether anything moved.
    pub(super) fn advance(&mut self, cx: &Cx<'_>, id: &DeploymentId, out: &mut Out) -> bool {
        let mut moved = false;
        while let Some(deployment) = self.deployments.get_mut(id).filter(|d| d.step_is_done()) {
            moved = true;
            let plan = deployment.plan();
            let ended = deployment.step().cloned();
            deployment.at += 1;
            let is_over = deployment.step().is_none();
            let record = deployment.record();
            if is_over {
                out.write(records::no_deployment(id));
            } else {
                out.write(records::deployment(id, &record));
            }
            if let Some(step) = ended {
                self.publish(cx, Kind::DeploymentStepSuccess { plan: plan.clone(), step }, out);
            }
            if is_over {
                self.finish(cx, id, out);
            } else {
                self.begin_step(cx, id, out);
            }
        }
        moved
    }

    fn finish(&mut self, cx: &Cx<'_>, id: &DeploymentId, out: &mut Out) {
        let Some(deployment) = self.deployments.remove(id) else { return };
        self.publish(cx, Kind::DeploymentSuccess { plan: deployment.plan() }, out);
        self.pictures.deployments_changed();
        for app in deployment.apps.keys() {
            self.touch(app);
        }
    }
}
