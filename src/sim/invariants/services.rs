//! What can be seen of Marathon's apps from outside: how many instances are wanted, what it was told of its tasks, and
//! which it has decided to launch or to end. The ground of the two rules about capacity.

use super::Seen;
use crate::base::kv::Op;
use crate::marathon::model::App;
use crate::mesos::make;
use crate::mesos::v1::{TaskState, TaskStatus};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many instances a definition allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Bounds {
    /// Wanted.
    pub instances: usize,
    /// In service at least, while they are replaced.
    pub least: usize,
    /// There at the most, while they are replaced.
    pub most: usize,
}

impl Bounds {
    pub fn of(app: &App) -> Self {
        let instances = app.instances as usize;
        let strategy = app.upgrade_strategy;
        let part = |by: f64| instances as f64 * by;
        let least = (part(strategy.minimum_health_capacity) - 1e-9).ceil().max(0.0) as usize;
        let most = (part(1.0 + strategy.maximum_over_capacity) + 1e-9).floor() as usize;
        // One more where nothing could move otherwise.
        Self { instances, least, most: if least == most { most + 1 } else { most } }
    }
}

/// One task, as far as is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Task {
    pub running: bool,
    pub healthy: Option<bool>,
    /// Marathon has decided to end it.
    pub ending: bool,
    /// It was unreachable once: Marathon may have forgotten it.
    pub lost: bool,
}

/// One app.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    /// Everything that may be wanted now; empty once it is deleted.
    pub bounds: Vec<Bounds>,
    pub tasks: BTreeMap<String, Task>,
    /// Tasks that clients asked to be killed.
    pub spared: BTreeSet<String>,
}

impl Service {
    /// In service and not about to end.
    pub fn in_service(&self) -> usize {
        let serves = |t: &&Task| t.running && !t.ending && t.healthy != Some(false);
        self.tasks.values().filter(serves).count()
    }

    /// Launched, not ended, and not about to.
    pub fn staying(&self) -> usize {
        self.tasks.values().filter(|t| !t.ending).count()
    }

    /// Launched and not ended, as far as Marathon may know.
    pub fn there(&self) -> usize {
        self.tasks.values().filter(|t| !t.lost).count()
    }
}

/// What was decided about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is launched.
    Launch { app: String, task: String },
    /// It is to end.
    End { app: String, task: String },
}

/// All apps.
#[derive(Default)]
pub(super) struct Services {
    pub all: BTreeMap<String, Service>,
}

/// The app of a task id.
fn app_of(task: &str) -> Option<String> {
    let (app, _) = task.split_once(".instance-")?;
    Some(format!("/{}", app.replace('_', "/")))
}

impl Services {
    /// Keeps up with what is seen; `decided` is called for each decision, before it counts.
    pub fn see(
        &mut self,
        seen: &Seen<'_>,
        mut decided: impl FnMut(&Service, &Decision) -> Result<(), String>,
    ) -> Result<(), String> {
        match seen {
            Seen::Wanted { app, bounds, alone } => {
                let service = self.all.entry((*app).to_string()).or_default();
                if *alone {
                    service.bounds.clear();
                }
                if !service.bounds.contains(bounds) {
                    service.bounds.push(*bounds);
                }
            }
            Seen::Unwanted { app } => {
                if let Some(service) = self.all.get_mut(*app) {
                    service.bounds.clear();
                }
            }
            Seen::Spared { app } => {
                let service = self.all.entry((*app).to_string()).or_default();
                service.spared = service.tasks.keys().cloned().collect();
            }
            Seen::Told { status, .. } => self.told(status),
            Seen::Decided { batch } => {
                for decision in batch.iter().filter_map(read) {
                    self.decided(&decision, &mut decided)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn told(&mut self, status: &TaskStatus) {
        let id = &status.task_id.value;
        let Some(service) = app_of(id).and_then(|app| self.all.get_mut(&app)) else { return };
        let state = status.state();
        if make::is_terminal(state) || state == TaskState::TaskUnknown {
            service.tasks.remove(id);
            service.spared.remove(id);
            return;
        }
        let Some(task) = service.tasks.get_mut(id) else { return };
        match state {
            TaskState::TaskUnreachable => (task.running, task.lost) = (false, true),
            TaskState::TaskRunning => task.running = true,
            TaskState::TaskKilling => task.running = false,
            _ => {}
        }
        task.healthy = status.healthy.or(task.healthy);
    }

    fn decided(
        &mut self,
        decision: &Decision,
        check: &mut impl FnMut(&Service, &Decision) -> Result<(), String>,
    ) -> Result<(), String> {
        match decision {
            Decision::Launch { app, task } => {
                let service = self.all.entry(app.clone()).or_default();
                if !service.tasks.contains_key(task) {
                    service.tasks.insert(task.clone(), Task::default());
                    check(service, decision)?;
                }
            }
            Decision::End { app, task } => {
                let service = self.all.entry(app.clone()).or_default();
                let known = service.tasks.get(task).cloned();
                if let Some(before) = known.filter(|t| !t.ending) {
                    if let Some(task) = service.tasks.get_mut(task) {
                        task.ending = true;
                    }
                    let serves = before.running && before.healthy != Some(false) && !before.lost;
                    if serves && !service.spared.contains(task) {
                        check(service, decision)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a write to an instance's row decides.
fn read(op: &Op) -> Option<Decision> {
    let Op::Put { key, value } = op else { return None };
    let instance = key.strip_prefix("instances/")?;
    let row: Value = serde_json::from_slice(value.get(1..)?).ok()?;
    let app = row.get("app")?.as_str()?.to_string();
    let task = format!("{instance}._app.{}", row.get("incarnation")?.as_u64()?);
    let condition = row.get("condition")?.as_str()?;
    if row.get("kill")?.as_bool()? {
        return Some(Decision::End { app, task });
    }
    (condition == "Provisioned").then_some(Decision::Launch { app, task })
}
