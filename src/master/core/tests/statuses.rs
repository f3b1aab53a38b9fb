//! Status updates, kills, messages, executors.

use super::world::*;
use crate::mesos::internal::{AgentMessage, ExecutorMessage, ExitedExecutor};
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::{self, TaskState as S};
use v1::task_status::Reason;

// covers: MES-0048, MES-0060
#[test]
fn resources_are_free_when_the_task_is_terminal_not_when_that_is_acknowledged() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.report(&agent, &scheduler, "t1", S::TaskFinished, 2);
    assert!(w.view().agents[0].used.is_empty());
    assert_eq!(w.view().frameworks[0].tasks.len(), 1, "kept until acknowledged");
    w.pass(6 * SECOND);
    let offered: f64 = w.view().agents[0].offered.cpus().as_f64();
    assert_eq!(offered, 4.0, "all of it is offered again");
    w.acknowledge(&scheduler, &agent, "t1", 2);
    assert!(w.view().frameworks[0].tasks.is_empty());
}

// covers: MES-0061
#[test]
fn the_latest_state_frees_resources_while_older_updates_wait() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    w.launch(&scheduler, &[&offer], vec![task_info("t1", &offer, "cpus:1")]);
    w.report_latest(&agent, &scheduler, "t1", S::TaskRunning, S::TaskFinished, 1);
    assert!(w.view().agents[0].used.is_empty());
    let statuses = w.reconcile(&scheduler, &[("t1", None)]);
    assert_eq!(state(statuses.last().unwrap()), S::TaskRunning, "what was forwarded is told");
    w.acknowledge(&scheduler, &agent, "t1", 1);
    assert_eq!(w.view().frameworks[0].tasks.len(), 1, "the terminal update is to come");
    w.report(&agent, &scheduler, "t1", S::TaskFinished, 2);
    assert_eq!(w.counter("tasks_finished"), 1, "counted once");
    w.acknowledge(&scheduler, &agent, "t1", 9);
    assert_eq!(w.view().frameworks[0].tasks.len(), 1, "another uuid is not its");
    w.acknowledge(&scheduler, &agent, "t1", 2);
    assert!(w.view().frameworks[0].tasks.is_empty());
}

#[test]
fn the_history_keeps_the_last_status_of_each_state_and_no_data() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.report(&agent, &scheduler, "t1", S::TaskRunning, 2);
    w.report(&agent, &scheduler, "t1", S::TaskKilling, 3);
    let statuses = w.view().frameworks[0].tasks[0].statuses.clone();
    let seen: Vec<_> = statuses.iter().map(|s| (state(s), s.uuid.clone().unwrap()[0])).collect();
    assert_eq!(seen, [(S::TaskRunning, 2), (S::TaskKilling, 3)]);
}

#[test]
fn a_task_that_ended_does_not_come_alive() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.report(&agent, &scheduler, "t1", S::TaskFailed, 2);
    w.report(&agent, &scheduler, "t1", S::TaskRunning, 3);
    assert_eq!(w.view().frameworks[0].tasks[0].state(), S::TaskFailed);
    assert!(w.view().agents[0].used.is_empty());
}

#[test]
fn updates_of_strangers_are_counted_and_harm_nothing() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let other = w.agent("node2", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.report(&other, &scheduler, "t1", S::TaskFailed, 2);
    assert_eq!(w.view().frameworks[0].tasks[0].state(), S::TaskRunning);
    let nobody = FakeScheduler { id: "nobody".into(), ..scheduler.clone() };
    w.report(&agent, &nobody, "t1", S::TaskFailed, 2);
    assert_eq!(w.counter("invalid_status_updates"), 2);
    w.acknowledge(&scheduler, &FakeAgent { id: "X".into(), ..agent }, "t1", 1);
    assert_eq!(w.counter("invalid_status_update_acknowledgements"), 1);
}

#[test]
fn an_agent_that_reports_for_an_ended_framework_is_told_to_forget_it() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.teardown(&scheduler.id);
    assert!(w.inbox(&agent).iter().all(|m| m.shutdown_framework.is_none()), "it had nothing there");
    w.report(&agent, &scheduler, "t1", S::TaskFailed, 2);
    let shutdown = w.inbox(&agent).into_iter().find_map(|m| m.shutdown_framework);
    assert_eq!(shutdown.map(|s| s.framework_id.value), Some(scheduler.id));
}

// covers: MES-0044, MES-0162
#[test]
fn a_kill_goes_to_the_agent_of_the_task() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let other = w.agent("node2", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.kill(&scheduler, "t1", Some(&other));
    assert!(w.inbox(&agent).is_empty(), "a wrong agent, and the kill is ignored");
    w.kill(&scheduler, "t1", Some(&agent));
    let kill = w.inbox(&agent)[0].kill_task.clone().unwrap();
    assert_eq!(kill.task_id.value, "t1");
    w.report(&agent, &scheduler, "t1", S::TaskKilled, 2);
    assert_eq!(state(&w.statuses(&scheduler)[0]), S::TaskKilled);
    assert_eq!(w.counter("tasks_killed"), 1);
}

// covers: MES-0045, MES-0528
#[test]
fn a_kill_of_an_unknown_task_reconciles_it() {
    for (info, told) in [(framework(), S::TaskLost), (aware(), S::TaskUnknown)] {
        let mut w = World::new();
        let scheduler = w.scheduler(info);
        w.kill(&scheduler, "nothing", None);
        let statuses = w.statuses(&scheduler);
        assert_eq!(state(&statuses[0]), told);
        assert_eq!(statuses[0].reason(), Reason::Reconciliation);
    }
}

// covers: MES-0394
#[test]
fn a_kill_is_sent_again_when_the_agent_comes_back() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.cut(&agent);
    w.kill(&scheduler, "t1", None);
    w.reregister(&mut agent, vec![task.clone()], &[&scheduler]);
    let inbox = w.inbox(&agent);
    assert!(inbox.iter().any(|m| m.kill_task.is_some()), "{inbox:?}");
    w.report(&agent, &scheduler, "t1", S::TaskKilled, 2);
    w.cut(&agent);
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    assert!(w.inbox(&agent).iter().all(|m| m.kill_task.is_none()), "it has ended");
}

fn with_executor(id: &str, offer: &v1::Offer) -> v1::TaskInfo {
    let executor = v1::ExecutorInfo {
        executor_id: make::executor_id("e"),
        command: Some(v1::CommandInfo { value: Some("run".into()), ..Default::default() }),
        resources: wire("cpus:1"),
        ..Default::default()
    };
    v1::TaskInfo {
        command: None,
        executor: Some(executor),
        ..task_info(id, offer, "cpus:1;mem:64")
    }
}

// covers: MES-0048, MES-0163
#[test]
fn the_end_of_an_executor_frees_it_and_is_told() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    w.launch(&scheduler, &[&offer], vec![with_executor("t1", &offer)]);
    let shutdown =
        call::Shutdown { executor_id: make::executor_id("e"), agent_id: make::agent_id(&agent.id) };
    let call = Call { shutdown: Some(shutdown), ..Call::default() };
    w.call(&scheduler, call::Type::Shutdown, call);
    let inbox = w.inbox(&agent);
    assert_eq!(inbox.last().unwrap().shutdown_executor.as_ref().unwrap().executor_id.value, "e");
    w.report(&agent, &scheduler, "t1", S::TaskKilled, 1);
    w.events(&scheduler);
    let exited = ExitedExecutor {
        framework_id: make::framework_id(&scheduler.id),
        executor_id: make::executor_id("e"),
        status: Some(9),
    };
    let message = AgentMessage { exited_executor: Some(exited), ..Default::default() };
    w.agent_says(agent.link, message.clone());
    let events = w.events(&scheduler);
    let failure = events.iter().find_map(|e| e.failure.as_ref()).unwrap();
    assert_eq!(failure.agent_id.as_ref().unwrap().value, agent.id);
    assert_eq!(failure.executor_id.as_ref().unwrap().value, "e");
    assert_eq!(failure.status, Some(9));
    assert!(w.view().agents[0].used.is_empty());
    w.agent_says(agent.link, message);
    assert!(w.events(&scheduler).iter().all(|e| e.failure.is_none()), "told once");
}

#[test]
fn messages_pass_both_ways() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let message = call::Message {
        agent_id: make::agent_id(&agent.id),
        executor_id: make::executor_id("e"),
        data: b"down".to_vec(),
    };
    let call = Call { message: Some(message), ..Call::default() };
    w.call(&scheduler, call::Type::Message, call.clone());
    let inbox = w.inbox(&agent);
    assert_eq!(inbox.last().unwrap().framework_message.as_ref().unwrap().data, b"down");
    let message = ExecutorMessage {
        framework_id: make::framework_id(&scheduler.id),
        executor_id: make::executor_id("e"),
        data: b"up".to_vec(),
    };
    w.events(&scheduler);
    let message = AgentMessage { executor_message: Some(message), ..Default::default() };
    w.agent_says(agent.link, message);
    assert_eq!(w.events(&scheduler)[0].message.as_ref().unwrap().data, b"up");
    w.cut(&agent);
    w.call(&scheduler, call::Type::Message, call);
    assert_eq!(w.counter("invalid_framework_to_executor_messages"), 1);
}
