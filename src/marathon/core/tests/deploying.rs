//! Deployments: rolling replacement, order, locks, cancelling, undoing.

use super::super::ids::DeploymentId;
use super::super::io::{Answer, Command, Deploying};
use super::super::view::Condition;
use super::world::{SECOND, World, app, id};
use crate::marathon::model::{
    App, HealthCheck, HealthProtocol, ReadinessCheck, Timestamp, UpgradeStrategy,
};
use crate::mesos::v1::{self, TaskState};

fn version_of(n: u32, app: App) -> App {
    App { cmd: Some(format!("sleep {n}00")), ..app }
}

fn strategy(least: f64, over: f64, app: App) -> App {
    let upgrade_strategy =
        UpgradeStrategy { minimum_health_capacity: least, maximum_over_capacity: over };
    App { upgrade_strategy, ..app }
}

fn checked(app: App) -> App {
    let check = HealthCheck {
        protocol: HealthProtocol::Command,
        command: Some("true".into()),
        ..HealthCheck::default()
    };
    App { health_checks: vec![check], ..app }
}

fn staged(world: &World, name: &str) -> Vec<String> {
    world.in_condition(name, Condition::Provisioned)
}

/// Lets one staged task run, or else one kill take effect; false when there is neither.
fn one_thing(world: &mut World) -> bool {
    if let Some(task) = staged(world, "/a").first() {
        world.status(task, TaskState::TaskRunning);
    } else {
        let killed = world.core.instances.iter().find(|i| i.kill).map(|i| i.task().to_string());
        let Some(task) = killed else { return false };
        world.status(&task, TaskState::TaskKilled);
    }
    world.run();
    true
}

// covers: MAR-0326, MAR-0327, MAR-0330, MAR-0502
#[test]
fn a_replacement_keeps_both_bounds_all_the_way() {
    for (least, over) in [(1.0, 1.0), (1.0, 0.0), (0.5, 0.0), (0.6, 0.2), (0.0, 0.0)] {
        let mut world = World::new(2);
        world.deploy(&[strategy(least, over, app("/a", 5))]);
        let first = world.running("/a");
        world.manners.runs = false;
        world.manners.kills = false;
        world.deploy(&[strategy(least, over, version_of(2, app("/a", 5)))]);
        let floor = (5.0 * least).ceil() as usize;
        let mut most = 0;
        loop {
            let serving = world.core.instances.iter().filter(|i| i.in_service()).count();
            assert!(serving >= floor, "{least} {over}: {serving}");
            most = most.max(world.tasks.len());
            if !one_thing(&mut world) {
                break;
            }
        }
        let ceiling =
            (5.0 * (1.0 + over)).floor() as usize + usize::from(least == 1.0 && over == 0.0);
        assert!(most <= ceiling, "{least} {over}: {most}");
        let last = world.running("/a");
        assert_eq!((last.len(), world.tasks.len(), world.deployments()), (5, 5, 0));
        assert!(first.iter().all(|task| !last.contains(task)));
    }
}

// covers: MAR-0328, MAR-0458, MAR-0500
#[test]
fn only_healthy_ones_take_over() {
    let mut world = World::new(1);
    world.deploy(&[checked(app("/a", 2))]);
    assert_eq!(world.app("/a").counts.healthy, 2);
    let first = world.running("/a");
    world.manners.heals = false;
    world.deploy(&[checked(version_of(2, app("/a", 2)))]);
    world.pass(SECOND * 1000);
    assert!(first.iter().all(|task| world.tasks.contains_key(task)), "the old ones serve on");
    assert_eq!(world.deployments(), 1);
    let action = world.view().deployments[0].current_actions[0].clone();
    assert_eq!(action.waits_for, "of 2 instances: waits for 2 to be healthy");
    let new: Vec<_> = world.running("/a").into_iter().filter(|t| !first.contains(t)).collect();
    world.status_with(&new[0], TaskState::TaskRunning, |s| s.healthy = Some(true));
    world.run();
    assert_eq!(world.tasks.len(), 3);
    world.status_with(&new[1], TaskState::TaskRunning, |s| s.healthy = Some(true));
    world.run();
    assert_eq!((world.tasks.len(), world.deployments()), (2, 0));
}

// covers: MAR-0334, MAR-0336, MAR-0340
#[test]
fn a_replacement_waits_for_readiness() {
    let ready = |app: App| App {
        port_definitions: App::new(id("/x"), "*", Timestamp::default()).port_definitions,
        readiness_checks: vec![ReadinessCheck {
            port_name: "default".into(),
            ..ReadinessCheck::default()
        }],
        ..app
    };
    let answer = |code| {
        move |status: &mut v1::TaskStatus| {
            status.check_status = Some(v1::CheckStatusInfo {
                http: Some(v1::check_status_info::Http { status_code: Some(code) }),
                ..Default::default()
            });
        }
    };
    let mut world = World::new(1);
    world.deploy(&[ready(app("/a", 1))]);
    assert_eq!(world.deployments(), 1);
    let task = world.running("/a")[0].clone();
    assert!(world.tasks[&task].info.check.is_some());
    world.status_with(&task, TaskState::TaskRunning, answer(503));
    world.run();
    assert_eq!(world.deployments(), 1);
    let readiness = world.view().deployments[0].current_actions[0].readiness.clone();
    assert_eq!(readiness, [(task.as_str().into(), "readinessCheck".to_string(), false)]);
    world.status_with(&task, TaskState::TaskRunning, answer(200));
    world.run();
    assert_eq!(world.deployments(), 0);
}

// covers: MAR-0329
#[test]
fn fewer_of_a_new_version() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 4)]);
    world.manners.runs = false;
    world.deploy(&[version_of(2, app("/a", 1))]);
    // The surplus goes at once, the rest serves until the new one runs.
    assert_eq!(world.running("/a").len(), 1);
    let new = staged(&world, "/a")[0].clone();
    world.status(&new, TaskState::TaskRunning);
    world.run();
    assert_eq!(world.tasks.keys().collect::<Vec<_>>(), [&new]);
}

// covers: MAR-0307, MAR-0506
#[test]
fn dependants_start_when_what_they_need_is_in_place() {
    let mut world = World::new(1);
    world.manners.runs = false;
    let web = App { dependencies: vec![id("/db")], ..app("/web", 1) };
    world.deploy(&[web, app("/db", 1)]);
    assert!(staged(&world, "/web").is_empty());
    let db = staged(&world, "/db")[0].clone();
    assert_eq!(world.view().deployments[0].current_step, 2);
    world.status(&db, TaskState::TaskRunning);
    world.run();
    assert_eq!(staged(&world, "/web").len(), 1);
    assert_eq!(world.view().deployments[0].current_step, 3);
}

// covers: MAR-0348, MAR-0349, MAR-0503, MAR-0504
#[test]
fn a_held_app_is_locked_unless_forced() {
    let mut world = World::new(1);
    world.manners.runs = false;
    let first = world.deploy(&[app("/a", 1)]).deployment;
    let mut change = world.put(&[app("/a", 2)]);
    let Answer::Locked(by) = world.ask(Command::Change(change.clone())) else { panic!("open") };
    assert_eq!(by, std::slice::from_ref(&first));
    // Others are free.
    world.deploy(&[app("/b", 1)]);
    change = world.put(&[app("/a", 2)]);
    change.force = true;
    world.change(change);
    assert!(world.core.deployments.get(&first).is_none());
    assert!(world.told().contains(&"DeploymentFailed".to_string()));
    assert_eq!(staged(&world, "/a").len(), 2);
}

// covers: MAR-0346
#[test]
fn so_many_deployments_at_a_time() {
    let options = super::super::Options { max_running_deployments: 1, ..Default::default() };
    let mut world = World::with(0, options);
    world.deploy(&[app("/a", 1)]);
    let change = world.put(&[app("/b", 1)]);
    assert!(matches!(world.ask(Command::Change(change)), Answer::TooManyDeployments(1)));
    let mut forced = world.put(&[app("/a", 2)]);
    forced.force = true;
    world.change(forced);
}

fn cancel(world: &mut World, deployment: &DeploymentId, force: bool) -> Answer {
    world.ask(Command::Cancel { deployment: deployment.clone(), force })
}

fn undone(answer: Answer) -> Deploying {
    match answer {
        Answer::Deploying(deploying) => deploying,
        other => panic!("not undone: {other:?}"),
    }
}

// covers: MAR-0486
#[test]
fn stopping_a_deployment_leaves_everything_as_it_is() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 1)]);
    world.manners.runs = false;
    let deployment = world.deploy(&[version_of(2, app("/a", 1))]).deployment;
    assert!(matches!(cancel(&mut world, &deployment, true), Answer::Done));
    assert_eq!(world.app("/a").app.cmd.as_deref(), Some("sleep 200"));
    assert_eq!((world.deployments(), world.tasks.len()), (0, 1));
    assert!(matches!(cancel(&mut world, &deployment, true), Answer::NotFound(_)));
}

// covers: MAR-0487, MAR-0488, MAR-0316, MAR-0501, MAR-0621, MAR-0622
#[test]
fn undoing_restores_and_keeps_the_tasks_that_are_right() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 2)]);
    let first = world.running("/a");
    world.deploy(&[app("/other", 1)]);
    world.manners.runs = false;
    let bad = world.deploy(&[version_of(2, app("/a", 2)), app("/new", 1)]).deployment;
    assert_eq!(world.tasks.len(), 6);
    let other = world.put(&[app("/later", 1)]);
    world.change(other);
    let deploying = undone(cancel(&mut world, &bad, false));
    world.pass(SECOND);
    assert_eq!(world.app("/a").app.cmd.as_deref(), Some("sleep 1000"));
    assert_eq!(world.app("/a").app.version, deploying.version);
    assert_eq!(world.running("/a"), first, "tasks of the restored definition stay");
    assert!(world.core.app(&id("/new")).is_none());
    assert!(world.core.app(&id("/later")).is_some());
    assert_eq!(world.running("/other").len(), 1);
    let held: Vec<_> = world.view().deployments.iter().map(|d| d.affected.clone()).collect();
    assert_eq!(held, [vec![id("/later")]]);
}

// covers: MAR-0317
#[test]
fn undoing_brings_a_removed_app_back() {
    let mut world = World::new(1);
    world.deploy(&[app("/g/a", 1)]);
    world.manners.kills = false;
    let change = world.edit(|root| assert!(root.remove_group(&id("/g"), Timestamp::default())));
    let removal = world.change(change).deployment;
    world.manners.kills = true;
    undone(cancel(&mut world, &removal, false));
    world.pass(SECOND * 60);
    assert_eq!(world.running("/g/a").len(), 1);
    assert_eq!((world.tasks.len(), world.deployments()), (1, 0));
}

#[test]
fn undoing_a_restart_stops_it() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 2)]);
    let first = world.running("/a");
    world.manners.runs = false;
    let mut change = world.put(&[]);
    change.restart.insert(id("/a"));
    let restart = world.change(change).deployment;
    undone(cancel(&mut world, &restart, false));
    world.pass(SECOND);
    assert_eq!((world.running("/a"), world.tasks.len(), world.deployments()), (first, 2, 0));
}

// covers: MAR-0332
#[test]
fn a_failing_version_can_be_replaced_by_a_good_one() {
    let mut world = World::new(1);
    world.deploy(&[strategy(1.0, 0.0, checked(app("/a", 2)))]);
    world.manners.heals = false;
    world.deploy(&[strategy(1.0, 0.0, checked(version_of(2, app("/a", 2))))]);
    world.manners.heals = true;
    let mut fixed = world.put(&[strategy(1.0, 0.0, checked(version_of(3, app("/a", 2))))]);
    fixed.force = true;
    world.change(fixed);
    world.pass(SECOND * 5);
    assert_eq!((world.app("/a").counts.healthy, world.tasks.len(), world.deployments()), (2, 2, 0));
}
