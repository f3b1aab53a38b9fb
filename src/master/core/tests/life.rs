//! The life of a task: subscribe, offer, launch, status, acknowledgement.

use super::world::*;
use crate::mesos::v1::TaskState as S;

// covers: MES-0042, MES-0047, MES-0159
#[test]
fn a_task_is_offered_launched_reported_and_acknowledged() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offers = w.offers(&scheduler);
    assert_eq!(offers.len(), 1);
    w.launch(&scheduler, &[&offers[0]], vec![task_info("t1", &offers[0], "cpus:1;mem:64")]);
    let inbox = w.inbox(&agent);
    let run = inbox.iter().find_map(|m| m.run_task.as_ref()).expect("RunTask");
    assert_eq!(run.task.task_id.value, "t1");
    assert_eq!(run.framework_info.id.as_ref().unwrap().value, scheduler.id);
    let role = run.task.resources[0].allocation_info.as_ref().unwrap().role();
    assert_eq!(role, "*", "the role it is allocated to is filled in");
    w.report(&agent, &scheduler, "t1", S::TaskRunning, 1);
    let running = w.statuses(&scheduler);
    assert_eq!(running.len(), 1);
    assert_eq!(state(&running[0]), S::TaskRunning);
    assert_eq!(running[0].agent_id.as_ref().unwrap().value, agent.id);
    w.acknowledge(&scheduler, &agent, "t1", 1);
    let inbox = w.inbox(&agent);
    assert_eq!(inbox[0].acknowledge.as_ref().unwrap().uuid, vec![1; 16]);
    w.report(&agent, &scheduler, "t1", S::TaskFinished, 2);
    w.acknowledge(&scheduler, &agent, "t1", 2);
    let view = w.view();
    assert!(view.frameworks[0].tasks.is_empty());
    assert_eq!(view.frameworks[0].completed_tasks.len(), 1);
    assert_eq!(w.counter("tasks_finished"), 1);
}
