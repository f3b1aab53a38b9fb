//! Checks and health checks of command tasks: when each is done, what its outcome means, when it
//! kills.

use super::io::{Act, CheckKind, CheckOutcome, WhichCheck};
use super::status::Report;
use super::tables::{Phase, TaskKey};
use super::{AgentCore, Step, Timer, words};
use crate::base::ids::{ContainerId, TaskId};
use crate::base::time::{Mono, duration_from_secs};
use crate::mesos::internal::kill_record::Cause;
use crate::mesos::v1::{self, TaskState, check_status_info, task_status::Reason};
use std::sync::Arc;
use std::time::Duration;

const DELAY: f64 = 15.0;
const INTERVAL: f64 = 10.0;
const TIMEOUT: f64 = 20.0;
const GRACE: f64 = 10.0;
const CONSECUTIVE_FAILURES: u32 = 3;
/// Health checks of one task.
pub const HEALTH_CHECKS_MAX: usize = 32;
/// A check is not done more often than this, whatever it asks for.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// When and what to check; one at a time.
#[derive(Clone, Debug)]
struct Probe {
    kind: Arc<CheckKind>,
    delay: Duration,
    interval: Duration,
    timeout: Option<Duration>,
    in_flight: bool,
}

#[derive(Clone, Debug)]
struct Health {
    probe: Probe,
    grace: Duration,
    failures_max: u32,
    failures: u32,
    /// When the task was launched: grace counts from here.
    since: Mono,
    /// What it was found to be last.
    healthy: Option<bool>,
    /// It was healthy once: grace protects no more.
    settled: bool,
}

/// A task's check and health checks.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    /// The first is Mesos's, the others are ours.
    health: Vec<Health>,
    check: Option<(Probe, v1::CheckStatusInfo)>,
    paused: bool,
}

fn seconds(given: Option<f64>, default: f64) -> Duration {
    given.and_then(duration_from_secs).unwrap_or(Duration::from_secs_f64(default))
}

fn probe(
    kind: CheckKind,
    delay: Option<f64>,
    interval: Option<f64>,
    timeout: Option<f64>,
) -> Probe {
    let timeout = seconds(timeout, TIMEOUT);
    Probe {
        kind: Arc::new(kind),
        delay: seconds(delay, DELAY),
        interval: seconds(interval, INTERVAL).max(INTERVAL_MIN),
        timeout: (!timeout.is_zero()).then_some(timeout),
        in_flight: false,
    }
}

fn is_ipv6(protocol: Option<i32>) -> bool {
    protocol == Some(v1::network_info::Protocol::IPv6 as i32)
}

fn port(port: u32) -> Option<u16> {
    u16::try_from(port).ok()
}

/// Whether a port is one of the agent's that leads into the task's container, and none of the container's own: such a check
/// asks what others ask from outside.
pub(super) fn is_mapped(info: &v1::TaskInfo, port: u16) -> bool {
    let Some(container) = &info.container else { return false };
    let docker = container.docker.iter().flat_map(|d| &d.port_mappings);
    let docker = docker.map(|m| (m.host_port, m.container_port));
    let networks = container.network_infos.iter().flat_map(|n| &n.port_mappings);
    let all = docker.chain(networks.map(|m| (m.host_port, m.container_port)));
    let port = u32::from(port);
    let (mut leads, mut own) = (false, false);
    for (host, container) in all {
        leads |= host == port;
        own |= container == port;
    }
    leads && !own
}

fn health_kind(info: &v1::TaskInfo, check: &v1::HealthCheck) -> Option<CheckKind> {
    use v1::health_check::Type;
    // A missing type follows from what is there.
    match (check.r#type.and_then(|t| Type::try_from(t).ok()), &check.command) {
        (Some(Type::Command) | None, Some(command)) => Some(CheckKind::Command(command.clone())),
        (Some(Type::Http) | None, _) if check.http.is_some() => {
            let http = check.http.as_ref()?;
            let port = port(http.port)?;
            Some(CheckKind::Http {
                scheme: http.scheme.clone().unwrap_or_else(|| "http".into()),
                ipv6: is_ipv6(http.protocol),
                port,
                mapped: is_mapped(info, port),
                path: http.path.clone().unwrap_or_else(|| "/".into()),
            })
        }
        (Some(Type::Tcp) | None, _) => {
            let tcp = check.tcp.as_ref()?;
            let port = port(tcp.port)?;
            let mapped = is_mapped(info, port);
            Some(CheckKind::Tcp { ipv6: is_ipv6(tcp.protocol), port, mapped })
        }
        _ => None,
    }
}

fn check_kind(
    info: &v1::TaskInfo,
    check: &v1::CheckInfo,
) -> Option<(CheckKind, v1::CheckStatusInfo)> {
    use v1::check_info::Type;
    let mut status = v1::CheckStatusInfo::default();
    let kind = match (check.r#type.and_then(|t| Type::try_from(t).ok()), &check.command) {
        (Some(Type::Command) | None, Some(c)) => {
            status.r#type = Some(Type::Command as i32);
            status.command = Some(check_status_info::Command::default());
            CheckKind::Command(c.command.clone())
        }
        (Some(Type::Http) | None, _) if check.http.is_some() => {
            let http = check.http.as_ref()?;
            status.r#type = Some(Type::Http as i32);
            status.http = Some(check_status_info::Http::default());
            let port = port(http.port)?;
            CheckKind::Http {
                scheme: "http".into(),
                ipv6: false,
                port,
                mapped: is_mapped(info, port),
                path: http.path.clone().unwrap_or_else(|| "/".into()),
            }
        }
        (Some(Type::Tcp) | None, _) => {
            let tcp = check.tcp.as_ref()?;
            status.r#type = Some(Type::Tcp as i32);
            status.tcp = Some(check_status_info::Tcp::default());
            let port = port(tcp.port)?;
            CheckKind::Tcp { ipv6: false, port, mapped: is_mapped(info, port) }
        }
        _ => return None,
    };
    Some((kind, status))
}

/// A check that is given but cannot be done, in words.
pub(super) fn refuse(info: &v1::TaskInfo) -> Option<&'static str> {
    if info.health_check.is_none() && !info.further_health_checks.is_empty() {
        return Some("'further_health_checks' without 'health_check'");
    }
    if info.further_health_checks.len() >= HEALTH_CHECKS_MAX {
        return Some("a task can have no more than 32 health checks");
    }
    if health_checks(info).any(|c| health_kind(info, c).is_none()) {
        return Some("'HealthCheck' must set the command, http or tcp that fits its type");
    }
    if info.check.as_ref().is_some_and(|c| check_kind(info, c).is_none()) {
        return Some("'CheckInfo' must set the command, http or tcp that fits its type");
    }
    None
}

fn health_checks(info: &v1::TaskInfo) -> impl Iterator<Item = &v1::HealthCheck> {
    info.health_check.iter().chain(&info.further_health_checks)
}

impl Health {
    fn of(info: &v1::TaskInfo, check: &v1::HealthCheck) -> Option<Self> {
        let v1::HealthCheck { delay_seconds, interval_seconds, timeout_seconds, .. } = *check;
        let kind = health_kind(info, check)?;
        Some(Health {
            probe: probe(kind, delay_seconds, interval_seconds, timeout_seconds),
            grace: seconds(check.grace_period_seconds, GRACE),
            failures_max: check.consecutive_failures.unwrap_or(CONSECUTIVE_FAILURES).max(1),
            failures: 0,
            since: Mono::default(),
            healthy: None,
            settled: false,
        })
    }

    /// Takes an outcome: what to report, and whether to kill.
    fn heard(&mut self, now: Mono, outcome: &CheckOutcome) -> Option<(Option<String>, bool)> {
        let Some(why) = failure(outcome) else {
            let news = self.healthy != Some(true);
            (self.healthy, self.failures, self.settled) = (Some(true), 0, true);
            return news.then_some((None, false));
        };
        let graced = !self.grace.is_zero() && now.since(self.since) <= self.grace;
        if graced && !self.settled {
            return None;
        }
        self.failures += 1;
        self.healthy = Some(false);
        Some((Some(why), self.failures >= self.failures_max))
    }
}

impl Checks {
    /// The checks of a task; custom executors do their own.
    pub fn of(info: &v1::TaskInfo) -> Self {
        if info.command.is_none() {
            return Self::default();
        }
        let health = health_checks(info).filter_map(|c| Health::of(info, c)).collect();
        let check = info.check.as_ref().and_then(|c| {
            let (kind, status) = check_kind(info, c)?;
            let probe = probe(kind, c.delay_seconds, c.interval_seconds, c.timeout_seconds);
            Some((probe, status))
        });
        Self { health, check, paused: false }
    }

    /// Goes on from the last status that was stored.
    pub fn restore(&mut self, last: &v1::TaskStatus, paused: bool) {
        for (n, health) in self.health.iter_mut().enumerate() {
            // Of one that was alone nothing but the task's health is told.
            let result = last.health_check_results.get(n);
            health.healthy = result.map_or(last.healthy, |result| result.healthy);
            health.settled = health.healthy.is_some();
        }
        if let (Some((_, status)), Some(stored)) = (&mut self.check, &last.check_status) {
            *status = *stored;
        }
        self.paused = paused;
    }

    /// Whether the task is healthy: not if any health check fails, and not known before all have found something.
    pub fn healthy(&self) -> Option<bool> {
        let all = || self.health.iter().map(|health| health.healthy);
        if all().any(|healthy| healthy == Some(false)) {
            return Some(false);
        }
        (!self.health.is_empty() && all().all(|healthy| healthy == Some(true))).then_some(true)
    }

    /// Whether there are several health checks, which are told apart.
    pub fn several(&self) -> bool {
        self.health.len() > 1
    }

    /// What each of several health checks found last.
    pub fn results(&self) -> Vec<v1::HealthCheckResult> {
        let all = self.health.iter().filter(|_| self.several());
        all.map(|health| v1::HealthCheckResult { healthy: health.healthy }).collect()
    }

    /// All there are.
    pub fn all(&self) -> Vec<WhichCheck> {
        let check = self.check.is_some().then_some(WhichCheck::Check);
        (0..self.health.len()).map(WhichCheck::Health).chain(check).collect()
    }

    /// What the check found last; its kind alone while it found nothing.
    pub fn status(&self) -> Option<v1::CheckStatusInfo> {
        self.check.as_ref().map(|(_, status)| *status)
    }

    /// No checks any more: the task is being killed.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    fn probe(&mut self, which: WhichCheck) -> Option<&mut Probe> {
        match which {
            _ if self.paused => None,
            WhichCheck::Health(n) => self.health.get_mut(n).map(|health| &mut health.probe),
            WhichCheck::Check => self.check.as_mut().map(|(probe, _)| probe),
        }
    }

    /// Takes the outcome of a check: whether it is news.
    fn check(&mut self, outcome: &CheckOutcome) -> bool {
        let Some((_, status)) = &mut self.check else { return false };
        let before = *status;
        if let Some(command) = &mut status.command {
            command.exit_code = match outcome {
                CheckOutcome::Command(code) => Some(*code),
                _ => None,
            };
        }
        if let Some(http) = &mut status.http {
            http.status_code = match outcome {
                CheckOutcome::Http(code) => Some(*code),
                _ => None,
            };
        }
        if let Some(tcp) = &mut status.tcp {
            tcp.succeeded = match outcome {
                CheckOutcome::Tcp(made) => Some(*made),
                _ => None,
            };
        }
        *status != before
    }
}

/// Why an outcome is a failed health check; `None` when it is not.
fn failure(outcome: &CheckOutcome) -> Option<String> {
    match outcome {
        CheckOutcome::Command(0) | CheckOutcome::Http(200..=399) | CheckOutcome::Tcp(true) => None,
        CheckOutcome::Command(code) => {
            Some(format!("Command returned: {}", words::wait_status((code & 0xff) << 8)))
        }
        CheckOutcome::Http(code) => Some(format!("Unexpected HTTP response code: {code}")),
        CheckOutcome::Tcp(false) => Some("TCP connection failed".into()),
        CheckOutcome::Failed(why) => Some(why.clone()),
    }
}

impl AgentCore {
    /// The command runs: its checks begin after their delay, its time limit counts from now (or
    /// from `started`).
    pub(super) fn watch(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        let Some(task) = self.tables.tasks.get_mut(key) else { return };
        for health in &mut task.checks.health {
            health.since = s.now;
        }
        for which in task.checks.all() {
            if let Some(probe) = task.checks.probe(which) {
                self.timers.set(Timer::Check(key.clone(), which), s.now + probe.delay);
            }
        }
        if let Some(most) = &task.info.max_completion_time {
            let passed = s.wall - task.started.unwrap_or(s.wall);
            let left = super::kill::duration_of(most).saturating_sub(passed);
            self.timers.set(Timer::Overtime(key.clone()), s.now + left);
        }
    }

    /// It is time for a check.
    pub(super) fn check(&mut self, s: &mut Step<'_>, key: &TaskKey, which: WhichCheck) {
        let Some((container, Phase::Running)) = self.tables.container_of(key) else { return };
        let Some(task) = self.tables.tasks.get_mut(key).filter(|t| !t.is_terminal()) else {
            return;
        };
        let Some(probe) = task.checks.probe(which).filter(|p| !p.in_flight) else { return };
        probe.in_flight = true;
        s.act(Act::Check {
            container,
            task_id: key.1.clone(),
            check: probe.kind.clone(),
            which,
            timeout: probe.timeout,
        });
    }

    pub(super) fn checked(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        task_id: &TaskId,
        which: WhichCheck,
        outcome: CheckOutcome,
    ) {
        let Some(executor) = self.tables.outermost(container) else { return };
        let key = (executor.0, task_id.clone());
        let Some(task) = self.tables.tasks.get_mut(&key).filter(|t| !t.is_terminal()) else {
            return;
        };
        let Some(probe) = task.checks.probe(which).filter(|p| p.in_flight) else { return };
        probe.in_flight = false;
        let next = s.now + probe.interval;
        self.timers.set(Timer::Check(key.clone(), which), next);
        let mut report = Report::executor(TaskState::TaskRunning);
        let WhichCheck::Health(n) = which else {
            if task.checks.check(&outcome) {
                report.reason = Some(Reason::TaskCheckStatusUpdated);
                self.report(s, &key, report);
            }
            return;
        };
        let health = task.checks.health.get_mut(n);
        if let Some((message, kill)) = health.and_then(|health| health.heard(s.now, &outcome)) {
            report.reason = Some(Reason::TaskHealthCheckStatusUpdated);
            report.message = message;
            report.health_check = u32::try_from(n).ok();
            self.report(s, &key, report);
            if kill {
                self.kill(s, &key, Cause::Unhealthy, None, None);
            }
        }
    }
}
