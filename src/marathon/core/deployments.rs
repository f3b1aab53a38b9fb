//! The table of running deployments: what each holds, and which step it is at. No decisions about instances.

use super::event::Plan;
use super::ids::DeploymentId;
use super::records::{Changed, DeploymentRecord, GroupMeta};
use super::view::{ActionKind, Step};
use crate::marathon::model::{PathId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One deployment.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    pub id: DeploymentId,
    pub version: Timestamp,
    pub steps: Arc<Vec<Step>>,
    /// The step under way, from 0.
    pub at: usize,
    pub apps: BTreeMap<PathId, Changed<Timestamp>>,
    pub groups: BTreeMap<PathId, Changed<GroupMeta>>,
    /// Actions of the present step that are done.
    pub done: BTreeSet<PathId>,
}

/// Where a deployment is with one of its apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its turn has not come: it is as it was.
    Before,
    /// This is being done.
    Now(ActionKind),
    /// It is as it shall be.
    After,
}

impl Deployment {
    pub fn restored(id: DeploymentId, record: DeploymentRecord) -> Self {
        Self {
            id,
            version: record.version,
            steps: Arc::new(record.steps),
            at: record.at,
            apps: record.apps,
            groups: record.groups,
            done: BTreeSet::new(),
        }
    }

    pub fn record(&self) -> DeploymentRecord {
        DeploymentRecord {
            version: self.version,
            steps: (*self.steps).clone(),
            at: self.at,
            apps: self.apps.clone(),
            groups: self.groups.clone(),
        }
    }

    /// The step under way.
    pub fn step(&self) -> Option<&Step> {
        self.steps.get(self.at)
    }

    /// Where it is with that app.
    pub fn place(&self, app: &PathId) -> Place {
        let of = |step: &Step| step.actions.iter().find(|a| a.app == *app).map(|a| a.action);
        if let Some(action) = self.step().and_then(of) {
            return Place::Now(action);
        }
        let later = self.steps.iter().skip(self.at + 1).any(|step| of(step).is_some());
        if later { Place::Before } else { Place::After }
    }

    /// Whether all of the present step is done.
    pub fn step_is_done(&self) -> bool {
        self.step().is_none_or(|step| step.actions.iter().all(|a| self.done.contains(&a.app)))
    }

    /// As events show it.
    pub fn plan(&self) -> Plan {
        Plan { id: self.id.clone(), version: self.version, steps: self.steps.clone() }
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Deployments {
    running: BTreeMap<DeploymentId, Deployment>,
    holders: BTreeMap<PathId, DeploymentId>,
}

impl Deployments {
    pub fn get(&self, id: &DeploymentId) -> Option<&Deployment> {
        self.running.get(id)
    }

    pub fn get_mut(&mut self, id: &DeploymentId) -> Option<&mut Deployment> {
        self.running.get_mut(id)
    }

    pub fn insert(&mut self, deployment: Deployment) {
        for app in deployment.apps.keys() {
            self.holders.insert(app.clone(), deployment.id.clone());
        }
        self.running.insert(deployment.id.clone(), deployment);
    }

    pub fn remove(&mut self, id: &DeploymentId) -> Option<Deployment> {
        let deployment = self.running.remove(id)?;
        for app in deployment.apps.keys() {
            if self.holders.get(app) == Some(id) {
                self.holders.remove(app);
            }
        }
        Some(deployment)
    }

    /// The deployment that holds an app.
    pub fn holder(&self, app: &PathId) -> Option<&Deployment> {
        self.running.get(self.holders.get(app)?)
    }

    /// Those that hold any of these apps.
    pub fn holding<'a>(&self, apps: impl Iterator<Item = &'a PathId>) -> BTreeSet<DeploymentId> {
        apps.filter_map(|app| self.holders.get(app).cloned()).collect()
    }

    /// Oldest first.
    pub fn oldest_first(&self) -> Vec<&Deployment> {
        let mut all: Vec<&Deployment> = self.running.values().collect();
        all.sort_by_key(|d| (d.version, d.id.clone()));
        all
    }

    /// Whether a deployment needs that version of an app, to do or undo it.
    pub fn needs(&self, app: &PathId, version: Timestamp) -> bool {
        let changed = self.holder(app).and_then(|d| d.apps.get(app));
        changed.is_some_and(|c| c.before == Some(version) || c.after == Some(version))
    }

    pub fn len(&self) -> usize {
        self.running.len()
    }
}
