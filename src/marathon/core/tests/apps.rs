//! Apps start, scale, change, restart and go.

use super::super::io::{Answer, Command, NotFound};
use super::super::records;
use super::super::view::Condition;
use super::world::{SECOND, World, app, id};
use crate::marathon::model::{App, Timestamp};
use crate::mesos::v1::TaskState;
use crate::mesos::v1::scheduler::call;

// covers: MAR-0338, MAR-0469, MAR-0485, MAR-0599
#[test]
fn a_new_app_runs_after_one_write_of_each_kind() {
    let mut world = World::new(1);
    let deployed = world.deploy(&[app("/a", 2)]);
    assert_eq!(world.running("/a").len(), 2);
    assert_eq!(world.deployments(), 0);
    assert_eq!(deployed.apps[0].version, deployed.version);
    assert_eq!(world.calls_of(call::Type::Accept), 1);
    assert_eq!(world.app("/a").counts.running, 2);
    let told = world.told();
    for event in
        ["GroupChangeSuccess", "DeploymentInfo", "DeploymentStepSuccess", "DeploymentSuccess"]
    {
        assert!(told.iter().any(|t| t == event), "{event} in {told:?}");
    }
    // Nothing is wanted any more.
    assert_eq!(world.calls.last().map(|c| c.r#type()), Some(call::Type::Suppress));
    assert_eq!(world.calls_of(call::Type::Suppress), 2);
    assert!(world.rows.contains_key("framework"));
    assert_eq!(world.rows.keys().filter(|k| k.starts_with("instances/")).count(), 2);
}

#[test]
fn two_hundred_instances_are_one_accept() {
    let mut world = World::new(0);
    world.add_agent(0, "cpus:100;mem:100000", "");
    world.deploy(&[app("/a", 200)]);
    world.pass(SECOND);
    assert_eq!(world.running("/a").len(), 200);
    assert_eq!(world.calls_of(call::Type::Accept), 1);
    assert_eq!(world.deployments(), 0);
}

#[test]
fn the_intent_is_durable_before_the_launch_is_asked_for() {
    let mut world = World::new(1);
    world.watch = Some(|world| {
        for task in world.tasks.keys() {
            let (instance, _) = task.rsplit_once("._app.").expect("a task id");
            assert!(world.rows.contains_key(&format!("instances/{instance}")), "{task}");
        }
    });
    world.deploy(&[app("/a", 3)]);
    assert_eq!(world.running("/a").len(), 3);
}

// covers: MAR-0341, MAR-0342, MAR-0353, MAR-0478
#[test]
fn scaling_up_down_and_to_nothing() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 1)]);
    let first = world.running("/a");
    let up = world.deploy(&[app("/a", 3)]);
    let three = world.running("/a");
    assert_eq!(three.len(), 3);
    assert!(three.contains(&first[0]), "scaling replaces nothing");
    let info = world.app("/a").app.version_info;
    assert_eq!(info.last_scaling_at, up.version);
    assert!(info.last_config_change_at < up.version);
    world.pass(SECOND);
    world.deploy(&[app("/a", 2)]);
    assert_eq!(world.running("/a").len(), 2);
    world.deploy(&[app("/a", 0)]);
    assert!(world.running("/a").is_empty());
    assert!(!world.rows.keys().any(|k| k.starts_with("instances/")));
    assert_eq!(world.deployments(), 0);
}

// covers: MAR-0311, MAR-0470
#[test]
fn what_changes_nothing_restarts_nothing() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 1)]);
    let (tasks, rows) = (world.running("/a"), world.rows.clone());
    let version = world.app("/a").app.version;
    world.deploy(&[app("/a", 1)]);
    assert_eq!(world.running("/a"), tasks);
    assert_eq!(world.app("/a").app.version, version);
    assert_eq!(world.rows, rows);
}

// covers: MAR-0354, MAR-0476, MAR-0479
#[test]
fn an_update_and_a_restart_replace_all_tasks() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 2)]);
    let first = world.running("/a");
    let updated = world.deploy(&[App { cmd: Some("sleep 2".into()), ..app("/a", 2) }]).version;
    let info = world.app("/a").app.version_info;
    assert_eq!((info.last_scaling_at, info.last_config_change_at), (updated, updated));
    let second = world.running("/a");
    assert_eq!(second.len(), 2);
    assert!(first.iter().all(|task| !second.contains(task)));
    let version = world.app("/a").app.version;
    let mut change = world.put(&[]);
    change.restart.insert(id("/a"));
    let restarted = world.change(change);
    let third = world.running("/a");
    assert!(restarted.version > version);
    assert!(second.iter().all(|task| !third.contains(task)));
    assert_eq!(world.app("/a").app.cmd.as_deref(), Some("sleep 2"));
}

// covers: MAR-0484, MAR-0309
#[test]
fn a_deleted_app_is_gone_at_once_and_its_tasks_follow() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 2)]);
    world.manners.kills = false;
    let change = world.edit(|root| assert!(root.remove_app(&id("/a"), Timestamp::default())));
    world.change(change);
    assert!(world.core.app(&id("/a")).is_none());
    assert_eq!((world.view().leaving.len(), world.deployments()), (2, 1));
    let tasks: Vec<String> = world.tasks.keys().cloned().collect();
    tasks.iter().for_each(|task| world.status(task, TaskState::TaskKilled));
    world.run();
    assert_eq!(world.deployments(), 0);
    assert!(world.told().contains(&"AppTerminated".to_string()));
    assert!(!world.rows.keys().any(|k| k.starts_with("instances/") || k.starts_with("current/")));
}

// covers: MAR-0480, MAR-0488
#[test]
fn versions_are_kept_up_to_the_limit_and_can_be_read() {
    let options = super::super::Options { max_versions: 3, ..Default::default() };
    let mut world = World::with(1, options);
    let mut made = Vec::new();
    for n in 0..6 {
        world.pass(SECOND);
        let cmd = Some(format!("sleep {n}00"));
        made.push(world.deploy(&[App { cmd, ..app("/a", 1) }]).version);
    }
    made.reverse();
    let versions = world.app("/a").versions.clone();
    assert_eq!(versions[..3], made[..3]);
    assert!(versions.len() <= 4, "{versions:?}");
    let old = world.core.app_version(&id("/a"), made[2]).expect("kept");
    assert_eq!(old.cmd.as_deref(), Some("sleep 300"));
    assert!(world.core.app_version(&id("/a"), made[5]).is_none());
    assert_eq!(
        world.core.root_at(made[1]).expect("kept").app(&id("/a")).expect("app").version,
        made[1]
    );
    assert!(world.core.root_at(made[5]).is_none());
    assert!(world.rows.keys().filter(|k| k.starts_with("roots/")).count() <= 3);
    assert!(world.rows.keys().filter(|k| k.starts_with("apps/")).count() <= 4);
}

#[test]
fn groups_come_go_and_are_remembered() {
    let mut world = World::new(1);
    let at = Timestamp::default();
    let change = world.edit(|root| {
        root.make(&id("/g/h"), at).dependencies = vec![id("/x")];
        root.make(&id("/g"), at).enforce_role = true;
        root.put_app(std::sync::Arc::new(app("/g/h/a", 1)), at);
    });
    let made = world.change(change).version;
    assert_eq!(world.running("/g/h/a").len(), 1);
    let before = world.core.root();
    world.crash();
    world.run();
    assert_eq!(world.core.root(), before);
    assert_eq!(before.group(&id("/g")).map(|g| (g.version, g.enforce_role)), Some((made, true)));
    let change = world.edit(|root| assert!(root.remove_group(&id("/g"), at)));
    world.change(change);
    assert!(world.core.root().groups.is_empty() && world.tasks.is_empty());
    let back = world.core.root_at(made).expect("kept");
    assert_eq!(back.group(&id("/g/h")).map(|g| g.dependencies.clone()), Some(vec![id("/x")]));
    assert!(back.app(&id("/g/h/a")).is_some());
}

// covers: MAR-0427
#[test]
fn service_ports_are_assigned_and_freed() {
    let mut world = World::new(1);
    let with_port =
        |name: &str| App::new(id(name), "*", Timestamp::default()).port_definitions.clone();
    let ported = |name: &str| App { port_definitions: with_port(name), ..app(name, 1) };
    let first = world.deploy(&[ported("/a"), ported("/b")]);
    let ports: Vec<_> = first.apps.iter().flat_map(|a| a.service_ports()).collect();
    assert_eq!(ports, [10_000, 10_001]);
    let change = world.edit(|root| assert!(root.remove_app(&id("/a"), Timestamp::default())));
    world.change(change);
    assert_eq!(world.deploy(&[ported("/c")]).apps[0].service_ports(), [10_000]);
    // The number stays with the app although the client sends 0 again.
    assert_eq!(world.deploy(&[ported("/b")]).apps.len(), 0);
}

#[test]
fn what_was_read_too_long_ago_is_refused() {
    let mut world = World::new(1);
    let (first, second) = (world.put(&[app("/a", 1)]), world.put(&[app("/a", 2)]));
    let other = world.put(&[app("/b", 1)]);
    world.change(first);
    assert!(matches!(world.ask(Command::Change(second)), Answer::Stale));
    // What others changed elsewhere does not matter.
    world.change(other);
    assert_eq!(world.app("/a").app.instances, 1);
}

#[test]
fn changes_have_limits_and_nothing_is_half_done() {
    let mut world = World::new(1);
    let rows = world.rows.clone();
    let many: Vec<App> = (0..251).map(|n| app(&format!("/a{n}"), 0)).collect();
    let huge = App { cmd: Some("x".repeat(1024 * 1024)), ..app("/a", 1) };
    for change in [world.put(&many), world.put(&[huge]), world.put(&[app("/a", 100_001)])] {
        assert!(matches!(world.ask(Command::Change(change)), Answer::Refused(_)));
    }
    assert_eq!(world.rows, rows);
    let mut change = world.put(&[]);
    change.restart.insert(id("/none"));
    let answer = world.ask(Command::Change(change));
    assert!(matches!(answer, Answer::NotFound(NotFound::App(app)) if app == id("/none")));
    let fits: Vec<App> = (0..250).map(|n| app(&format!("/g/a{n}"), 0)).collect();
    world.deploy(&fits);
    assert!(world.rows.len() < records::COMMIT_OPS_MAX);
}

// covers: MAR-0070
#[test]
fn a_dry_run_tells_the_steps_and_changes_nothing() {
    let mut world = World::new(1);
    let rows = world.rows.clone();
    let mut change = world.put(&[app("/a", 1)]);
    change.dry_run = true;
    let Answer::Planned(steps) = world.ask(Command::Change(change)) else { panic!("no plan") };
    assert_eq!(steps.len(), 2);
    assert_eq!(world.rows, rows);
    assert!(world.core.app(&id("/a")).is_none());
    assert!(world.in_condition("/a", Condition::Scheduled).is_empty());
}
