//! Tasks that end, are lost, or never run.

use super::super::io::Command;
use super::super::view::{Condition, HealthResult};
use super::world::{SECOND, World, app, id};
use crate::marathon::model::{App, HealthCheck, HealthProtocol, UnreachableStrategy};
use crate::mesos::v1::scheduler::call;
use crate::mesos::v1::{self, TaskState};

fn one(world: &mut World, app: App) -> String {
    let name = app.id.to_string();
    world.deploy(&[app]);
    world.running(&name)[0].clone()
}

// covers: MAR-0481, MAR-0526, MAR-0601, MAR-0435
#[test]
fn a_task_that_served_and_crashes_is_replaced_at_once() {
    let mut world = World::new(1);
    let task = one(&mut world, app("/a", 1));
    world.pass(SECOND * 10);
    world.status_with(&task, TaskState::TaskFailed, |s| s.message = Some("exit 1".into()));
    world.run();
    let next = world.running("/a");
    assert_eq!(next, [task.replace("._app.1", "._app.2")]);
    let failure = world.app("/a").last_failure.clone().expect("a failure");
    assert_eq!((failure.state, failure.message.as_str()), (TaskState::TaskFailed, "exit 1"));
    assert_eq!(failure.host, "host0");
    // The second crash soon after waits.
    world.pass(SECOND * 10);
    world.status(&next[0], TaskState::TaskFinished);
    world.run();
    assert!(world.running("/a").is_empty());
    world.pass(SECOND);
    assert_eq!(world.running("/a"), [task.replace("._app.1", "._app.3")]);
}

// covers: MAR-0302, MAR-0297, MAR-0299, MAR-0298, MAR-0576
#[test]
fn a_crash_loop_is_slowed_down_until_the_delay_is_reset() {
    let mut world = World::new(1);
    let slow = App { backoff_seconds: 10, backoff_factor: 2.0, ..app("/a", 1) };
    let task = one(&mut world, slow);
    assert!(world.view().queue.is_empty());
    world.status(&task, TaskState::TaskFailed);
    world.run();
    let queued = world.view().queue[0].clone();
    assert_eq!(queued.count, 1);
    let left = queued.delayed_until.expect("a delay").millis() - (world.wall.0 / 1_000_000) as i64;
    assert!((9_900..=10_000).contains(&left), "{left}");
    assert_eq!(queued.explanation.refusals[0].rule, "backoff");
    let reset = |app: &str| Command::ResetDelay { app: id(app) };
    let answer = world.ask(reset("/none"));
    assert!(matches!(answer, super::super::io::Answer::NotFound(_)));
    assert!(matches!(world.ask(reset("/a")), super::super::io::Answer::Done));
    assert_eq!(world.running("/a").len(), 1);
}

// covers: MAR-0107
#[test]
fn a_killed_task_is_replaced_without_delay() {
    let mut world = World::new(1);
    let task = one(&mut world, app("/a", 1));
    world.status(&task, TaskState::TaskKilled);
    world.run();
    assert_eq!(world.running("/a").len(), 1);
}

// covers: MAR-0457, MAR-0571
#[test]
fn an_instance_killed_by_its_health_check_is_replaced() {
    let check = HealthCheck {
        protocol: HealthProtocol::Command,
        command: Some("false".into()),
        ..HealthCheck::default()
    };
    let mut world = World::new(1);
    let task = one(&mut world, App { health_checks: vec![check], ..app("/a", 1) });
    world.status_with(&task, TaskState::TaskRunning, |s| s.healthy = Some(false));
    world.run();
    assert_eq!((world.app("/a").counts.healthy, world.app("/a").counts.unhealthy), (0, 1));
    let health = world.app("/a").instances[0].health[0].clone();
    assert_eq!((health.alive, health.consecutive_failures), (false, 1));
    world.status_with(&task, TaskState::TaskKilled, |s| s.healthy = Some(false));
    world.run();
    let told = world.told();
    for event in
        ["AddHealthCheck", "FailedHealthCheck", "HealthStatusChanged", "UnhealthyInstanceKill"]
    {
        assert!(told.iter().any(|t| t == event), "{event}");
    }
    assert_ne!(world.running("/a"), [task]);
    assert_eq!(world.app("/a").counts.healthy, 1);
}

// covers: MAR-0527
#[test]
fn lost_tasks_are_replaced() {
    for state in [
        TaskState::TaskGone,
        TaskState::TaskGoneByOperator,
        TaskState::TaskLost,
        TaskState::TaskUnknown,
        TaskState::TaskDropped,
        TaskState::TaskError,
    ] {
        let mut world = World::new(1);
        let task = one(&mut world, app("/a", 1));
        world.status(&task, state);
        world.tasks.remove(&task);
        world.pass(SECOND * 2);
        assert_eq!(world.running("/a").len(), 1, "{state:?}");
    }
}

fn unreachable(world: &mut World, task: &str) {
    world.status_with(task, TaskState::TaskUnreachable, |s| s.uuid = None);
    world.run();
}

// covers: MAR-0521, MAR-0528
#[test]
fn by_default_an_unreachable_instance_is_replaced_and_forgotten_at_once() {
    let mut world = World::new(1);
    let task = one(&mut world, app("/a", 1));
    unreachable(&mut world, &task);
    let replacement = world.running("/a");
    assert_eq!(replacement.len(), 1);
    assert_ne!(replacement[0].split("._app").next(), task.split("._app").next());
    // It comes back, and nobody wants it.
    world.status(&task, TaskState::TaskRunning);
    world.run();
    assert!(!world.tasks.contains_key(&task));
    assert_eq!(world.running("/a"), replacement);
}

// covers: MAR-0520, MAR-0523, MAR-0525
#[test]
fn patience_with_unreachable_instances() {
    let patient =
        UnreachableStrategy::Enabled { inactive_after_seconds: 60, expunge_after_seconds: 120 };
    let mut world = World::new(1);
    let task = one(&mut world, App { unreachable_strategy: patient, ..app("/a", 1) });
    unreachable(&mut world, &task);
    world.pass(SECOND * 59);
    assert_eq!(world.in_condition("/a", Condition::Unreachable), std::slice::from_ref(&task));
    world.pass(SECOND * 2);
    assert_eq!(
        world.in_condition("/a", Condition::UnreachableInactive),
        std::slice::from_ref(&task)
    );
    assert_eq!(world.running("/a").len(), 1);
    let mut other = World::new(1);
    let back = one(&mut other, App { unreachable_strategy: patient, ..app("/a", 1) });
    unreachable(&mut other, &back);
    other.pass(SECOND * 61);
    other.status(&back, TaskState::TaskRunning);
    other.run();
    assert_eq!((other.running("/a").len(), other.tasks.len()), (1, 1), "the surplus is killed");
    world.pass(SECOND * 60);
    assert_eq!(world.in_condition("/a", Condition::UnreachableInactive).len(), 0);
    assert_eq!(world.rows.keys().filter(|k| k.starts_with("instances/")).count(), 1);
}

// covers: MAR-0452
#[test]
fn with_the_strategy_disabled_it_is_waited_for() {
    let mut world = World::new(1);
    let disabled = UnreachableStrategy::Disabled;
    let task = one(&mut world, App { unreachable_strategy: disabled, ..app("/a", 1) });
    unreachable(&mut world, &task);
    world.pass(SECOND * 100_000);
    assert_eq!(world.in_condition("/a", Condition::Unreachable), std::slice::from_ref(&task));
    assert_eq!((world.tasks.len(), world.calls_of(call::Type::Kill)), (1, 0));
    world.status(&task, TaskState::TaskRunning);
    world.run();
    assert_eq!(world.running("/a"), [task]);
}

#[test]
fn patience_survives_a_restart() {
    let patient =
        UnreachableStrategy::Enabled { inactive_after_seconds: 60, expunge_after_seconds: 120 };
    let mut world = World::new(1);
    let task = one(&mut world, App { unreachable_strategy: patient, ..app("/a", 1) });
    unreachable(&mut world, &task);
    world.pass(SECOND * 30);
    world.crash();
    world.pass(SECOND * 29);
    assert_eq!(world.in_condition("/a", Condition::Unreachable), [task]);
    world.pass(SECOND * 2);
    assert_eq!(world.running("/a").len(), 1);
}

// covers: MAR-0532
#[test]
fn a_task_that_never_runs_is_killed_and_launched_again() {
    let mut world = World::new(1);
    world.manners.runs = false;
    world.deploy(&[app("/a", 1)]);
    world.pass(SECOND * 200);
    let task = world.in_condition("/a", Condition::Provisioned)[0].clone();
    world.status(&task, TaskState::TaskStaging);
    world.pass(SECOND * 99);
    assert!(world.tasks.contains_key(&task), "it has its time, counted from the launch");
    world.pass(SECOND * 2);
    assert!(!world.tasks.contains_key(&task));
    assert_eq!(world.in_condition("/a", Condition::Provisioned).len(), 1);
}

#[test]
fn a_launch_that_did_not_arrive_is_found_out() {
    let mut world = World::new(1);
    world.swallow = Some(call::Type::Accept);
    world.deploy(&[app("/a", 1)]);
    assert_eq!(world.in_condition("/a", Condition::Provisioned).len(), 1);
    world.offers.clear();
    world.pass(SECOND * 3);
    assert_eq!(world.running("/a").len(), 1);
    assert!(world.running("/a")[0].ends_with("._app.2"));
}

#[test]
fn updates_are_acknowledged_only_when_they_want_it() {
    let mut world = World::new(1);
    let task = one(&mut world, app("/a", 1));
    assert_eq!(world.acknowledged, 1);
    world.status_with(&task, TaskState::TaskRunning, |s| s.uuid = None);
    world.run();
    assert_eq!(world.acknowledged, 1);
    world.status("somebody-elses", TaskState::TaskFinished);
    world.run();
    let no_agent = 1;
    assert_eq!(world.acknowledged, no_agent, "without an agent there is nobody to tell");
}

#[test]
fn a_repeated_older_update_changes_nothing() {
    let mut world = World::new(1);
    let task = one(&mut world, app("/a", 1));
    world.status(&task, TaskState::TaskStarting);
    world.run();
    assert_eq!(world.running("/a"), [task]);
}

#[test]
fn addresses_are_kept() {
    let mut world = World::new(1);
    let task = one(&mut world, app("/a", 1));
    world.status_with(&task, TaskState::TaskRunning, |status| {
        let address = v1::network_info::IpAddress {
            protocol: Some(v1::network_info::Protocol::IPv4 as i32),
            ip_address: Some("10.0.0.5".into()),
        };
        let network = v1::NetworkInfo { ip_addresses: vec![address], ..Default::default() };
        status.container_status =
            Some(v1::ContainerStatus { network_infos: vec![network], ..Default::default() });
    });
    world.run();
    world.crash();
    let instance = world.app("/a").instances[0].clone();
    assert_eq!(instance.ip_addresses[0].address, "10.0.0.5");
    assert!(instance.started_at.is_some());
}

#[test]
fn a_launch_that_came_too_late_is_no_failure_of_the_app() {
    let too_late = |status: &mut v1::TaskStatus| {
        status.reason = Some(v1::task_status::Reason::InvalidOffers as i32);
    };
    let mut world = World::new(1);
    world.manners.runs = false;
    world.deploy(&[app("/a", 1)]);
    for left in [false, true] {
        let task = world.in_condition("/a", Condition::Provisioned)[0].clone();
        world.status_with(&task, TaskState::TaskDropped, too_late);
        world.run();
        assert!(world.app("/a").last_failure.is_none());
        assert_eq!(world.in_condition("/a", Condition::Scheduled).is_empty(), !left);
    }
    world.pass(SECOND);
    assert_eq!(world.in_condition("/a", Condition::Provisioned).len(), 1);
}

// covers: MAR-0453
#[test]
fn a_change_of_health_is_told_once() {
    let check = HealthCheck {
        protocol: HealthProtocol::Command,
        command: Some("true".into()),
        ..HealthCheck::default()
    };
    let mut world = World::new(1);
    let task = one(&mut world, App { health_checks: vec![check], ..app("/a", 1) });
    let told = |world: &World, event: &str| world.told().iter().filter(|t| *t == event).count();
    for (healthy, changes, failures) in [(true, 1, 0), (false, 2, 1), (false, 2, 2), (true, 3, 2)] {
        world.status_with(&task, TaskState::TaskRunning, |s| s.healthy = Some(healthy));
        world.run();
        assert_eq!(told(&world, "HealthStatusChanged"), changes);
        assert_eq!(told(&world, "InstanceHealthChanged"), changes);
        assert_eq!(told(&world, "FailedHealthCheck"), failures);
    }
    let health = world.app("/a").instances[0].health[0].clone();
    assert_eq!((health.alive, health.consecutive_failures), (true, 0));
}

// covers: MAR-0454
#[test]
fn of_several_checks_one_that_fails_makes_an_instance_unhealthy() {
    let check = |port| HealthCheck { port: Some(port), ..HealthCheck::default() };
    let mut world = World::new(1);
    let task = one(&mut world, App { health_checks: vec![check(1), check(2)], ..app("/a", 1) });
    let say = |world: &mut World, told: u32, each: [Option<bool>; 2]| {
        world.status_with(&task, TaskState::TaskRunning, |s| {
            s.health_check_results = each.map(|healthy| v1::HealthCheckResult { healthy }).to_vec();
            s.health_check_told = Some(told);
            s.message = Some(format!("by {told}"));
        });
        world.run();
        let app = world.app("/a");
        let of = |h: &HealthResult| (h.alive, h.consecutive_failures);
        let each: Vec<_> = app.instances[0].health.iter().map(of).collect();
        (app.counts.healthy, app.counts.unhealthy, each)
    };
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(say(&mut world, 1, [yes, yes]), (1, 0, vec![(true, 0), (true, 0)]));
    assert_eq!(say(&mut world, 1, [yes, no]), (0, 1, vec![(true, 0), (false, 1)]));
    assert_eq!(say(&mut world, 1, [yes, no]), (0, 1, vec![(true, 0), (false, 2)]));
    let cause = world.app("/a").instances[0].health[1].last_failure_cause.clone();
    assert_eq!(cause.as_deref(), Some("by 1"));
    let told = |world: &World, event: &str| world.told().iter().filter(|t| *t == event).count();
    assert_eq!((told(&world, "FailedHealthCheck"), told(&world, "HealthStatusChanged")), (2, 2));
    // Whoever leads next knows that it is unhealthy, and soon of which check.
    world.crash();
    assert_eq!((world.app("/a").counts.healthy, world.app("/a").counts.unhealthy), (0, 1));
    assert_eq!(say(&mut world, 1, [yes, yes]).0, 1);
}

#[test]
fn an_instance_that_an_agent_lost_without_a_word_about_it_is_asked_for() {
    let mut world = World::new(2);
    let task = one(&mut world, app("/a", 1));
    let agent = world.tasks[&task].agent.clone();
    let asked = |world: &World| {
        let calls = world.calls.iter().filter_map(|c| c.reconcile.as_ref());
        calls.flat_map(|r| &r.tasks).filter(|t| t.task_id.value == task).count()
    };
    let before = asked(&world);
    let other = if agent == world.agents[0].id { 1 } else { 0 };
    let other = world.agents[other].id.clone();
    world.fail_agent(&other);
    world.run();
    assert_eq!(asked(&world), before, "it was not there");
    // A new master that the agent never came to: it knows no task, but that the agent is unreachable.
    world.tasks.get_mut(&task).expect("known").state = TaskState::TaskUnreachable;
    world.agents.iter_mut().find(|a| a.id == agent).expect("known").lost = true;
    world.fail_agent(&agent);
    world.run();
    assert_eq!(asked(&world), before + 1);
    let replaced = world.running("/a");
    assert_eq!(replaced.len(), 1);
    assert_eq!(world.tasks[&replaced[0]].agent, other);
}

#[test]
fn what_a_drain_ended_is_replaced_at_once_even_in_a_crash_loop() {
    for (state, reason) in [
        (TaskState::TaskKilled, v1::task_status::Reason::AgentDraining),
        (TaskState::TaskGoneByOperator, v1::task_status::Reason::AgentDraining),
        (TaskState::TaskGoneByOperator, v1::task_status::Reason::AgentRemovedByOperator),
    ] {
        let mut world = World::new(2);
        let task = one(&mut world, App { backoff_seconds: 100, ..app("/a", 2) });
        let crashing = world.running("/a").into_iter().find(|t| *t != task).expect("two");
        world.status(&crashing, TaskState::TaskFailed);
        world.run();
        let drains = reason == v1::task_status::Reason::AgentDraining;
        assert_eq!(world.running("/a"), std::slice::from_ref(&task), "the other one has to wait");
        let agent = world.tasks[&task].agent.clone();
        world.agents.iter_mut().find(|a| a.id == agent).expect("known").lost = true;
        world.status_with(&task, state, |s| s.reason = Some(reason as i32));
        world.run();
        let running = world.running("/a");
        assert_eq!(running.len(), if drains { 2 } else { 0 }, "{state:?} {reason:?}");
        assert!(running.iter().all(|t| world.tasks[t].agent != agent));
        world.pass(SECOND * 101);
        assert_eq!(world.running("/a").len(), 2, "{state:?} {reason:?}");
    }
}
