//! The task of an instance, as Mesos is told to launch it. Pure.

use super::checks;
use super::container;
use super::env;
use super::host_ports::Port;
use super::matcher::{self, Fit};
use super::options::Options;
use super::view::Placement;
use crate::base::ids::TaskId;
use crate::marathon::model::{App, Limit, NetworkMode, Protocol};
use crate::mesos::convert::{Format, resources_to_v1};
use crate::mesos::v1::{self, command_info::Uri};
use std::collections::BTreeMap;

const NANOS: i64 = 1_000_000_000;

/// What a task is made of, besides its app.
pub(super) struct Parts<'a> {
    pub task: &'a TaskId,
    pub place: &'a Placement,
    pub fit: &'a Fit,
    /// Whether the app's top-level group enforces its role.
    pub enforce_role: bool,
    pub options: &'a Options,
}

/// The task.
pub(super) fn build(app: &App, parts: &Parts<'_>) -> v1::TaskInfo {
    let variables = env::environment(
        app,
        parts.task.as_str(),
        &parts.place.host,
        &parts.fit.ports,
        parts.enforce_role,
        parts.options,
    );
    let command = command(app, variables, parts.options);
    let container = container::build(app, parts.task.as_str(), &parts.fit.ports, parts.options);
    let grace = app.task_kill_grace_period_seconds.map(|seconds| v1::KillPolicy {
        grace_period: Some(v1::DurationInfo { nanoseconds: i64::from(seconds) * NANOS }),
    });
    let mut checks = checks::health(app, &parts.fit.ports).into_iter();
    let mut task = v1::TaskInfo {
        name: app.id.reversed(),
        task_id: parts.task.into(),
        agent_id: (&parts.place.agent_id).into(),
        resources: resources_to_v1(&parts.fit.task, Format::Post),
        container,
        health_check: checks.next(),
        further_health_checks: checks.collect(),
        check: checks::check(app, &parts.fit.ports),
        kill_policy: grace,
        labels: labels(&app.labels),
        discovery: Some(discovery(app, &parts.fit.ports)),
        limits: limits(app),
        ..Default::default()
    };
    match matcher::custom_executor(app, parts.options) {
        None => task.command = Some(command),
        Some(path) => {
            // A custom executor runs the container; the task is data for it.
            let container = task.container.take();
            task.data = app.cmd.as_ref().map(|cmd| cmd.as_bytes().to_vec());
            task.executor = Some(executor(path, command, container, app, parts));
        }
    }
    task
}

fn command(app: &App, variables: BTreeMap<String, String>, options: &Options) -> v1::CommandInfo {
    let variable = |(name, value)| v1::environment::Variable {
        name,
        value: Some(value),
        ..Default::default()
    };
    let uri = |fetch: &crate::marathon::model::Fetch| Uri {
        value: fetch.uri.clone(),
        executable: Some(fetch.executable),
        extract: Some(fetch.extract),
        cache: Some(fetch.cache),
        output_file: fetch.dest_path.clone(),
    };
    let mut command = v1::CommandInfo {
        uris: app.fetch.iter().map(uri).collect(),
        environment: Some(v1::Environment {
            variables: variables.into_iter().map(variable).collect(),
        }),
        user: app.user.clone().or_else(|| options.mesos_user.clone()),
        shell: Some(app.cmd.is_some()),
        value: app.cmd.clone(),
        arguments: app.args.clone(),
    };
    let image = app.container.as_ref().and_then(|c| c.docker.as_ref());
    if app.cmd.is_none() && image.is_none() {
        // Without an image there is no entry point: the first word is the program.
        command.value = app.args.first().cloned();
    }
    command
}

fn executor(
    path: &str,
    mut command: v1::CommandInfo,
    container: Option<v1::ContainerInfo>,
    app: &App,
    parts: &Parts<'_>,
) -> v1::ExecutorInfo {
    let words: Vec<String> = match &app.cmd {
        Some(cmd) => vec![cmd.clone()],
        None => app.args.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect(),
    };
    let words = words.join(" ");
    let run = format!("chmod ug+rx '{path}' && exec '{path}' {words}");
    (command.shell, command.value) = (Some(true), Some(run.trim_end().to_string()));
    command.arguments = Vec::new();
    v1::ExecutorInfo {
        executor_id: crate::mesos::make::executor_id(&format!("marathon-{}", parts.task)),
        command: Some(command),
        container,
        resources: resources_to_v1(&parts.fit.executor, Format::Post),
        ..Default::default()
    }
}

pub(super) fn labels(labels: &BTreeMap<String, String>) -> Option<v1::Labels> {
    let label = |(key, value): (&String, &String)| v1::Label {
        key: key.clone(),
        value: Some(value.clone()),
    };
    (!labels.is_empty()).then(|| v1::Labels { labels: labels.iter().map(label).collect() })
}

fn limits(app: &App) -> BTreeMap<String, v1::value::Scalar> {
    let given = app.resource_limits.unwrap_or_default();
    let value = |limit: Limit| match limit {
        Limit::Unlimited => f64::INFINITY,
        Limit::Number(value) => value,
    };
    [("cpus", given.cpus), ("mem", given.mem)]
        .into_iter()
        .filter_map(|(name, limit)| {
            Some((name.to_string(), v1::value::Scalar { value: value(limit?) }))
        })
        .collect()
}

/// What others may know of a port.
struct Told<'a> {
    name: Option<&'a str>,
    protocol: Protocol,
    labels: &'a BTreeMap<String, String>,
    networks: &'a [String],
}

fn told(app: &App) -> Vec<Told<'_>> {
    if app.on_host_network() {
        return app
            .port_definitions
            .iter()
            .map(|d| Told {
                name: d.name.as_deref(),
                protocol: d.protocol,
                labels: &d.labels,
                networks: &[],
            })
            .collect();
    }
    app.port_mappings()
        .iter()
        .map(|m| Told {
            name: m.name.as_deref(),
            protocol: m.protocol,
            labels: &m.labels,
            networks: &m.network_names,
        })
        .collect()
}

fn discovery(app: &App, ports: &[Port]) -> v1::DiscoveryInfo {
    let mut all = Vec::new();
    let own_network = app.networks.iter().find(|n| n.mode == NetworkMode::Container);
    for (port, told) in ports.iter().zip(told(app)) {
        let mut labels = told.labels.clone();
        let scope = if port.host.is_some() { "host" } else { "container" };
        labels.insert("network-scope".into(), scope.into());
        if port.host.is_none()
            && let Some(name) =
                told.networks.first().or_else(|| own_network.and_then(|n| n.name.as_ref()))
        {
            labels.insert("network-name".into(), name.clone());
        }
        for protocol in told.protocol.words() {
            all.push(v1::Port {
                number: port.host.unwrap_or(port.container).into(),
                name: told.name.map(str::to_string),
                protocol: Some((*protocol).to_string()),
                visibility: None,
                labels: self::labels(&labels),
            });
        }
    }
    v1::DiscoveryInfo {
        visibility: v1::discovery_info::Visibility::Framework as i32,
        name: Some(app.id.reversed()),
        ports: Some(v1::Ports { ports: all }),
        ..Default::default()
    }
}
