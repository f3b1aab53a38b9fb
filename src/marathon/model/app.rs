//! An app: one version of one service's definition, normalised. Its serde form is Marathon's JSON, which is
//! also how versions are stored.

use super::constraint::Constraint;
use super::container::Container;
use super::health::{Check, HealthCheck, ReadinessCheck};
use super::network::{Network, NetworkMode, PortDefinition, PortMapping};
use super::number;
use super::path::PathId;
use super::resources::{ExecutorResources, ResourceLimits};
use super::strategy::{KillSelection, UnreachableStrategy, UpgradeStrategy};
use super::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An app. Times in seconds, memory and disk in MiB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// Its id.
    pub id: PathId,
    /// Roles whose resources it may use: `*`, its own. None: as the service is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_resource_roles: Option<Vec<String>>,
    /// The command as words, or arguments of the image's entry point; not together with `cmd`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// By how much the launch delay grows with each failure; at least 1.
    #[serde(serialize_with = "number::serialize")]
    pub backoff_factor: f64,
    /// The launch delay after the first failure.
    pub backoff_seconds: u32,
    /// The command, run by the shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<String>,
    /// Where it may run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// The container it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Processors.
    #[serde(serialize_with = "number::serialize")]
    pub cpus: f64,
    /// Apps and groups that are deployed before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<PathId>,
    /// Disk.
    #[serde(serialize_with = "number::serialize")]
    pub disk: f64,
    /// The tasks' environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `//cmd` for the built-in command executor, the path of a custom one, or empty: as the service is set up.
    pub executor: String,
    /// What a custom executor needs for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_resources: Option<ExecutorResources>,
    /// What is fetched into the sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetch: Vec<Fetch>,
    /// Health checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<HealthCheck>,
    /// An informational check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// How many run.
    pub instances: u32,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The longest launch delay.
    pub max_launch_delay_seconds: u32,
    /// Memory.
    #[serde(serialize_with = "number::serialize")]
    pub mem: f64,
    /// Graphics processors.
    pub gpus: u32,
    /// Never empty.
    pub networks: Vec<Network>,
    /// Ports on the host's network; empty on others.
    #[serde(default)]
    pub port_definitions: Vec<PortDefinition>,
    /// Deployments wait for these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readiness_checks: Vec<ReadinessCheck>,
    /// Host ports have to be those of the definitions; false outside the host's network.
    pub require_ports: bool,
    /// How far tasks may go above what they asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_limits: Option<ResourceLimits>,
    /// From TERM to KILL; none: the executor's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_kill_grace_period_seconds: Option<u32>,
    /// How versions are replaced.
    pub upgrade_strategy: UpgradeStrategy,
    /// The account tasks run under; none: as the service is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When this version was made; its name.
    pub version: Timestamp,
    /// When it was last scaled and changed.
    pub version_info: VersionInfo,
    /// Which instances die first.
    pub kill_selection: KillSelection,
    /// What happens to unreachable instances.
    pub unreachable_strategy: UnreachableStrategy,
    /// Whether tasks have a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    /// Whose resources its reservations and quota are.
    pub role: String,
}

/// When an app was last scaled and when its definition last changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionInfo {
    /// The version that last changed the number of instances or more.
    pub last_scaling_at: Timestamp,
    /// The version that last changed what tasks are like, or restarted them.
    pub last_config_change_at: Timestamp,
}

/// A file fetched into the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetch {
    /// From where.
    pub uri: String,
    /// Unpack it.
    pub extract: bool,
    /// Make it executable.
    pub executable: bool,
    /// Keep it on the agent for others.
    pub cache: bool,
    /// Under which name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_path: Option<String>,
}

impl App {
    /// An app with Marathon's defaults: one instance on the host's network with one port, and no command.
    pub fn new(id: PathId, role: &str, version: Timestamp) -> App {
        App {
            id,
            accepted_resource_roles: None,
            args: Vec::new(),
            backoff_factor: 1.15,
            backoff_seconds: 1,
            cmd: None,
            constraints: Vec::new(),
            container: None,
            cpus: 1.0,
            dependencies: Vec::new(),
            disk: 0.0,
            env: BTreeMap::new(),
            executor: String::new(),
            executor_resources: None,
            fetch: Vec::new(),
            health_checks: Vec::new(),
            check: None,
            instances: 1,
            labels: BTreeMap::new(),
            max_launch_delay_seconds: 300,
            mem: 128.0,
            gpus: 0,
            networks: vec![Network::host()],
            port_definitions: vec![PortDefinition {
                name: Some("default".into()),
                ..PortDefinition::default()
            }],
            readiness_checks: Vec::new(),
            require_ports: false,
            resource_limits: None,
            task_kill_grace_period_seconds: None,
            upgrade_strategy: UpgradeStrategy::default(),
            user: None,
            version,
            version_info: VersionInfo { last_scaling_at: version, last_config_change_at: version },
            kill_selection: KillSelection::default(),
            unreachable_strategy: UnreachableStrategy::default(),
            tty: None,
            role: role.into(),
        }
    }

    /// Whether it is on the host's network.
    pub fn on_host_network(&self) -> bool {
        self.networks.iter().all(|n| n.mode == NetworkMode::Host)
    }

    /// The mappings of its container; empty on the host's network.
    pub fn port_mappings(&self) -> &[PortMapping] {
        self.container.as_ref().and_then(|c| c.port_mappings.as_deref()).unwrap_or(&[])
    }

    /// The service ports in order; 0 where none is assigned yet.
    pub fn service_ports(&self) -> Vec<u16> {
        if self.on_host_network() {
            self.port_definitions.iter().map(|p| p.port).collect()
        } else {
            self.port_mappings().iter().map(|m| m.service_port).collect()
        }
    }

    /// The places of the service ports, to assign numbers to them.
    pub fn service_ports_mut(&mut self) -> Vec<&mut u16> {
        if self.on_host_network() {
            return self.port_definitions.iter_mut().map(|p| &mut p.port).collect();
        }
        let mappings = self.container.as_mut().and_then(|c| c.port_mappings.as_mut());
        mappings.into_iter().flatten().map(|m| &mut m.service_port).collect()
    }

    /// Whether tasks of the one would be other than tasks of the other: everything counts but the number of
    /// instances and the versions.
    pub fn differs_from(&self, other: &App) -> bool {
        let mut same = self.clone();
        same.instances = other.instances;
        same.version = other.version;
        same.version_info = other.version_info;
        same != *other
    }
}
