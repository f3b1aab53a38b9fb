//! The operator's settings of isolation, by the names of Mesos's flags.

use super::{Policy, default_bridge, parse_capabilities, parse_devices};
use crate::agent::containerizer::isolators::names::{self, Isolation};
use crate::agent::containerizer::linux::Bridge;
use crate::agent::containerizer::network::command;
use crate::agent::core::options as core;
use crate::base::settings::{Kind, Setting, Values};
use crate::mesos::convert::parse_resources;
use crate::mesos::v1;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ISOLATION: Setting = Setting::new(
    "isolation",
    Kind::Text,
    "Isolators by Mesos's names; optional are cgroups/devices, disk/du, gpu/nvidia, linux/devices, linux/nnp, \
     linux/seccomp and network/ports, others are always on",
)
.or(names::DEFAULT);
const ISOLATORS_DIR: Setting = Setting::new(
    "isolators_dir",
    Kind::Text,
    "Folder of isolators outside this program, named external/NAME in --isolation",
);
const EFFECTIVE: Setting = Setting::new(
    "effective_capabilities",
    Kind::Text,
    "Capabilities of tasks that name none, as {\"capabilities\": [\"CHOWN\"]}",
);
const BOUNDING: Setting = Setting::new(
    "bounding_capabilities",
    Kind::Text,
    "Capabilities that no task has more than, in the same form",
);
const SECCOMP_DIR: Setting =
    Setting::new("seccomp_config_dir", Kind::Text, "Folder of seccomp profiles in Docker's form");
const SECCOMP_PROFILE: Setting = Setting::new(
    "seccomp_profile_name",
    Kind::Text,
    "Profile of tasks that name none; without it a built-in one",
);
const DEVICES: Setting = Setting::new(
    "allowed_devices",
    Kind::Text,
    "Device nodes that containers have, as {\"allowed_devices\": [{\"device\": {\"path\": \"/dev/fuse\"}, \
     \"access\": {\"read\": true}}]}",
);
const GPUS: Setting = Setting::new(
    "nvidia_gpu_devices",
    Kind::Text,
    "Numbers of the GPUs to offer, as 0,1; with gpus in --resources, and gpu/nvidia in --isolation",
);
const SHM_SIZE: Setting = Setting::new(
    "default_container_shm_size",
    Kind::Bytes,
    "Size of /dev/shm of tasks that name none",
);
const NO_SHARED_PID: Setting = Setting::new(
    "disallow_sharing_agent_pid_namespace",
    Kind::Bool,
    "Refuse tasks that want to see the agent's processes",
)
.or("false");
const NO_SHARED_IPC: Setting = Setting::new(
    "disallow_sharing_agent_ipc_namespace",
    Kind::Bool,
    "Refuse tasks that want the agent's IPC and /dev/shm",
)
.or("false");
const FORCE_CREATION: Setting = Setting::new(
    "host_path_volume_force_creation",
    Kind::Text,
    "Folders, separated by colons, below which missing host paths of volumes are made",
);
const CONTAINER_INFO: Setting = Setting::new(
    "default_container_info",
    Kind::Text,
    "ContainerInfo, as JSON, of executors and tasks that have none",
);
const CNI_CONFIG: Setting =
    Setting::new("network_cni_config_dir", Kind::Text, "Folder of configurations of CNI networks");
const CNI_PLUGINS: Setting = Setting::new(
    "network_cni_plugins_dir",
    Kind::Text,
    "Folders of CNI plug-ins, separated by colons",
);
const BRIDGE: Setting = Setting::new(
    "bridge_network",
    Kind::Text,
    "The built-in bridge (network mesos-bridge): its device and network, as mesolith0:10.231.0.0/16",
);
const DISK_WATCH: Setting = Setting::new(
    "container_disk_watch_interval",
    Kind::Duration,
    "How often sandboxes are measured",
)
.or("15secs");
const DISK_QUOTA: Setting = Setting::new(
    "enforce_container_disk_quota",
    Kind::Bool,
    "End tasks whose sandbox takes more than the disk they asked for",
)
.or("false");
const PORTS_WATCH: Setting = Setting::new(
    "container_ports_watch_interval",
    Kind::Duration,
    "How often tasks are looked at for ports that they were not given (network/ports)",
)
.or("30secs");
const PORTS_ENFORCE: Setting = Setting::new(
    "enforce_container_ports",
    Kind::Bool,
    "End tasks that listen on ports they were not given; otherwise they are told of in the log",
)
.or("false");
const PORTS_AGENTS: Setting = Setting::new(
    "check_agent_port_range_only",
    Kind::Bool,
    "Look only at ports that this agent offers; others are anybody's",
)
.or("false");
const PORTS_RANGE: Setting = Setting::new(
    "container_ports_isolated_range",
    Kind::Text,
    "Look only at these ports, as [31000-32000]; not together with --check_agent_port_range_only",
);

/// All of them.
pub const SETTINGS: &[Setting] = &[
    ISOLATION,
    ISOLATORS_DIR,
    EFFECTIVE,
    BOUNDING,
    SECCOMP_DIR,
    SECCOMP_PROFILE,
    DEVICES,
    GPUS,
    SHM_SIZE,
    NO_SHARED_PID,
    NO_SHARED_IPC,
    FORCE_CREATION,
    CONTAINER_INFO,
    CNI_CONFIG,
    CNI_PLUGINS,
    BRIDGE,
    DISK_WATCH,
    DISK_QUOTA,
    PORTS_WATCH,
    PORTS_ENFORCE,
    PORTS_AGENTS,
    PORTS_RANGE,
];

/// What they come to.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What tasks may ask.
    pub policy: Policy,
    /// How often sandboxes are measured; none: never.
    pub disk_watch: Option<Duration>,
    /// Whether tasks over their disk end.
    pub enforce_disk: bool,
    /// How tasks are looked at for ports they were not given; none: never.
    pub ports: Option<core::PortsWatch>,
    /// Of executors that have none.
    pub container_info: Option<v1::ContainerInfo>,
    /// Numbers of the GPUs to offer, if the operator names some.
    pub gpu_devices: Option<Vec<u32>>,
}

impl Options {
    /// Puts into the core's options what is decided there.
    pub fn apply(&self, options: &mut core::Options) {
        options.container_disk_watch_interval = self.disk_watch;
        options.enforce_container_disk_quota = self.enforce_disk;
        options.ports_watch = self.ports.clone();
        options.default_container_info = self.container_info.clone();
    }
}

/// Reads the settings; what is wrong is noted in `values`.
pub fn read(values: &mut Values) -> Options {
    let isolation = values.parse(&ISOLATION, Isolation::parse).unwrap_or_default();
    let isolators = values.parse(&ISOLATORS_DIR, absolute);
    for name in &isolation.external {
        let program = isolators.as_ref().map(|dir| dir.join(name));
        if !program.as_deref().is_some_and(command::is_program) {
            let why = format!("external/{name} is no program in the folder of --isolators_dir");
            values.fault(&ISOLATION, why);
        }
    }
    let effective = values.parse(&EFFECTIVE, |text| parse_capabilities(&json(text)?));
    let bounding = values.parse(&BOUNDING, |text| parse_capabilities(&json(text)?));
    if let (Some(effective), Some(bounding)) = (&effective, &bounding)
        && let Some(more) = effective.iter().find(|c| !bounding.contains(c))
    {
        values.fault(&EFFECTIVE, format!("{more} is not among the bounding capabilities"));
    }
    let policy = Policy {
        isolation,
        isolators_dir: isolators.unwrap_or_default(),
        effective,
        bounding,
        seccomp_dir: values.parse(&SECCOMP_DIR, absolute),
        seccomp_profile: values.text(&SECCOMP_PROFILE),
        devices: values.parse(&DEVICES, |t| parse_devices(&json(t)?)).unwrap_or_default(),
        shm_bytes: values.bytes(&SHM_SIZE),
        share_pid: !values.bool(&NO_SHARED_PID),
        share_ipc: !values.bool(&NO_SHARED_IPC),
        host_path_roots: values.parse(&FORCE_CREATION, list).unwrap_or_default(),
        cni_config: values.parse(&CNI_CONFIG, absolute),
        cni_plugins: values.parse(&CNI_PLUGINS, list).unwrap_or_default(),
        bridge: values.parse(&BRIDGE, bridge).unwrap_or_else(default_bridge),
    };
    if policy.cni_config.is_some() && policy.cni_plugins.is_empty() {
        values.fault(&CNI_CONFIG, "it needs --network_cni_plugins_dir, too");
    }
    if policy.seccomp_profile.is_some() && policy.seccomp_dir.is_none() {
        values.fault(&SECCOMP_PROFILE, "it needs --seccomp_config_dir, too");
    }
    let gpu_devices = values.parse(&GPUS, numbers);
    if gpu_devices.is_some() && !policy.isolation.gpus {
        values.fault(&GPUS, "it needs gpu/nvidia in --isolation, too");
    }
    let watch = values.duration(&DISK_WATCH, Duration::from_millis(100), Duration::MAX / 4);
    let ports = ports(values).filter(|_| policy.isolation.ports);
    let container_info = values.parse(&CONTAINER_INFO, |text| {
        serde_json::from_str(&json(text)?).map_err(|e| format!("expected a ContainerInfo: {e}"))
    });
    Options {
        disk_watch: watch.filter(|_| policy.isolation.disk_du),
        enforce_disk: values.bool(&DISK_QUOTA),
        ports,
        container_info,
        gpu_devices,
        policy,
    }
}

fn ports(values: &mut Values) -> Option<core::PortsWatch> {
    let range = values.parse(&PORTS_RANGE, |text| {
        let given = parse_resources(&format!("ports:{text}"), "*")?;
        let range = given.ports();
        if range.is_empty() { Err("expected ranges of ports".to_string()) } else { Ok(range) }
    });
    let of_agent = values.bool(&PORTS_AGENTS);
    if of_agent && range.is_some() {
        values.fault(&PORTS_RANGE, "it cannot be used with --check_agent_port_range_only");
    }
    Some(core::PortsWatch {
        interval: values.duration(&PORTS_WATCH, Duration::from_millis(100), Duration::MAX / 4)?,
        enforce: values.bool(&PORTS_ENFORCE),
        of_agent,
        range,
    })
}

/// Numbers with commas, each once.
fn numbers(text: &str) -> Result<Vec<u32>, String> {
    let mut all = Vec::new();
    for one in text.split(',').map(str::trim) {
        let number = one.parse().map_err(|_| format!("'{one}' is no number of a GPU"))?;
        if all.contains(&number) {
            return Err(format!("{number} is named twice"));
        }
        all.push(number);
    }
    Ok(all)
}

/// JSON as it is, or in a file that is named.
fn json(text: &str) -> Result<String, String> {
    let path = text.strip_prefix("file://").or_else(|| text.starts_with('/').then_some(text));
    match path {
        None => Ok(text.to_owned()),
        Some(path) => std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}")),
    }
}

fn absolute(text: &str) -> Result<PathBuf, &'static str> {
    let path = Path::new(text);
    if path.is_absolute() { Ok(path.to_owned()) } else { Err("expected an absolute path") }
}

fn list(text: &str) -> Result<Vec<PathBuf>, &'static str> {
    text.split(':').map(absolute).collect()
}

fn bridge(text: &str) -> Result<Bridge, String> {
    let form = || "expected a device and its network, as mesolith0:10.231.0.0/16".to_owned();
    let (device, net) = text.split_once(':').ok_or_else(form)?;
    let (subnet, prefix) = net.split_once('/').ok_or_else(form)?;
    let bridge = Bridge {
        device: device.into(),
        subnet: subnet.parse().map_err(|_| form())?,
        prefix: prefix.parse().map_err(|_| form())?,
    };
    bridge.validate().map_err(|e| e.cause)?;
    Ok(bridge)
}
