//! A running deployment.

use super::app::{Readiness, readiness_of};
use crate::marathon::core::DeploymentId;
use crate::marathon::core::view::{Action, DeploymentView, Step};
use crate::marathon::model::{PathId, Timestamp};
use serde::Serialize;

/// The JSON of a deployment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::marathon::api) struct Deployment<'a> {
    id: &'a DeploymentId,
    version: Timestamp,
    affected_apps: &'a [PathId],
    affected_pods: [(); 0],
    steps: &'a [Step],
    current_actions: Vec<CurrentAction<'a>>,
    current_step: usize,
    total_steps: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CurrentAction<'a> {
    #[serde(flatten)]
    action: &'a Action,
    readiness_check_results: Vec<Readiness<'a>>,
}

/// What is seen of a deployment.
pub(in crate::marathon::api) fn deployment(view: &DeploymentView) -> Deployment<'_> {
    let actions = view.current_actions.iter().map(|a| CurrentAction {
        action: &a.action,
        readiness_check_results: readiness_of(&a.readiness).collect(),
    });
    Deployment {
        id: &view.id,
        version: view.version,
        affected_apps: &view.affected,
        affected_pods: [],
        steps: &view.steps,
        current_actions: actions.collect(),
        current_step: view.current_step,
        total_steps: view.steps.len(),
    }
}
