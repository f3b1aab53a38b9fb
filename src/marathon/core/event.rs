//! What listeners of `/v2/events` are told. Facts only; their JSON is written by the API, which also adds the events
//! that the core knows nothing of (`api_post_event`, `event_stream_attached`, `event_stream_detached`).

use super::ids::{DeploymentId, InstanceId};
use super::view::{Condition, IpAddress, Step};
use crate::base::ids::{AgentId, TaskId};
use crate::marathon::model::{HealthCheck, PathId, Timestamp};
use crate::mesos::v1::TaskState;
use std::sync::Arc;

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: Kind,
}

/// The plan of a deployment, as events show it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The deployment.
    pub id: DeploymentId,
    /// The version it deploys.
    pub version: Timestamp,
    /// Its steps.
    pub steps: Arc<Vec<Step>>,
}

/// What happened.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Kind {
    /// `status_update_event`.
    StatusUpdate {
        agent_id: Option<AgentId>,
        task_id: TaskId,
        state: TaskState,
        message: String,
        app: PathId,
        host: String,
        ip_addresses: Vec<IpAddress>,
        ports: Vec<u16>,
        version: Timestamp,
    },
    /// `instance_changed_event`.
    InstanceChanged {
        instance: InstanceId,
        condition: Condition,
        app: PathId,
        agent_id: Option<AgentId>,
        host: Option<String>,
        version: Timestamp,
    },
    /// `instance_health_changed_event`.
    InstanceHealthChanged {
        instance: InstanceId,
        app: PathId,
        version: Timestamp,
        healthy: Option<bool>,
    },
    /// `unknown_instance_terminated_event`.
    UnknownInstanceTerminated { instance: InstanceId, app: PathId, condition: Condition },
    /// `app_terminated_event`.
    AppTerminated { app: PathId },
    /// `add_health_check_event`.
    AddHealthCheck { app: PathId, version: Timestamp, check: HealthCheck },
    /// `remove_health_check_event`.
    RemoveHealthCheck { app: PathId },
    /// `failed_health_check_event`.
    FailedHealthCheck { app: PathId, instance: InstanceId, check: HealthCheck },
    /// `health_status_changed_event`.
    HealthStatusChanged { app: PathId, instance: InstanceId, version: Timestamp, alive: bool },
    /// `unhealthy_instance_kill_event`.
    UnhealthyInstanceKill {
        app: PathId,
        task_id: TaskId,
        instance: InstanceId,
        version: Timestamp,
        reason: String,
        host: String,
        agent_id: Option<AgentId>,
    },
    /// `group_change_success`.
    GroupChangeSuccess { group: PathId, version: Timestamp },
    /// `group_change_failed`.
    GroupChangeFailed { group: PathId, version: Timestamp, reason: String },
    /// `deployment_info`: a step begins.
    DeploymentInfo { plan: Plan, step: Step },
    /// `deployment_step_success`.
    DeploymentStepSuccess { plan: Plan, step: Step },
    /// `deployment_step_failure`.
    DeploymentStepFailure { plan: Plan, step: Step },
    /// `deployment_success`.
    DeploymentSuccess { plan: Plan },
    /// `deployment_failed`.
    DeploymentFailed { plan: Plan, reason: String },
    /// `scheduler_registered_event`.
    SchedulerRegistered { framework_id: String, master: String },
    /// `scheduler_reregistered_event`.
    SchedulerReregistered { master: String },
    /// `scheduler_disconnected_event`.
    SchedulerDisconnected,
}
