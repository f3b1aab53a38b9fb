//! The rules of health checks, informational checks and readiness checks.

use crate::marathon::model::{
    App, CheckKind, Engine, Failures, HealthCheck, HealthProtocol, HttpScheme, IpProtocol,
};

/// Health checks of an app: the agent makes no more for a task.
const HEALTH_CHECKS_MAX: usize = 32;
/// Mesos's checks know no TLS.
const PLAIN_ONLY: &str = "is not supported: the agent's checks use HTTP only";

pub(super) fn check(app: &App, failures: &mut Failures) {
    let docker = app.container.as_ref().is_some_and(|c| c.engine == Engine::Docker);
    let ports = app.service_ports().len();
    for (n, check) in app.health_checks.iter().enumerate() {
        health_check(&format!("/healthChecks({n})"), check, docker, ports, failures);
    }
    // Of those that Mesos knows; several commands were always let through.
    let by_mesos = || app.health_checks.iter().filter(|check| check.protocol.by_mesos());
    if by_mesos().count() > 1 && by_mesos().any(|c| c.protocol != HealthProtocol::Command) {
        let message = "AppDefinition can contain at most one Mesos health check";
        failures.add("/healthChecks", message);
    }
    if app.health_checks.len() > HEALTH_CHECKS_MAX {
        let message = format!("must not be more than {HEALTH_CHECKS_MAX}");
        failures.add("/healthChecks", message);
    }
    if let Some(check) = &app.check {
        if docker {
            failures.add("/check", "AppDefinition must not use 'checks' if using docker");
        }
        if !app.readiness_checks.is_empty() {
            let message = "cannot be combined with readinessChecks: a task can have one check";
            failures.add("/check", message);
        }
        if matches!(&check.kind, CheckKind::Http { scheme: HttpScheme::Https, .. }) {
            failures.add("/check/http/scheme", PLAIN_ONLY);
        }
        let (field, port, index) = match &check.kind {
            CheckKind::Http { port, port_index, .. } => ("/check/http", *port, *port_index),
            CheckKind::Tcp { port, port_index } => ("/check/tcp", *port, *port_index),
            CheckKind::Exec { .. } => ("/check/exec", Some(0), None),
        };
        port_or_index(field, port, index, ports, failures);
    }
    readiness(app, failures);
}

fn health_check(
    path: &str,
    check: &HealthCheck,
    docker: bool,
    ports: usize,
    failures: &mut Failures,
) {
    if check.protocol == HealthProtocol::Command {
        if check.command.is_none() {
            failures.add(&format!("{path}/command"), "not defined");
        }
        for (given, field) in [
            (check.path.is_some(), "path"),
            (check.port.is_some(), "port"),
            (check.port_index.is_some(), "portIndex"),
        ] {
            if given {
                failures.add(&format!("{path}/{field}"), "must be empty");
            }
        }
    } else {
        if check.command.is_some() {
            failures.add(&format!("{path}/command"), "must be empty");
        }
        port_or_index(path, check.port, check.port_index, ports, failures);
    }
    if !check.protocol.has_path() && check.path.is_some() && check.protocol.has_port() {
        failures.add(&format!("{path}/path"), "must be empty");
    }
    let v6 = matches!(
        check.protocol,
        HealthProtocol::MesosHttp | HealthProtocol::MesosHttps | HealthProtocol::MesosTcp
    );
    if check.ip_protocol == IpProtocol::V6 && !(docker && v6) {
        failures.add(
            &format!("{path}/ipProtocol"),
            "IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks",
        );
    }
}

fn port_or_index(
    path: &str,
    port: Option<u16>,
    index: Option<u16>,
    ports: usize,
    failures: &mut Failures,
) {
    match (port, index) {
        (Some(_), Some(_)) => {
            failures.add(path, "HealthCheck must specify either a port or a portIndex, not both");
        }
        (Some(_), None) => {}
        (None, index) => {
            if usize::from(index.unwrap_or(0)) >= ports {
                failures.add(
                    path,
                    "Health check port indices must address an element of the ports array or \
                     container port mappings.",
                );
            }
        }
    }
}

fn readiness(app: &App, failures: &mut Failures) {
    if app.readiness_checks.len() > 1 {
        let message = "Currently only one readinessCheck is supported.";
        failures.add("/readinessChecks", message);
    }
    let definitions = app.port_definitions.iter().filter_map(|p| p.name.as_deref());
    let mappings = app.port_mappings().iter().filter_map(|m| m.name.as_deref());
    let names: Vec<_> = definitions.chain(mappings).collect();
    for (n, check) in app.readiness_checks.iter().enumerate() {
        let path = format!("/readinessChecks({n})");
        if check.protocol == HttpScheme::Https {
            failures.add(&format!("{path}/protocol"), PLAIN_ONLY);
        }
        if check.preserve_last_response {
            let message = "is not supported: the agent that asks does not keep the answer";
            failures.add(&format!("{path}/preserveLastResponse"), message);
        }
        if check.timeout_seconds >= check.interval_seconds {
            failures.add(
                &format!("{path}/timeoutSeconds"),
                format!(
                    "got {}, expected less than {}",
                    check.timeout_seconds, check.interval_seconds
                ),
            );
        }
        if !names.contains(&check.port_name.as_str()) {
            failures.add(
                &format!("{path}/portName"),
                format!("No port definition reference for portName {}", check.port_name),
            );
        }
    }
}
