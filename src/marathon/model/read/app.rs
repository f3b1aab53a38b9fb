//! Reading the definition of an app, or a part of one.

use super::cursor::{At, FILLED, LINE, Object};
use super::{container, health, network};
use crate::base::resources::Scalar;
use crate::marathon::model::app::Fetch;
use crate::marathon::model::body::AppBody;
use crate::marathon::model::constraint::Constraint;
use crate::marathon::model::path::PathId;
use crate::marathon::model::resources::{ExecutorResources, Limit, ResourceLimits};
use crate::marathon::model::rules::Rules;
use crate::marathon::model::strategy::{KillSelection, UnreachableStrategy, UpgradeStrategy};
use crate::marathon::model::timestamp::Timestamp;
use crate::marathon::model::update::AppUpdate;

const KILL_SELECTIONS: [(&str, KillSelection); 4] = [
    ("YOUNGEST_FIRST", KillSelection::YoungestFirst),
    ("OLDEST_FIRST", KillSelection::OldestFirst),
    // The spelling of 1.4.0.
    ("YoungestFirst", KillSelection::YoungestFirst),
    ("OldestFirst", KillSelection::OldestFirst),
];

/// The largest amount of a resource that Mesos knows.
fn amount_max() -> f64 {
    Scalar::MAX.as_f64()
}

/// Reads a definition that has to name its app.
pub(super) fn read_named(at: &At<'_>, base: &PathId) -> Option<AppBody> {
    let named = at.object()?.required("id").is_some();
    let body = read(at, base, None);
    body.filter(|_| named)
}

/// Reads a definition; `own` is its app's id where that does not come from the body.
pub(super) fn read(at: &At<'_>, base: &PathId, own: Option<&PathId>) -> Option<AppBody> {
    let object = at.object()?;
    let named = object.get("id").map(|at| at.path_id(base));
    let id = own.cloned().or(named.flatten());
    let group = id.as_ref().map_or_else(|| base.clone(), PathId::parent);
    refuse_unsupported(&object);
    Some(AppBody {
        update: AppUpdate { id, ..update(&object, &group) },
        container: object.get("container").and_then(|at| container::container(&at)),
        ip_address: object.get("ipAddress").and_then(|at| network::ip_address(&at)),
        ports: object.get("ports").and_then(|at| at.list(|at| at.port())),
        uris: object.get("uris").and_then(|at| at.list(|at| at.text(LINE))),
    })
}

/// The fields that every time spells the same.
fn update(object: &Object<'_>, group: &PathId) -> AppUpdate {
    let count = |key| object.get(key).and_then(|at| at.count(0));
    let amount = |key, min| object.get(key).and_then(|at| at.number(min, amount_max()));
    let strings = |key| object.get(key).and_then(|at| at.list(|at| at.string()));
    let upgrade_strategy = object.get("upgradeStrategy").and_then(|at| upgrade_strategy(&at));
    AppUpdate {
        id: None,
        accepted_resource_roles: object
            .get("acceptedResourceRoles")
            .and_then(|at| at.set(|at| at.string())),
        args: strings("args"),
        backoff_factor: object.get("backoffFactor").and_then(|at| at.number(1.0, f64::MAX)),
        backoff_seconds: count("backoffSeconds"),
        cmd: object.get("cmd").and_then(|at| at.text(FILLED)),
        constraints: object.get("constraints").and_then(|at| at.set(constraint)),
        container: None,
        cpus: amount("cpus", 0.001),
        dependencies: object.get("dependencies").and_then(|at| at.set(|at| at.path_id(group))),
        disk: amount("disk", 0.0),
        env: object.get("env").and_then(|at| at.map(env_value)),
        executor: object.get("executor").and_then(|at| executor(&at)),
        executor_resources: object.get("executorResources").and_then(|at| executor_resources(&at)),
        fetch: object.get("fetch").and_then(|at| at.list(fetch)),
        health_checks: object.get("healthChecks").and_then(|at| at.set(health::health_check)),
        check: object.get("check").and_then(|at| health::check(&at)),
        instances: count("instances"),
        labels: object.get("labels").and_then(|at| at.labels()),
        max_launch_delay_seconds: count("maxLaunchDelaySeconds"),
        mem: amount("mem", 0.0),
        gpus: count("gpus"),
        networks: object.get("networks").and_then(|at| at.list(network::network)),
        port_definitions: object.get("portDefinitions").and_then(|at| at.list(network::definition)),
        readiness_checks: object
            .get("readinessChecks")
            .and_then(|at| at.list(health::readiness_check)),
        require_ports: object.get("requirePorts").and_then(|at| at.boolean()),
        resource_limits: object.get("resourceLimits").and_then(|at| resource_limits(&at)),
        task_kill_grace_period_seconds: count("taskKillGracePeriodSeconds"),
        upgrade_strategy,
        user: object.get("user").and_then(|at| at.string()),
        version: object.get("version").and_then(|at| timestamp(&at)),
        kill_selection: object.get("killSelection").and_then(|at| at.word(&KILL_SELECTIONS)),
        unreachable_strategy: object.get("unreachableStrategy").and_then(|at| unreachable(&at)),
        tty: object.get("tty").and_then(|at| at.boolean()),
        role: object.get("role").and_then(|at| at.text(FILLED)),
    }
}

/// Fields of the right form that this service has nothing behind.
fn refuse_unsupported(object: &Object<'_>) {
    if let Some(at) = object.get("secrets").filter(|at| !at.is_empty()) {
        at.refuse(Rules::disabled("secrets"));
    }
    if let Some(at) = object.get("residency") {
        at.refuse("residency is not supported: it comes with persistent volumes only");
    }
    if let Some(at) = object.get("storeUrls").filter(|at| !at.is_empty()) {
        at.refuse("there is no artifact store; give the addresses as fetch");
    }
}

pub(super) fn timestamp(at: &At<'_>) -> Option<Timestamp> {
    let text = at.string()?;
    let parsed = Timestamp::parse(&text);
    if parsed.is_none() {
        at.fail("error.expected.jodadate.format");
    }
    parsed
}

fn constraint(at: &At<'_>) -> Option<Constraint> {
    let fields = at.list(|at| at.string())?;
    match Constraint::from_fields(&fields) {
        Ok(constraint) => Some(constraint),
        Err(message) => {
            at.refuse(message);
            None
        }
    }
}

fn env_value(at: &At<'_>) -> Option<String> {
    if at.is_object() {
        let secret = at.object()?.required("secret").and_then(|at| at.string());
        if secret.is_some() {
            at.refuse(
                "use of secret-references in the environment requires the secrets feature to be enabled",
            );
        }
        return None;
    }
    at.string()
}

/// `//cmd`, a path, or nothing.
fn executor(at: &At<'_>) -> Option<String> {
    let text = at.string()?;
    let path = text.strip_prefix('/').unwrap_or(&text);
    let is_path = !text.is_empty() && path.split('/').all(|part| !part.is_empty());
    if text == "//cmd" || text.is_empty() || is_path {
        return Some(text);
    }
    at.fail("error.pattern");
    None
}

fn executor_resources(at: &At<'_>) -> Option<ExecutorResources> {
    let object = at.object()?;
    let least = ExecutorResources::default();
    let amount = |key, least| match object.get(key) {
        Some(at) => at.number(least, amount_max()).unwrap_or(least),
        None => least,
    };
    Some(ExecutorResources {
        cpus: amount("cpus", least.cpus),
        mem: amount("mem", least.mem),
        disk: amount("disk", least.disk),
    })
}

fn resource_limits(at: &At<'_>) -> Option<ResourceLimits> {
    let object = at.object()?;
    let limit = |key| {
        object.get(key).and_then(|at| match at.as_text() {
            Some(word) if word.eq_ignore_ascii_case("unlimited") => Some(Limit::Unlimited),
            Some(_) => {
                at.fail("error.unknown.enum.literal");
                None
            }
            None => at.number(0.0, amount_max()).map(Limit::Number),
        })
    };
    Some(ResourceLimits { cpus: limit("cpus"), mem: limit("mem") })
}

fn fetch(at: &At<'_>) -> Option<Fetch> {
    let object = at.object()?;
    let flag = |key, default| object.get(key).and_then(|at| at.boolean()).unwrap_or(default);
    let uri = object.required("uri").and_then(|at| at.text(LINE));
    // The name of this field in 1.4.
    let path = object.get("destPath").or_else(|| object.get("outputFile"));
    Some(Fetch {
        uri: uri?,
        extract: flag("extract", true),
        executable: flag("executable", false),
        cache: flag("cache", false),
        dest_path: path.and_then(|at| at.text(LINE)),
    })
}

fn upgrade_strategy(at: &At<'_>) -> Option<UpgradeStrategy> {
    let object = at.object()?;
    let part = |key| object.required(key).and_then(|at| at.number(0.0, 1.0));
    let (most, least) = (part("maximumOverCapacity"), part("minimumHealthCapacity"));
    Some(UpgradeStrategy { maximum_over_capacity: most?, minimum_health_capacity: least? })
}

fn unreachable(at: &At<'_>) -> Option<UnreachableStrategy> {
    if let Some(word) = at.as_text() {
        if word.eq_ignore_ascii_case("disabled") {
            return Some(UnreachableStrategy::Disabled);
        }
        at.fail("error.unknown.enum.literal");
        return None;
    }
    let object = at.object()?;
    let seconds = |key| object.get(key).and_then(|at| at.long()).unwrap_or(0);
    Some(UnreachableStrategy::Enabled {
        inactive_after_seconds: seconds("inactiveAfterSeconds"),
        expunge_after_seconds: seconds("expungeAfterSeconds"),
    })
}
