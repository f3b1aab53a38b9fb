//! Restarts of the agent and of the machine.

use super::world::*;
use crate::agent::core::io::{Act, Exit, Input};
use crate::agent::core::options::ReconfigurationPolicy;
use crate::base::error::Code;
use crate::base::time::Wall;
use crate::mesos::v1::{self, TaskState::*, task_status::Reason};

// covers: MES-0375, MES-0336, MES-0385
#[test]
fn a_task_goes_on_over_a_restart_and_can_be_killed_after() {
    let mut w = World::ready();
    w.run(task("t"));
    w.restart();
    w.connect();
    let told = w.registrations.last().cloned().expect("a registration");
    assert_eq!(told.agent_info.id.map(|id| id.value).as_deref(), Some(AGENT));
    assert_eq!((told.tasks.len(), told.frameworks.len()), (1, 1));
    assert_eq!(told.tasks[0].state(), TaskRunning);
    assert_eq!(told.tasks[0].user(), "nobody");
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning]);
    w.kill("t", None);
    assert_eq!(w.last("t").state(), TaskKilled);
    assert_eq!(w.starts["t"], 1);
}

// covers: MES-0376
#[test]
fn what_was_not_acknowledged_is_sent_again_as_it_was() {
    let mut w = World::ready();
    w.acknowledge = false;
    w.run(task("t"));
    w.restart();
    w.acknowledge = true;
    w.connect();
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning]);
    assert_eq!(w.updates[0].status, w.updates[1].status);
}

// covers: MES-0380
#[test]
fn an_exit_while_the_agent_was_away_is_told() {
    let mut w = World::ready();
    w.run(task("t"));
    let container = w.container("t").expect("it runs");
    w.core = None;
    w.exit_as(&container, Exit { status: Some(2 << 8), time: Wall(1), ..Exit::default() });
    w.restart();
    w.connect();
    let last = w.last("t");
    assert_eq!((last.state(), last.message()), (TaskFailed, "Command exited with status 2"));
    assert_eq!(w.count(|a| matches!(a, Act::Forget { .. })), 1);
    assert!(w.containers.is_empty());
}

// covers: MES-0386
#[test]
fn a_reboot_ends_the_tasks_and_keeps_the_id() {
    let mut w = World::ready();
    w.run(task("t"));
    w.reboot();
    w.connect();
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskGone, Reason::AgentRestarted));
    let told = w.registrations.last().cloned().expect("a registration");
    assert_eq!(told.agent_info.id.map(|id| id.value).as_deref(), Some(AGENT));
    assert_eq!(w.starts["t"], 1);
    // The new boot id is remembered: the next restart is none of the machine's.
    w.run(task("u"));
    w.restart();
    w.connect();
    assert_eq!(w.last("u").state(), TaskRunning);
}

#[test]
fn a_container_that_vanished_without_a_reboot_is_a_failure() {
    let mut w = World::ready();
    w.run(task("t"));
    w.containers.clear();
    w.restart();
    w.connect();
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ExecutorTerminated));
    assert_eq!(last.message(), "Abnormal executor termination: unknown container");
}

// covers: MES-0400
#[test]
fn a_launch_that_was_cut_is_dropped_at_every_stage() {
    for stage in 0..2 {
        let mut w = World::ready();
        w.containerizer = false;
        w.run(task("t"));
        let container = w.container("t").expect("being prepared");
        if stage > 0 {
            w.input(Input::Prepared { container: container.clone(), result: Ok(()) });
        }
        w.restart();
        assert_eq!(w.count(|a| matches!(a, Act::Destroy { .. })), stage);
        w.connect();
        let last = w.last("t");
        assert_eq!((last.state(), last.reason()), (TaskDropped, Reason::AgentRestarted));
        assert_eq!(last.message(), "Task launched during agent restart");
        assert!(w.starts.is_empty());
    }
}

#[test]
fn a_start_that_was_not_heard_of_is_taken_up() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run(task("t"));
    let container = w.container("t").expect("being prepared");
    w.input(Input::Prepared { container: container.clone(), result: Ok(()) });
    w.input(Input::Created { container, result: Ok(()) });
    assert_eq!(w.states("t"), [TaskStarting]);
    w.restart();
    w.connect();
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning]);
    assert_eq!(w.starts["t"], 1);
}

#[test]
fn a_container_nobody_knows_is_destroyed() {
    let mut w = World::ready();
    w.run(task("t"));
    w.disk.retain(|k, _| k == "agent");
    w.restart();
    assert!(w.containers.is_empty());
}

#[test]
fn tasks_of_frameworks_that_do_not_checkpoint_end_with_the_agent() {
    let mut w = World::ready();
    w.run_for(v1::FrameworkInfo { checkpoint: None, ..framework() }, task("t"));
    w.restart();
    w.connect();
    assert!(w.containers.is_empty());
    assert_eq!(w.last("t").state(), TaskGone);
}

#[test]
fn a_kill_and_a_time_limit_go_on_over_a_restart() {
    let mut w = World::ready();
    w.obedient = false;
    w.run(v1::TaskInfo { max_completion_time: Some(duration(100)), ..task("a") });
    w.run(task("b"));
    w.advance(seconds(40));
    w.kill("b", Some(30));
    w.advance(seconds(10));
    w.restart();
    w.connect();
    w.advance(seconds(19));
    assert!(!w.signals.contains(&SIGKILL));
    w.advance(seconds(1));
    assert_eq!(w.last("b").state(), TaskKilled);
    assert_eq!(w.last("a").state(), TaskRunning);
    w.advance(seconds(30));
    assert_eq!(w.last("a").reason(), Reason::MaxCompletionTimeReached);
}

// covers: MES-0354
#[test]
fn what_may_change_keeps_the_id() {
    let mut w = World::ready();
    w.run(task("t"));
    w.crash();
    w.options.info.resources = vec![scalar("cpus", 8.0)];
    let refused = w.start().expect_err("equal means equal");
    assert_eq!(refused.code, Code::Conflict);
    assert!(refused.cause.ends_with("its tasks run with what it was: 't'"), "{refused}");
    assert!(refused.hint.is_some_and(|h| h.contains("additive")));
    w.options.reconfiguration_policy = ReconfigurationPolicy::Additive;
    w.start().expect("more is allowed");
    w.crash();
    w.options.info.resources = vec![scalar("cpus", 16.0)];
    w.start().expect("more is allowed");
    w.crash();
    w.options.info.resources = vec![scalar("cpus", 4.0)];
    let refused = w.start().expect_err("less is not");
    assert!(refused.cause.contains("cpus"), "{refused}");
}

// covers: MES-0388
#[test]
fn a_changed_agent_on_a_restarted_machine_is_another() {
    let mut w = World::ready();
    w.run(task("t"));
    w.options.info.hostname = "other".into();
    w.reboot();
    w.connect();
    assert!(w.registrations.last().is_some_and(|r| r.agent_info.id.is_none()));
    assert!(w.registrations.last().is_some_and(|r| r.tasks.is_empty()));
}

#[test]
fn records_that_cannot_be_read_stop_the_agent() {
    let mut w = World::ready();
    w.run(task("t"));
    w.crash();
    let good = w.disk.clone();
    w.disk.insert("tasks/f-0000/t".into(), vec![99, 1, 2]);
    assert_eq!(w.start().expect_err("an unknown schema").code, Code::Corrupt);
    w.disk = good.clone();
    w.disk.insert("what/is/this".into(), vec![1]);
    assert_eq!(w.start().expect_err("an unknown key").code, Code::Corrupt);
    w.disk = good;
    w.start().expect("as it was");
}

// covers: MES-0398
#[test]
fn several_frameworks_are_taken_up() {
    let mut w = World::ready();
    let other =
        v1::FrameworkInfo { id: Some(v1::FrameworkId { value: "f-0001".into() }), ..framework() };
    w.run(task("t"));
    w.run_for(other, task("t"));
    w.restart();
    w.connect();
    let told = w.registrations.last().cloned().expect("a registration");
    assert_eq!((told.tasks.len(), told.frameworks.len()), (2, 2));
}
