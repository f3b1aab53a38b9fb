//! The settings of Chronos: its flags by their own names and in their own units, read into the options of its core and its
//! HTTP face.
//!
//! What only made sense with ZooKeeper, Cassandra, Graphite or a JVM is not among them, nor is `schedule_horizon`: planned
//! times are waited for one by one. Notifications are not sent; `owner` of a job is kept and shown.

use crate::base::resources::Scalar;
use crate::base::roles;
use crate::base::settings::{Kind, Setting, Values};
use crate::chronos::core::options as core;
use crate::chronos::model::Rules;
use crate::chronos::schedule::Period;
use std::time::Duration;

const FRAMEWORK_NAME: Setting =
    Setting::new("mesos_framework_name", Kind::Text, "Name among the master's frameworks")
        .or("chronos");
const FAILOVER_TIMEOUT: Setting = Setting::new(
    "failover_timeout",
    Kind::Number,
    "Seconds for which the master keeps the tasks when Chronos is gone",
)
.or("604800");
const ROLE: Setting =
    Setting::new("mesos_role", Kind::Text, "Role in which it takes offers").or("*");
const USER: Setting =
    Setting::new("user", Kind::Text, "User of jobs that name none (default: this one)");
const CHECKPOINT: Setting =
    Setting::new("mesos_checkpoint", Kind::Bool, "Whether tasks outlive a restart of their agent")
        .or("true");
const PRINCIPAL: Setting = Setting::new(
    "mesos_authentication_principal",
    Kind::Text,
    "Principal that the framework is registered with",
);
const WEBUI_URL: Setting =
    Setting::new("webui_url", Kind::Text, "Page of Chronos that the master's pages link to");
const EPSILON: Setting = Setting::new(
    "task_epsilon",
    Kind::Number,
    "Seconds after its time in which a run may still begin, for jobs that do not say",
)
.or("60");
const CPU: Setting =
    Setting::new("mesos_task_cpu", Kind::Double, "Cpus of jobs that do not say").or("0.1");
const MEM: Setting =
    Setting::new("mesos_task_mem", Kind::Double, "Megabytes of memory of jobs that do not say")
        .or("128");
const DISK: Setting =
    Setting::new("mesos_task_disk", Kind::Double, "Megabytes of disk of jobs that do not say")
        .or("256");
const RETRY: Setting = Setting::new(
    "failure_retry",
    Kind::Number,
    "Milliseconds before another attempt of a failed run",
)
.or("60000");
const RETRY_FACTOR: Setting = Setting::new(
    "failure_retry_factor",
    Kind::Double,
    "By how much that wait grows with each further attempt",
)
.or("1");
const DISABLE_AFTER: Setting = Setting::new(
    "disable_after_failures",
    Kind::Number,
    "Failed runs in a row that disable a job; 0 is never",
)
.or("0");
const HISTORY: Setting = Setting::new(
    "job_history_limit",
    Kind::Number,
    "Runs of a job that are remembered one by one and shown",
)
.or("100");
const DECLINE: Setting = Setting::new(
    "decline_offer_duration",
    Kind::Number,
    "Milliseconds for which unused offers stay away",
)
.or("5000");
const REVIVE: Setting = Setting::new(
    "min_revive_offers_interval",
    Kind::Number,
    "Milliseconds between two calls for offers; a run that is due may wait as long",
)
.or("50");
const RECONCILIATION: Setting = Setting::new(
    "reconciliation_interval",
    Kind::Number,
    "Seconds between two reconciliations with the master",
)
.or("600");

/// All of them.
pub const SETTINGS: &[Setting] = &[
    FRAMEWORK_NAME,
    FAILOVER_TIMEOUT,
    ROLE,
    USER,
    CHECKPOINT,
    PRINCIPAL,
    WEBUI_URL,
    EPSILON,
    CPU,
    MEM,
    DISK,
    RETRY,
    RETRY_FACTOR,
    DISABLE_AFTER,
    HISTORY,
    DECLINE,
    REVIVE,
    RECONCILIATION,
];

/// What they come to.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of the core. Its user is empty unless one is set.
    pub core: core::Options,
    /// Name among the master's frameworks.
    pub framework_name: String,
    /// How long the master keeps the tasks when Chronos is gone.
    pub failover_timeout: Duration,
    /// Whether tasks outlive a restart of their agent.
    pub checkpoint: bool,
    /// Principal that the framework is registered with.
    pub principal: Option<String>,
    /// Page that the master's pages link to.
    pub webui_url: Option<String>,
}

/// A year: no setting is longer.
const YEAR_SECS: u64 = 366 * 24 * 3600;

/// The most rows one job may keep.
const HISTORY_LIMIT_MAX: u64 = 10_000;

/// Reads them; faults are noted.
pub fn read(values: &mut Values) -> Options {
    let defaults = core::Options::default();
    let mut millis = |setting, default| {
        values.number(setting, 0, YEAR_SECS * 1000).map_or(default, Duration::from_millis)
    };
    let failure_retry = millis(&RETRY, defaults.failure_retry);
    let decline_offer_duration = millis(&DECLINE, defaults.decline_offer_duration);
    let min_revive_offers_interval = millis(&REVIVE, defaults.min_revive_offers_interval);
    let mut amount =
        |setting, default| values.double(setting, 0.001, Scalar::MAX.as_f64()).unwrap_or(default);
    let cpus = amount(&CPU, defaults.rules.cpus);
    let mem = amount(&MEM, defaults.rules.mem);
    let disk = amount(&DISK, defaults.rules.disk);
    let epsilon = values.number(&EPSILON, 0, YEAR_SECS).and_then(|n| u32::try_from(n).ok());
    let epsilon = epsilon.map_or(defaults.rules.epsilon, Period::of_seconds);
    let history = values.number(&HISTORY, 1, HISTORY_LIMIT_MAX);
    let failover = values.number(&FAILOVER_TIMEOUT, 0, YEAR_SECS);
    let reconciliation = values.number(&RECONCILIATION, 1, YEAR_SECS);
    let core = core::Options {
        rules: Rules { epsilon, cpus, mem, disk, user: text(values, &USER).unwrap_or_default() },
        role: values.parse(&ROLE, role).unwrap_or(defaults.role),
        failure_retry,
        failure_retry_factor: values
            .double(&RETRY_FACTOR, 1.0, 100.0)
            .unwrap_or(defaults.failure_retry_factor),
        disable_after_failures: values.number(&DISABLE_AFTER, 0, u64::MAX).unwrap_or(0),
        history_limit: history
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(defaults.history_limit),
        decline_offer_duration,
        min_revive_offers_interval,
        reconciliation_interval: reconciliation
            .map_or(defaults.reconciliation_interval, Duration::from_secs),
    };
    Options {
        core,
        framework_name: values.text(&FRAMEWORK_NAME).unwrap_or_default(),
        failover_timeout: failover.map_or(Duration::from_secs(604_800), Duration::from_secs),
        checkpoint: values.bool(&CHECKPOINT),
        principal: text(values, &PRINCIPAL),
        webui_url: text(values, &WEBUI_URL),
    }
}

/// A text that means something only when it is not empty.
fn text(values: &Values, setting: &Setting) -> Option<String> {
    values.text(setting).filter(|text| !text.trim().is_empty())
}

fn role(text: &str) -> Result<String, String> {
    roles::validate(text).map_err(|e| e.to_string())?;
    Ok(text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::Origin;
    use std::collections::BTreeMap;

    #[test]
    fn without_any_the_defaults_are_those_of_the_core() {
        let mut values = Values::new(BTreeMap::new());
        let mut options = read(&mut values);
        values.finish().expect("nothing is wrong");
        let defaults = core::Options::default();
        options.core.rules.user.clone_from(&defaults.rules.user);
        assert_eq!(format!("{:?}", options.core), format!("{defaults:?}"));
        assert!(options.checkpoint && options.framework_name == "chronos");
        assert_eq!(options.failover_timeout, Duration::from_secs(604_800));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let given = [
            ("task_epsilon", "soon"),
            ("mesos_task_cpu", "-1"),
            ("mesos_role", "a b"),
            ("job_history_limit", "0"),
            ("failure_retry_factor", "0.5"),
        ];
        let texts = given.iter().map(|(name, text)| {
            (name.to_string(), (text.to_string(), Origin::Flag(name.to_string())))
        });
        let mut values = Values::new(texts.collect());
        read(&mut values);
        let faults = values.finish().expect_err("five faults").cause;
        for (name, _) in given {
            assert!(faults.contains(name), "{name}: {faults}");
        }
    }
}
