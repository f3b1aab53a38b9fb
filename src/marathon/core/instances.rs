//! The table of instances: each with what it was launched as, where, and what is known of it. No decisions.

use super::health::Health;
use super::ids::InstanceId;
use super::records::{self, Goal, InstanceRecord};
use super::view::{Condition, InstanceView, IpAddress, Placement};
use crate::base::ids::TaskId;
use crate::base::kv::Op;
use crate::marathon::model::{App, PathId, Timestamp};
use crate::mesos::v1;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One instance.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub id: InstanceId,
    /// The definition it was launched with, or will be.
    pub spec: Arc<App>,
    /// Its present task is the n-th; of one that waits, the next will be.
    pub incarnation: u32,
    pub goal: Goal,
    /// The present task was told to end.
    pub kill: bool,
    pub condition: Condition,
    pub since: Timestamp,
    pub placement: Option<Arc<Placement>>,
    pub host_ports: Vec<u16>,
    pub staged_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ip_addresses: Vec<IpAddress>,
    /// Whether there is a row of it.
    pub stored: bool,
    /// What the master said last.
    pub state: Option<v1::TaskState>,
    pub health: Health,
    pub check: Option<v1::CheckStatusInfo>,
    /// Something was heard of its task since the framework subscribed.
    pub heard: bool,
    /// Its agent is asked for back: another one takes its place.
    pub yields: bool,
    seen: OnceCell<Arc<InstanceView>>,
}

impl Instance {
    /// One that waits to be launched for the first time.
    pub fn scheduled(id: InstanceId, spec: Arc<App>, now: Timestamp) -> Self {
        Self {
            id,
            spec,
            incarnation: 1,
            goal: Goal::Running,
            kill: false,
            condition: Condition::Scheduled,
            since: now,
            placement: None,
            host_ports: Vec::new(),
            staged_at: None,
            started_at: None,
            ip_addresses: Vec::new(),
            stored: false,
            state: None,
            health: Health::default(),
            check: None,
            heard: false,
            yields: false,
            seen: OnceCell::new(),
        }
    }

    /// As it was stored.
    pub fn restored(id: InstanceId, record: InstanceRecord, spec: Arc<App>) -> Self {
        Self {
            incarnation: record.incarnation,
            goal: record.goal,
            kill: record.kill,
            condition: record.condition,
            since: record.since,
            placement: record.placement.map(Arc::new),
            host_ports: record.host_ports,
            staged_at: record.staged_at,
            started_at: record.started_at,
            ip_addresses: record.ip_addresses,
            health: Health::restored(record.healthy, spec.health_checks.len()),
            stored: true,
            ..Self::scheduled(id, spec, record.since)
        }
    }

    /// Its row.
    pub fn row(&self) -> Op {
        let record = InstanceRecord {
            app: self.spec.id.clone(),
            version: self.spec.version,
            incarnation: self.incarnation,
            goal: self.goal,
            kill: self.kill,
            condition: self.condition,
            since: self.since,
            placement: self.placement.as_deref().cloned(),
            host_ports: self.host_ports.clone(),
            staged_at: self.staged_at,
            started_at: self.started_at,
            ip_addresses: self.ip_addresses.clone(),
            healthy: self.healthy(),
        };
        records::instance(&self.id, &record)
    }

    /// Its present task; of one that waits, the next.
    pub fn task(&self) -> TaskId {
        self.id.task(self.incarnation)
    }

    /// When the configuration that it was launched with was made.
    pub fn config(&self) -> Timestamp {
        self.spec.version_info.last_config_change_at
    }

    /// Counts for the target: it runs or will, and nobody took its place.
    pub fn is_active(&self) -> bool {
        self.goal == Goal::Running && self.condition != Condition::UnreachableInactive
    }

    /// Has a task that may run.
    pub fn is_launched(&self) -> bool {
        self.condition.is_launched()
    }

    /// What its health checks say together: none without checks, and before they all said something.
    pub fn healthy(&self) -> Option<bool> {
        self.health.healthy()
    }

    /// Running, not told to end, and healthy if there is a way to know.
    pub fn in_service(&self) -> bool {
        self.condition == Condition::Running
            && !self.kill
            && (self.spec.health_checks.is_empty() || self.healthy() == Some(true))
    }

    /// The answer of its readiness check; none without one.
    pub fn ready(&self) -> Option<bool> {
        let wanted = self.spec.readiness_checks.first()?;
        let status = self.check.as_ref().and_then(|c| c.http.as_ref()).and_then(|h| h.status_code);
        Some(status.is_some_and(|code| {
            wanted.http_status_codes_for_ready.iter().any(|w| u32::from(*w) == code)
        }))
    }

    /// What a deployment waits for.
    pub fn in_place(&self) -> bool {
        self.in_service() && self.ready() != Some(false)
    }

    /// Its next task is another one: what was known of the present one counts no more.
    pub fn next_task(&mut self) {
        self.incarnation = self.incarnation.saturating_add(1);
        self.kill = false;
        self.placement = None;
        self.host_ports = Vec::new();
        (self.staged_at, self.started_at) = (None, None);
        self.ip_addresses = Vec::new();
        (self.state, self.check) = (None, None);
        self.health = Health::default();
        self.heard = false;
        self.yields = false;
    }

    /// Its picture, made once after each change.
    pub fn view(&self) -> &Arc<InstanceView> {
        self.seen.get_or_init(|| {
            Arc::new(InstanceView {
                id: self.id.clone(),
                task_id: self.task(),
                app: self.spec.id.clone(),
                version: self.spec.version,
                role: self.spec.role.clone(),
                condition: self.condition,
                since: self.since,
                agent: self.placement.clone(),
                host_ports: self.host_ports.clone(),
                ip_addresses: self.ip_addresses.clone(),
                state: self.state,
                health: self.health.results().cloned().collect(),
                healthy: self.healthy(),
                check: self.spec.check.as_ref().and(self.check),
                ready: self.ready(),
                staged_at: self.staged_at,
                started_at: self.started_at,
                being_killed: self.kill,
            })
        })
    }
}

/// All instances.
#[derive(Clone, Debug, Default)]
pub(super) struct Instances {
    all: BTreeMap<InstanceId, Instance>,
    by_app: BTreeMap<PathId, BTreeSet<InstanceId>>,
}

impl Instances {
    pub fn get(&self, id: &InstanceId) -> Option<&Instance> {
        self.all.get(id)
    }

    /// To be changed: its picture is made anew.
    pub fn get_mut(&mut self, id: &InstanceId) -> Option<&mut Instance> {
        let instance = self.all.get_mut(id)?;
        instance.seen.take();
        Some(instance)
    }

    pub fn insert(&mut self, instance: Instance) {
        let app = instance.spec.id.clone();
        self.by_app.entry(app).or_default().insert(instance.id.clone());
        self.all.insert(instance.id.clone(), instance);
    }

    pub fn remove(&mut self, id: &InstanceId) -> Option<Instance> {
        let instance = self.all.remove(id)?;
        if let Some(of_app) = self.by_app.get_mut(&instance.spec.id) {
            of_app.remove(id);
            if of_app.is_empty() {
                self.by_app.remove(&instance.spec.id);
            }
        }
        Some(instance)
    }

    /// Of one app, by id.
    pub fn of(&self, app: &PathId) -> impl Iterator<Item = &Instance> {
        let ids = self.by_app.get(app);
        ids.into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Instance> {
        self.all.values()
    }

    /// Apps that have some.
    pub fn apps(&self) -> impl Iterator<Item = &PathId> {
        self.by_app.keys()
    }

    /// Whether an instance of the app needs that version.
    pub fn needs(&self, app: &PathId, version: Timestamp) -> bool {
        self.of(app).any(|i| i.spec.version == version)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Nothing was heard of any task.
    pub fn forget_heard(&mut self) {
        self.all.values_mut().for_each(|i| i.heard = false);
    }

    /// Whether something was heard of every task of the app since the framework subscribed.
    pub fn all_heard(&self, app: &PathId) -> bool {
        self.of(app).all(|i| i.heard || !i.is_launched())
    }
}
