//! Killing tasks, time limits, and the ends of frameworks and of the agent.

use super::world::*;
use crate::agent::core::io::{Act, Input};
use crate::mesos::internal::{MasterMessage, ShutdownAgent, ShutdownFramework};
use crate::mesos::v1::{self, TaskState::*, task_status::Reason, task_status::Source};

fn stubborn() -> World {
    let mut w = World::ready();
    w.obedient = false;
    w
}

// covers: MES-0404
#[test]
fn a_task_is_told_to_end_and_then_made_to() {
    let mut w = stubborn();
    w.run(task("t"));
    w.kill("t", None);
    assert_eq!(w.signals, [SIGTERM]);
    assert_eq!(w.last("t").state(), TaskKilling);
    w.advance(seconds(2));
    assert_eq!(w.signals, [SIGTERM]);
    w.advance(seconds(1));
    assert_eq!(w.signals, [SIGTERM, SIGKILL]);
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning, TaskKilling, TaskKilled]);
    assert_eq!(w.last("t").message(), "Command terminated with signal Killed");
}

// covers: MES-0403
#[test]
fn no_killing_for_those_who_do_not_know_the_word() {
    let mut w = World::ready();
    w.run_for(v1::FrameworkInfo { capabilities: Vec::new(), ..framework() }, task("t"));
    w.kill("t", None);
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning, TaskKilled]);
}

// covers: MES-0319
#[test]
fn the_tasks_kill_policy_counts_and_the_kills_own_counts_more() {
    let mut w = stubborn();
    let policy = v1::KillPolicy { grace_period: Some(duration(30)) };
    w.run(v1::TaskInfo { kill_policy: Some(policy), ..task("t") });
    w.kill("t", None);
    w.advance(seconds(29));
    assert_eq!(w.signals, [SIGTERM]);
    w.advance(seconds(1));
    assert_eq!(w.signals, [SIGTERM, SIGKILL]);

    let mut w = stubborn();
    let policy = v1::KillPolicy { grace_period: Some(duration(30)) };
    w.run(v1::TaskInfo { kill_policy: Some(policy), ..task("t") });
    w.kill("t", Some(10));
    w.advance(seconds(10));
    assert_eq!(w.signals, [SIGTERM, SIGKILL]);
}

#[test]
fn a_second_kill_can_only_shorten() {
    let mut w = stubborn();
    w.run(task("t"));
    w.kill("t", Some(5));
    w.kill("t", Some(60));
    w.advance(seconds(5));
    assert_eq!(w.signals, [SIGTERM, SIGKILL]);

    let mut w = stubborn();
    w.run(task("t"));
    w.kill("t", Some(20));
    w.advance(seconds(5));
    w.kill("t", Some(5));
    w.advance(seconds(4));
    assert_eq!(w.signals, [SIGTERM]);
    w.advance(seconds(1));
    assert_eq!(w.signals, [SIGTERM, SIGKILL]);
}

#[test]
fn a_killed_task_that_exits_well_is_killed_all_the_same() {
    let mut w = stubborn();
    w.run(task("t"));
    w.kill("t", None);
    w.task_exits("t", 0);
    assert_eq!(w.last("t").state(), TaskKilled);
}

// covers: MES-0337
#[test]
fn a_task_killed_before_it_started_is_never_started() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run(task("t"));
    let container = w.container("t").expect("being prepared");
    w.kill("t", None);
    let last = w.last("t");
    assert_eq!((last.state(), last.source()), (TaskKilled, Source::Agent));
    assert_eq!(last.reason(), Reason::TaskKilledDuringLaunch);
    w.input(Input::Prepared { container: container.clone(), result: Ok(()) });
    w.input(Input::Destroyed { container });
    assert_eq!(w.count(|a| matches!(a, Act::Create(_) | Act::Start { .. })), 0);
    assert!(w.core().view().frameworks.is_empty());
}

#[test]
fn a_kill_while_the_command_is_being_started_reaches_it() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run(task("t"));
    let container = w.container("t").expect("being prepared");
    w.input(Input::Prepared { container: container.clone(), result: Ok(()) });
    w.input(Input::Created { container: container.clone(), result: Ok(()) });
    w.kill("t", None);
    assert!(w.signals.is_empty());
    w.input(Input::Started { container, result: Ok(7) });
    assert_eq!(w.signals, [SIGTERM]);
    assert_eq!(w.states("t"), [TaskStarting, TaskKilling, TaskKilled]);
}

#[test]
fn a_kill_of_an_unknown_task_is_answered() {
    let mut w = World::ready();
    w.kill("nobody", None);
    assert_eq!(w.last("nobody").state(), TaskLost);
}

// covers: MES-0405
#[test]
fn a_task_over_its_time_limit_fails() {
    let mut w = World::ready();
    w.run(v1::TaskInfo { max_completion_time: Some(duration(60)), ..task("t") });
    w.advance(seconds(59));
    assert_eq!(w.last("t").state(), TaskRunning);
    w.advance(seconds(1));
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::MaxCompletionTimeReached));
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning, TaskFailed]);
}

#[test]
fn a_framework_shut_down_ends_without_a_word() {
    let mut w = World::ready();
    w.acknowledge = false;
    w.run(task("t"));
    let sent = w.updates.len();
    let framework_id = v1::FrameworkId { value: F.into() };
    let shutdown_framework = Some(ShutdownFramework { framework_id });
    w.tell(MasterMessage { shutdown_framework, ..Default::default() });
    w.advance(seconds(60));
    assert_eq!(w.updates.len(), sent);
    assert!(w.containers.is_empty());
    assert!(!w.disk.keys().any(|k| !k.starts_with("sandboxes") && k != "agent"), "{:?}", w.disk);
    assert_eq!(w.core().view().completed_frameworks.len(), 1);
}

#[test]
fn stopping_with_tasks_left_stops_at_once() {
    let mut w = World::ready();
    w.run(task("t"));
    w.input(Input::Stop { kill_tasks: false });
    assert_eq!(w.stopped, Some(1));
    assert!(w.signals.is_empty());
}

// covers: MES-0392
#[test]
fn stopping_with_its_tasks_waits_for_their_ends() {
    let mut w = stubborn();
    w.run(task("t1"));
    w.run(task("t2"));
    w.input(Input::Stop { kill_tasks: true });
    assert_eq!((w.stopped, w.signals.len()), (None, 2));
    w.run(task("late"));
    assert_eq!(w.last("late").state(), TaskDropped);
    w.advance(seconds(3));
    assert_eq!(w.stopped, Some(0));
    assert_eq!((w.last("t1").state(), w.last("t2").state()), (TaskKilled, TaskKilled));
}

fn unregistrations(w: &World) -> usize {
    w.count(|a| matches!(a, Act::ToMaster { message, .. } if message.unregister.is_some()))
}

// covers: MES-0313
#[test]
fn an_agent_that_stops_with_its_tasks_leaves_the_cluster() {
    let mut w = World::ready();
    w.run(task("t"));
    w.input(Input::Stop { kill_tasks: true });
    w.drain();
    assert_eq!(w.last("t").state(), TaskKilled);
    assert_eq!((unregistrations(&w), w.stopped), (1, Some(0)));
    let last = w.acts.iter().rev().take(2).collect::<Vec<_>>();
    assert!(matches!(last[0], Act::Stopped { .. }), "unregistered first: {last:?}");
    assert!(w.disk.keys().all(|k| k.starts_with("sandboxes/")), "{:?}", w.disk.keys());
    w.restart();
    w.connect();
    assert!(w.registrations.last().is_some_and(|r| r.agent_info.id.is_none()));
}

#[test]
fn an_agent_that_stops_does_not_leave_with_something_untold() {
    let mut w = World::ready();
    w.run(task("t"));
    w.acknowledge = false;
    w.input(Input::Stop { kill_tasks: true });
    assert_eq!(w.stopped, None, "it may be acknowledged in a moment");
    w.advance(seconds(2));
    assert_eq!((unregistrations(&w), w.stopped), (0, Some(0)));
    w.acknowledge = true;
    w.restart();
    w.connect();
    assert_eq!(w.last("t").state(), TaskKilled);
    assert!(w.registrations.last().is_some_and(|r| r.agent_info.id.is_some()));
}

// covers: MES-0391
#[test]
fn an_unwanted_agent_comes_back_as_another() {
    let mut w = World::ready();
    w.run(task("t"));
    let shutdown = Some(ShutdownAgent { message: "gone".into() });
    w.tell(MasterMessage { shutdown, ..Default::default() });
    w.advance(seconds(5));
    assert_eq!(w.stopped, Some(0));
    assert!(w.containers.is_empty());
    assert!(w.disk.keys().all(|k| k.starts_with("sandboxes/")), "{:?}", w.disk.keys());
    w.restart();
    w.connect();
    assert!(w.registrations.last().is_some_and(|r| r.agent_info.id.is_none()));
}

#[test]
fn what_outlives_sigkill_is_destroyed_with_its_container() {
    let mut w = stubborn();
    w.run(task("t"));
    let container = w.container("t").expect("it runs");
    w.kill("t", None);
    // SIGKILL finds nothing: the process hangs in the kernel.
    if let Some(c) = w.containers.get_mut(&container) {
        c.state = State::Created;
    }
    w.advance(seconds(12));
    assert_eq!(w.count(|a| matches!(a, Act::Destroy { .. })), 0);
    w.advance(seconds(1));
    assert_eq!(w.last("t").state(), TaskKilled);
}

#[test]
fn a_destruction_without_an_answer_is_asked_again() {
    let mut w = World::ready();
    w.run(task("t"));
    w.containerizer = false;
    w.task_exits("t", 0);
    assert_eq!(w.count(|a| matches!(a, Act::Destroy { .. })), 1);
    w.advance(seconds(61));
    assert_eq!(w.count(|a| matches!(a, Act::Destroy { .. })), 2);
}
