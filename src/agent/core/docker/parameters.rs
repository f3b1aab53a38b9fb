//! `parameters` of a DockerInfo: the long options of `docker run`, put into the fields of the engine's API. An option that is
//! not in the tables is refused by its name; so is one that the agent decides itself.

use crate::mesos::v1;
use serde_json::{Map, Value, json};

/// Parameters of one container, at most.
pub const PARAMETERS_MAX: usize = 256;

/// What the options come to: two objects in the API's own names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Of the container.
    pub config: Map<String, Value>,
    /// Of how the host runs it (`HostConfig`).
    pub host: Map<String, Value>,
}

impl Settings {
    /// The network that was asked for by an option.
    pub(super) fn network(&self) -> Option<&str> {
        self.host.get("NetworkMode")?.as_str()
    }

    pub(super) fn has_hostname(&self) -> bool {
        self.config.contains_key("Hostname")
    }

    pub(super) fn entrypoint(&self) -> Option<&str> {
        self.config.get("Entrypoint")?.get(0)?.as_str()
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    /// One entry of a list.
    Entry,
    /// `true` or nothing, or `false`.
    Flag,
    Integer,
    /// `64m`.
    Size,
    /// `key=value`, an entry of an object.
    Pair,
    /// A list of one word.
    Word,
    /// `/path:options`, an entry of an object.
    Path,
    /// `name=soft:hard`.
    Ulimit,
    /// `/host:/container:rwm`.
    Device,
    /// `all`, or how many.
    Gpus,
    /// `80/tcp`.
    Port,
}

/// Who may set it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Power {
    /// Everybody.
    Any,
    /// Everybody, but not this value: it joins a namespace of the host.
    NotHost,
    /// Only where privileged containers are allowed: it gives a container powers over the host.
    Privileged,
}

use Kind::*;
use Power::*;

type Row = (&'static str, &'static str, Kind, Power);

/// Option, field of the container, kind.
const OF_CONTAINER: &[Row] = &[
    ("domainname", "Domainname", Text, Any),
    ("entrypoint", "Entrypoint", Word, Any),
    ("env", "Env", Entry, Any),
    ("expose", "ExposedPorts", Port, Any),
    ("hostname", "Hostname", Text, Any),
    ("interactive", "OpenStdin", Flag, Any),
    ("label", "Labels", Pair, Any),
    ("stop-signal", "StopSignal", Text, Any),
    ("tty", "Tty", Flag, Any),
    ("user", "User", Text, Any),
    ("workdir", "WorkingDir", Text, Any),
];

/// Option, field of the host's part, kind.
const OF_HOST: &[Row] = &[
    ("add-host", "ExtraHosts", Entry, Any),
    ("blkio-weight", "BlkioWeight", Integer, Any),
    ("cap-add", "CapAdd", Entry, Privileged),
    ("cap-drop", "CapDrop", Entry, Any),
    ("cgroup-parent", "CgroupParent", Text, Privileged),
    ("cgroupns", "CgroupnsMode", Text, NotHost),
    ("cpuset-cpus", "CpusetCpus", Text, Any),
    ("cpuset-mems", "CpusetMems", Text, Any),
    ("device", "Devices", Device, Privileged),
    ("device-cgroup-rule", "DeviceCgroupRules", Entry, Privileged),
    ("dns", "Dns", Entry, Any),
    ("dns-opt", "DnsOptions", Entry, Any),
    ("dns-option", "DnsOptions", Entry, Any),
    ("dns-search", "DnsSearch", Entry, Any),
    ("gpus", "DeviceRequests", Gpus, Any),
    ("group-add", "GroupAdd", Entry, Any),
    ("init", "Init", Flag, Any),
    ("ipc", "IpcMode", Text, NotHost),
    ("link", "Links", Entry, Any),
    ("memory-swap", "MemorySwap", Size, Any),
    ("memory-swappiness", "MemorySwappiness", Integer, Any),
    ("net", "NetworkMode", Text, Any),
    ("network", "NetworkMode", Text, Any),
    ("oom-score-adj", "OomScoreAdj", Integer, Any),
    ("pid", "PidMode", Text, NotHost),
    ("pids-limit", "PidsLimit", Integer, Any),
    ("privileged", "Privileged", Flag, Privileged),
    ("read-only", "ReadonlyRootfs", Flag, Any),
    ("runtime", "Runtime", Text, Any),
    ("security-opt", "SecurityOpt", Entry, Privileged),
    ("shm-size", "ShmSize", Size, Any),
    ("storage-opt", "StorageOpt", Pair, Any),
    ("sysctl", "Sysctls", Pair, Any),
    ("tmpfs", "Tmpfs", Path, Any),
    ("ulimit", "Ulimits", Ulimit, Any),
    ("userns", "UsernsMode", Text, NotHost),
    ("uts", "UTSMode", Text, NotHost),
    ("volume", "Binds", Entry, Any),
    ("volume-driver", "VolumeDriver", Text, Any),
    ("volumes-from", "VolumesFrom", Entry, Any),
];

const BY_RESOURCES: &str = "the task's resources say that";

/// Options that are the agent's to decide, and who decides instead.
const DECIDED: &[(&str, &str)] = &[
    ("attach", "output goes to the sandbox"),
    ("cidfile", "the agent knows its containers"),
    ("cpu-period", BY_RESOURCES),
    ("cpu-quota", BY_RESOURCES),
    ("cpu-shares", BY_RESOURCES),
    ("cpus", BY_RESOURCES),
    ("detach", "containers are watched by the agent"),
    ("env-file", "give variables by the command's environment"),
    ("health-cmd", "give the task a health check"),
    ("label-file", "give labels one by one"),
    ("memory", BY_RESOURCES),
    ("memory-reservation", BY_RESOURCES),
    ("name", "containers have the names that the agent gives them"),
    ("oom-kill-disable", "a task that is out of memory ends"),
    ("publish", "give portMappings, whose ports are among the task's resources"),
    ("publish-all", "give portMappings, whose ports are among the task's resources"),
    ("pull", "say forcePullImage"),
    ("restart", "who launched a task starts it again"),
    ("rm", "the agent removes its containers"),
    ("stop-timeout", "the task's kill policy says that"),
];

/// Reads all; `allowed` says whether containers may have powers over the host.
///
/// # Errors
/// The first option that cannot be carried out, by its name.
pub(super) fn read(parameters: &[v1::Parameter], allowed: bool) -> Result<Settings, String> {
    if parameters.len() > PARAMETERS_MAX {
        return Err(format!("more than {PARAMETERS_MAX} parameters"));
    }
    let mut settings = Settings::default();
    for v1::Parameter { key, value } in parameters {
        let fault = |why: &str| format!("parameter '{key}': {why}");
        match key.as_str() {
            "log-driver" | "log-opt" => log(&mut settings, key, value).map_err(|e| fault(&e))?,
            "no-healthcheck" => {
                settings.config.insert("Healthcheck".into(), json!({"Test": ["NONE"]}));
            }
            _ => one(&mut settings, key, value, allowed).map_err(|e| fault(&e))?,
        }
    }
    Ok(settings)
}

fn one(settings: &mut Settings, key: &str, value: &str, allowed: bool) -> Result<(), String> {
    if let Some((_, why)) = DECIDED.iter().find(|(name, _)| *name == key) {
        return Err(format!("not to be set here: {why}"));
    }
    let find = |rows: &'static [Row]| rows.iter().find(|row| row.0 == key);
    let (row, object) = match (find(OF_CONTAINER), find(OF_HOST)) {
        (Some(row), _) => (row, &mut settings.config),
        (None, Some(row)) => (row, &mut settings.host),
        (None, None) => return Err("no option of docker run that this agent knows".into()),
    };
    let (_, field, kind, power) = *row;
    let over_host = match power {
        Any => false,
        NotHost => value == "host",
        Privileged => kind != Flag || flag(value)?,
    };
    if over_host && !allowed {
        return Err(
            "it gives a container powers over the host, which is not allowed on this agent \
                    (--docker_allow_privileged)"
                .into(),
        );
    }
    if value.contains('\0') {
        return Err("its value has a zero byte".into());
    }
    put(object, field, kind, value)
}

fn put(
    object: &mut Map<String, Value>,
    field: &str,
    kind: Kind,
    value: &str,
) -> Result<(), String> {
    match kind {
        Text => drop(object.insert(field.into(), json!(value))),
        Word => drop(object.insert(field.into(), json!([value]))),
        Flag => drop(object.insert(field.into(), json!(flag(value)?))),
        Integer => {
            let number: i64 = value.parse().map_err(|_| format!("'{value}' is no number"))?;
            object.insert(field.into(), json!(number));
        }
        Size => drop(object.insert(field.into(), json!(size(value)?))),
        Entry => push(object, field, json!(value)),
        Device => push(object, field, device(value)?),
        Gpus => push(object, field, gpus(value)?),
        Ulimit => push(object, field, ulimit(value)?),
        Pair => {
            let (name, value) = value.split_once('=').unwrap_or((value, ""));
            set(object, field, name, json!(value));
        }
        Path => {
            let (path, options) = value.split_once(':').unwrap_or((value, ""));
            if !path.starts_with('/') {
                return Err(format!("'{path}' is not an absolute path"));
            }
            set(object, field, path, json!(options));
        }
        Port => {
            let (number, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
            number.parse::<u16>().map_err(|_| format!("'{number}' is no port"))?;
            set(object, field, &format!("{number}/{protocol}"), json!({}));
        }
    }
    Ok(())
}

fn push(object: &mut Map<String, Value>, field: &str, value: Value) {
    let list = object.entry(field).or_insert_with(|| json!([]));
    if let Value::Array(list) = list {
        list.push(value);
    }
}

fn set(object: &mut Map<String, Value>, field: &str, name: &str, value: Value) {
    let entries = object.entry(field).or_insert_with(|| json!({}));
    if let Value::Object(entries) = entries {
        entries.insert(name.into(), value);
    }
}

fn log(settings: &mut Settings, key: &str, value: &str) -> Result<(), String> {
    let config = settings.host.entry("LogConfig").or_insert_with(|| json!({}));
    let Value::Object(config) = config else { return Ok(()) };
    if key == "log-driver" {
        config.insert("Type".into(), json!(value));
        return Ok(());
    }
    let Some((name, value)) = value.split_once('=') else {
        return Err(format!("'{value}' is not of the form name=value"));
    };
    set(config, "Config", name, json!(value));
    Ok(())
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("'{value}' is neither true nor false")),
    }
}

/// A size with an optional unit, as `docker run` takes it: `512`, `64m`, `1gb`; -1 for swap without end.
fn size(value: &str) -> Result<i64, String> {
    let fault = || format!("'{value}' is no size");
    if value == "-1" {
        return Ok(-1);
    }
    let lower = value.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match lower.get(digits.len()..).unwrap_or_default() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(fault()),
    };
    let number: i64 = digits.parse().map_err(|_| fault())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes >= 0).ok_or_else(fault)
}

fn ulimit(value: &str) -> Result<Value, String> {
    let fault = || format!("'{value}' is not of the form name=soft:hard");
    let (name, limits) = value.split_once('=').ok_or_else(fault)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| text.parse::<i64>().map_err(|_| fault());
    Ok(json!({"Name": name, "Soft": number(soft)?, "Hard": number(hard)?}))
}

fn device(value: &str) -> Result<Value, String> {
    let parts: Vec<&str> = value.split(':').collect();
    let is_mode = |text: &str| !text.is_empty() && text.chars().all(|c| "rwm".contains(c));
    let (host, container, mode) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, mode] if is_mode(mode) => (*host, *host, *mode),
        [host, container] => (*host, *container, "rwm"),
        [host, container, mode] if is_mode(mode) => (*host, *container, *mode),
        _ => return Err(format!("'{value}' is not of the form /host:/container:rwm")),
    };
    if !host.starts_with('/') || !container.starts_with('/') {
        return Err(format!("'{value}' does not name devices by their paths"));
    }
    Ok(json!({"PathOnHost": host, "PathInContainer": container, "CgroupPermissions": mode}))
}

fn gpus(value: &str) -> Result<Value, String> {
    let count = match value {
        "all" => -1,
        number => number
            .parse::<i64>()
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| format!("'{value}' is neither 'all' nor how many"))?,
    };
    Ok(json!({"Driver": "", "Count": count, "Capabilities": [["gpu"]]}))
}
