//! A new master: what it knows from the registry, from agents, from frameworks.

use super::super::Options;
use super::super::io::Answer;
use super::world::*;
use crate::mesos::v1::TaskState as S;

// covers: MES-0081, MES-0085, MES-0091
#[test]
fn frameworks_known_through_agents_are_recovered_until_they_subscribe() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.fail_over();
    let view = w.view();
    assert_eq!((view.agents.len(), view.recovered_agents.len()), (0, 1));
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    let view = w.view();
    assert_eq!((view.agents.len(), view.recovered_agents.len()), (1, 0));
    let f = &view.frameworks[0];
    assert!(f.recovered && !f.active && !f.connected);
    assert_eq!(f.tasks.len(), 1);
    assert_eq!(f.used.cpus().as_f64(), 1.0);
    assert_eq!(view.agents[0].used.cpus().as_f64(), 1.0);
    w.pass(20 * MINUTE);
    assert_eq!(w.view().agents.len(), 1, "an agent that came in time is not lost");
    let scheduler = w.resubscribe(&scheduler);
    let f = &w.view().frameworks[0];
    assert!(!f.recovered && f.active);
    let offer = w.offers(&scheduler).remove(0);
    assert_eq!(offer.resources[0].scalar.unwrap().value, 3.0, "what it uses is not offered");
}

// covers: MES-0064, MES-0089, MES-0093, MES-0158
#[test]
fn a_scheduler_keeps_its_id_with_the_new_master_and_goes_on() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.fail_over();
    let (session, answer) = w.subscribe(scheduler.info.clone(), &[]);
    assert_eq!(answer, Answer::Accepted);
    let subscribed = w.next_event(&session).unwrap().subscribed.unwrap();
    assert_eq!(subscribed.framework_id.value, scheduler.id);
    assert_eq!(subscribed.master_info.unwrap().id, "master2");
    let scheduler = FakeScheduler { session, ..scheduler };
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    let offer = w.offers(&scheduler).remove(0);
    assert!(offer.id.value.starts_with("master2-O"));
    w.launch(&scheduler, &[&offer], vec![task_info("t2", &offer, "cpus:1")]);
    assert!(w.inbox(&agent).iter().any(|m| m.run_task.is_some()));
    assert_eq!(w.view().agents[0].used.cpus().as_f64(), 2.0);
}

// covers: MES-0078
#[test]
fn an_agent_that_does_not_come_back_is_unreachable() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.fail_over();
    let scheduler = w.resubscribe(&scheduler);
    w.pass(10 * MINUTE);
    assert!(w.view().recovered_agents.is_empty());
    assert_eq!(w.view().unreachable_agents[0].id.as_str(), agent.id);
    assert!(w.events(&scheduler).iter().any(|e| e.failure.is_some()));
    let statuses = w.reconcile(&scheduler, &[("t1", Some(&agent.id))]);
    assert_eq!(state(&statuses[0]), S::TaskUnreachable);
    assert_eq!(w.counter("recovery_slave_removals"), 1);
}

// covers: MES-0077, MES-0500, MES-0335
#[test]
fn an_unreachable_agent_returns_to_another_master_with_its_tasks() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.mute.insert(agent.link);
    w.pass(2 * MINUTE);
    w.fail_over();
    assert_eq!(w.view().unreachable_agents.len(), 1, "remembered by the registry");
    let scheduler = w.resubscribe(&scheduler);
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    let statuses = w.statuses(&scheduler);
    assert_eq!(state(&statuses[0]), S::TaskRunning);
    assert_eq!(w.view().frameworks[0].tasks.len(), 1);
    assert!(w.view().unreachable_agents.is_empty());
}

#[test]
fn an_ended_framework_stays_ended_and_a_deadline_survives() {
    let mut w = World::new();
    let ended = w.scheduler(framework());
    let away = w.scheduler(framework());
    w.teardown(&ended.id);
    w.hang_up(&away);
    w.pass(50 * MINUTE);
    w.fail_over();
    let (session, _) = w.subscribe(ended.info.clone(), &[]);
    let error = w.next_event(&session).unwrap().error.unwrap().message;
    assert_eq!(error, "Framework has been removed");
    assert_eq!(w.view().completed_frameworks.len(), 1);
    w.pass(9 * MINUTE);
    assert_eq!(w.view().frameworks.len(), 1);
    w.pass(2 * MINUTE);
    assert!(w.view().frameworks.is_empty(), "sixty minutes in all");
}

#[test]
fn a_framework_whose_time_ran_out_without_a_master_gets_a_minute() {
    let mut w = World::new();
    let away = w.scheduler(framework());
    w.hang_up(&away);
    w.wall = w.wall + 5 * HOUR;
    w.now = w.now + 5 * HOUR;
    w.fail_over();
    w.pass(59 * SECOND);
    let back = w.resubscribe(&away);
    w.pass(2 * HOUR);
    assert!(w.view().frameworks[0].connected);
    assert_eq!(back.id, away.id);
}

#[test]
fn a_framework_that_was_connected_gets_as_long_as_agents() {
    let mut w = World::with(Options::default());
    let scheduler =
        w.scheduler(crate::mesos::v1::FrameworkInfo { failover_timeout: None, ..framework() });
    w.fail_over();
    w.pass(9 * MINUTE);
    assert_eq!(w.view().frameworks.len(), 1, "its timeout of zero is not held against it");
    w.pass(2 * MINUTE);
    assert!(w.view().frameworks.is_empty());
    assert_eq!(w.view().completed_frameworks[0].info.id, scheduler.info.id);
}

#[test]
fn an_unknown_id_is_taken_as_it_is() {
    let mut w = World::new();
    let info = crate::mesos::v1::FrameworkInfo {
        id: Some(crate::mesos::make::framework_id("old-0007")),
        ..framework()
    };
    let (session, _) = w.subscribe(info, &[]);
    let id = w.next_event(&session).unwrap().subscribed.unwrap().framework_id;
    assert_eq!(id.value, "old-0007");
}

#[test]
fn unreachable_agents_are_forgotten_in_time() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    w.mute.insert(agent.link);
    w.pass(2 * MINUTE);
    assert_eq!(w.view().unreachable_agents.len(), 1);
    w.pass(14 * 24 * HOUR + HOUR);
    assert!(w.view().unreachable_agents.is_empty());
    assert!(w.registry.is_empty());
}
