//! Custom executors: their API, their tasks, their ends.

use super::world::*;
use crate::agent::core::io::{Act, Answer, Exit, Input, Limits, SessionId};
use crate::base::time::Wall;
use crate::mesos::internal::{FrameworkMessage, MasterMessage, ShutdownExecutor};
use crate::mesos::v1::executor::{Call, call as calls, event::Type};
use crate::mesos::v1::{self, TaskState::*, task_status::Reason};

fn none() -> calls::Subscribe {
    calls::Subscribe::default()
}

fn subscribed() -> World {
    let mut w = World::ready();
    w.run(custom("c1", "e"));
    assert_eq!(w.subscribe(1, "e", none()), Answer::Accepted);
    w
}

fn refused(status: u16, text: &str) -> Answer {
    Answer::Refused { status, text: text.into() }
}

// covers: MES-0191
#[test]
fn a_subscription_is_answered_with_who_is_who_and_then_the_tasks() {
    let mut w = World::ready();
    w.run(custom("c1", "e"));
    w.run(custom("c2", "e"));
    assert_eq!(w.starts["e"], 1);
    assert!(w.updates.is_empty(), "executors report their tasks themselves");
    assert_eq!(w.core().view().frameworks[0].executors[0].queued_tasks.len(), 2);
    assert_eq!(w.subscribe(1, "e", none()), Answer::Accepted);
    assert_eq!(w.events_of(1), [Type::Subscribed, Type::Launch, Type::Launch]);
    let first = w.events[0].1.subscribed.clone().expect("SUBSCRIBED");
    assert_eq!(first.executor_info.executor_id.value, "e");
    assert_eq!(first.framework_info.name, "demo");
    assert_eq!(first.agent_info.id.map(|id| id.value).as_deref(), Some(AGENT));
    assert_eq!(w.core().view().frameworks[0].executors[0].tasks.len(), 2);
}

// covers: MES-0366
#[test]
fn updates_are_acknowledged_once_stored_and_repeated_ones_dropped() {
    let mut w = subscribed();
    w.acknowledge = false;
    assert_eq!(w.call(update("e", status("c1", TaskRunning, 1))), Answer::Accepted);
    assert_eq!(w.call(update("e", status("c1", TaskRunning, 1))), Answer::Accepted);
    assert_eq!(w.states("c1"), [TaskRunning]);
    assert_eq!(w.updates.len(), 1);
    assert_eq!(w.events_of(1).iter().filter(|t| **t == Type::Acknowledged).count(), 2);
    assert_eq!(w.disk.keys().filter(|k| k.starts_with("updates/")).count(), 1);
    let told = &w.updates[0].status;
    assert_eq!(told.executor_id.as_ref().map(|e| e.value.as_str()), Some("e"));
    assert_eq!((told.timestamp, told.container_status.is_some()), (Some(1.5), true));
}

// covers: MES-0314
#[test]
fn nothing_follows_a_terminal_update() {
    let mut w = subscribed();
    w.acknowledge = false;
    w.call(update("e", status("c1", TaskFinished, 1)));
    w.call(update("e", status("c1", TaskFailed, 2)));
    w.acknowledge = true;
    w.advance(seconds(700));
    assert_eq!(w.states("c1"), [TaskFinished]);
    assert_eq!(w.core().view().metrics["slave/invalid_status_updates"], 1.0);
}

// covers: MES-0189, MES-0183, MES-0188
#[test]
fn calls_are_validated_in_the_originals_words() {
    let mut w = subscribed();
    let prefix = "Failed to validate Executor::Call: ";
    let mut bad = |status: v1::TaskStatus, text: &str| {
        let answer = w.call(update("e", status));
        assert_eq!(answer, refused(400, &format!("{prefix}{text}")));
    };
    let good = status("c1", TaskRunning, 1);
    bad(v1::TaskStatus { uuid: None, ..good.clone() }, "Expecting 'uuid' to be present");
    bad(
        v1::TaskStatus { source: None, ..good.clone() },
        "Received Call from executor e of framework f-0000 with invalid source, expecting \
         'SOURCE_EXECUTOR'",
    );
    bad(
        status("c1", TaskStaging, 1),
        "Received TASK_STAGING from executor e of framework f-0000 which is not allowed",
    );
    let other = Some(v1::ExecutorId { value: "x".into() });
    bad(
        v1::TaskStatus { executor_id: other, ..good.clone() },
        "ExecutorID in Call: e does not match ExecutorID in TaskStatus: x",
    );
    let without = Call { r#type: Some(calls::Type::Update as i32), ..call("e") };
    assert_eq!(w.call(without), refused(400, &format!("{prefix}Expecting 'update' to be present")));
    let untyped = Call { r#type: None, ..call("e") };
    assert_eq!(w.call(untyped), refused(400, &format!("{prefix}Expecting 'type' to be present")));
    let unknown = update("nobody", good.clone());
    assert_eq!(w.call(unknown), refused(400, "Executor cannot be found"));
    let mut unknown = update("e", good.clone());
    unknown.framework_id.value = "nobody".into();
    assert_eq!(w.call(unknown), refused(400, "Framework cannot be found"));
    w.input(Input::ExecutorClosed { session: SessionId(1) });
    assert_eq!(w.call(update("e", good)), refused(403, "Executor is not subscribed"));
    assert!(w.updates.is_empty());
}

// covers: MES-0315
#[test]
fn an_executor_that_never_subscribes_is_ended() {
    let mut w = World::ready();
    w.run(custom("c1", "e"));
    w.advance(seconds(59));
    assert!(w.updates.is_empty());
    w.advance(seconds(1));
    let last = w.last("c1");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ExecutorRegistrationTimeout));
    assert_eq!(last.message(), "Executor did not register within 1mins");
    assert!(w.containers.is_empty());
    assert!(!w.disk.keys().any(|k| k.starts_with("executors")));
}

// covers: MES-0317
#[test]
fn the_tasks_of_an_executor_that_ends_fail() {
    let mut w = World::ready();
    w.run(custom("c1", "e"));
    w.task_exits("e", 1 << 8);
    let last = w.last("c1");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ExecutorTerminated));
    assert_eq!(last.message(), "Executor terminated");
    let exited = w.acts.iter().filter_map(|a| match a {
        Act::ToMaster { message, .. } => message.exited_executor.clone(),
        _ => None,
    });
    let exited: Vec<_> = exited.collect();
    assert_eq!(exited.len(), 1);
    assert_eq!(exited[0].status, Some(1 << 8));
    assert!(w.core().view().frameworks.is_empty());
}

// covers: MES-0339, MES-0344
#[test]
fn a_queued_task_that_is_killed_is_never_handed_over() {
    let mut w = World::ready();
    w.run(custom("c1", "e"));
    w.run(custom("c2", "e"));
    w.kill("c1", None);
    assert_eq!(w.last("c1").reason(), Reason::TaskKilledDuringLaunch);
    assert!(w.container("e").is_some());
    w.kill("c2", None);
    assert_eq!(w.states("c2"), [TaskKilled]);
    assert!(w.container("e").is_none(), "an executor with nothing to do is ended");
}

#[test]
fn a_kill_is_passed_on_with_its_policy_also_after_a_new_subscription() {
    let mut w = subscribed();
    w.call(update("e", status("c1", TaskRunning, 1)));
    w.kill("c1", Some(7));
    w.input(Input::ExecutorClosed { session: SessionId(1) });
    assert_eq!(w.subscribe(2, "e", none()), Answer::Accepted);
    let kills: Vec<_> = w.events.iter().filter_map(|(s, e)| Some((s.0, e.kill.clone()?))).collect();
    assert_eq!(kills.iter().map(|(s, _)| *s).collect::<Vec<_>>(), [1, 2]);
    for (_, kill) in kills {
        assert_eq!(kill.kill_policy.and_then(|p| p.grace_period), Some(duration(7)));
    }
    assert!(w.signals.is_empty());
}

// covers: MES-0328
#[test]
fn limits_are_raised_before_a_new_task_is_handed_over() {
    let mut w = subscribed();
    w.containerizer = false;
    w.run(custom("c2", "e"));
    assert_eq!(w.events_of(1), [Type::Subscribed, Type::Launch]);
    let wanted: Vec<Limits> = w
        .acts
        .iter()
        .filter_map(|a| match a {
            Act::Resize { limits, .. } => Some(*limits),
            _ => None,
        })
        .collect();
    assert_eq!(wanted.len(), 1);
    assert_eq!((wanted[0].cpus, wanted[0].memory_bytes), (1.2, Some(128 << 20)));
    let container = w.container("e").expect("it runs");
    w.input(Input::Resized { container, result: Ok(()) });
    assert_eq!(w.events_of(1), [Type::Subscribed, Type::Launch, Type::Launch]);
}

// covers: MES-0327
#[test]
fn limits_that_cannot_be_raised_end_the_executor() {
    let mut w = subscribed();
    w.containerizer = false;
    w.run(custom("c2", "e"));
    let container = w.container("e").expect("it runs");
    w.input(Input::Resized { container: container.clone(), result: Err("no".into()) });
    w.input(Input::Destroyed { container });
    let last = w.last("c2");
    assert_eq!((last.state(), last.reason()), (TaskGone, Reason::ContainerUpdateFailed));
}

// covers: MES-0343
#[test]
fn an_executor_being_shut_down_gets_its_grace_and_no_new_tasks() {
    let mut w = subscribed();
    w.call(update("e", status("c1", TaskRunning, 1)));
    let shutdown_executor = Some(ShutdownExecutor {
        framework_id: v1::FrameworkId { value: F.into() },
        executor_id: v1::ExecutorId { value: "e".into() },
    });
    w.tell(MasterMessage { shutdown_executor, ..Default::default() });
    assert_eq!(w.events_of(1).last(), Some(&Type::Shutdown));
    w.run(custom("c2", "e"));
    assert_eq!(w.last("c2").state(), TaskDropped);
    w.advance(seconds(4));
    assert!(w.container("e").is_some());
    w.advance(seconds(1));
    assert!(w.container("e").is_none());
    assert_eq!(w.last("c1").state(), TaskFailed);
}

// covers: MES-0192
#[test]
fn heartbeats_and_messages_pass() {
    let mut w = World::ready();
    w.run(custom("c1", "e"));
    let framework_message = Some(FrameworkMessage {
        framework_id: v1::FrameworkId { value: F.into() },
        executor_id: v1::ExecutorId { value: "e".into() },
        data: b"early".to_vec(),
    });
    w.tell(MasterMessage { framework_message, ..Default::default() });
    w.subscribe(1, "e", none());
    assert_eq!(w.events_of(1)[1], Type::Message);
    w.advance(seconds(1800));
    assert_eq!(w.events_of(1).last(), Some(&Type::Heartbeat));
    let says = Call {
        r#type: Some(calls::Type::Message as i32),
        message: Some(calls::Message { data: b"hello".to_vec() }),
        ..call("e")
    };
    assert_eq!(w.call(says), Answer::Accepted);
    let heard = w.count(|a| match a {
        Act::ToMaster { message, .. } => {
            message.executor_message.as_ref().is_some_and(|m| m.data == b"hello")
        }
        _ => false,
    });
    assert_eq!(heard, 1);
}

// covers: MES-0193
#[test]
fn heartbeat_calls_are_accepted() {
    let mut w = subscribed();
    let beat = Call { r#type: Some(calls::Type::Heartbeat as i32), ..call("e") };
    assert_eq!(w.call(beat), Answer::Accepted);
}

#[test]
fn a_new_subscription_takes_the_place_of_the_old() {
    let mut w = subscribed();
    assert_eq!(w.subscribe(2, "e", none()), Answer::Accepted);
    assert_eq!(w.count(|a| matches!(a, Act::CloseExecutor { session: SessionId(1) })), 1);
    // The task was handed over to the first stream, and this executor never heard of it.
    let last = w.last("c1");
    assert_eq!((last.state(), last.reason()), (TaskDropped, Reason::AgentRestarted));
    w.input(Input::ExecutorClosed { session: SessionId(1) });
    assert_eq!(w.call(update("e", status("x", TaskRunning, 1))), Answer::Accepted);
}

// covers: MES-0377
#[test]
fn an_executor_comes_back_after_a_restart_with_what_it_has() {
    let mut w = subscribed();
    w.call(update("e", status("c1", TaskRunning, 1)));
    w.restart();
    w.connect();
    let registered = w.registrations.len();
    assert_eq!(registered, 1, "nobody registers while executors are awaited");
    let subscribe = calls::Subscribe {
        unacknowledged_updates: vec![calls::Update { status: status("c1", TaskFinished, 2) }],
        ..none()
    };
    assert_eq!(w.subscribe(2, "e", subscribe), Answer::Accepted);
    assert_eq!(w.registrations.len(), 2);
    assert_eq!(w.registrations[1].executors.len(), 1);
    assert_eq!(w.states("c1"), [TaskRunning, TaskFinished]);
    assert_eq!(w.events_of(2), [Type::Subscribed, Type::Acknowledged]);
}

#[test]
fn an_executor_that_does_not_come_back_is_ended() {
    let mut w = subscribed();
    w.call(update("e", status("c1", TaskRunning, 1)));
    w.restart();
    w.connect();
    w.advance(seconds(2));
    let last = w.last("c1");
    assert_eq!((last.state(), last.reason()), (TaskGone, Reason::ExecutorReregistrationTimeout));
    assert_eq!(w.registrations.len(), 2);
}

#[test]
fn a_task_that_was_on_its_way_at_the_restart_is_dropped() {
    let mut w = subscribed();
    w.restart();
    w.connect();
    assert_eq!(w.subscribe(2, "e", none()), Answer::Accepted);
    let last = w.last("c1");
    assert_eq!((last.state(), last.reason()), (TaskDropped, Reason::AgentRestarted));
    assert_eq!(last.message(), "Task launched during agent restart");
    // One that the executor knows goes on.
    let mut w = subscribed();
    w.restart();
    w.connect();
    let subscribe = calls::Subscribe { unacknowledged_tasks: vec![custom("c1", "e")], ..none() };
    w.subscribe(2, "e", subscribe);
    assert!(w.updates.is_empty());
}

#[test]
fn memory_limits_of_an_executor_reach_its_tasks() {
    let mut w = subscribed();
    let oom = crate::agent::core::io::Oom { limit_bytes: 96 << 20, ..Default::default() };
    let exit = Exit { status: Some(9), oom: Some(oom), time: Wall(1), ..Exit::default() };
    let container = w.container("e").expect("it runs");
    w.exit_as(&container, exit);
    w.drain();
    assert_eq!(w.last("c1").reason(), Reason::ContainerLimitationMemory);
}

// covers: MES-0347
#[test]
fn the_environment_of_an_executor() {
    let mut w = World::ready();
    let mut info = custom("c1", "e");
    if let Some(e) = &mut info.executor {
        e.shutdown_grace_period = Some(duration(90));
        e.resources = vec![scalar("mem", 64.0)];
    }
    w.run(info);
    let launch = w.containers.values().next().expect("a container").launch.clone();
    let get =
        |name: &str| launch.environment.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(get("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"), Some("90secs"));
    assert_eq!(get("MESOS_AGENT_ENDPOINT"), Some("127.0.0.1:5051"));
    assert_eq!(get("MESOS_SLAVE_PID"), Some("slave(1)@127.0.0.1:5051"));
    assert_eq!(get("MESOS_FRAMEWORK_ID"), Some(F));
    assert_eq!(get("MESOS_CHECKPOINT"), Some("1"));
    assert_eq!(get("MESOS_RECOVERY_TIMEOUT"), Some("15mins"));
    assert_eq!(get("MESOS_SUBSCRIPTION_BACKOFF_MAX"), Some("2secs"));
    assert_eq!(get("MESOS_TASK_ID"), None);
    let directory = launch.sandbox.display().to_string();
    let layout = "/work/slaves/m-S0/frameworks/f-0000/executors/e/runs/";
    assert!(directory.starts_with(layout));
    assert_eq!(
        (get("MESOS_DIRECTORY"), get("MESOS_SANDBOX")),
        (Some(&*directory), Some(&*directory))
    );
}

// covers: MES-0340
#[test]
fn the_master_hears_of_an_executor_that_could_not_be_launched() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run(custom("c1", "e"));
    let container = w.container("e").expect("being prepared");
    w.input(Input::Prepared { container: container.clone(), result: Err("no such file".into()) });
    w.input(Input::Destroyed { container });
    assert_eq!(w.last("c1").message(), "Failed to launch container: no such file");
    let told = w.count(|a| match a {
        Act::ToMaster { message, .. } => message.exited_executor.is_some(),
        _ => false,
    });
    assert_eq!(told, 1);
    assert!(w.core().view().frameworks.is_empty());
}

#[test]
fn a_full_stream_takes_no_more_updates() {
    let mut w = subscribed();
    w.acknowledge = false;
    let mut accepted = 0;
    for n in 0..=u8::MAX {
        if w.call(update("e", status("c1", TaskRunning, n))) == Answer::Accepted {
            accepted += 1;
        }
    }
    assert_eq!(accepted, crate::agent::core::STREAM_MAX);
    w.acknowledge = true;
    w.connect();
    assert_eq!(w.call(update("e", status("c1", TaskFinished, 255))), Answer::Accepted);
    assert_eq!(w.last("c1").state(), TaskFinished);
}

#[test]
fn a_kill_is_remembered_over_a_restart() {
    let mut w = subscribed();
    w.call(update("e", status("c1", TaskRunning, 1)));
    w.kill("c1", Some(7));
    w.restart();
    w.connect();
    assert_eq!(w.subscribe(2, "e", none()), Answer::Accepted);
    assert_eq!(w.events_of(2), [Type::Subscribed, Type::Kill]);
}
