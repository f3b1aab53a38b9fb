//! Reconciliation, explicit and implicit.

use super::world::*;
use crate::mesos::v1::{self, TaskState as S};
use v1::task_status::{Reason, Source};

// covers: MES-0161, MES-0175, MES-0523, MES-0524
#[test]
fn the_latest_forwarded_state_is_told_without_a_uuid() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let statuses = w.reconcile(&scheduler, &[("t1", Some(&agent.id))]);
    let status = statuses.last().unwrap();
    assert_eq!(state(status), S::TaskRunning);
    assert_eq!((status.source(), status.reason()), (Source::Master, Reason::Reconciliation));
    assert_eq!(status.message(), "Reconciliation: Latest task state");
    assert_eq!(status.agent_id.as_ref().unwrap().value, agent.id);
    assert!(status.uuid.is_none());
}

// covers: MES-0525, MES-0526, MES-0527
#[test]
fn unknown_tasks_and_agents() {
    for (info, gone, unknown) in
        [(framework(), S::TaskLost, S::TaskLost), (aware(), S::TaskGone, S::TaskUnknown)]
    {
        let mut w = World::new();
        let agent = w.agent("node1", "cpus:4;mem:1024");
        let scheduler = w.scheduler(info);
        w.events(&scheduler);
        let statuses =
            w.reconcile(&scheduler, &[("x", Some(&agent.id)), ("x", Some("nowhere")), ("x", None)]);
        let told: Vec<_> = statuses.iter().map(|s| (state(s), s.message())).collect();
        assert_eq!(
            told,
            [
                (gone, "Reconciliation: Task is unknown to the agent"),
                (unknown, "Reconciliation: Task is unknown"),
                (unknown, "Reconciliation: Task is unknown"),
            ]
        );
    }
}

// covers: MES-0531, MES-0532
#[test]
fn implicit_reconciliation_tells_all_that_is_not_completed() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    let tasks = ["a", "b", "c"].map(|id| task_info(id, &offer, "cpus:1")).to_vec();
    w.launch(&scheduler, &[&offer], tasks);
    w.report(&agent, &scheduler, "b", S::TaskFinished, 1);
    w.report(&agent, &scheduler, "c", S::TaskFinished, 2);
    w.acknowledge(&scheduler, &agent, "c", 2);
    w.events(&scheduler);
    let statuses = w.reconcile(&scheduler, &[]);
    let told: Vec<_> = statuses.iter().map(|s| (s.task_id.value.as_str(), state(s))).collect();
    assert_eq!(told, [("a", S::TaskStaging), ("b", S::TaskFinished)]);
}

#[test]
fn a_framework_learns_nothing_of_the_tasks_of_another() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let other = w.scheduler(aware());
    w.events(&other);
    let statuses = w.reconcile(&other, &[("t1", None)]);
    assert_eq!(state(&statuses[0]), S::TaskUnknown);
    assert!(w.reconcile(&other, &[]).is_empty());
    w.inbox(&agent);
    w.kill(&other, "t1", None);
    assert!(w.inbox(&agent).is_empty());
}

// covers: MES-0529
#[test]
fn no_answer_while_an_agent_is_expected_back() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.fail_over();
    let scheduler = w.resubscribe(&scheduler);
    let asked = [("t1", Some(agent.id.as_str())), ("t1", None)];
    assert!(w.reconcile(&scheduler, &asked).is_empty());
    let unknown = w.reconcile(&scheduler, &[("t1", Some("nowhere"))]);
    assert_eq!(unknown.len(), 1, "another agent is not expected");
    let id = agent.id.clone();
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    w.events(&scheduler);
    let statuses = w.reconcile(&scheduler, &[("t1", Some(&id)), ("t1", None)]);
    assert!(statuses.iter().all(|s| state(s) == S::TaskRunning) && statuses.len() == 2);
}
