//! Carries out one check: a command in the task's container, an HTTP request, or a TCP connection. When it is done, and
//! what its outcome means, is decided by the core.
//!
//! Requests and connections go to the loopback address of the task's own network: the agent's, or that of its container. What
//! is mapped into that is asked from the agent's.

mod network;

use crate::agent::containerizer::{Containerizer, ExecRequest};
use crate::agent::core::io::{CheckKind, CheckOutcome};
use crate::base::ids::ContainerId;
use crate::mesos::v1;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a command may run that has no time-out of its own.
const COMMAND_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// How many redirects an HTTP check follows.
const REDIRECTS_MAX: usize = 50;

/// Does the check, once.
pub async fn run(
    containerizer: Arc<dyn Containerizer>,
    container: &ContainerId,
    check: &CheckKind,
    timeout: Option<Duration>,
) -> CheckOutcome {
    let network = containerizer.network(container).filter(|_| !is_mapped(check));
    let work = async {
        match (check, network) {
            (CheckKind::Command(command), _) => {
                let limit = timeout.unwrap_or(COMMAND_TIMEOUT_MAX);
                run_command(&*containerizer, container, command, limit).await
            }
            (other, None) => connect(other).await,
            (other, Some(pid)) => network::within(pid, timeout, other.clone()).await,
        }
    };
    let Some(limit) = timeout else { return work.await };
    // A command has its own time-out, which also ends its processes; this one is only a net.
    let net = match check {
        CheckKind::Command(_) => limit + Duration::from_secs(5),
        _ => limit,
    };
    match tokio::time::timeout(net, work).await {
        Ok(outcome) => outcome,
        Err(_) => CheckOutcome::Failed(timed_out(limit)),
    }
}

fn is_mapped(check: &CheckKind) -> bool {
    matches!(check, CheckKind::Http { mapped: true, .. } | CheckKind::Tcp { mapped: true, .. })
}

fn timed_out(limit: Duration) -> String {
    format!("timed out after {}", crate::base::units::MesosDuration(limit))
}

fn loopback(ipv6: bool) -> IpAddr {
    if ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
}

/// The checks that are made over a network: this thread's.
async fn connect(check: &CheckKind) -> CheckOutcome {
    match check {
        CheckKind::Http { scheme, ipv6, port, path, .. } => {
            request(scheme, *ipv6, *port, path).await
        }
        CheckKind::Tcp { ipv6, port, .. } => {
            CheckOutcome::Tcp(TcpStream::connect((loopback(*ipv6), *port)).await.is_ok())
        }
        CheckKind::Command(_) => CheckOutcome::Failed("a command needs no network".into()),
    }
}

async fn run_command(
    containerizer: &dyn Containerizer,
    container: &ContainerId,
    command: &v1::CommandInfo,
    limit: Duration,
) -> CheckOutcome {
    let argv = match (command.shell(), command.arguments.is_empty()) {
        (true, _) => vec!["/bin/sh".into(), "-c".into(), command.value().to_string()],
        (false, true) => vec![command.value().to_string()],
        (false, false) => {
            // The first argument is argv[0], a name; the program is the value.
            let mut argv = command.arguments.clone();
            argv[0] = command.value().to_string();
            argv
        }
    };
    let variables = command.environment.iter().flat_map(|e| &e.variables);
    let env = variables.map(|v| (v.name.clone(), v.value().to_string())).collect();
    let request = ExecRequest { argv, env, cwd: None, timeout: limit };
    match containerizer.exec(container, request).await {
        Err(e) => CheckOutcome::Failed(e.cause),
        Ok(outcome) => match outcome.status {
            None => CheckOutcome::Failed(timed_out(limit)),
            Some(status) if libc::WIFEXITED(status) => {
                CheckOutcome::Command(libc::WEXITSTATUS(status))
            }
            Some(status) => {
                let signal = libc::WTERMSIG(status);
                CheckOutcome::Failed(format!("the command was ended by signal {signal}"))
            }
        },
    }
}

/// A client that checks no certificates, as the original's does not: what is asked is this machine's own task. It keeps no
/// connections, so none is used for another task's network.
fn client() -> Result<&'static reqwest::Client, String> {
    static CLIENT: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    let made = CLIENT.get_or_init(|| {
        // Another part of the program may have installed it: both are the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .map_err(|e| format!("cannot start an HTTP client: {e}"))
    });
    made.as_ref().map_err(Clone::clone)
}

async fn request(scheme: &str, ipv6: bool, port: u16, path: &str) -> CheckOutcome {
    let host = if ipv6 { "[::1]" } else { "127.0.0.1" };
    let client = match client() {
        Ok(client) => client,
        Err(why) => return CheckOutcome::Failed(why),
    };
    match client.get(format!("{scheme}://{host}:{port}{path}")).send().await {
        Ok(answer) => CheckOutcome::Http(u32::from(answer.status().as_u16())),
        Err(e) if e.is_connect() => {
            CheckOutcome::Failed(format!("cannot connect to {host}:{port}"))
        }
        Err(e) => CheckOutcome::Failed(format!("the request failed: {e}")),
    }
}

#[cfg(test)]
mod tests;
