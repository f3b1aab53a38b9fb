//! The agent's settings: Mesos's flags by their own names, read into the options of its core and containerizer.

mod images;

use crate::agent::core::options as core;
use crate::agent::provisioner::credentials::Credentials;
use crate::base::attributes::Attributes;
use crate::base::resources::Resources;
use crate::base::roles;
use crate::base::settings::{Kind, Setting, Values};
use crate::mesos::convert::parse_resources;
pub use images::ImageOptions;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

const RESOURCES: Setting = Setting::new(
    "resources",
    Kind::Text,
    "What to offer, as cpus:4;mem:2048;ports:[31000-32000] or a JSON list; what is not named is found",
);
const ATTRIBUTES: Setting =
    Setting::new("attributes", Kind::Text, "What sets this machine apart, as rack:a;zone:west");
const DEFAULT_ROLE: Setting =
    Setting::new("default_role", Kind::Text, "Role that resources without one are reserved for")
        .or("*");
const LAUNCHER: Setting = Setting::new(
    "launcher",
    Kind::Text,
    "linux: containers; posix: plain processes, not isolated; auto: linux where it works",
)
.or("auto");
const CGROUPS_ROOT: Setting =
    Setting::new("cgroups_root", Kind::Text, "Cgroup below which containers are made");
const CFS: Setting = Setting::new(
    "cgroups_enable_cfs",
    Kind::Bool,
    "Make the cpus of a task a hard limit, not only a weight",
)
.or("false");
const PIDS: Setting = Setting::new(
    "pids_limit",
    Kind::Number,
    "Processes and threads a container may have; 0 is no limit",
)
.or("4096");
const SWITCH_USER: Setting = Setting::new(
    "switch_user",
    Kind::Bool,
    "Run tasks as the user of the command or framework, not as the agent's",
)
.or("true");
const REGISTRATION_BACKOFF: Setting = Setting::new(
    "registration_backoff_factor",
    Kind::Duration,
    "First pause before a registration with the master is repeated",
)
.or("1secs");
const EXECUTOR_REGISTRATION: Setting = Setting::new(
    "executor_registration_timeout",
    Kind::Duration,
    "How long a custom executor may take to subscribe",
)
.or("1mins");
const EXECUTOR_REREGISTRATION: Setting = Setting::new(
    "executor_reregistration_timeout",
    Kind::Duration,
    "How long it may take to come back after a restart of the agent",
)
.or("2secs");
const EXECUTOR_GRACE: Setting = Setting::new(
    "executor_shutdown_grace_period",
    Kind::Duration,
    "How long an executor may take to end itself",
)
.or("5secs");
const RECOVERY_TIMEOUT: Setting = Setting::new(
    "recovery_timeout",
    Kind::Duration,
    "How long executors wait for an agent that is away",
)
.or("15mins");
const ENVIRONMENT: Setting = Setting::new(
    "executor_environment_variables",
    Kind::Text,
    "JSON object of variables that every executor and task gets",
);
const HTTP_COMMAND_EXECUTOR: Setting = Setting::new(
    "http_command_executor",
    Kind::Bool,
    "Told to executors as MESOS_HTTP_COMMAND_EXECUTOR",
)
.or("false");
const GC_DELAY: Setting =
    Setting::new("gc_delay", Kind::Duration, "How long sandboxes are kept at the most")
        .or("1weeks");
const GC_HEADROOM: Setting = Setting::new(
    "gc_disk_headroom",
    Kind::Double,
    "Part of the disk that old sandboxes must leave free",
)
.or("0.1");
const DISK_WATCH: Setting =
    Setting::new("disk_watch_interval", Kind::Duration, "How often the disk is measured")
        .or("1mins");
const COMPLETED_EXECUTORS: Setting = Setting::new(
    "max_completed_executors_per_framework",
    Kind::Number,
    "Ended executors that are remembered for each framework",
)
.or("150");
const POLICY: Setting = Setting::new(
    "reconfiguration_policy",
    Kind::Text,
    "equal: resources and attributes may not change; additive: they may grow",
)
.or("equal");
const FETCHER_TIMEOUT: Setting = Setting::new(
    "fetcher_stall_timeout",
    Kind::Duration,
    "A download that brings nothing for this long has failed",
)
.or("1mins");
const FETCH_TOTAL: Setting = Setting::new(
    "fetcher_timeout",
    Kind::Duration,
    "All downloads of a task together may take this long",
)
.or("10mins");
const CACHE_DIR: Setting = Setting::new(
    "fetcher_cache_dir",
    Kind::Text,
    "Folder of downloads that tasks ask to be kept; below the data directory unless told",
);
const CACHE_SIZE: Setting = Setting::new(
    "fetcher_cache_size",
    Kind::Bytes,
    "How much is kept there; what was not used for the longest time goes first",
)
.or("2GB");
const LOG_BYTES: Setting = Setting::new(
    "container_log_max_size",
    Kind::Bytes,
    "stdout and stderr of a task are rotated at this size",
)
.or("10MB");
const LOG_FILES: Setting = Setting::new(
    "container_log_max_files",
    Kind::Number,
    "How many rotated files of each are kept",
)
.or("5");

const FRAMEWORKS_HOME: Setting =
    Setting::new("frameworks_home", Kind::Text, "Folder at which relative URIs of tasks begin");

const CONTAINERIZERS: Setting = Setting::new(
    "containerizers",
    Kind::Text,
    "Who takes tasks, in this order: mesos, docker; auto: both, docker while its engine answers",
)
.or("auto");
const DOCKER_SOCKET: Setting =
    Setting::new("docker_socket", Kind::Text, "Where the docker engine listens")
        .or("/var/run/docker.sock");
const DOCKER_CONFIG: Setting = Setting::new(
    "docker_config",
    Kind::Text,
    "Credentials to pull images with, in docker's config.json form: the JSON itself or a file's path",
);
const DOCKER_PULL_TIMEOUT: Setting =
    Setting::new("docker_pull_timeout", Kind::Duration, "How long pulling an image may take")
        .or("20mins");
const DOCKER_PRIVILEGED: Setting = Setting::new(
    "docker_allow_privileged",
    Kind::Bool,
    "Let docker containers have powers over this machine (privileged, devices, host namespaces)",
)
.or("false");

/// All settings of the agent.
pub const SETTINGS: &[Setting] = &[
    RESOURCES,
    ATTRIBUTES,
    DEFAULT_ROLE,
    LAUNCHER,
    CGROUPS_ROOT,
    CFS,
    PIDS,
    SWITCH_USER,
    REGISTRATION_BACKOFF,
    EXECUTOR_REGISTRATION,
    EXECUTOR_REREGISTRATION,
    EXECUTOR_GRACE,
    RECOVERY_TIMEOUT,
    ENVIRONMENT,
    HTTP_COMMAND_EXECUTOR,
    GC_DELAY,
    GC_HEADROOM,
    DISK_WATCH,
    COMPLETED_EXECUTORS,
    POLICY,
    FETCHER_TIMEOUT,
    FETCH_TOTAL,
    CACHE_DIR,
    CACHE_SIZE,
    LOG_BYTES,
    LOG_FILES,
    FRAMEWORKS_HOME,
    CONTAINERIZERS,
    DOCKER_SOCKET,
    DOCKER_CONFIG,
    DOCKER_PULL_TIMEOUT,
    DOCKER_PRIVILEGED,
    images::PROVIDERS,
    images::BACKEND,
    images::GC,
    images::REGISTRY,
    images::STORE,
    images::IGNORE,
    images::SANDBOX,
];

/// How containers are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// Containers where the machine can, else plain processes, and says so.
    Auto,
    /// Containers, or no start.
    Linux,
    /// Plain processes.
    Posix,
}

/// Who makes containers for tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containerizers {
    /// In their order.
    pub all: Vec<core::Containerizer>,
    /// Whether the operator named docker: then its engine must be there.
    pub docker_named: bool,
}

impl Containerizers {
    fn parse(text: &str) -> Result<Self, String> {
        use core::Containerizer::{Docker, Mesos};
        if text == "auto" {
            return Ok(Self { all: vec![Mesos, Docker], docker_named: false });
        }
        let mut all = Vec::new();
        for name in text.split(',').map(str::trim) {
            let one = match name {
                "mesos" => Mesos,
                "docker" => Docker,
                _ => return Err(format!("'{name}' is neither mesos nor docker (nor auto)")),
            };
            if all.contains(&one) {
                return Err(format!("'{name}' is named twice"));
            }
            all.push(one);
        }
        let docker_named = all.contains(&Docker);
        Ok(Self { all, docker_named })
    }
}

/// Where the docker engine is and how images are pulled.
#[derive(Clone, Debug)]
pub struct DockerOptions {
    /// Where it listens.
    pub socket: PathBuf,
    /// Credentials, as JSON.
    pub config: Option<Credentials>,
    /// How long a pull may take.
    pub pull_timeout: Duration,
}

/// What the settings come to, besides the core's own options.
#[derive(Clone, Debug)]
pub struct Options {
    /// Resources named by the operator; what is missing is probed.
    pub resources: Option<Resources>,
    /// Whether `gpus` is named among them, as none too.
    pub gpus_named: bool,
    /// Role of resources without one.
    pub default_role: String,
    /// Attributes named by the operator.
    pub attributes: Attributes,
    /// How containers are made.
    pub launcher: Launcher,
    /// Cgroup below which containers are made; `None` is one of the node's own.
    pub cgroups_root: Option<String>,
    /// Who takes tasks.
    pub containerizers: Containerizers,
    /// The docker engine.
    pub docker: DockerOptions,
    /// Images that need no engine.
    pub images: ImageOptions,
    /// Where relative URIs begin.
    pub frameworks_home: Option<PathBuf>,
    /// Where downloads are kept; `None` is below the data directory.
    pub fetch_cache_dir: Option<PathBuf>,
    /// How much of them.
    pub fetch_cache_bytes: u64,
    /// A download that brings nothing for this long has failed.
    pub fetch_stall_timeout: Duration,
    /// All downloads of a task together.
    pub fetch_timeout: Duration,
    /// Size at which task output is rotated, in bytes.
    pub log_bytes_max: u64,
    /// Rotated files kept of each.
    pub log_files_max: u32,
    /// Everything else.
    pub tuning: Tuning,
}

/// The part of the core's options that comes from settings.
#[derive(Clone, Debug)]
pub struct Tuning(Vec<Change>);

#[derive(Clone, Debug)]
enum Change {
    Time(fn(&mut core::Options) -> &mut Duration, Duration),
    Flag(fn(&mut core::Options) -> &mut bool, bool),
    Pids(Option<u64>),
    Headroom(f64),
    Completed(usize),
    Policy(core::ReconfigurationPolicy),
    Environment(BTreeMap<String, String>),
    Sandbox(String),
}

impl Tuning {
    /// Puts what was set into the core's options.
    pub fn apply(&self, options: &mut core::Options) {
        for change in &self.0 {
            match change {
                Change::Time(field, value) => *field(options) = *value,
                Change::Flag(field, value) => *field(options) = *value,
                Change::Pids(limit) => options.pids_limit = *limit,
                Change::Headroom(part) => options.gc_disk_headroom = *part,
                Change::Completed(n) => options.max_completed_executors_per_framework = *n,
                Change::Policy(policy) => options.reconfiguration_policy = *policy,
                Change::Environment(map) => options.executor_environment_variables = map.clone(),
                Change::Sandbox(path) => options.sandbox_directory = path.clone(),
            }
        }
    }
}

/// Reads the settings; what is wrong is noted in `values`.
pub fn read(values: &mut Values) -> Options {
    let default_role = values
        .parse(&DEFAULT_ROLE, |role| roles::validate(role).map(|()| role.to_string()))
        .unwrap_or_else(|| "*".into());
    let launcher = values.parse(&LAUNCHER, |text| match text {
        "auto" => Ok(Launcher::Auto),
        "linux" => Ok(Launcher::Linux),
        "posix" => Ok(Launcher::Posix),
        _ => Err("expected auto, linux or posix"),
    });
    let role = default_role.clone();
    // One reading of it for both containerizers.
    let logins = values.parse(&DOCKER_CONFIG, images::credentials);
    Options {
        gpus_named: values.text(&RESOURCES).is_some_and(|text| text.contains("gpus")),
        resources: values.parse(&RESOURCES, |text| parse_resources(text, &role)),
        default_role,
        attributes: values.parse(&ATTRIBUTES, Attributes::parse).unwrap_or_default(),
        launcher: launcher.unwrap_or(Launcher::Auto),
        cgroups_root: values.parse(&CGROUPS_ROOT, cgroup_path),
        containerizers: values
            .parse(&CONTAINERIZERS, Containerizers::parse)
            .unwrap_or_else(|| Containerizers { all: Vec::new(), docker_named: false }),
        docker: DockerOptions {
            socket: values
                .parse(&DOCKER_SOCKET, socket)
                .unwrap_or_else(|| "/var/run/docker.sock".into()),
            config: logins.clone(),
            pull_timeout: values
                .duration(&DOCKER_PULL_TIMEOUT, SECOND, DAY)
                .unwrap_or(20 * 60 * SECOND),
        },
        images: images::read(values, logins.unwrap_or_default()),
        frameworks_home: values.parse(&FRAMEWORKS_HOME, absolute),
        fetch_stall_timeout: values.duration(&FETCHER_TIMEOUT, SECOND, DAY).unwrap_or(60 * SECOND),
        fetch_cache_dir: values.parse(&CACHE_DIR, absolute),
        fetch_cache_bytes: values.bytes(&CACHE_SIZE).unwrap_or(2 << 30),
        fetch_timeout: values.duration(&FETCH_TOTAL, SECOND, DAY).unwrap_or(600 * SECOND),
        log_bytes_max: values.bytes(&LOG_BYTES).unwrap_or(10 << 20).max(4096),
        log_files_max: values
            .number(&LOG_FILES, 1, 1000)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(5),
        tuning: tuning(values),
    }
}

/// An absolute path.
fn absolute(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("expected an absolute path") }
}

/// The engine's socket, also in the form of a URL.
fn socket(text: &str) -> Result<PathBuf, &'static str> {
    absolute(text.strip_prefix("unix://").unwrap_or(text))
}

/// A cgroup's path below the hierarchies' mounts.
fn cgroup_path(text: &str) -> Result<String, &'static str> {
    let path = text.trim_matches('/');
    if path.is_empty() || path.split('/').any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err("expected a relative path such as mesos or machine/mesos");
    }
    Ok(path.to_string())
}

fn tuning(values: &mut Values) -> Tuning {
    type Field = fn(&mut core::Options) -> &mut Duration;
    let times: [(&Setting, Duration, Field); 7] = [
        (&REGISTRATION_BACKOFF, SECOND / 100, |o| &mut o.registration_backoff_factor),
        (&EXECUTOR_REGISTRATION, SECOND / 10, |o| &mut o.executor_registration_timeout),
        (&EXECUTOR_REREGISTRATION, SECOND / 10, |o| &mut o.executor_reregistration_timeout),
        (&EXECUTOR_GRACE, SECOND / 10, |o| &mut o.executor_shutdown_grace_period),
        (&RECOVERY_TIMEOUT, SECOND, |o| &mut o.recovery_timeout),
        (&GC_DELAY, Duration::ZERO, |o| &mut o.gc_delay),
        (&DISK_WATCH, SECOND / 10, |o| &mut o.disk_watch_interval),
    ];
    let mut changes = Vec::new();
    for (setting, min, field) in times {
        if let Some(value) = values.duration(setting, min, 3650 * DAY) {
            changes.push(Change::Time(field, value));
        }
    }
    changes.push(Change::Flag(|o| &mut o.cgroups_enable_cfs, values.bool(&CFS)));
    changes.push(Change::Flag(|o| &mut o.switch_user, values.bool(&SWITCH_USER)));
    let allowed = values.bool(&DOCKER_PRIVILEGED);
    changes.push(Change::Flag(|o| &mut o.docker_allow_privileged, allowed));
    let told = values.bool(&HTTP_COMMAND_EXECUTOR);
    changes.push(Change::Flag(|o| &mut o.http_command_executor, told));
    if let Some(limit) = values.number(&PIDS, 0, 4_194_304) {
        changes.push(Change::Pids((limit > 0).then_some(limit)));
    }
    changes.extend(values.double(&GC_HEADROOM, 0.0, 1.0).map(Change::Headroom));
    let completed = values.number(&COMPLETED_EXECUTORS, 0, 1_000_000);
    changes.extend(completed.and_then(|n| usize::try_from(n).ok()).map(Change::Completed));
    let policy = values.parse(&POLICY, |text| match text {
        "equal" => Ok(core::ReconfigurationPolicy::Equal),
        "additive" => Ok(core::ReconfigurationPolicy::Additive),
        _ => Err("expected equal or additive"),
    });
    changes.extend(policy.map(Change::Policy));
    let environment = values.parse(&ENVIRONMENT, |text| {
        serde_json::from_str::<BTreeMap<String, String>>(text)
            .map_err(|e| format!("expected a JSON object of texts: {e}"))
    });
    changes.extend(environment.map(Change::Environment));
    changes.extend(values.parse(&images::SANDBOX, images::sandbox).map(Change::Sandbox));
    Tuning(changes)
}
