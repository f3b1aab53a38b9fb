//! Checks and health checks.

use super::command;
use crate::mesos::v1;

/// A HealthCheck, whose type was guessed if it was left out.
pub fn check_health(check: &v1::HealthCheck) -> Result<(), String> {
    use v1::health_check::Type;
    match check.r#type.and_then(|t| Type::try_from(t).ok()) {
        None => return Err("HealthCheck must specify 'type'".into()),
        Some(Type::Command) => {
            let Some(run) = &check.command else {
                return Err("Expecting 'command' to be set for COMMAND health check".into());
            };
            check_run(run, "health check")?;
        }
        Some(Type::Http) => {
            let Some(http) = &check.http else {
                return Err("Expecting 'http' to be set for HTTP health check".into());
            };
            if let Some(scheme) = &http.scheme
                && !matches!(scheme.as_str(), "http" | "https")
            {
                return Err(format!("Unsupported HTTP health check scheme: '{scheme}'"));
            }
            check_path(http.path.as_deref(), "health check")?;
        }
        Some(Type::Tcp) => {
            if check.tcp.is_none() {
                return Err("Expecting 'tcp' to be set for TCP health check".into());
            }
        }
        Some(Type::Unknown) => return Err("'UNKNOWN' is not a valid health check type".into()),
    }
    for (name, secs) in [
        ("delay_seconds", check.delay_seconds),
        ("grace_period_seconds", check.grace_period_seconds),
        ("interval_seconds", check.interval_seconds),
        ("timeout_seconds", check.timeout_seconds),
    ] {
        check_secs(name, secs)?;
    }
    Ok(())
}

/// A CheckInfo.
pub fn check_check(check: &v1::CheckInfo) -> Result<(), String> {
    use v1::check_info::Type;
    match check.r#type.and_then(|t| Type::try_from(t).ok()) {
        None => return Err("CheckInfo must specify 'type'".into()),
        Some(Type::Command) => {
            let Some(run) = &check.command else {
                return Err("Expecting 'command' to be set for COMMAND check".into());
            };
            check_run(&run.command, "check")?;
        }
        Some(Type::Http) => {
            let Some(http) = &check.http else {
                return Err("Expecting 'http' to be set for HTTP check".into());
            };
            check_path(http.path.as_deref(), "check")?;
        }
        Some(Type::Tcp) => {
            if check.tcp.is_none() {
                return Err("Expecting 'tcp' to be set for TCP check".into());
            }
        }
        Some(Type::Unknown) => return Err("'UNKNOWN' is not a valid check type".into()),
    }
    for (name, secs) in [
        ("delay_seconds", check.delay_seconds),
        ("interval_seconds", check.interval_seconds),
        ("timeout_seconds", check.timeout_seconds),
    ] {
        check_secs(name, secs)?;
    }
    Ok(())
}

fn check_run(run: &v1::CommandInfo, what: &str) -> Result<(), String> {
    if run.value.is_none() {
        let which = if run.shell() { "Shell command" } else { "Executable path" };
        let cause = format!("{which} is not specified");
        return Err(format!("Command {what} must contain 'value': {cause}"));
    }
    command::check(run).map_err(|why| format!("{what}'s `CommandInfo` is invalid: {why}"))
}

fn check_path(path: Option<&str>, what: &str) -> Result<(), String> {
    match path {
        Some(path) if !path.starts_with('/') => {
            Err(format!("The path '{path}' of HTTP {what} must start with '/'"))
        }
        _ => Ok(()),
    }
}

fn check_secs(name: &str, secs: Option<f64>) -> Result<(), String> {
    match secs {
        Some(secs) if secs.is_nan() || secs < 0.0 => {
            Err(format!("Expecting '{name}' to be non-negative"))
        }
        _ => Ok(()),
    }
}
