//! Health checks, informational checks and readiness checks, as Mesos makes them on the agent.
//!
//! Marathon makes HTTP and TCP checks itself; here the agent makes all of them, so that no overloaded leader ever takes
//! a healthy instance for dead. What differs between the kinds is kept: which port is asked (the host's by Marathon's own,
//! the container's by Mesos's), when the first check is
//! made, and that Marathon's own kill with the failure after the allowed ones, Mesos's with the last allowed one.

use super::env;
use super::host_ports::Port;
use crate::marathon::model::{
    App, CheckKind, HealthCheck, HealthProtocol, HttpScheme, IpProtocol, MesosCommand,
    ReadinessCheck,
};
use crate::mesos::v1;

/// The first of Marathon's own checks is made after this, or after the interval if that is shorter.
const FIRST_CHECK_MAX: u32 = 5;

/// Where a check connects: the agent makes it in the task's own network, where containers listen on their own ports.
fn port(check_port: Option<u16>, index: Option<u16>, ports: &[Port]) -> u32 {
    if let Some(port) = check_port {
        return port.into();
    }
    // Validation has seen that there is such a port; 0 is refused by the master with a reason.
    ports.get(usize::from(index.unwrap_or(0))).map_or(0, |p| p.container.into())
}

/// The same of Marathon's own checks: the host's port, from where the agent is, as long as there is one.
fn host_port(check_port: Option<u16>, index: Option<u16>, ports: &[Port]) -> u32 {
    let own = ports.get(usize::from(index.unwrap_or(0))).and_then(|p| p.host);
    match own.filter(|_| check_port.is_none()) {
        Some(host) => host.into(),
        None => port(check_port, index, ports),
    }
}

fn shell(command: &str) -> v1::CommandInfo {
    v1::CommandInfo { value: Some(command.to_string()), shell: Some(true), ..Default::default() }
}

fn protocol(ip: IpProtocol) -> Option<i32> {
    let protocol = match ip {
        IpProtocol::V4 => v1::network_info::Protocol::IPv4,
        IpProtocol::V6 => v1::network_info::Protocol::IPv6,
    };
    Some(protocol as i32)
}

/// The health checks of a task, in the app's order.
pub(super) fn health(app: &App, ports: &[Port]) -> Vec<v1::HealthCheck> {
    app.health_checks.iter().map(|check| health_check(check, ports)).collect()
}

fn health_check(check: &HealthCheck, ports: &[Port]) -> v1::HealthCheck {
    use v1::health_check::{HttpCheckInfo, TcpCheckInfo, Type};
    let by_mesos = check.protocol.by_mesos();
    let at = match by_mesos {
        true => port(check.port, check.port_index, ports),
        false => host_port(check.port, check.port_index, ports),
    };
    let http = |scheme: &str| HttpCheckInfo {
        protocol: protocol(check.ip_protocol),
        scheme: Some(scheme.to_string()),
        port: at,
        path: check.path.clone().or_else(|| Some("/".into())),
        statuses: Vec::new(),
    };
    let (mut command, mut of_http, mut tcp) = (None, None, None);
    let kind = match check.protocol {
        HealthProtocol::Command => {
            command = Some(shell(check.command.as_deref().unwrap_or_default()));
            Type::Command
        }
        HealthProtocol::Http | HealthProtocol::MesosHttp => {
            of_http = Some(http("http"));
            Type::Http
        }
        HealthProtocol::Https | HealthProtocol::MesosHttps => {
            of_http = Some(http("https"));
            Type::Http
        }
        HealthProtocol::Tcp | HealthProtocol::MesosTcp => {
            tcp = Some(TcpCheckInfo { protocol: protocol(check.ip_protocol), port: at });
            Type::Tcp
        }
    };
    let first =
        if by_mesos { check.delay_seconds } else { check.interval_seconds.min(FIRST_CHECK_MAX) };
    let failures = match check.max_consecutive_failures {
        0 => u32::MAX,
        borne if by_mesos => borne,
        borne => borne.saturating_add(1),
    };
    v1::HealthCheck {
        delay_seconds: Some(first.into()),
        interval_seconds: Some(check.interval_seconds.into()),
        timeout_seconds: Some(check.timeout_seconds.into()),
        consecutive_failures: Some(failures),
        grace_period_seconds: Some(check.grace_period_seconds.into()),
        r#type: Some(kind as i32),
        command,
        http: of_http,
        tcp,
    }
}

/// The check of a task: the informational one, else the readiness check, whose answer is read off its status.
pub(super) fn check(app: &App, ports: &[Port]) -> Option<v1::CheckInfo> {
    if let Some(check) = &app.check {
        return Some(informational(check, ports));
    }
    app.readiness_checks.first().map(|check| readiness(app, check, ports))
}

fn informational(check: &crate::marathon::model::Check, ports: &[Port]) -> v1::CheckInfo {
    use v1::check_info::{Command, Http, Tcp, Type};
    let mut info = v1::CheckInfo {
        delay_seconds: Some(check.delay_seconds.into()),
        interval_seconds: Some(check.interval_seconds.into()),
        timeout_seconds: Some(check.timeout_seconds.into()),
        ..Default::default()
    };
    match &check.kind {
        CheckKind::Http { port_index, port: fixed, path, scheme: _ } => {
            info.r#type = Some(Type::Http as i32);
            let path = path.clone().or_else(|| Some("/".into()));
            info.http = Some(Http { port: port(*fixed, *port_index, ports), path });
        }
        CheckKind::Tcp { port_index, port: fixed } => {
            info.r#type = Some(Type::Tcp as i32);
            info.tcp = Some(Tcp { port: port(*fixed, *port_index, ports) });
        }
        CheckKind::Exec { command } => {
            info.r#type = Some(Type::Command as i32);
            let command = match command {
                MesosCommand::Shell(text) => shell(text),
                MesosCommand::Argv(words) => v1::CommandInfo {
                    shell: Some(false),
                    value: words.first().cloned(),
                    arguments: words.clone(),
                    ..Default::default()
                },
            };
            info.command = Some(Command { command });
        }
    }
    info
}

fn readiness(app: &App, check: &ReadinessCheck, ports: &[Port]) -> v1::CheckInfo {
    use v1::check_info::{Http, Type};
    // Validation lets plain HTTP through alone: Mesos's checks know no other.
    debug_assert_eq!(check.protocol, HttpScheme::Http);
    let named = env::declared(app).iter().position(|(_, name)| *name == Some(&check.port_name));
    let index = named.and_then(|at| u16::try_from(at).ok());
    v1::CheckInfo {
        r#type: Some(Type::Http as i32),
        http: Some(Http { port: port(None, index, ports), path: Some(check.path.clone()) }),
        delay_seconds: Some(0.0),
        interval_seconds: Some(check.interval_seconds.into()),
        timeout_seconds: Some(check.timeout_seconds.into()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::model::{PathId, Timestamp};

    fn made(check: HealthCheck) -> v1::HealthCheck {
        let mut app = App::new(PathId::parse("/a").expect("an id"), "*", Timestamp::from_millis(1));
        app.health_checks = vec![check];
        let ports = [
            Port { host: Some(31_000), container: 31_000 },
            Port { host: Some(31_001), container: 80 },
        ];
        health(&app, &ports).remove(0)
    }

    // covers: MAR-0444, MAR-0445, MAR-0446, MAR-0448, MAR-0449
    #[test]
    fn kinds_and_ports() {
        let http = made(HealthCheck { port_index: Some(0), ..HealthCheck::default() });
        let asked = http.http.expect("http");
        assert_eq!((asked.port, asked.path.as_deref()), (31_000, Some("/")));
        assert_eq!(asked.scheme.as_deref(), Some("http"));
        for (protocol, port) in [(HealthProtocol::Http, 31_001), (HealthProtocol::MesosHttp, 80)] {
            let bridged = HealthCheck { protocol, port_index: Some(1), ..HealthCheck::default() };
            assert_eq!(made(bridged).http.expect("http").port, port, "{protocol:?}");
        }
        let inside = made(HealthCheck {
            protocol: HealthProtocol::MesosTcp,
            port_index: Some(1),
            ip_protocol: IpProtocol::V6,
            ..HealthCheck::default()
        });
        let tcp = inside.tcp.expect("tcp");
        assert_eq!((tcp.port, tcp.protocol), (80, Some(2)));
        let fixed = made(HealthCheck { port: Some(9), ..HealthCheck::default() });
        assert_eq!(fixed.http.expect("http").port, 9);
        let command = made(HealthCheck {
            protocol: HealthProtocol::Command,
            command: Some("true".into()),
            ..HealthCheck::default()
        });
        assert_eq!(command.command.and_then(|c| c.value).as_deref(), Some("true"));
        assert_eq!((command.http, command.tcp), (None, None));
    }

    // covers: MAR-0451
    #[test]
    fn how_many_failures_kill() {
        for (protocol, borne, kills_at) in [
            (HealthProtocol::Http, 3, 4),
            (HealthProtocol::Tcp, 1, 2),
            (HealthProtocol::MesosHttp, 3, 3),
            (HealthProtocol::Command, 3, 3),
            (HealthProtocol::Http, 0, u32::MAX),
            (HealthProtocol::Command, 0, u32::MAX),
        ] {
            let check =
                HealthCheck { protocol, max_consecutive_failures: borne, ..HealthCheck::default() };
            assert_eq!(made(check).consecutive_failures, Some(kills_at), "{protocol:?}");
        }
    }

    #[test]
    fn when_the_first_is_made() {
        let first = |protocol, interval_seconds| {
            made(HealthCheck { protocol, interval_seconds, ..HealthCheck::default() }).delay_seconds
        };
        assert_eq!(first(HealthProtocol::Http, 60), Some(5.0));
        assert_eq!(first(HealthProtocol::Tcp, 2), Some(2.0));
        assert_eq!(first(HealthProtocol::MesosHttp, 60), Some(15.0));
    }
}
