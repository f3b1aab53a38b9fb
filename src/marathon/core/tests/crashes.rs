//! The core dies at every moment of a story, with its last writes or without them, and the story ends all the same.

use super::super::io::{Command, Kill, KillWhat};
use super::world::{Crash, SECOND, World, app, id};
use crate::marathon::model::{App, Timestamp, UpgradeStrategy};
use crate::mesos::v1::TaskState;

/// A story, and how it has to end. Commands that were never answered are sent again, as clients do.
type Story = fn(&mut World);

fn again(world: &mut World, command: impl Fn(&World) -> Command) {
    for _ in 0..3 {
        let command = command(world);
        let request = world.send(command);
        world.run();
        if world.answers.remove(&request).is_some() {
            return;
        }
    }
    panic!("never answered");
}

fn put(world: &mut World, apps: &[App]) {
    again(world, |world| {
        let mut change = world.put(apps);
        change.force = true;
        Command::Change(change)
    });
    world.pass(SECOND * 90);
}

fn strategy(app: App) -> App {
    let upgrade_strategy =
        UpgradeStrategy { minimum_health_capacity: 0.5, maximum_over_capacity: 0.5 };
    App { upgrade_strategy, ..app }
}

fn begin_scale_update_delete(world: &mut World) {
    put(world, &[strategy(app("/a", 2)), app("/b", 1)]);
    put(world, &[strategy(app("/a", 4))]);
    put(world, &[strategy(App { mem: 20.0, ..app("/a", 3) })]);
    again(world, |world| {
        let mut change = world.edit(|root| {
            root.remove_app(&id("/b"), Timestamp::default());
        });
        change.force = true;
        Command::Change(change)
    });
    world.pass(SECOND * 90);
}

fn fail_kill_lose(world: &mut World) {
    put(world, &[app("/a", 3)]);
    let task = world.tasks.keys().next().cloned().expect("a task");
    world.status(&task, TaskState::TaskFailed);
    world.pass(SECOND * 20);
    again(world, |_| {
        let what = KillWhat::App { app: id("/a"), host: None };
        Command::Kill(Kill { what, scale: false, wipe: false, force: false })
    });
    world.pass(SECOND * 40);
    let task = world.tasks.keys().next().cloned().expect("a task");
    world.status_with(&task, TaskState::TaskUnreachable, |s| s.uuid = None);
    world.pass(SECOND * 40);
    world.status(&task, TaskState::TaskRunning);
    world.pass(SECOND * 90);
}

fn ends_well(world: &World, apps: &[(&str, usize)]) {
    let mut running: Vec<String> = apps.iter().flat_map(|(name, _)| world.running(name)).collect();
    running.sort();
    for (name, count) in apps {
        assert_eq!(world.running(name).len(), *count, "{name}");
    }
    let tasks: Vec<String> = world.tasks.keys().cloned().collect();
    assert_eq!(tasks, running, "what runs is what is known");
    assert_eq!(world.deployments(), 0);
    let rows = world.rows.keys().filter(|k| k.starts_with("instances/")).count();
    assert_eq!(rows, running.len());
    assert!(!world.rows.keys().any(|k| k.starts_with("deployments/")));
}

fn at_every_moment(story: Story, end: &[(&str, usize)]) {
    let mut quiet = World::new(2);
    let before = quiet.batches;
    story(&mut quiet);
    ends_well(&quiet, end);
    let moments = quiet.batches - before;
    assert!(moments > 10);
    for crash in [Crash::BeforeWrites, Crash::AfterWrites] {
        for moment in 0..moments {
            let mut world = World::new(2);
            world.crash_in = Some((moment, crash));
            story(&mut world);
            world.pass(SECOND * 120);
            assert_eq!(world.crashes, 1, "{crash:?} {moment}");
            ends_well(&world, end);
            // What is remembered says the same as what is known.
            let (root, tasks) = (world.core.root(), world.tasks.len());
            world.crash();
            world.pass(SECOND * 120);
            assert_eq!(world.core.root(), root, "{crash:?} {moment}");
            assert_eq!(world.tasks.len(), tasks);
            ends_well(&world, end);
        }
    }
}

// covers: MAR-0350, MAR-0511, MAR-0291
#[test]
fn definitions_and_deployments_survive() {
    at_every_moment(begin_scale_update_delete, &[("/a", 3)]);
}

// covers: MAR-0292, MAR-0623
#[test]
fn instances_survive() {
    at_every_moment(fail_kill_lose, &[("/a", 3)]);
}

#[test]
fn a_quiet_restart_kills_and_launches_nothing() {
    let mut world = World::new(2);
    world.deploy(&[app("/a", 5)]);
    let (tasks, launched) = (world.running("/a"), world.launched.len());
    let rows = world.rows.clone();
    world.crash();
    world.pass(SECOND * 1000);
    assert_eq!((world.running("/a"), world.launched.len()), (tasks, launched));
    assert_eq!(world.rows, rows);
}

#[test]
fn damaged_rows_are_refused_by_name() {
    use super::super::{MarathonCore, Out};
    use crate::machine::Cx;
    let mut world = World::new(1);
    world.deploy(&[app("/a", 1)]);
    let current = world.rows.keys().find(|k| k.starts_with("current/")).cloned().expect("a row");
    let app_row = world.rows.keys().find(|k| k.starts_with("apps/")).cloned().expect("a row");
    for (key, value) in [(current, Some(b"\x01{".to_vec())), (app_row, None)] {
        let mut rows = world.rows.clone();
        match value {
            Some(value) => drop(rows.insert(key.clone(), value)),
            None => drop(rows.remove(&key)),
        }
        let mut cx = Cx { now: world.now, wall: world.wall, rng: &mut world.rng };
        let built = MarathonCore::recover(Default::default(), rows, &mut cx, &mut Out::default());
        let error = built.err().expect("an error");
        assert_eq!(error.code, crate::base::error::Code::Corrupt);
        assert!(error.cause.contains("/a"), "{}", error.cause);
    }
}

// covers: MAR-0512, MAR-0513
#[test]
fn nothing_is_killed_before_the_master_has_told_of_every_task() {
    let mut world = World::new(1);
    put(&mut world, &[app("/a", 4)]);
    let tasks = world.running("/a");
    world.manners.kills = false;
    // Two have ended while nobody was there to hear it.
    world.disconnect();
    world.run();
    tasks[..2].iter().for_each(|task| drop(world.tasks.remove(task)));
    let change = world.put(&[app("/a", 2)]);
    world.send(Command::Change(change));
    world.run();
    world.subscribe();
    world.pass(SECOND * 10);
    assert!(
        world.tasks.len() >= 2,
        "those that run are the two that stay: {:?}",
        world.tasks.keys()
    );
    assert_eq!(world.calls_of(crate::mesos::v1::scheduler::call::Type::Kill), 0);
    assert_eq!(world.deployments(), 0);
}

#[test]
fn what_only_waits_is_dropped_although_not_all_is_known() {
    let mut world = World::new(1);
    put(&mut world, &[app("/a", 3)]);
    let tasks = world.running("/a");
    world.disconnect();
    world.deploy(&[app("/a", 2)]);
    // Of one it is known that it has ended, of the others nothing.
    let instance = super::super::InstanceId::of_task(&tasks[0]).expect("an instance");
    world.core.instances.get_mut(&instance).expect("known").heard = true;
    world.subscribe();
    world.tasks.remove(&tasks[0]);
    world.run();
    let launched = world.launched.len();
    world.pass(SECOND * 10);
    assert_eq!((world.running("/a").len(), world.launched.len()), (2, launched));
}
