//! The agent is drained, and is in service again.

use super::world::*;
use crate::agent::core::io::Input;
use crate::mesos::internal::{DrainAgent, MasterMessage};
use crate::mesos::v1::executor::call::Subscribe;
use crate::mesos::v1::{self, TaskState::*, task_status::Reason};

fn config(max_grace: Option<u64>, mark_gone: bool) -> v1::DrainConfig {
    v1::DrainConfig { max_grace_period: max_grace.map(duration), mark_gone: Some(mark_gone) }
}

fn drain(w: &mut World, config: Option<v1::DrainConfig>) {
    w.tell(MasterMessage { drain: Some(DrainAgent { config }), ..Default::default() });
}

fn patient(id: &str, grace: u64) -> v1::TaskInfo {
    let policy = v1::KillPolicy { grace_period: Some(duration(grace)) };
    v1::TaskInfo { kill_policy: Some(policy), ..task(id) }
}

// covers: MES-0357
#[test]
fn a_drain_ends_running_tasks_and_says_why() {
    let mut w = World::ready();
    w.run(task("t"));
    drain(&mut w, Some(config(None, false)));
    assert_eq!(w.signals, [SIGTERM]);
    let told = w.statuses("t");
    let last: Vec<_> = told.iter().skip(2).map(|s| (s.state(), s.reason())).collect();
    assert_eq!(last, [(TaskKilling, Reason::AgentDraining), (TaskKilled, Reason::AgentDraining)]);
}

// covers: MES-0359
#[test]
fn a_task_that_has_not_started_ends_with_the_drain_too() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run(task("t"));
    let container = w.container("t").expect("being prepared");
    drain(&mut w, Some(config(None, false)));
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskKilled, Reason::AgentDraining));
    w.input(Input::Prepared { container: container.clone(), result: Ok(()) });
    w.input(Input::Destroyed { container });
    assert!(w.starts.is_empty(), "never started");
}

#[test]
fn each_task_has_its_own_time_or_the_drains_if_that_is_shorter() {
    for (own, most, expected) in [(30, Some(10), 10), (5, Some(10), 5), (30, None, 30)] {
        let mut w = World::ready();
        w.obedient = false;
        w.run(patient("t", own));
        drain(&mut w, Some(config(most, false)));
        w.advance(seconds(expected - 1));
        assert_eq!(w.signals, [SIGTERM], "{own} {most:?}");
        w.advance(seconds(1));
        assert_eq!(w.signals, [SIGTERM, SIGKILL], "{own} {most:?}");
    }
}

#[test]
fn where_the_agent_is_gone_afterwards_who_knows_the_word_is_told_so() {
    use v1::framework_info::{Capability, capability::Type};
    let aware = Capability { r#type: Some(Type::PartitionAware as i32) };
    for (capabilities, state) in [(vec![aware], TaskGoneByOperator), (vec![], TaskKilled)] {
        let mut w = World::ready();
        w.run_for(v1::FrameworkInfo { capabilities, ..framework() }, task("t"));
        drain(&mut w, Some(config(None, true)));
        assert_eq!((w.last("t").state(), w.last("t").reason()), (state, Reason::AgentDraining));
    }
}

// covers: MES-0358
#[test]
fn a_task_that_waits_for_its_executor_is_ended() {
    let mut w = World::ready();
    w.run(custom("t", "e"));
    drain(&mut w, Some(config(None, false)));
    assert_eq!(w.states("t"), [TaskKilled]);
    assert_eq!(w.last("t").reason(), Reason::AgentDraining);
}

#[test]
fn a_custom_executor_is_told_how_long_its_task_has() {
    let mut w = World::ready();
    w.run(custom("t", "e"));
    w.subscribe(1, "e", Subscribe::default());
    w.call(update("e", status("t", TaskRunning, 1)));
    drain(&mut w, Some(config(Some(1), false)));
    let kill = w.events.iter().find_map(|(_, e)| e.kill.clone()).expect("a KILL");
    assert_eq!(kill.kill_policy.and_then(|p| p.grace_period), Some(duration(1)));
    w.call(update("e", status("t", TaskKilled, 2)));
    assert_eq!(w.last("t").reason(), Reason::AgentDraining);
}

// covers: MES-0360
#[test]
fn a_drained_agent_takes_no_tasks_until_it_is_in_service_again() {
    let mut w = World::ready();
    drain(&mut w, Some(config(None, false)));
    w.run(task("t"));
    assert_eq!(w.states("t"), [TaskDropped]);
    let last = w.last("t");
    assert_eq!(last.reason(), Reason::AgentDraining);
    assert_eq!(last.message(), "Task was received while agent was already draining");
    drain(&mut w, None);
    w.run(task("u"));
    assert_eq!(w.last("u").state(), TaskRunning);
    w.kill("u", None);
    assert_ne!(w.last("u").reason(), Reason::AgentDraining, "that was no drain");
}

// covers: MES-0361
#[test]
fn a_restart_changes_nothing() {
    let mut w = World::ready();
    w.obedient = false;
    w.run(task("t"));
    let how = config(Some(1), false);
    w.in_answers = Some(how);
    drain(&mut w, Some(how));
    w.restart();
    assert_eq!(w.core().view().drain.map(|(config, _)| config), Some(how));
    w.connect();
    w.run(task("late"));
    assert_eq!(w.last("late").state(), TaskDropped);
    w.advance(seconds(2));
    assert_eq!((w.last("t").state(), w.last("t").reason()), (TaskKilled, Reason::AgentDraining));
}

#[test]
fn an_agent_that_was_away_learns_it_with_the_answer() {
    let mut w = World::ready();
    w.run(task("t"));
    w.in_answers = Some(config(None, false));
    w.connect();
    assert_eq!(w.last("t").state(), TaskKilled);
    // Said again it changes nothing.
    let written = w.disk.get("agent").cloned();
    w.connect();
    assert_eq!(w.disk.get("agent").cloned(), written);
    w.in_answers = None;
    w.connect();
    w.run(task("u"));
    assert_eq!(w.last("u").state(), TaskRunning);
}

#[test]
fn a_task_that_is_being_ended_has_no_more_time_than_the_drain_gives() {
    let mut w = World::ready();
    w.obedient = false;
    w.run(patient("t", 600));
    w.kill("t", None);
    drain(&mut w, Some(config(Some(2), false)));
    w.advance(seconds(2));
    assert_eq!(w.signals.last(), Some(&SIGKILL));
}
