//! What an operator may set of the agent's decisions. Names and defaults are those of Mesos's
//! flags.

use crate::base::resources::Ranges;
use crate::mesos::v1;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What may change of an agent's resources and attributes while it keeps its id
/// (`--reconfiguration_policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReconfigurationPolicy {
    /// Nothing.
    #[default]
    Equal,
    /// More resources, more attributes, a first domain.
    Additive,
}

/// Who makes containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Containerizer {
    /// This program itself.
    Mesos,
    /// The docker engine, for a ContainerInfo of type DOCKER.
    Docker,
}

impl Containerizer {
    /// Its name in the flag.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mesos => "mesos",
            Self::Docker => "docker",
        }
    }
}

/// How tasks are looked at for ports that they were not given (`network/ports`).
#[derive(Clone, Debug, PartialEq)]
pub struct PortsWatch {
    /// How often (`container_ports_watch_interval`).
    pub interval: Duration,
    /// Whether tasks that listen on such a port end (`enforce_container_ports`).
    pub enforce: bool,
    /// Only ports that the agent offers count (`check_agent_port_range_only`).
    pub of_agent: bool,
    /// Only these ports count (`container_ports_isolated_range`).
    pub range: Option<Ranges>,
}

/// The agent's settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Host name, port, resources, attributes, domain; its `id` is ignored.
    pub info: v1::AgentInfo,
    /// The version it tells the master, digits and dots.
    pub version: String,
    /// Names of agent capabilities.
    pub capabilities: Vec<String>,
    /// The address tasks and executors reach the agent's HTTP API at (`ip`); also the ip of
    /// host-network tasks.
    pub ip: String,
    /// Absolute path below which sandboxes are made (`work_dir`).
    pub work_dir: PathBuf,
    /// First pause before a registration is sent again (`registration_backoff_factor`).
    pub registration_backoff_factor: Duration,
    /// How long a custom executor may take to subscribe (`executor_registration_timeout`).
    pub executor_registration_timeout: Duration,
    /// How long it may take to come back after a restart of the agent
    /// (`executor_reregistration_timeout`).
    pub executor_reregistration_timeout: Duration,
    /// How long an executor may take to end itself (`executor_shutdown_grace_period`).
    pub executor_shutdown_grace_period: Duration,
    /// How long executors wait for the agent to come back (`recovery_timeout`); told to them.
    pub recovery_timeout: Duration,
    /// Variables of every executor (`executor_environment_variables`).
    pub executor_environment_variables: BTreeMap<String, String>,
    /// Told to custom executors as MESOS_HTTP_COMMAND_EXECUTOR (`http_command_executor`).
    pub http_command_executor: bool,
    /// Where the sandbox is seen inside a container that has an image (`sandbox_directory`).
    pub sandbox_directory: String,
    /// Whether tasks run as the user of the command or framework (`switch_user`); otherwise as the
    /// agent's.
    pub switch_user: bool,
    /// Whether cpus are also a hard limit (`cgroups_enable_cfs`).
    pub cgroups_enable_cfs: bool,
    /// Processes and threads a container may have; none is no limit.
    pub pids_limit: Option<u64>,
    /// Which containerizers take tasks, in their order (`containerizers`).
    pub containerizers: Vec<Containerizer>,
    /// Whether containers of the docker engine may have powers over the host
    /// (`docker_allow_privileged`).
    pub docker_allow_privileged: bool,
    /// How often sandboxes are measured (`container_disk_watch_interval`); none: never.
    pub container_disk_watch_interval: Option<Duration>,
    /// Whether a container ends that takes more disk than its tasks asked for (`enforce_container_disk_quota`).
    pub enforce_container_disk_quota: bool,
    /// How tasks are looked at for ports that they were not given; none: never.
    pub ports_watch: Option<PortsWatch>,
    /// What an executor without a ContainerInfo has (`default_container_info`).
    pub default_container_info: Option<v1::ContainerInfo>,
    /// How long sandboxes are kept at the most (`gc_delay`).
    pub gc_delay: Duration,
    /// The part of the disk that is kept free of old sandboxes (`gc_disk_headroom`).
    pub gc_disk_headroom: f64,
    /// How often the disk is measured (`disk_watch_interval`).
    pub disk_watch_interval: Duration,
    /// Ended executors remembered for each framework (`max_completed_executors_per_framework`).
    pub max_completed_executors_per_framework: usize,
    /// What may change while the agent keeps its id (`reconfiguration_policy`).
    pub reconfiguration_policy: ReconfigurationPolicy,
}

/// Processes and threads a container may have unless told otherwise: a fork bomb ends here, a big
/// JVM does not.
pub const PIDS_LIMIT: u64 = 4096;

impl Options {
    /// Mesos's defaults for an agent that is `info`, reached at `ip`, with its files below
    /// `work_dir`.
    pub fn new(info: v1::AgentInfo, ip: impl Into<String>, work_dir: impl Into<PathBuf>) -> Self {
        Self {
            info,
            version: String::new(),
            capabilities: crate::agent::CAPABILITIES.iter().map(|c| (*c).to_string()).collect(),
            ip: ip.into(),
            work_dir: work_dir.into(),
            registration_backoff_factor: Duration::from_secs(1),
            executor_registration_timeout: Duration::from_secs(60),
            executor_reregistration_timeout: Duration::from_secs(2),
            executor_shutdown_grace_period: Duration::from_secs(5),
            recovery_timeout: Duration::from_secs(15 * 60),
            executor_environment_variables: BTreeMap::new(),
            http_command_executor: false,
            sandbox_directory: "/mnt/mesos/sandbox".into(),
            switch_user: true,
            cgroups_enable_cfs: false,
            pids_limit: Some(PIDS_LIMIT),
            containerizers: vec![Containerizer::Mesos, Containerizer::Docker],
            docker_allow_privileged: false,
            container_disk_watch_interval: Some(Duration::from_secs(15)),
            enforce_container_disk_quota: false,
            ports_watch: None,
            default_container_info: None,
            gc_delay: Duration::from_secs(7 * 24 * 3600),
            gc_disk_headroom: 0.1,
            disk_watch_interval: Duration::from_secs(60),
            max_completed_executors_per_framework: 150,
            reconfiguration_policy: ReconfigurationPolicy::Equal,
        }
    }

    /// The agent's HTTP API as `ip:port`.
    pub fn endpoint(&self) -> String {
        let port = self.info.port.unwrap_or(5051);
        if self.ip.contains(':') {
            format!("[{}]:{port}", self.ip)
        } else {
            format!("{}:{port}", self.ip)
        }
    }
}
