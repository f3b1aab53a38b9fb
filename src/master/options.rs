//! The master's settings: Mesos's flags by their own names, read into the options of its cores.

use crate::base::ids::Role;
use crate::base::resources::Quantities;
use crate::base::roles;
use crate::base::settings::{Kind, Origin, Setting, Values};
use crate::base::units::parse_duration;
use crate::master::allocator;
use crate::master::core::options as core;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const SECOND: Duration = Duration::from_secs(1);

const CLUSTER: Setting = Setting::new("cluster", Kind::Text, "Name of the cluster, shown in pages");
const HEARTBEAT: Setting = Setting::new(
    "heartbeat_interval",
    Kind::Duration,
    "Time between two HEARTBEAT events to a framework, or to an operator's stream",
)
.or("15secs");
const PING: Setting =
    Setting::new("agent_ping_timeout", Kind::Duration, "Time between two pings of an agent")
        .or("15secs")
        .also(&["slave_ping_timeout"]);
const PINGS: Setting = Setting::new(
    "max_agent_ping_timeouts",
    Kind::Number,
    "Unanswered pings in a row that make an agent unreachable",
)
.or("5")
.also(&["max_slave_ping_timeouts"]);
const REREGISTER: Setting = Setting::new(
    "agent_reregister_timeout",
    Kind::Duration,
    "How long a lost agent may take to come back before it is unreachable",
)
.or("10mins")
.also(&["slave_reregister_timeout"]);
const LOSS: Setting = Setting::new(
    "agent_loss_timeout",
    Kind::Duration,
    "How long an agent may be silent before it is unreachable, whatever its connection does; in place of the three above",
);
const UNREACHABLE_RATE: Setting = Setting::new(
    "agent_unreachable_rate_limit",
    Kind::Text,
    "How many agents may be marked unreachable in which time, as 1/10mins (default: no limit)",
);
const REMOVAL_RATE: Setting = Setting::new(
    "agent_removal_rate_limit",
    Kind::Text,
    "How many agents' tasks frameworks without PARTITION_AWARE may lose in which time, as 1/10mins (default: no limit)",
)
.also(&["slave_removal_rate_limit"]);
const OFFER_TIMEOUT: Setting =
    Setting::new("offer_timeout", Kind::Duration, "Take unanswered offers back after this long");
const COMPLETED_FRAMEWORKS: Setting =
    Setting::new("max_completed_frameworks", Kind::Number, "Ended frameworks that are remembered")
        .or("50");
const COMPLETED_TASKS: Setting = Setting::new(
    "max_completed_tasks_per_framework",
    Kind::Number,
    "Ended tasks that are remembered for each framework",
)
.or("1000");
const UNREACHABLE_TASKS: Setting = Setting::new(
    "max_unreachable_tasks_per_framework",
    Kind::Number,
    "Unreachable tasks that are remembered for each framework",
)
.or("1000");
const STREAMS: Setting = Setting::new(
    "max_operator_event_stream_subscribers",
    Kind::Number,
    "Operators' event streams at a time; a further one ends the oldest",
)
.or("1000");
const ROLES: Setting =
    Setting::new("roles", Kind::Text, "The only roles of resources allowed, with commas")
        .typed("allowed_roles");
const WEIGHTS: Setting =
    Setting::new("weights", Kind::Text, "Weights of roles, as role=2,role2=1.5");
const ROOT: Setting =
    Setting::new("root_submissions", Kind::Bool, "Whether frameworks may run tasks as root")
        .or("true");
const AGENT_AGE: Setting = Setting::new(
    "registry_max_agent_age",
    Kind::Duration,
    "How long unreachable and gone agents are remembered",
)
.or("2weeks");
const AGENT_COUNT: Setting = Setting::new(
    "registry_max_agent_count",
    Kind::Number,
    "How many unreachable and gone agents are remembered",
)
.or("102400");
const REGISTRY_GC: Setting =
    Setting::new("registry_gc_interval", Kind::Duration, "How often they are trimmed").or("15mins");
const STATE_QUOTA: Setting = Setting::new(
    "framework_state_quota",
    Kind::Bytes,
    "What one framework may keep of its own state with the masters; Marathon and Chronos are such frameworks",
)
.or("1GB");
const INTERVAL: Setting = Setting::new(
    "allocation_interval",
    Kind::Duration,
    "The least time that a declined offer stays away; offers are made at once, not by this clock",
)
.or("1secs");
const MIN_ALLOCATABLE: Setting = Setting::new(
    "min_allocatable_resources",
    Kind::Text,
    "The smallest offer worth making; alternatives between bars",
)
.or("cpus:0.01|mem:32");
const EXCLUDED: Setting = Setting::new(
    "fair_sharing_excluded_resource_names",
    Kind::Text,
    "Resources that do not count in fair shares, with commas",
);
const FILTER_GPU: Setting = Setting::new(
    "filter_gpu_resources",
    Kind::Bool,
    "Offer agents with gpus only to frameworks that ask for gpus",
)
.or("true");

/// All settings of the master.
pub const SETTINGS: &[Setting] = &[
    CLUSTER,
    HEARTBEAT,
    PING,
    PINGS,
    REREGISTER,
    LOSS,
    UNREACHABLE_RATE,
    REMOVAL_RATE,
    OFFER_TIMEOUT,
    COMPLETED_FRAMEWORKS,
    COMPLETED_TASKS,
    UNREACHABLE_TASKS,
    STREAMS,
    ROLES,
    WEIGHTS,
    ROOT,
    AGENT_AGE,
    AGENT_COUNT,
    REGISTRY_GC,
    STATE_QUOTA,
    INTERVAL,
    MIN_ALLOCATABLE,
    EXCLUDED,
    FILTER_GPU,
];

/// What the settings come to.
#[derive(Clone, Debug)]
pub struct Options {
    /// Display name of the cluster.
    pub cluster: Option<String>,
    /// Of the master's core.
    pub core: core::Options,
    /// Of the allocator.
    pub allocator: allocator::Options,
    /// How many bytes one framework may keep of its own state.
    pub state_quota: u64,
}

/// The state a framework may keep unless something else is said, in bytes.
const STATE_QUOTA_DEFAULT: u64 = 1 << 30;

/// Reads the settings; what is wrong is noted in `values`.
pub fn read(values: &mut Values) -> Options {
    let defaults = core::Options::default();
    let max_operator_streams = values
        .number(&STREAMS, 1, core::OPERATOR_STREAMS_MAX as u64)
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(defaults.max_operator_streams);
    let mut size = |setting, default: usize| {
        let read = values.number(setting, 0, 100_000_000);
        read.and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
    };
    let max_completed_frameworks = size(&COMPLETED_FRAMEWORKS, defaults.max_completed_frameworks);
    let completed_tasks = size(&COMPLETED_TASKS, defaults.max_completed_tasks_per_framework);
    let unreachable = size(&UNREACHABLE_TASKS, defaults.max_unreachable_tasks_per_framework);
    let agent_count = size(&AGENT_COUNT, defaults.registry_max_agent_count);
    let mut time =
        |setting, min, max, default| values.duration(setting, min, max).unwrap_or(default);
    let tenth = Duration::from_millis(100);
    let core = core::Options {
        heartbeat_interval: time(&HEARTBEAT, tenth, HOUR, defaults.heartbeat_interval),
        agent_ping_timeout: time(&PING, SECOND, HOUR / 4, defaults.agent_ping_timeout),
        agent_reregister_timeout: time(
            &REREGISTER,
            SECOND,
            WEEK,
            defaults.agent_reregister_timeout,
        ),
        registry_max_agent_age: time(
            &AGENT_AGE,
            SECOND,
            520 * WEEK,
            defaults.registry_max_agent_age,
        ),
        registry_gc_interval: time(&REGISTRY_GC, SECOND, WEEK, defaults.registry_gc_interval),
        offer_timeout: values.duration(&OFFER_TIMEOUT, SECOND / 10, WEEK),
        max_agent_ping_timeouts: values
            .number(&PINGS, 1, 1000)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(defaults.max_agent_ping_timeouts),
        max_completed_frameworks,
        max_completed_tasks_per_framework: completed_tasks,
        max_unreachable_tasks_per_framework: unreachable,
        registry_max_agent_count: agent_count,
        max_operator_streams,
        agent_loss_timeout: None,
        agent_unreachable_interval: values.parse(&UNREACHABLE_RATE, parse_rate),
        agent_removal_interval: values.parse(&REMOVAL_RATE, parse_rate),
        roles: values.parse(&ROLES, parse_roles),
        root_submissions: values.bool(&ROOT),
    };
    let core = match read_loss(values) {
        Some(silence) => core.lost_after(silence),
        None => core,
    };
    Options {
        cluster: values.text(&CLUSTER),
        core,
        allocator: read_allocator(values),
        state_quota: values.bytes(&STATE_QUOTA).unwrap_or(STATE_QUOTA_DEFAULT),
    }
}

/// One time for silence, or the three of the original: both at once would say two things.
fn read_loss(values: &mut Values) -> Option<Duration> {
    let silence = values.duration(&LOSS, SECOND, HOUR)?;
    for other in [&PING, &PINGS, &REREGISTER] {
        let origin = values.origin(other);
        if origin != Origin::Default {
            let why = format!("it takes the place of {} ({origin}): give only one", other.name);
            values.fault(&LOSS, why);
        }
    }
    Some(silence)
}

fn read_allocator(values: &mut Values) -> allocator::Options {
    let defaults = allocator::Options::default();
    allocator::Options {
        weights: values.parse(&WEIGHTS, parse_weights).unwrap_or_default(),
        min_allocatable: values
            .parse(&MIN_ALLOCATABLE, |text| {
                text.split('|').filter(|t| !t.is_empty()).map(Quantities::parse).collect()
            })
            .unwrap_or(defaults.min_allocatable),
        fair_sharing_excluded: values
            .parse(&EXCLUDED, |text| Ok::<_, String>(words(text).map(String::from).collect()))
            .unwrap_or_default(),
        filter_gpu_resources: values.bool(&FILTER_GPU),
        allocation_interval: values
            .duration(&INTERVAL, Duration::from_millis(1), HOUR)
            .unwrap_or(defaults.allocation_interval),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// `number/duration`: the time from one to the next.
fn parse_rate(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not number/duration, as in 1/10mins");
    let (number, duration) = text.split_once('/').ok_or_else(bad)?;
    let number: u32 = number.trim().parse().ok().filter(|n| *n > 0).ok_or_else(bad)?;
    let duration = parse_duration(duration.trim()).map_err(|e| e.to_string())?;
    match duration / number {
        each if !each.is_zero() && each <= WEEK => Ok(each),
        _ => Err("one in more than 0 and at most 7 days".into()),
    }
}

fn parse_roles(text: &str) -> Result<BTreeSet<Role>, String> {
    words(text)
        .map(|role| {
            roles::validate(role)?;
            Ok(Role::from(role))
        })
        .collect()
}

fn parse_weights(text: &str) -> Result<BTreeMap<Role, f64>, String> {
    words(text)
        .map(|pair| {
            let (role, weight) =
                pair.split_once('=').ok_or_else(|| format!("{pair:?} is not role=weight"))?;
            roles::validate(role)?;
            match weight.parse::<f64>() {
                Ok(weight) if weight > 0.0 && weight.is_finite() => Ok((Role::from(role), weight)),
                _ => Err(format!("the weight {weight:?} of role {role} is not a number above 0")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[(&str, &str)]) -> Values {
        let flag = |name: &str| Origin::Flag(name.to_string());
        Values::new(texts.iter().map(|(n, t)| (n.to_string(), (t.to_string(), flag(n)))).collect())
    }

    #[test]
    fn the_defaults_are_the_originals() {
        let mut nothing = values(&[]);
        let options = read(&mut nothing);
        assert!(nothing.finish().is_ok());
        assert_eq!(options.core.agent_ping_timeout, Duration::from_secs(15));
        assert_eq!(options.core.agent_reregister_timeout, Duration::from_secs(600));
        assert_eq!(options.allocator.min_allocatable.len(), 2);
        assert!(options.core.root_submissions);
        assert_eq!(options.core.max_operator_streams, 1000);
        let mut more = values(&[("max_operator_event_stream_subscribers", "7")]);
        assert_eq!(read(&mut more).core.max_operator_streams, 7);
        let mut none = values(&[("max_operator_event_stream_subscribers", "0")]);
        read(&mut none);
        assert!(none.finish().is_err(), "a stream that ends at once is none");
    }

    #[test]
    fn a_rate_is_read_as_the_time_from_one_to_the_next() {
        assert_eq!(parse_rate("1/10mins"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_rate("5 / 10secs"), Ok(Duration::from_secs(2)));
        for bad in ["", "1", "0/1secs", "-1/1secs", "1/", "1/5parsecs", "1/0secs", "1/3weeks"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_time_for_silence_takes_the_place_of_three() {
        let mut one = values(&[("agent_loss_timeout", "2s")]);
        let core = read(&mut one).core;
        assert!(one.finish().is_ok());
        assert_eq!(core.agent_ping_timeout, Duration::from_millis(500));
        assert_eq!(core.total_ping_timeout(), Duration::from_secs(2));
        assert_eq!(core.absence(), Duration::from_secs(2));
        for (other, text) in [
            ("agent_ping_timeout", "15secs"),
            ("max_agent_ping_timeouts", "5"),
            ("agent_reregister_timeout", "10mins"),
        ] {
            let mut both = values(&[("agent_loss_timeout", "2secs"), (other, text)]);
            read(&mut both);
            let cause = both.finish().expect_err("both at once").cause;
            assert!(
                cause.contains(&format!("takes the place of {other} (flag --{other})")),
                "{cause}"
            );
        }
        for text in ["500ms", "2hrs", "soon"] {
            let mut bad = values(&[("agent_loss_timeout", text)]);
            read(&mut bad);
            assert!(bad.finish().is_err(), "{text}");
        }
    }

    #[test]
    fn all_faults_are_told_with_their_origin() {
        let mut bad = values(&[
            ("agent_ping_timeout", "5parsecs"),
            ("weights", "eng=0"),
            ("max_agent_ping_timeouts", "-3"),
        ]);
        read(&mut bad);
        let error = bad.finish().expect_err("three faults");
        assert_eq!(error.cause.lines().count(), 3, "{}", error.cause);
        assert!(error.cause.contains("weights=eng=0 (flag --weights)"), "{}", error.cause);
    }
}
