//! Pictures: right, and made only when something changed.

use super::world::{SECOND, World, app, id};
use crate::mesos::v1::TaskState;
use std::sync::Arc;

#[test]
fn pictures_are_shared_until_something_changes() {
    let mut world = World::new(1);
    world.deploy(&[app("/a", 1), app("/b", 1)]);
    let (first, second) = (world.view(), world.view());
    assert!(Arc::ptr_eq(&first.apps, &second.apps));
    let task = world.running("/a")[0].clone();
    world.pass(SECOND * 5);
    world.status(&task, TaskState::TaskFailed);
    world.run();
    let third = world.view();
    assert!(!Arc::ptr_eq(&first.apps[&id("/a")], &third.apps[&id("/a")]));
    assert!(Arc::ptr_eq(&first.apps[&id("/b")], &third.apps[&id("/b")]));
    assert_eq!(third.apps[&id("/a")].instances[0].task_id.as_str(), world.running("/a")[0]);
}

// covers: MAR-0305, MAR-0570, MAR-0572, MAR-0610
#[test]
fn deployments_counts_and_metrics() {
    let mut world = World::new(1);
    world.manners.runs = false;
    let deploying = world.deploy(&[app("/a", 2)]);
    let view = world.view();
    let deployment = &view.deployments[0];
    assert_eq!((&deployment.id, deployment.version), (&deploying.deployment, deploying.version));
    assert_eq!((deployment.current_step, deployment.steps.len()), (2, 2));
    assert_eq!(deployment.affected, [id("/a")]);
    assert_eq!(deployment.current_actions[0].waits_for, "of 2 instances: waits for 2 to run");
    let app = &view.apps[&id("/a")];
    assert_eq!(app.deployments, std::slice::from_ref(&deploying.deployment));
    assert_eq!((app.counts.staged, app.counts.running), (2, 0));
    let tasks: Vec<String> = world.tasks.keys().cloned().collect();
    tasks.iter().for_each(|task| world.status(task, TaskState::TaskRunning));
    world.run();
    let view = world.view();
    let app = &view.apps[&id("/a")];
    assert_eq!((app.counts.running, app.counts.healthy, app.counts.unhealthy), (2, 0, 0));
    assert!(view.deployments.is_empty() && app.deployments.is_empty());
    assert_eq!(view.metrics["instances.running.gauge"], 2);
    assert_eq!(view.metrics["tasks.launched.counter"], 2);
    assert_eq!(view.framework_id.as_deref(), Some("fw"));
}
