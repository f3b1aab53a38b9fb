//! The picture for the read endpoints: right after every change, shared while nothing changes.

use super::world::*;
use crate::mesos::v1::TaskState as S;
use std::sync::Arc;

#[test]
fn what_did_not_change_is_not_made_again() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    w.agent("node2", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let other = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let before = w.view();
    let again = w.view();
    assert!(before.agents.iter().zip(&again.agents).all(|(a, b)| Arc::ptr_eq(a, b)));
    w.report(&agent, &scheduler, "t1", S::TaskKilling, 2);
    let killing = w.view();
    assert!(!Arc::ptr_eq(&before.frameworks[0], &killing.frameworks[0]));
    assert!(Arc::ptr_eq(&before.frameworks[1], &killing.frameworks[1]), "{}", other.id);
    w.report(&agent, &scheduler, "t1", S::TaskFinished, 3);
    let after = w.view();
    let at = |id: &str| {
        before.agents.iter().position(|a| a.info.id.as_ref().unwrap().value == id).unwrap()
    };
    let (changed, same) = (at(&agent.id), 1 - at(&agent.id));
    assert!(!Arc::ptr_eq(&before.agents[changed], &after.agents[changed]));
    assert!(Arc::ptr_eq(&before.agents[same], &after.agents[same]));
    assert_eq!(after.counters["tasks_running"], 0);
    assert_eq!(before.counters["tasks_running"], 1);
}

#[test]
fn roles_show_who_is_in_them_and_what_they_hold() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(multi_role(&["eng"]));
    w.run_task(&agent, &scheduler, "t1");
    w.pass(6 * SECOND);
    let view = w.view();
    let role = view.roles.iter().find(|r| r.name.as_str() == "eng").unwrap();
    assert_eq!(role.frameworks.len(), 1);
    assert_eq!(role.allocated.cpus().as_f64(), 1.0);
    assert_eq!(role.offered.cpus().as_f64(), 3.0);
    assert_eq!(role.weight, 1.0);
}

#[test]
fn a_framework_that_gets_nothing_can_ask_why() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offers = w.offers(&scheduler);
    w.decline(&scheduler, &offers, Some(3600.0));
    let why = w.core.explain(&scheduler.id.as_str().into(), w.now);
    assert!(!why.refusals.is_empty(), "{why:?}");
}
