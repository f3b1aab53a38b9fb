//! Reading checks of all kinds.

use super::cursor::{At, FILLED, LINE, PORT_NAME};
use crate::marathon::model::health::{
    Check, CheckKind, HealthCheck, HealthProtocol, HttpScheme, IpProtocol, MesosCommand,
    ReadinessCheck,
};

const PROTOCOLS: [(&str, HealthProtocol); 7] = [
    ("HTTP", HealthProtocol::Http),
    ("HTTPS", HealthProtocol::Https),
    ("TCP", HealthProtocol::Tcp),
    ("COMMAND", HealthProtocol::Command),
    ("MESOS_TCP", HealthProtocol::MesosTcp),
    ("MESOS_HTTP", HealthProtocol::MesosHttp),
    ("MESOS_HTTPS", HealthProtocol::MesosHttps),
];
const SCHEMES: [(&str, HttpScheme); 2] = [("HTTP", HttpScheme::Http), ("HTTPS", HttpScheme::Https)];
const FAMILIES: [(&str, IpProtocol); 2] = [("IPv4", IpProtocol::V4), ("IPv6", IpProtocol::V6)];

pub(super) fn health_check(at: &At<'_>) -> Option<HealthCheck> {
    let object = at.object()?;
    let defaults = HealthCheck::default();
    let count = |key, default| object.get(key).and_then(|at| at.count(0)).unwrap_or(default);
    let protocol = object.get("protocol").map(|at| at.word(&PROTOCOLS));
    let protocol = protocol.unwrap_or(Some(HealthProtocol::Http))?;
    let command = object.get("command").and_then(|at| at.object()?.required("value")?.string());
    Some(HealthCheck {
        command,
        grace_period_seconds: count("gracePeriodSeconds", defaults.grace_period_seconds),
        ignore_http1xx: object.get("ignoreHttp1xx").and_then(|at| at.boolean()),
        interval_seconds: count("intervalSeconds", defaults.interval_seconds),
        max_consecutive_failures: count(
            "maxConsecutiveFailures",
            defaults.max_consecutive_failures,
        ),
        path: object.get("path").and_then(|at| at.string()),
        port: object.get("port").and_then(|at| at.port()),
        port_index: object.get("portIndex").and_then(|at| at.port()),
        protocol,
        ip_protocol: object.get("ipProtocol").and_then(|at| at.word(&FAMILIES)).unwrap_or_default(),
        timeout_seconds: count("timeoutSeconds", defaults.timeout_seconds),
        delay_seconds: count("delaySeconds", defaults.delay_seconds),
    })
}

pub(super) fn check(at: &At<'_>) -> Option<Check> {
    let object = at.object()?;
    let count = |key, default| object.get(key).and_then(|at| at.count(0)).unwrap_or(default);
    let http = object.get("http").map(|at| {
        let object = at.object()?;
        Some(CheckKind::Http {
            port_index: object.get("portIndex").and_then(|at| at.port()),
            port: object.get("port").and_then(|at| at.port()),
            path: object.get("path").and_then(|at| at.text(LINE)),
            scheme: object.get("scheme").and_then(|at| at.word(&SCHEMES)).unwrap_or_default(),
        })
    });
    let tcp = object.get("tcp").map(|at| {
        let object = at.object()?;
        Some(CheckKind::Tcp {
            port_index: object.get("portIndex").and_then(|at| at.port()),
            port: object.get("port").and_then(|at| at.port()),
        })
    });
    let exec = object.get("exec").map(|at| {
        let command = command(&at.object()?.required("command")?)?;
        Some(CheckKind::Exec { command })
    });
    let mut kinds = [http, tcp, exec].into_iter().flatten();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        at.refuse("exactly one of http, tcp, or exec must be specified");
        return None;
    };
    Some(Check {
        kind: kind?,
        interval_seconds: count("intervalSeconds", 60),
        timeout_seconds: count("timeoutSeconds", 20),
        delay_seconds: count("delaySeconds", 15),
    })
}

fn command(at: &At<'_>) -> Option<MesosCommand> {
    let object = at.object()?;
    let Some(argv) = object.get("argv") else {
        return Some(MesosCommand::Shell(object.required("shell")?.text(FILLED)?));
    };
    if let Some(shell) = object.get("shell") {
        shell.fail("only one of shell and argv may be given");
        return None;
    }
    let words = argv.list(|at| at.string())?;
    if words.is_empty() {
        argv.fail("error.minLength");
        return None;
    }
    Some(MesosCommand::Argv(words))
}

pub(super) fn readiness_check(at: &At<'_>) -> Option<ReadinessCheck> {
    let object = at.object()?;
    let defaults = ReadinessCheck::default();
    let text = |key, rule, default| object.get(key).and_then(|at| at.text(rule)).unwrap_or(default);
    let count = |key, min, default| object.get(key).and_then(|at| at.count(min)).unwrap_or(default);
    let codes = object.get("httpStatusCodesForReady").and_then(|at| {
        let codes = at.set(|at| {
            let code = at.number(100.0, 999.0)?;
            if code.fract() != 0.0 {
                at.fail("error.expected.int");
            }
            Some(code as u16)
        })?;
        if codes.is_empty() {
            at.fail("set must not be empty");
        }
        Some(codes)
    });
    Some(ReadinessCheck {
        http_status_codes_for_ready: codes.unwrap_or(defaults.http_status_codes_for_ready),
        interval_seconds: count("intervalSeconds", 0, defaults.interval_seconds),
        name: text("name", FILLED, defaults.name),
        path: text("path", LINE, defaults.path),
        port_name: text("portName", PORT_NAME, defaults.port_name),
        preserve_last_response: object
            .get("preserveLastResponse")
            .and_then(|at| at.boolean())
            .unwrap_or(false),
        protocol: object.get("protocol").and_then(|at| at.word(&SCHEMES)).unwrap_or_default(),
        timeout_seconds: count("timeoutSeconds", 1, defaults.timeout_seconds),
    })
}
