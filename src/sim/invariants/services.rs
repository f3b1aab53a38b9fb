//! What can be seen of Marathon's apps from outside: how many instances are wanted, what it was told of its tasks, and
//! which it has decided to launch or to end. The ground of the two rules about capacity.

use super::Seen;
use crate::base::kv::Op;
use crate::marathon::model::App;
use crate::mesos::make;
use crate::mesos::v1::{TaskState, TaskStatus};
use serde_json::Value;
use std::collections::BTreeMap;

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
    /// It has a health check, and serves only if that says so.
    pub checked: bool,
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
    /// A client asks that all its tasks are killed: what is ended until then is not Marathon's own doing.
    pub spared: bool,
}

impl Task {
    /// Running, and healthy if there is a way to know.
    pub fn serves(&self) -> bool {
        self.running && (!self.checked || self.healthy == Some(true))
    }
}

impl Service {
    /// In service and not about to end.
    pub fn in_service(&self) -> usize {
        self.tasks.values().filter(|t| t.serves() && !t.ending).count()
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
                self.all.entry((*app).to_string()).or_default().spared = true;
            }
            Seen::Told { status, .. } => self.told(status),
            Seen::Launched { task, checked } => {
                let service = app_of(task).and_then(|app| self.all.get_mut(&app));
                if let Some(task) = service.and_then(|s| s.tasks.get_mut(*task)) {
                    task.checked = *checked;
                }
            }
            Seen::Remembered { rows } => self.remembered(rows),
            Seen::Decided { batch } => {
                for decision in batch.iter().filter_map(read) {
                    self.decided(&decision, &mut decided)?;
                }
                self.all.values_mut().for_each(|service| service.spared = false);
            }
            _ => {}
        }
        Ok(())
    }

    /// Marathon starts again: what it had decided and not stored it has not decided.
    fn remembered(&mut self, rows: &BTreeMap<String, Vec<u8>>) {
        let known: BTreeMap<String, bool> = rows
            .iter()
            .filter_map(|(key, value)| row(key, value))
            .filter(|row| row.condition != "Scheduled")
            .map(|row| (row.task, row.kill))
            .collect();
        for service in self.all.values_mut() {
            service.spared = false;
            service.tasks.retain(|id, _| known.contains_key(id));
            for (id, task) in &mut service.tasks {
                task.ending = known.get(id).is_some_and(|kill| *kill);
            }
        }
    }

    fn told(&mut self, status: &TaskStatus) {
        let id = &status.task_id.value;
        let Some(service) = app_of(id).and_then(|app| self.all.get_mut(&app)) else { return };
        let state = status.state();
        if make::is_terminal(state) || state == TaskState::TaskUnknown {
            service.tasks.remove(id);
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
                    if before.serves() && !before.lost && !service.spared {
                        check(service, decision)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What an instance's row says.
struct Row {
    app: String,
    task: String,
    condition: String,
    kill: bool,
}

fn row(key: &str, value: &[u8]) -> Option<Row> {
    let instance = key.strip_prefix("instances/")?;
    let row: Value = serde_json::from_slice(value.get(1..)?).ok()?;
    Some(Row {
        app: row.get("app")?.as_str()?.to_string(),
        task: format!("{instance}._app.{}", row.get("incarnation")?.as_u64()?),
        condition: row.get("condition")?.as_str()?.to_string(),
        kill: row.get("kill")?.as_bool()?,
    })
}

/// What a write to an instance's row decides.
fn read(op: &Op) -> Option<Decision> {
    let Op::Put { key, value } = op else { return None };
    let Row { app, task, condition, kill } = row(key, value)?;
    if kill {
        return Some(Decision::End { app, task });
    }
    (condition == "Provisioned").then_some(Decision::Launch { app, task })
}
