//! An immutable picture of the master between two steps, from which `/state` and its kin are written off the control
//! thread. Making one costs an `Arc` clone for each agent, framework and task.

use crate::base::ids::{AgentId, FrameworkId, Role};
use crate::base::resources::Resources;
use crate::base::time::Wall;
use crate::mesos::v1;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The whole picture.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The uuid of this incarnation.
    pub master_id: String,
    /// The epoch it leads under.
    pub epoch: u64,
    /// What frameworks are told of it.
    pub master_info: v1::MasterInfo,
    /// When it became the leader.
    pub elected_time: Wall,
    /// Registered agents, connected or not, by id.
    pub agents: Vec<Arc<AgentView>>,
    /// Agents that the registry knows and that have not come back since this master was elected.
    pub recovered_agents: Vec<Arc<v1::AgentInfo>>,
    /// Agents marked unreachable, by id.
    pub unreachable_agents: Vec<DepartedView>,
    /// Agents marked gone, by id.
    pub gone_agents: Vec<DepartedView>,
    /// How those are drained that are not registered, by id.
    pub drained_elsewhere: BTreeMap<AgentId, Option<Drain>>,
    /// Registered frameworks, by id; also those known only through agents (`recovered`).
    pub frameworks: Vec<Arc<FrameworkView>>,
    /// Ended frameworks, oldest first.
    pub completed_frameworks: Vec<Arc<FrameworkView>>,
    /// Inverse offers without an answer, by framework.
    pub inverse_offers: BTreeMap<FrameworkId, Vec<Arc<v1::InverseOffer>>>,
    /// Every role with a framework, an allocation, a reservation or a weight, by name.
    pub roles: Vec<RoleView>,
    /// Counters under their metric names without the `master/` in front (`tasks_finished`, `messages_kill_task` …).
    pub counters: BTreeMap<String, u64>,
}

/// One agent.
#[derive(Clone, Debug)]
pub struct AgentView {
    /// As it registered, with its id.
    pub info: Arc<v1::AgentInfo>,
    /// Has a link.
    pub connected: bool,
    /// May get offers.
    pub active: bool,
    /// An operator took it out of service.
    pub deactivated: bool,
    /// Its tasks are ended, or have ended.
    pub drain: Option<Drain>,
    /// The version it told.
    pub version: String,
    /// Capability names.
    pub capabilities: Vec<String>,
    /// First registration with this master.
    pub registered_time: Wall,
    /// Last return.
    pub reregistered_time: Option<Wall>,
    /// All it has.
    pub total: Resources,
    /// Used by tasks and executors.
    pub used: Resources,
    /// In outstanding offers.
    pub offered: Resources,
}

/// How an agent is drained.
#[derive(Clone, Debug)]
pub struct Drain {
    /// How far it is, and as what it was asked for.
    pub info: v1::DrainInfo,
    /// When it was asked for.
    pub since: Wall,
}

/// An agent that left.
#[derive(Clone, Debug)]
pub struct DepartedView {
    /// Its id.
    pub id: AgentId,
    /// Since when.
    pub since: Wall,
    /// What its machine was called; empty if that was not noted.
    pub hostname: String,
}

/// One framework.
#[derive(Clone, Debug)]
pub struct FrameworkView {
    /// With its id and principal.
    pub info: Arc<v1::FrameworkInfo>,
    /// Gets offers.
    pub active: bool,
    /// Has a session.
    pub connected: bool,
    /// Known through agents or the registry only, since this master was elected.
    pub recovered: bool,
    /// First subscription.
    pub registered_time: Wall,
    /// Last re-subscription, if it differs.
    pub reregistered_time: Option<Wall>,
    /// When it ended.
    pub unregistered_time: Option<Wall>,
    /// When it will be removed unless it subscribes again.
    pub failover_deadline: Option<Wall>,
    /// Roles for which it wants no offers now.
    pub suppressed_roles: Vec<Role>,
    /// Tasks that are not completed, by id.
    pub tasks: Vec<Arc<v1::Task>>,
    /// Tasks on unreachable agents.
    pub unreachable_tasks: Vec<Arc<v1::Task>>,
    /// Ended tasks, oldest first.
    pub completed_tasks: Vec<Arc<v1::Task>>,
    /// Outstanding offers.
    pub offers: Vec<Arc<v1::Offer>>,
    /// Custom executors that run.
    pub executors: Vec<(AgentId, Arc<v1::ExecutorInfo>)>,
    /// By tasks and executors.
    pub used: Resources,
    /// In outstanding offers.
    pub offered: Resources,
}

/// One role.
#[derive(Clone, Debug)]
pub struct RoleView {
    /// Its name.
    pub name: Role,
    /// Its weight, 1 unless set.
    pub weight: f64,
    /// Frameworks subscribed to it.
    pub frameworks: Vec<FrameworkId>,
    /// Used by tasks and executors allocated to it.
    pub allocated: Resources,
    /// In offers allocated to it.
    pub offered: Resources,
    /// Reserved for it on all agents.
    pub reserved: Resources,
    /// Its dominant share, 0 to 1, before the weight.
    pub dominant_share: f64,
}
