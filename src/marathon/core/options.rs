//! What can be chosen about Marathon's decisions; the shell fills it from flags. Values are checked by whoever fills it.

use std::time::Duration;

/// Choices of the core. The defaults are Marathon's, where it has them.
#[derive(Clone, Debug)]
pub struct Options {
    /// The role of services that name none; the framework is always subscribed to it.
    pub mesos_role: String,
    /// Which of its role's resources an app without `acceptedResourceRoles` may use.
    pub accepted_roles: AcceptedRoles,
    /// For commands without a user; none: the framework's.
    pub mesos_user: Option<String>,
    /// The executor of apps that name none; `//cmd` is the built-in one.
    pub executor: String,
    /// Before the names of `HOST` and `PORT…` variables.
    pub env_vars_prefix: String,
    /// Unused offers stay away for so long.
    pub decline_offer_duration: Duration,
    /// Between two calls for offers that nothing new calls for.
    pub min_revive_offers_interval: Duration,
    /// Tasks launched from one offer.
    pub max_instances_per_offer: usize,
    /// Between two reconciliations.
    pub reconciliation_interval: Duration,
    /// A task of which nothing is heard for so long after its launch is killed.
    pub task_launch_confirm_timeout: Duration,
    /// A task that does not run so long after its launch is killed.
    pub task_launch_timeout: Duration,
    /// A kill without effect is repeated after this.
    pub kill_retry_timeout: Duration,
    /// Kills without effect yet; further ones wait.
    pub kill_chunk_size: usize,
    /// Deployments at a time.
    pub max_running_deployments: usize,
    /// Service ports are assigned from here …
    pub local_port_min: u16,
    /// … to below here.
    pub local_port_max: u16,
    /// Versions kept of an app and of the root group.
    pub max_versions: usize,
    /// Do not use agents under maintenance.
    pub maintenance_mode: bool,
    /// Nor those for which it begins within this.
    pub draining: Duration,
    /// The network of `container/bridge` for containers of Mesos.
    pub mesos_bridge_name: String,
    /// Whether apps without GPUs stay off agents that have some.
    pub gpu_scheduling: GpuScheduling,
}

/// What an app without `acceptedResourceRoles` accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedRoles {
    /// Reserved for its role, and unreserved.
    Any,
    /// Unreserved.
    Unreserved,
    /// Reserved for its role.
    Reserved,
}

/// Who may use agents with GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuScheduling {
    /// Only apps that want GPUs.
    Restricted,
    /// All.
    Unrestricted,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mesos_role: "*".into(),
            accepted_roles: AcceptedRoles::Any,
            mesos_user: None,
            executor: "//cmd".into(),
            env_vars_prefix: String::new(),
            decline_offer_duration: Duration::from_secs(120),
            min_revive_offers_interval: Duration::from_secs(5),
            max_instances_per_offer: 500,
            reconciliation_interval: Duration::from_secs(600),
            task_launch_confirm_timeout: Duration::from_secs(300),
            task_launch_timeout: Duration::from_secs(300),
            kill_retry_timeout: Duration::from_secs(30),
            kill_chunk_size: 100,
            max_running_deployments: 100,
            local_port_min: 10_000,
            local_port_max: 20_000,
            max_versions: 50,
            maintenance_mode: true,
            draining: Duration::ZERO,
            mesos_bridge_name: "mesos-bridge".into(),
            gpu_scheduling: GpuScheduling::Restricted,
        }
    }
}
