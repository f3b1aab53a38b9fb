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
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<&'a str>,
}

/// What is seen of a deployment; with `waits`, what each action waits for, which the original does not tell.
pub(in crate::marathon::api) fn deployment(view: &DeploymentView, waits: bool) -> Deployment<'_> {
    let actions = view.current_actions.iter().map(|a| CurrentAction {
        action: &a.action,
        readiness_check_results: readiness_of(&a.readiness).collect(),
        waits_for: waits.then_some(a.waits_for.as_str()),
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
