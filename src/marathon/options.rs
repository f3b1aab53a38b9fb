//! Marathon's settings: its flags by their own names and in their own units, read into the options of its core, its rules
//! and its HTTP face.
//!
//! What only made sense with ZooKeeper, a JVM or plugins is not among them.

use crate::base::roles;
use crate::base::settings::{Kind, Setting, Values};
use crate::marathon::core::options::{self as core, AcceptedRoles, GpuScheduling};
use crate::marathon::model::Rules;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const FRAMEWORK_NAME: Setting =
    Setting::new("framework_name", Kind::Text, "Name among the master's frameworks").or("marathon");
const FAILOVER_TIMEOUT: Setting = Setting::new(
    "failover_timeout",
    Kind::Number,
    "Seconds for which the master keeps the tasks when Marathon is gone",
)
.or("604800");
const MESOS_ROLE: Setting =
    Setting::new("mesos_role", Kind::Text, "Role of services that name none").or("*");
const MESOS_USER: Setting =
    Setting::new("mesos_user", Kind::Text, "User of services that name none (default: this one)");
const PRINCIPAL: Setting = Setting::new(
    "mesos_authentication_principal",
    Kind::Text,
    "Principal that the framework is registered with",
);
const WEBUI_URL: Setting =
    Setting::new("webui_url", Kind::Text, "Page of Marathon that the master's pages link to");
const EXECUTOR: Setting =
    Setting::new("executor", Kind::Text, "Executor of services that name none").or("//cmd");
const ENV_PREFIX: Setting =
    Setting::new("env_vars_prefix", Kind::Text, "Before the names of HOST and PORT… variables");
const DECLINE: Setting = Setting::new(
    "decline_offer_duration",
    Kind::Number,
    "Milliseconds for which unused offers stay away",
)
.or("120000");
const REVIVE: Setting = Setting::new(
    "min_revive_offers_interval",
    Kind::Number,
    "Milliseconds between two calls for offers that nothing new calls for",
)
.or("5000");
const PER_OFFER: Setting =
    Setting::new("max_instances_per_offer", Kind::Number, "Instances launched from one offer")
        .or("500")
        .also(&["max_tasks_per_offer"]);
const RECONCILIATION: Setting = Setting::new(
    "reconciliation_interval",
    Kind::Number,
    "Milliseconds between two reconciliations with the master",
)
.or("600000");
const CONFIRM: Setting = Setting::new(
    "task_launch_confirm_timeout",
    Kind::Number,
    "Milliseconds until a launched task must have been heard of",
)
.or("300000");
const LAUNCH: Setting = Setting::new(
    "task_launch_timeout",
    Kind::Number,
    "Milliseconds until a launched task must run",
)
.or("300000");
const KILL_RETRY: Setting = Setting::new(
    "kill_retry_timeout",
    Kind::Number,
    "Milliseconds until a kill without effect is repeated",
)
.or("30000");
const KILL_CHUNK: Setting =
    Setting::new("kill_chunk_size", Kind::Number, "Kills under way at a time").or("100");
const DEPLOYMENTS: Setting =
    Setting::new("max_running_deployments", Kind::Number, "Deployments at a time").or("100");
const PORT_MIN: Setting =
    Setting::new("local_port_min", Kind::Number, "First service port to assign").or("10000");
const PORT_MAX: Setting =
    Setting::new("local_port_max", Kind::Number, "Service ports are assigned below this")
        .or("20000");
const VERSIONS: Setting = Setting::new(
    "zk_max_versions",
    Kind::Number,
    "Versions kept of each service and of the root group",
)
.or("50");
const MAINTENANCE: Setting =
    Setting::new("maintenance_mode", Kind::Bool, "Stay off agents under maintenance").or("true");
const DRAINING: Setting = Setting::new(
    "draining_seconds",
    Kind::Number,
    "Stay off agents whose maintenance begins within so many seconds",
)
.or("0");
const BRIDGE: Setting =
    Setting::new("mesos_bridge_name", Kind::Text, "Network that container/bridge means")
        .or("mesos-bridge");
const NETWORK: Setting = Setting::new(
    "default_network_name",
    Kind::Text,
    "Network of services in container mode that name none",
);
const GPU: Setting = Setting::new(
    "gpu_scheduling_behavior",
    Kind::Text,
    "restricted: agents with GPUs are for services that want some; unrestricted: for all",
)
.or("restricted");
const ACCEPTED: Setting = Setting::new(
    "accepted_resource_roles_default_behavior",
    Kind::Text,
    "What services without acceptedResourceRoles use: any, unreserved, reserved",
)
.or("any");
const FEATURES: Setting =
    Setting::new("enable_features", Kind::Text, "Features to switch on, with commas");
/// All of them.
pub const SETTINGS: &[Setting] = &[
    FRAMEWORK_NAME,
    FAILOVER_TIMEOUT,
    MESOS_ROLE,
    MESOS_USER,
    PRINCIPAL,
    WEBUI_URL,
    EXECUTOR,
    ENV_PREFIX,
    DECLINE,
    REVIVE,
    PER_OFFER,
    RECONCILIATION,
    CONFIRM,
    LAUNCH,
    KILL_RETRY,
    KILL_CHUNK,
    DEPLOYMENTS,
    PORT_MIN,
    PORT_MAX,
    VERSIONS,
    MAINTENANCE,
    DRAINING,
    BRIDGE,
    NETWORK,
    GPU,
    ACCEPTED,
    FEATURES,
];

/// What they come to.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of the core.
    pub core: core::Options,
    /// What definitions are completed and checked with.
    pub rules: Rules,
    /// Name among the master's frameworks.
    pub framework_name: String,
    /// How long the master keeps the tasks when Marathon is gone.
    pub failover_timeout: Duration,
    /// Principal that the framework is registered with.
    pub principal: Option<String>,
    /// Page that the master's pages link to.
    pub webui_url: Option<String>,
    /// Effective texts by name, for `/v2/info`.
    pub flags: BTreeMap<String, String>,
}

/// The longest time that a setting may be.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads them; faults are noted.
pub fn read(values: &mut Values) -> Options {
    let defaults = core::Options::default();
    let mut millis = |setting, default: Duration| {
        let most = u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX);
        values.number(setting, 0, most).map_or(default, Duration::from_millis)
    };
    let decline_offer_duration = millis(&DECLINE, defaults.decline_offer_duration);
    let min_revive_offers_interval = millis(&REVIVE, defaults.min_revive_offers_interval);
    let reconciliation_interval = millis(&RECONCILIATION, defaults.reconciliation_interval);
    let task_launch_confirm_timeout = millis(&CONFIRM, defaults.task_launch_confirm_timeout);
    let task_launch_timeout = millis(&LAUNCH, defaults.task_launch_timeout);
    let kill_retry_timeout = millis(&KILL_RETRY, defaults.kill_retry_timeout);
    let mut size = |setting, most: u64, default: usize| {
        let read = values.number(setting, 1, most);
        read.and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
    };
    let max_instances_per_offer = size(&PER_OFFER, 10_000, defaults.max_instances_per_offer);
    let kill_chunk_size = size(&KILL_CHUNK, 100_000, defaults.kill_chunk_size);
    let max_running_deployments = size(&DEPLOYMENTS, 10_000, defaults.max_running_deployments);
    let max_versions = size(&VERSIONS, 10_000, defaults.max_versions);
    let (local_port_min, local_port_max) = ports(values, &defaults);
    let seconds = |read: Option<u64>, default: Duration| read.map_or(default, Duration::from_secs);
    let draining = seconds(values.number(&DRAINING, 0, LONGEST.as_secs()), Duration::ZERO);
    let failover = values.number(&FAILOVER_TIMEOUT, 0, LONGEST.as_secs());
    let mesos_role = values.parse(&MESOS_ROLE, role).unwrap_or_else(|| "*".into());
    let bridge = values.text(&BRIDGE).unwrap_or_default();
    let core = core::Options {
        mesos_role: mesos_role.clone(),
        accepted_roles: values.parse(&ACCEPTED, accepted).unwrap_or(defaults.accepted_roles),
        mesos_user: text(values, &MESOS_USER),
        executor: values.text(&EXECUTOR).unwrap_or_default(),
        env_vars_prefix: values.text(&ENV_PREFIX).unwrap_or_default(),
        decline_offer_duration,
        min_revive_offers_interval,
        max_instances_per_offer,
        reconciliation_interval,
        task_launch_confirm_timeout,
        task_launch_timeout,
        kill_retry_timeout,
        kill_chunk_size,
        max_running_deployments,
        local_port_min,
        local_port_max,
        max_versions,
        maintenance_mode: values.bool(&MAINTENANCE),
        draining,
        mesos_bridge_name: bridge.clone(),
        gpu_scheduling: values.parse(&GPU, gpu).unwrap_or(defaults.gpu_scheduling),
    };
    Options {
        core,
        rules: Rules {
            mesos_role,
            default_network_name: text(values, &NETWORK),
            mesos_bridge_name: bridge,
            features: features(values),
        },
        framework_name: values.text(&FRAMEWORK_NAME).unwrap_or_default(),
        failover_timeout: seconds(failover, Duration::from_secs(604_800)),
        principal: text(values, &PRINCIPAL),
        webui_url: text(values, &WEBUI_URL),
        flags: values.effective(SETTINGS),
    }
}

/// The settings as `/v2/info` shows them: numbers and booleans as such.
pub fn told(options: &Options) -> serde_json::Map<String, Value> {
    let typed = |setting: &Setting, text: &String| match setting.kind {
        Kind::Number => text.parse::<u64>().map_or(Value::Null, Value::from),
        Kind::Bool => Value::from(matches!(text.as_str(), "true" | "1" | "")),
        _ => Value::from(text.clone()),
    };
    let told = SETTINGS.iter().filter_map(|setting| {
        let text = options.flags.get(setting.name)?;
        Some((setting.name.to_string(), typed(setting, text)))
    });
    told.collect()
}

/// A text that means something only when it is not empty.
fn text(values: &Values, setting: &Setting) -> Option<String> {
    values.text(setting).filter(|text| !text.trim().is_empty())
}

fn ports(values: &mut Values, defaults: &core::Options) -> (u16, u16) {
    let mut port = |setting, default| {
        let read = values.number(setting, 1, 65_535);
        read.and_then(|n| u16::try_from(n).ok()).unwrap_or(default)
    };
    let min = port(&PORT_MIN, defaults.local_port_min);
    let max = port(&PORT_MAX, defaults.local_port_max);
    if min >= max {
        values.fault(&PORT_MAX, format!("must be greater than local_port_min, which is {min}"));
    }
    (min, max)
}

fn role(text: &str) -> Result<String, String> {
    roles::validate(text).map_err(|e| e.to_string())?;
    Ok(text.to_string())
}

fn accepted(text: &str) -> Result<AcceptedRoles, &'static str> {
    match text {
        "any" => Ok(AcceptedRoles::Any),
        "unreserved" => Ok(AcceptedRoles::Unreserved),
        "reserved" => Ok(AcceptedRoles::Reserved),
        _ => Err("expected any, unreserved or reserved"),
    }
}

fn gpu(text: &str) -> Result<GpuScheduling, &'static str> {
    match text {
        "restricted" => Ok(GpuScheduling::Restricted),
        "unrestricted" => Ok(GpuScheduling::Unrestricted),
        _ => Err("expected restricted or unrestricted"),
    }
}

/// What the original knows under `--enable_features`.
const KNOWN_FEATURES: &[&str] =
    &["vips", "task_killing", "secrets", "external_volumes", "gpu_resources"];

fn features(values: &mut Values) -> BTreeSet<String> {
    let read = values.parse(&FEATURES, |text| {
        let named = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let all: BTreeSet<String> = named.map(String::from).collect();
        match all.iter().find(|name| !KNOWN_FEATURES.contains(&name.as_str())) {
            Some(name) => {
                Err(format!("'{name}' is none of the features {}", KNOWN_FEATURES.join(", ")))
            }
            None => Ok(all),
        }
    });
    read.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::Origin;

    fn values(given: &[(&str, &str)]) -> Values {
        let texts = given.iter().map(|(name, text)| {
            (name.to_string(), (text.to_string(), Origin::Flag(name.to_string())))
        });
        Values::new(texts.collect())
    }

    #[test]
    fn without_any_the_defaults_are_those_of_the_core() {
        let mut values = Values::new(BTreeMap::new());
        let options = read(&mut values);
        values.finish().expect("nothing is wrong");
        let defaults = core::Options::default();
        assert_eq!(format!("{:?}", options.core), format!("{defaults:?}"));
        assert_eq!(options.failover_timeout, Duration::from_secs(604_800));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let mut values = values(&[
            ("local_port_min", "20000"),
            ("mesos_role", "a b"),
            ("enable_features", "vips,pigs"),
            ("task_launch_timeout", "soon"),
        ]);
        read(&mut values);
        let faults = values.finish().expect_err("four faults").cause;
        for named in ["local_port_max", "mesos_role", "'pigs'", "task_launch_timeout"] {
            assert!(faults.contains(named), "{named}: {faults}");
        }
    }
}
