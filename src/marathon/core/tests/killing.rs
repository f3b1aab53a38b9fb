//! Kills that clients ask for.

use super::super::io::{Answer, Command, Kill, KillWhat, NotFound};
use super::world::{SECOND, World, app, id};
use crate::mesos::v1::TaskState;
use crate::mesos::v1::scheduler::call;

fn killed(answer: Answer) -> Vec<String> {
    match answer {
        Answer::Killed(all) => all.iter().map(|i| i.task_id.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

fn kill_task(world: &mut World, task: &str, scale: bool, wipe: bool) -> Answer {
    let what = KillWhat::Tasks { tasks: vec![task.into()], app: None };
    world.ask(Command::Kill(Kill { what, scale, wipe, force: false }))
}

fn instance(task: &str) -> &str {
    task.split("._app.").next().expect("a part")
}

// covers: MAR-0085, MAR-0483, MAR-0516
#[test]
fn all_of_an_app_are_replaced_by_new_incarnations() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 2)]);
    let first = world.running("/a");
    assert_eq!(killed(world.kill_app("/a", false, false)), first);
    let next: Vec<String> = first.iter().map(|t| t.replace("._app.1", "._app.2")).collect();
    assert_eq!(world.running("/a"), next);
    assert_eq!(world.app("/a").app.instances, 2);
}

// covers: MAR-0088, MAR-0517
#[test]
fn one_task_or_its_whole_instance() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 2)]);
    let first = world.running("/a");
    kill_task(&mut world, &first[0], false, false);
    assert!(world.running("/a").iter().any(|t| instance(t) == instance(&first[0])));
    kill_task(&mut world, &first[1], false, true);
    assert_eq!(world.running("/a").len(), 2);
    assert!(world.running("/a").iter().all(|t| instance(t) != instance(&first[1])));
}

// covers: MAR-0104, MAR-0105, MAR-0096
#[test]
fn nothing_to_kill() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 0)]);
    assert!(killed(world.kill_app("/a", false, false)).is_empty());
    assert!(killed(kill_task(&mut world, "a.instance-x._app.1", true, false)).is_empty());
    for scale in [false, true] {
        let answer = world.kill_app("/none", scale, false);
        assert!(matches!(answer, Answer::NotFound(NotFound::App(app)) if app == id("/none")));
    }
}

// covers: MAR-0106, MAR-0482
#[test]
fn killing_and_scaling_replaces_nothing_and_kills_those_named() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 3)]);
    let first = world.running("/a");
    world.pass(SECOND);
    let answer = kill_task(&mut world, &first[0], true, false);
    assert!(matches!(answer, Answer::Deploying(_)), "{answer:?}");
    assert_eq!(world.running("/a"), first[1..]);
    assert_eq!((world.app("/a").app.instances, world.deployments()), (2, 0));
}

// covers: MAR-0108
#[test]
fn scaling_needs_the_app_to_be_free() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 1)]);
    world.manners.runs = false;
    world.deploy(&[app("/a", 2)]);
    let first = world.running("/a")[0].clone();
    assert!(matches!(kill_task(&mut world, &first, true, false), Answer::Locked(_)));
    assert!(world.tasks.contains_key(&first));
    assert_eq!(killed(kill_task(&mut world, &first, false, false)), [first]);
}

#[test]
fn only_those_on_a_host() {
    let mut world = World::new(2);
    let mut spread = app("/a", 2);
    let operator = crate::marathon::model::Operator::Unique;
    spread.constraints = vec![crate::marathon::model::Constraint {
        field: "hostname".into(),
        operator,
        value: None,
    }];
    world.deploy(&[spread]);
    let host = Some("host1".to_string());
    let what = KillWhat::App { app: id("/a"), host };
    let answer = world.ask(Command::Kill(Kill { what, scale: false, wipe: false, force: false }));
    let Answer::Killed(all) = answer else { panic!("not killed") };
    let hosts: Vec<_> = all.iter().filter_map(|i| i.agent.as_ref()).map(|a| &a.host).collect();
    assert_eq!(hosts, ["host1"]);
}

// covers: MAR-0529
#[test]
fn a_kill_is_repeated_until_the_task_ends_also_after_a_crash() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 1)]);
    world.manners.kills = false;
    let task = world.running("/a")[0].clone();
    kill_task(&mut world, &task, false, false);
    assert!(world.app("/a").instances[0].being_killed);
    assert_eq!(world.calls_of(call::Type::Kill), 1);
    world.pass(SECOND * 31);
    assert_eq!(world.calls_of(call::Type::Kill), 2);
    world.crash();
    world.run();
    assert_eq!(world.calls_of(call::Type::Kill), 3);
    world.status(&task, TaskState::TaskKilled);
    world.run();
    assert_eq!(world.running("/a"), [task.replace("._app.1", "._app.2")]);
    world.pass(SECOND * 100);
    assert_eq!(world.calls_of(call::Type::Kill), 3);
}

#[test]
fn kills_go_out_in_parts() {
    let options = super::super::Options { kill_chunk_size: 3, ..Default::default() };
    let mut world = World::with(1, options);
    world.deploy(&[app("/a", 8)]);
    world.manners.kills = false;
    world.deploy(&[app("/a", 0)]);
    assert_eq!(world.calls_of(call::Type::Kill), 3);
    let tasks: Vec<String> = world.tasks.keys().cloned().collect();
    let asked: Vec<String> = world
        .calls
        .iter()
        .filter_map(|c| c.kill.as_ref())
        .map(|k| k.task_id.value.clone())
        .collect();
    world.status(&asked[0], TaskState::TaskKilled);
    world.run();
    assert_eq!(world.calls_of(call::Type::Kill), 4);
    assert_eq!(tasks.len(), 8);
}

#[test]
fn a_single_instance_stays_single() {
    let mut world = World::new(1);
    let mut single = app("/a", 1);
    single.upgrade_strategy = crate::marathon::model::UpgradeStrategy {
        minimum_health_capacity: 0.0,
        maximum_over_capacity: 0.0,
    };
    world.deploy(&[single]);
    world.manners.kills = false;
    world.kill_app("/a", false, true);
    assert_eq!(world.tasks.len(), 1, "its successor waits until it has ended");
    let task = world.tasks.keys().next().cloned().expect("a task");
    world.status(&task, TaskState::TaskKilled);
    world.run();
    assert_eq!(world.running("/a").len(), 1);
    assert_ne!(instance(&world.running("/a")[0]), instance(&task));
}
