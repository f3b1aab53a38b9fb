//! The table of frameworks: those registered, their sessions, and those that ended.

use super::io::SessionId;
use super::metrics::Gauges;
use super::tasks::{History, Task};
use super::view::FrameworkView;
use crate::base::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use crate::base::resources::Resources;
use crate::base::time::Wall;
use crate::mesos::internal::FrameworkRecord;
use crate::mesos::v1;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use v1::framework_info::capability::Type as Capability;

/// An executor that a framework brought itself.
#[derive(Clone, Debug)]
pub(super) struct Executor {
    /// As given, with the framework's id.
    pub info: Arc<v1::ExecutorInfo>,
    /// What it uses besides its tasks.
    pub resources: Resources,
}

/// One framework that has not ended.
#[derive(Debug)]
pub(super) struct Framework {
    pub info: Arc<v1::FrameworkInfo>,
    pub capabilities: BTreeSet<Capability>,
    pub roles: BTreeSet<Role>,
    pub suppressed: BTreeSet<Role>,
    pub session: Option<SessionId>,
    /// Known from the registry or from agents only, since this master leads.
    pub recovered: bool,
    pub registered: Wall,
    pub reregistered: Option<Wall>,
    pub failover_deadline: Option<Wall>,
    pub tasks: BTreeMap<TaskId, Task>,
    pub unreachable: History,
    pub completed: History,
    pub executors: BTreeMap<(AgentId, ExecutorId), Executor>,
    pub offers: BTreeSet<OfferId>,
    pub used: Resources,
    pub offered: Resources,
    /// Its picture, as long as nothing changed.
    pub seen: OnceCell<Seen>,
}

/// A framework's picture, with what is counted of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub view: Arc<FrameworkView>,
    /// Tasks in states that may change, see `metrics`.
    pub gauges: Gauges,
}

impl Framework {
    /// A framework without a session, tasks or offers.
    pub fn new(info: v1::FrameworkInfo, registered: Wall) -> Self {
        Self {
            capabilities: capabilities(&info),
            roles: roles(&info),
            info: Arc::new(info),
            suppressed: BTreeSet::new(),
            session: None,
            recovered: false,
            registered,
            reregistered: None,
            failover_deadline: None,
            tasks: BTreeMap::new(),
            unreachable: History::default(),
            completed: History::default(),
            executors: BTreeMap::new(),
            offers: BTreeSet::new(),
            used: Resources::new(),
            offered: Resources::new(),
            seen: OnceCell::new(),
        }
    }

    /// Takes a changed FrameworkInfo.
    pub fn set_info(&mut self, info: v1::FrameworkInfo) {
        self.capabilities = capabilities(&info);
        self.roles = roles(&info);
        self.info = Arc::new(info);
    }

    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    pub fn partition_aware(&self) -> bool {
        self.has(Capability::PartitionAware)
    }

    /// How long it may be without a session; validated when it was set.
    pub fn failover_timeout(&self) -> Duration {
        let secs = self.info.failover_timeout.unwrap_or(0.0);
        Duration::try_from_secs_f64(secs).unwrap_or_default()
    }

    /// What the registry keeps of it.
    pub fn to_record(&self) -> FrameworkRecord {
        FrameworkRecord {
            framework_info: (*self.info).clone(),
            registered_time: self.registered.0,
            reregistered_time: self.reregistered.map(|at| at.0),
            failover_deadline: self.failover_deadline.map(|at| at.0),
            unregistered_time: None,
        }
    }

    /// Agents that have tasks or executors of it.
    pub fn agents(&self) -> BTreeSet<AgentId> {
        let of_tasks = self.tasks.values().map(|task| task.agent.clone());
        of_tasks.chain(self.executors.keys().map(|(agent, _)| agent.clone())).collect()
    }
}

fn capabilities(info: &v1::FrameworkInfo) -> BTreeSet<Capability> {
    info.capabilities.iter().map(|c| c.r#type()).collect()
}

/// The roles it subscribes to: `roles` when it is MULTI_ROLE capable, else `role`, which is `*`
/// unless set.
pub(super) fn roles(info: &v1::FrameworkInfo) -> BTreeSet<Role> {
    if capabilities(info).contains(&Capability::MultiRole) {
        info.roles.iter().map(|r| Role::from(r.as_str())).collect()
    } else {
        BTreeSet::from([Role::from(info.role())])
    }
}

/// A framework that ended.
#[derive(Debug)]
pub(super) struct Completed {
    pub framework: Framework,
    pub unregistered: Wall,
}

/// All frameworks.
#[derive(Debug, Default)]
pub(super) struct Frameworks {
    pub registered: BTreeMap<FrameworkId, Framework>,
    pub sessions: BTreeMap<SessionId, FrameworkId>,
    /// Ended ones as they are shown, oldest first.
    pub completed: VecDeque<Completed>,
    /// Ids of all ended ones that are remembered, with when; more than are shown.
    pub removed: BTreeMap<FrameworkId, Wall>,
    pub removed_order: BTreeSet<(Wall, FrameworkId)>,
    changed: BTreeSet<FrameworkId>,
}

impl Frameworks {
    /// The framework of that id.
    pub fn get(&self, id: &str) -> Option<&Framework> {
        self.registered.get(id)
    }

    /// The framework of that id, to be changed: its picture is void.
    pub fn change(&mut self, id: &FrameworkId) -> Option<&mut Framework> {
        let framework = self.registered.get_mut(id)?;
        framework.seen.take();
        self.changed.insert(id.clone());
        Some(framework)
    }

    /// Marks a framework that came or left.
    pub fn mark(&mut self, id: &FrameworkId) {
        self.changed.insert(id.clone());
    }

    /// Frameworks that changed since this was asked last.
    pub fn take_changed(&mut self) -> BTreeSet<FrameworkId> {
        std::mem::take(&mut self.changed)
    }

    /// Remembers that it ended. Returns ids that are forgotten for it, oldest first.
    pub fn remember_removed(&mut self, id: FrameworkId, at: Wall, max: usize) -> Vec<FrameworkId> {
        self.removed.insert(id.clone(), at);
        self.removed_order.insert((at, id));
        let mut forgotten = Vec::new();
        while self.removed.len() > max {
            let Some((_, id)) = self.removed_order.pop_first() else { break };
            self.removed.remove(&id);
            forgotten.push(id);
        }
        forgotten
    }

    /// Shows it among the ended ones.
    pub fn show_completed(&mut self, completed: Completed, max: usize) {
        self.completed.push_back(completed);
        while self.completed.len() > max {
            self.completed.pop_front();
        }
    }
}
