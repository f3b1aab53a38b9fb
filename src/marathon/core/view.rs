//! An immutable picture of Marathon between two steps, from which the read endpoints are written off the control
//! thread. Its parts are shared with the core: making one costs what has changed since the last.

use super::ids::{DeploymentId, InstanceId};
use crate::base::explain::Explanation;
use crate::base::ids::{AgentId, TaskId};
use crate::marathon::model::{App, Group, PathId, Timestamp};
use crate::mesos::v1;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The whole picture.
#[derive(Clone, Debug)]
pub struct View {
    /// The framework's id, once the master gave one.
    pub framework_id: Option<String>,
    /// Whether the framework is subscribed.
    pub subscribed: bool,
    /// The master it was subscribed at last.
    pub master: Option<Arc<v1::MasterInfo>>,
    /// All groups and definitions.
    pub root: Arc<Group>,
    /// Each app of `root`, by id.
    pub apps: Arc<BTreeMap<PathId, Arc<AppView>>>,
    /// Instances of apps that are no more, on their way out.
    pub leaving: Vec<Arc<InstanceView>>,
    /// Running deployments, oldest first.
    pub deployments: Arc<Vec<Arc<DeploymentView>>>,
    /// Apps with instances that wait to be launched, by id.
    pub queue: Vec<Arc<QueueView>>,
    /// Versions of the root group that can be gone back to, newest first; the first is the present one.
    pub root_versions: Arc<Vec<Timestamp>>,
    /// Counters and gauges under their metric names without the prefix (`apps.active.gauge` …).
    pub metrics: BTreeMap<String, u64>,
}

/// One app.
#[derive(Clone, Debug)]
pub struct AppView {
    /// Its definition.
    pub app: Arc<App>,
    /// Its instances, by id; those that wait to be launched too.
    pub instances: Vec<Arc<InstanceView>>,
    /// Of its tasks.
    pub counts: Counts,
    /// The deployments that hold it; at most one.
    pub deployments: Vec<DeploymentId>,
    /// How the last of its tasks that failed ended, since this process leads.
    pub last_failure: Option<Arc<TaskFailure>>,
    /// Its versions that can be gone back to, newest first; the first is the present one.
    pub versions: Vec<Timestamp>,
}

/// How many tasks there are of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Launched and not running yet.
    pub staged: usize,
    /// TASK_RUNNING.
    pub running: usize,
    /// Running, and healthy by all checks.
    pub healthy: usize,
    /// Running, and unhealthy by some check.
    pub unhealthy: usize,
}

/// Where an instance stands. Marathon's words; its JSON form is the variant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Condition {
    /// Waits for an offer.
    Scheduled,
    /// Asked for: nothing heard of it yet.
    Provisioned,
    /// TASK_STAGING.
    Staging,
    /// TASK_STARTING.
    Starting,
    /// TASK_RUNNING.
    Running,
    /// TASK_KILLING.
    Killing,
    /// Its agent cannot be reached; it may come back.
    Unreachable,
    /// The same for so long that it was replaced.
    UnreachableInactive,
    /// Ended by itself, well.
    Finished,
    /// Ended by itself, badly.
    Failed,
    /// Never launched: the task was refused.
    Error,
    /// Ended because it was told to.
    Killed,
    /// Ended with its agent.
    Gone,
    /// Never launched: it did not reach its agent.
    Dropped,
    /// The master does not know it.
    Unknown,
}

impl Condition {
    /// Whether its task runs no more.
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Finished
                | Self::Failed
                | Self::Error
                | Self::Killed
                | Self::Gone
                | Self::Dropped
                | Self::Unknown
        )
    }

    /// Whether it was asked for, as far as is known, and has not ended.
    pub const fn is_launched(self) -> bool {
        !self.is_terminal() && !matches!(self, Self::Scheduled)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Provisioned => "Provisioned",
            Self::Staging => "Staging",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Killing => "Killing",
            Self::Unreachable => "Unreachable",
            Self::UnreachableInactive => "UnreachableInactive",
            Self::Finished => "Finished",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Killed => "Killed",
            Self::Gone => "Gone",
            Self::Dropped => "Dropped",
            Self::Unknown => "Unknown",
        }
    }
}

/// One instance.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// Its present task's; of one that waits, the next task's.
    pub task_id: TaskId,
    /// Whose instance it is.
    pub app: PathId,
    /// Of which version of the app.
    pub version: Timestamp,
    /// Whose resources it uses.
    pub role: String,
    /// Where it stands.
    pub condition: Condition,
    /// Since when.
    pub since: Timestamp,
    /// Where it was launched.
    pub agent: Option<Arc<Placement>>,
    /// Host ports in the order of the app's ports.
    pub host_ports: Vec<u16>,
    /// What the network gave it.
    pub ip_addresses: Vec<IpAddress>,
    /// The last state told by the master; none before the first.
    pub state: Option<v1::TaskState>,
    /// The results of its health checks, in the app's order; without those that said nothing yet.
    pub health: Vec<HealthResult>,
    /// What they say together: none without checks, and before all said something.
    pub healthy: Option<bool>,
    /// The result of its informational check.
    pub check: Option<v1::CheckStatusInfo>,
    /// The result of its readiness check; none without one, and outside deployments.
    pub ready: Option<bool>,
    /// When it was asked for.
    pub staged_at: Option<Timestamp>,
    /// When it was first running.
    pub started_at: Option<Timestamp>,
    /// It has been told to end.
    pub being_killed: bool,
}

/// Where an instance was launched, with what constraints look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// The agent.
    pub agent_id: AgentId,
    /// Its host name.
    pub host: String,
    /// Its region, if it has one.
    pub region: Option<String>,
    /// Its zone, if it has one.
    pub zone: Option<String>,
    /// Name and text form of its attributes.
    pub attributes: Vec<(String, String)>,
}

/// An address of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpAddress {
    /// As text.
    pub address: String,
    /// IPv6, else IPv4.
    pub v6: bool,
}

/// What is known of an instance's health; times are those since this process leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthResult {
    /// The last result.
    pub alive: bool,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// The first success.
    pub first_success: Option<Timestamp>,
    /// The last success.
    pub last_success: Option<Timestamp>,
    /// The last failure.
    pub last_failure: Option<Timestamp>,
    /// What the check said then.
    pub last_failure_cause: Option<String>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskFailure {
    /// Of which app.
    pub app: PathId,
    /// The task.
    pub task_id: TaskId,
    /// Its last state.
    pub state: v1::TaskState,
    /// What was said about it.
    pub message: String,
    /// Where it was.
    pub host: String,
    /// On which agent.
    pub agent_id: Option<AgentId>,
    /// Of which version of the app.
    pub version: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// What a deployment does with an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionKind {
    /// Make it known, without instances.
    StartApplication,
    /// End all instances of one that is removed.
    StopApplication,
    /// Bring it to its number of instances.
    ScaleApplication,
    /// Replace its instances.
    RestartApplication,
}

impl ActionKind {
    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartApplication => "StartApplication",
            Self::StopApplication => "StopApplication",
            Self::ScaleApplication => "ScaleApplication",
            Self::RestartApplication => "RestartApplication",
        }
    }
}

/// One action of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What is done.
    pub action: ActionKind,
    /// With which app.
    pub app: PathId,
}

/// One step of a deployment: its actions are done together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Never empty.
    pub actions: Vec<Action>,
}

/// One deployment.
#[derive(Clone, Debug)]
pub struct DeploymentView {
    /// Its id.
    pub id: DeploymentId,
    /// The version it deploys.
    pub version: Timestamp,
    /// The apps it holds, by id.
    pub affected: Vec<PathId>,
    /// All its steps.
    pub steps: Arc<Vec<Step>>,
    /// The step under way, counted from 1.
    pub current_step: usize,
    /// Actions of that step that are not done, with the readiness of new instances.
    pub current_actions: Vec<ActionView>,
}

/// One action under way.
#[derive(Clone, Debug)]
pub struct ActionView {
    /// Which.
    pub action: Action,
    /// Instances with a readiness check: task, name of the check, and whether it is ready.
    pub readiness: Vec<(TaskId, String, bool)>,
    /// What it waits for, one sentence.
    pub waits_for: String,
}

/// Why an offer was not used for an app. In the order of looking: each counts only offers that passed the former.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Reason {
    UnfulfilledRole,
    UnfulfilledConstraint,
    NoCorrespondingReservationFound,
    AgentMaintenance,
    InsufficientCpus,
    InsufficientMemory,
    InsufficientDisk,
    InsufficientGpus,
    InsufficientPorts,
    DeclinedScarceResources,
}

impl Reason {
    /// All, in order.
    pub const ALL: [Self; 10] = [
        Self::UnfulfilledRole,
        Self::UnfulfilledConstraint,
        Self::NoCorrespondingReservationFound,
        Self::AgentMaintenance,
        Self::InsufficientCpus,
        Self::InsufficientMemory,
        Self::InsufficientDisk,
        Self::InsufficientGpus,
        Self::InsufficientPorts,
        Self::DeclinedScarceResources,
    ];

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnfulfilledRole => "UnfulfilledRole",
            Self::UnfulfilledConstraint => "UnfulfilledConstraint",
            Self::NoCorrespondingReservationFound => "NoCorrespondingReservationFound",
            Self::AgentMaintenance => "AgentMaintenance",
            Self::InsufficientCpus => "InsufficientCpus",
            Self::InsufficientMemory => "InsufficientMemory",
            Self::InsufficientDisk => "InsufficientDisk",
            Self::InsufficientGpus => "InsufficientGpus",
            Self::InsufficientPorts => "InsufficientPorts",
            Self::DeclinedScarceResources => "DeclinedScarceResources",
        }
    }
}

/// How many offers one rule turned down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejects {
    /// The rule.
    pub reason: Reason,
    /// Turned down by it.
    pub declined: u64,
    /// That it looked at.
    pub processed: u64,
}

/// An offer that was not used.
#[derive(Clone, Debug)]
pub struct UnusedOffer {
    /// The offer.
    pub offer: Arc<v1::Offer>,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
}

/// Instances of one app that wait to be launched.
#[derive(Clone, Debug)]
pub struct QueueView {
    /// The definition they will be launched with.
    pub app: Arc<App>,
    /// How many.
    pub count: usize,
    /// Since when.
    pub since: Timestamp,
    /// No launch before this; none when it may launch now.
    pub delayed_until: Option<Timestamp>,
    /// Offers looked at since the launch attempt began.
    pub processed: u64,
    /// Of these, not used.
    pub unused: u64,
    /// The last that was not used.
    pub last_unused_at: Option<Timestamp>,
    /// The last that was used.
    pub last_used_at: Option<Timestamp>,
    /// Over the last offer of each agent.
    pub rejects_last: Vec<Rejects>,
    /// Over all since the launch attempt began.
    pub rejects_attempt: Vec<Rejects>,
    /// The last unused offer of each agent.
    pub last_unused_offers: Vec<UnusedOffer>,
    /// All that in words.
    pub explanation: Explanation,
}
