//! The rules of one app.

use super::{checks, container, network, role};
use crate::base::roles;
use crate::marathon::model::{
    App, Failures, Group, Limit, PathId, ResourceLimits, Rules, UnreachableStrategy,
};

/// The most instances of an app.
pub const INSTANCES_MAX: u32 = 100_000;

/// The most ports of an app.
pub const PORTS_MAX: usize = 1000;

/// Words that address parts of an app, so no app may be called so.
const RESERVED: [&str; 3] = ["restart", "tasks", "versions"];

/// An app with this label runs at most once.
const SINGLE_INSTANCE: &str = "MARATHON_SINGLE_INSTANCE_APP";

/// All rules that the app breaks by itself, or by its place in the tree: `before` is the tree without the
/// change that makes the app, `after` the one with it.
pub fn app(app: &App, before: &Group, after: &Group, rules: &Rules) -> Failures {
    let mut failures = Failures::default();
    id(&app.id, &mut failures);
    command(app, &mut failures);
    amounts(app, rules, &mut failures);
    environment(app, &mut failures);
    container::check(app, &mut failures);
    network::check(app, &mut failures);
    checks::check(app, &mut failures);
    strategies(app, &mut failures);
    role::check(app, before, after, rules, &mut failures);
    failures
}

fn id(id: &PathId, failures: &mut Failures) {
    if id.is_root() {
        failures.add("/id", "Path must contain at least one path element");
    }
    if RESERVED.contains(&id.name()) {
        failures.add(
            "/id",
            "must not end with any of the following reserved keywords: restart, tasks, versions, ., ..",
        );
    }
}

fn command(app: &App, failures: &mut Failures) {
    let image = app.container.as_ref().is_some_and(|c| c.docker.is_some());
    let good = match (&app.cmd, app.args.is_empty()) {
        (Some(_), true) | (None, false) => true,
        (None, true) => image,
        (Some(_), false) => false,
    };
    if !good {
        failures.add(
            "/",
            "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
        );
    }
    // Marathon asks for more than one character, whatever its message says.
    if app.cmd.as_ref().is_some_and(|cmd| cmd.chars().count() <= 1) {
        failures.add("/cmd", "must not be an empty string");
    }
    let words = app.cmd.iter().chain(&app.args).chain(&app.user);
    if words.into_iter().any(|word| word.contains('\0')) {
        failures.add("/", "cmd, args and user must not contain a NUL character");
    }
}

fn amounts(app: &App, rules: &Rules, failures: &mut Failures) {
    if app.instances > INSTANCES_MAX {
        failures
            .add("/instances", format!("got {}, expected {INSTANCES_MAX} or less", app.instances));
    }
    if app.gpus > 0 && !rules.features.contains("gpu_resources") {
        failures.add("/gpus", Rules::disabled("gpu_resources"));
    }
    let docker =
        app.container.as_ref().is_some_and(|c| c.docker.is_some() && !container::by_mesos(c));
    if app.gpus > 0 && docker {
        failures.add("/gpus", "GPU resources only work with the Mesos containerizer");
    }
    if let Some(ResourceLimits { cpus, mem }) = app.resource_limits {
        for (field, limit, request) in [("cpus", cpus, app.cpus), ("mem", mem, app.mem)] {
            if let Some(Limit::Number(limit)) = limit
                && limit < request
            {
                let path = format!("/resourceLimits/{field}");
                failures.add(&path, format!("got {limit}, expected {request} or more"));
            }
        }
    }
    let single = app.labels.get(SINGLE_INSTANCE).is_some_and(|v| v == "true");
    if single && app.instances > 1 {
        failures.add("/instances", "Single instance app may only have one instance");
    }
    let upgrade = app.upgrade_strategy;
    if single && (upgrade.maximum_over_capacity > 0.0 || upgrade.minimum_health_capacity > 0.0) {
        let message =
            "maximumOverCapacity and minimumHealthCapacity must be 0 for a single instance app";
        failures.add("/upgradeStrategy", message);
    }
}

fn environment(app: &App, failures: &mut Failures) {
    for (name, value) in &app.env {
        let path = format!("/env/{name}");
        if name.is_empty() || name.contains(['=', '\0']) {
            failures.add(&path, "must be the name of an environment variable");
        }
        if value.contains('\0') {
            failures.add(&path, "must not contain a NUL character");
        }
    }
    for (n, fetch) in app.fetch.iter().enumerate() {
        let path = format!("/fetch({n})/uri");
        if fetch
            .uri
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c))
        {
            failures.add(&path, "URI has invalid syntax.");
        }
    }
}

fn strategies(app: &App, failures: &mut Failures) {
    if let UnreachableStrategy::Enabled { inactive_after_seconds, expunge_after_seconds } =
        app.unreachable_strategy
        && expunge_after_seconds < inactive_after_seconds
    {
        failures.add(
            "/unreachableStrategy/expungeAfterSeconds",
            format!("got {expunge_after_seconds}, expected {inactive_after_seconds} or more"),
        );
    }
    if let Some(roles) = &app.accepted_resource_roles {
        accepted_roles(roles, &app.role, failures);
    }
}

fn accepted_roles(accepted: &[String], own: &str, failures: &mut Failures) {
    if accepted.is_empty() {
        failures.add("/acceptedResourceRoles", "must not be empty");
    }
    for role in accepted {
        if let Err(message) = roles::validate(role) {
            failures.add("/acceptedResourceRoles", message);
        }
    }
    if accepted.iter().any(|role| role != "*" && role != own) {
        let message = format!("acceptedResourceRoles can only contain * and {own}");
        failures.add("/acceptedResourceRoles", message);
    }
}
