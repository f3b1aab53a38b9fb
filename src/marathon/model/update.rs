//! A change of an app, as read from a client and translated to the present spelling: what is `None` was not
//! given.

use super::app::{App, Fetch};
use super::constraint::Constraint;
use super::container::Container;
use super::health::{Check, HealthCheck, ReadinessCheck};
use super::network::{Network, PortDefinition};
use super::path::PathId;
use super::resources::{ExecutorResources, ResourceLimits};
use super::strategy::{KillSelection, UnreachableStrategy, UpgradeStrategy};
use super::timestamp::Timestamp;
use std::collections::BTreeMap;

/// A change of an app; also a new app, whose missing fields take defaults. Fields as in [`App`].
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct AppUpdate {
    /// Absolute already: relative ids are resolved where the update is read.
    pub id: Option<PathId>,
    pub accepted_resource_roles: Option<Vec<String>>,
    pub args: Option<Vec<String>>,
    pub backoff_factor: Option<f64>,
    pub backoff_seconds: Option<u32>,
    pub cmd: Option<String>,
    pub constraints: Option<Vec<Constraint>>,
    pub container: Option<Container>,
    pub cpus: Option<f64>,
    pub dependencies: Option<Vec<PathId>>,
    pub disk: Option<f64>,
    pub env: Option<BTreeMap<String, String>>,
    pub executor: Option<String>,
    pub executor_resources: Option<ExecutorResources>,
    pub fetch: Option<Vec<Fetch>>,
    pub health_checks: Option<Vec<HealthCheck>>,
    pub check: Option<Check>,
    pub instances: Option<u32>,
    pub labels: Option<BTreeMap<String, String>>,
    pub max_launch_delay_seconds: Option<u32>,
    pub mem: Option<f64>,
    pub gpus: Option<u32>,
    pub networks: Option<Vec<Network>>,
    pub port_definitions: Option<Vec<PortDefinition>>,
    pub readiness_checks: Option<Vec<ReadinessCheck>>,
    pub require_ports: Option<bool>,
    pub resource_limits: Option<ResourceLimits>,
    pub task_kill_grace_period_seconds: Option<u32>,
    pub upgrade_strategy: Option<UpgradeStrategy>,
    pub user: Option<String>,
    /// A version to go back to; then nothing else is given (but `id`).
    pub version: Option<Timestamp>,
    pub kill_selection: Option<KillSelection>,
    pub unreachable_strategy: Option<UnreachableStrategy>,
    pub tty: Option<bool>,
    pub role: Option<String>,
}

impl AppUpdate {
    /// Lays the update over an app: what was given replaces, the rest stays. `version`, `id` and
    /// `version_info` stay the base's; the core sets them.
    pub fn apply(&self, base: &App) -> App {
        let mut app = base.clone();
        macro_rules! set {
            ($($field:ident),* $(,)?) => {$(
                if let Some(value) = &self.$field {
                    app.$field = value.clone();
                }
            )*};
        }
        macro_rules! set_some {
            ($($field:ident),* $(,)?) => {$(
                if self.$field.is_some() {
                    app.$field = self.$field.clone();
                }
            )*};
        }
        set!(args, backoff_factor, backoff_seconds, constraints, cpus, dependencies, disk, env);
        set!(executor, fetch, health_checks, instances, labels, max_launch_delay_seconds, mem);
        set!(gpus, networks, port_definitions, readiness_checks, require_ports, upgrade_strategy);
        set!(kill_selection, unreachable_strategy, role);
        set_some!(accepted_resource_roles, cmd, container, executor_resources, check);
        set_some!(resource_limits, task_kill_grace_period_seconds, user, tty);
        app
    }
}
