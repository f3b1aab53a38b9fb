//! Checks and health checks.

use super::world::*;
use crate::agent::core::io::{Act, CheckKind, CheckOutcome, Input, WhichCheck};
use crate::mesos::v1::{self, TaskState::*, task_status::Reason};

fn health(consecutive: u32, grace: f64) -> v1::HealthCheck {
    v1::HealthCheck {
        delay_seconds: Some(0.0),
        interval_seconds: Some(10.0),
        consecutive_failures: Some(consecutive),
        grace_period_seconds: Some(grace),
        command: Some(shell("true")),
        ..Default::default()
    }
}

fn with_health(check: v1::HealthCheck, outcomes: &[CheckOutcome]) -> World {
    let mut w = World::ready();
    w.outcomes.extend(outcomes.iter().cloned());
    w.run(v1::TaskInfo { health_check: Some(check), ..task("t") });
    w
}

fn healthies(w: &World) -> Vec<Option<bool>> {
    w.statuses("t").iter().filter(|s| s.reason.is_some()).map(|s| s.healthy).collect()
}

fn checks(w: &World) -> usize {
    w.count(|a| matches!(a, Act::Check { .. }))
}

const OK: CheckOutcome = CheckOutcome::Command(0);
const BAD: CheckOutcome = CheckOutcome::Command(1);

// covers: MES-0444, MES-0447
#[test]
fn changes_of_health_are_told() {
    let mut w = with_health(health(9, 0.0), &[OK, OK, BAD, BAD, OK]);
    w.advance(seconds(45));
    assert_eq!(healthies(&w), [Some(true), Some(false), Some(false), Some(true)]);
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskRunning, Reason::TaskHealthCheckStatusUpdated));
    assert_eq!(w.core().view().frameworks[0].executors[0].tasks[0].statuses[1].healthy, Some(true));
}

// covers: MES-0448
#[test]
fn too_many_failures_kill() {
    let mut w = with_health(health(3, 0.0), &[BAD, BAD, BAD, OK]);
    w.advance(seconds(60));
    let all = [TaskStarting, TaskRunning, TaskRunning, TaskRunning, TaskRunning, TaskKilling];
    let states = w.states("t");
    assert_eq!(states[..6], all);
    let last = w.last("t");
    assert_eq!((last.state(), last.healthy), (TaskKilled, Some(false)));
    assert_eq!(checks(&w), 3, "no checks once killing");
}

// covers: MES-0450, MES-0452
#[test]
fn failures_within_grace_count_for_nothing_until_the_first_success() {
    let mut w = with_health(health(1, 25.0), &[BAD, BAD, BAD, OK]);
    w.advance(seconds(29));
    assert_eq!(healthies(&w), []);
    w.advance(seconds(1));
    assert_eq!(healthies(&w), [Some(true)]);
    let mut w = with_health(health(1, 25.0), &[OK, BAD]);
    w.advance(seconds(15));
    assert_eq!(w.last("t").state(), TaskKilled);
}

// covers: MES-0451
#[test]
fn a_check_that_takes_too_long_has_failed() {
    let text = "Command timed out after 20secs".to_string();
    let mut w = with_health(health(2, 0.0), &[CheckOutcome::Failed(text.clone())]);
    w.advance(seconds(5));
    assert_eq!((w.last("t").healthy, w.last("t").message()), (Some(false), text.as_str()));
    let limit = w.acts.iter().find_map(|a| match a {
        Act::Check { timeout, .. } => Some(*timeout),
        _ => None,
    });
    assert_eq!(limit, Some(Some(seconds(20))));
}

// covers: MES-0454
#[test]
fn http_and_tcp_outcomes_are_judged() {
    let http = v1::health_check::HttpCheckInfo { port: 80, ..Default::default() };
    let check = v1::HealthCheck { command: None, http: Some(http), ..health(9, 0.0) };
    let outcomes = [CheckOutcome::Http(200), CheckOutcome::Http(404), CheckOutcome::Http(399)];
    let mut w = with_health(check, &outcomes);
    w.advance(seconds(25));
    assert_eq!(healthies(&w), [Some(true), Some(false), Some(true)]);
    let tcp = v1::health_check::TcpCheckInfo { port: 80, ..Default::default() };
    let check = v1::HealthCheck { command: None, tcp: Some(tcp), ..health(9, 0.0) };
    let mut w = with_health(check, &[CheckOutcome::Tcp(true), CheckOutcome::Tcp(false)]);
    w.advance(seconds(15));
    assert_eq!(healthies(&w), [Some(true), Some(false)]);
}

fn command_check() -> v1::CheckInfo {
    v1::CheckInfo {
        r#type: Some(v1::check_info::Type::Command as i32),
        command: Some(v1::check_info::Command { command: shell("x") }),
        delay_seconds: Some(0.0),
        ..Default::default()
    }
}

// covers: MES-0434, MES-0437
#[test]
fn a_check_is_told_when_it_changes() {
    let mut w = World::ready();
    let failed = CheckOutcome::Failed("timed out".into());
    w.outcomes.extend([OK, OK, CheckOutcome::Command(3), failed]);
    w.run(v1::TaskInfo { check: Some(command_check()), ..task("t") });
    w.advance(seconds(45));
    let all = w.statuses("t");
    let codes: Vec<_> = all
        .iter()
        .map(|s| s.check_status.as_ref().and_then(|c| c.command.as_ref()?.exit_code))
        .collect();
    assert_eq!(codes, [None, None, Some(0), Some(3), None]);
    // Its kind is there from the start.
    assert!(all.iter().all(|s| s.check_status.as_ref().is_some_and(|c| c.command.is_some())));
    assert_eq!(w.last("t").reason(), Reason::TaskCheckStatusUpdated);
}

// covers: MES-0438
#[test]
fn neither_result_shadows_the_other() {
    let mut w = World::ready();
    let mut info = task("t");
    info.check = Some(command_check());
    info.health_check = Some(v1::HealthCheck { delay_seconds: Some(5.0), ..health(3, 0.0) });
    w.outcomes.extend([CheckOutcome::Command(7), OK]);
    w.run(info);
    w.advance(seconds(6));
    let last = w.last("t");
    assert_eq!(last.healthy, Some(true));
    let code = last.check_status.and_then(|c| c.command).and_then(|c| c.exit_code);
    assert_eq!(code, Some(7));
}

/// The task's health, what each check found, and of which this tells.
type Told = (Option<bool>, Vec<Option<bool>>, Option<u32>);

/// All that was told.
fn each(w: &World) -> Vec<Told> {
    let told = w.statuses("t").into_iter().filter(|s| s.reason.is_some());
    let results = |s: &v1::TaskStatus| s.health_check_results.iter().map(|r| r.healthy).collect();
    told.map(|s| (s.healthy, results(&s), s.health_check_told)).collect()
}

#[test]
fn of_several_health_checks_one_that_fails_is_enough() {
    let mut w = World::ready();
    let second = v1::HealthCheck { delay_seconds: Some(1.0), ..health(2, 0.0) };
    let info = v1::TaskInfo {
        health_check: Some(health(3, 0.0)),
        further_health_checks: vec![second],
        ..task("t")
    };
    // Each has its turn every ten seconds.
    w.outcomes.extend([OK, OK, OK, BAD, OK, OK, BAD]);
    w.run(info.clone());
    w.advance(seconds(0));
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(each(&w), [(None, vec![yes, None], Some(0))], "of one nothing is known yet");
    w.advance(seconds(1));
    assert_eq!(each(&w).last(), Some(&(yes, vec![yes, yes], Some(1))));
    w.advance(seconds(10));
    assert_eq!(each(&w).last(), Some(&(no, vec![yes, no], Some(1))));
    w.advance(seconds(10));
    assert_eq!(each(&w).last(), Some(&(yes, vec![yes, yes], Some(1))));
    w.advance(seconds(9));
    assert_eq!(each(&w).last(), Some(&(no, vec![no, yes], Some(0))));
    // A restart forgets none of it: the first is well again, the second fails twice in a row.
    w.outcomes.extend([OK, BAD, OK, BAD]);
    w.restart();
    w.connect();
    w.advance(seconds(0));
    assert_eq!(each(&w).last(), Some(&(yes, vec![yes, yes], Some(0))));
    w.advance(seconds(11));
    assert_eq!(w.last("t").state(), TaskKilled);
    assert_eq!(w.last("t").health_check_results.len(), 2);
    // None more than can be counted, and none without a first.
    for bad in [
        v1::TaskInfo { health_check: None, ..info.clone() },
        v1::TaskInfo { further_health_checks: vec![health(3, 0.0); 32], ..info },
    ] {
        let mut w = World::ready();
        w.run(bad);
        assert!(matches!(w.last("t").state(), TaskFailed | TaskError), "{:?}", w.last("t"));
    }
}

/// What is asked, and whether as others ask it from outside.
fn asked(container: v1::ContainerInfo, port: u32) -> Vec<(u16, bool)> {
    let mut w = World::ready();
    let http = v1::health_check::HttpCheckInfo { port, ..Default::default() };
    let tcp = v1::check_info::Tcp { port };
    let check = v1::CheckInfo {
        r#type: Some(v1::check_info::Type::Tcp as i32),
        tcp: Some(tcp),
        command: None,
        ..command_check()
    };
    let health = v1::HealthCheck { command: None, http: Some(http), ..health(9, 0.0) };
    let container = Some(container);
    let (health_check, check) = (Some(health), Some(check));
    w.run(v1::TaskInfo { container, health_check, check, ..task("t") });
    w.advance(seconds(1));
    let of = |act: &Act| match act {
        Act::Check { check, .. } => match &**check {
            CheckKind::Http { port, mapped, .. } | CheckKind::Tcp { port, mapped, .. } => {
                Some((*port, *mapped))
            }
            CheckKind::Command(_) => None,
        },
        _ => None,
    };
    w.acts.iter().filter_map(of).collect()
}

#[test]
fn a_port_that_leads_into_the_container_is_asked_from_outside() {
    let mapping = |host_port, container_port| v1::network_info::PortMapping {
        host_port,
        container_port,
        protocol: None,
    };
    let network = v1::NetworkInfo {
        name: Some("net".into()),
        port_mappings: vec![mapping(31_000, 80), mapping(81, 31_001), mapping(31_001, 82)],
        ..Default::default()
    };
    let bridged = v1::ContainerInfo {
        r#type: v1::container_info::Type::Mesos as i32,
        network_infos: vec![network],
        ..Default::default()
    };
    // 31001 is the container's own, whatever leads to others of it.
    for (port, mapped) in [(80, false), (31_000, true), (31_001, false), (9, false)] {
        let both = vec![(port, mapped), (port, mapped)];
        assert_eq!(asked(bridged.clone(), u32::from(port)), both, "{port}");
    }
    let docker = v1::container_info::DockerInfo {
        image: "i".into(),
        network: Some(v1::container_info::docker_info::Network::Bridge as i32),
        port_mappings: vec![v1::container_info::docker_info::PortMapping {
            host_port: 31_000,
            container_port: 80,
            protocol: None,
        }],
        ..Default::default()
    };
    let container = v1::ContainerInfo {
        r#type: v1::container_info::Type::Docker as i32,
        docker: Some(docker),
        ..Default::default()
    };
    let info = v1::TaskInfo { container: Some(container), ..task("d") };
    assert!(crate::agent::core::checks::is_mapped(&info, 31_000));
    assert!(!crate::agent::core::checks::is_mapped(&info, 80));
}

// covers: MES-0406
#[test]
fn an_outcome_after_the_kill_says_nothing() {
    let mut w = with_health(health(3, 0.0), &[]);
    w.obedient = false;
    w.advance(seconds(1));
    let container = w.container("t").expect("it runs");
    w.kill("t", None);
    let task_id = World::task_id("t");
    w.input(Input::Checked { container, task_id, which: WhichCheck::Health(0), outcome: OK });
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning, TaskKilling]);
}

#[test]
fn one_check_of_a_kind_at_a_time() {
    let mut w = with_health(health(3, 0.0), &[]);
    w.advance(seconds(300));
    assert_eq!(checks(&w), 1);
}

#[test]
fn what_was_found_survives_a_restart() {
    let mut w = with_health(health(1, 3600.0), &[OK]);
    w.advance(seconds(1));
    w.restart();
    w.connect();
    w.outcomes.push_back(BAD);
    w.advance(seconds(1));
    // It was healthy once: the grace period protects no more.
    assert_eq!(w.last("t").state(), TaskKilled);
}
