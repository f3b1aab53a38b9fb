//! What an end means.

use super::world::{World, ms};
use crate::chronos::core::Options;
use crate::chronos::core::io::{Answer, Command};
use crate::chronos::core::row::Outcome;
use crate::mesos::v1::TaskState;
use serde_json::json;

/// covers: CHR-0058
/// covers: CHR-0088
/// covers: CHR-0089
/// covers: CHR-0140
#[test]
fn ends_are_counted() {
    let mut world = World::new();
    world.upload(json!({"name": "j", "command": "c", "retries": 0, "schedule": "R/2024-01-01T00:00:10Z/PT10S",
        "concurrent": true}));
    let state = |world: &World| world.core.job("j").unwrap().job.state(false);
    assert_eq!(state(&world), "idle");
    world.advance(10_000);
    assert_eq!(state(&world), "1 running");
    world.advance(10_000);
    assert_eq!(state(&world), "2 running");
    let live = world.live();
    world.tell(&live[0], TaskState::TaskFinished);
    assert_eq!(state(&world), "1 running");
    world.tell(&live[1], TaskState::TaskFailed);
    assert_eq!(state(&world), "idle");
    world.advance(10_000);
    world.finish("j");
    let shown = world.shown("j");
    assert_eq!((shown["successCount"].as_u64(), shown["errorCount"].as_u64()), (Some(2), Some(1)));
    assert_eq!(shown["errorsSinceLastSuccess"], 0);
    assert_eq!(shown["lastSuccess"], "2024-01-01T00:00:30.000Z");
    assert_eq!(shown["lastError"], "2024-01-01T00:00:20.000Z");
    world.master.agents.clear();
    world.advance(10_000);
    assert_eq!(state(&world), "queued");
}

/// covers: CHR-0169
#[test]
fn a_failed_run_is_tried_again_after_the_wait() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/P1D");
    world.advance(10_000);
    world.fail("j");
    assert!(world.live().is_empty());
    world.advance(59_999);
    assert!(world.live().is_empty());
    world.advance(1);
    let due = ms("2024-01-01T00:00:10Z");
    assert_eq!(world.live(), [format!("ct:{due}:1:j:")]);
    let info = world.master.launched.last().unwrap().clone();
    let env = info.command.unwrap().environment.unwrap().variables;
    let attempt = env.iter().find(|v| v.name == "CHRONOS_JOB_RUN_ATTEMPT").unwrap();
    assert_eq!(attempt.value.as_deref(), Some("1"));
    world.fail("j");
    world.advance(60_000);
    world.fail("j");
    world.advance(600_000);
    assert_eq!(world.launched_of("j"), 3);
    let rows = world.rows("j");
    assert_eq!((rows.len(), rows[0].outcome, rows[0].attempts), (1, Outcome::Failure, 3));
    assert_eq!(world.shown("j")["errorCount"], 1);
}

/// covers: CHR-0170
#[test]
fn no_retries_means_none() {
    let mut world = World::new();
    world.upload(json!({"name": "j", "command": "c", "retries": 0, "schedule": "R/2024-01-01T00:00:10Z/PT10S"}));
    for _ in 0..6 {
        world.advance(10_000);
        world.fail("j");
    }
    assert_eq!(world.launched_of("j"), 6);
    assert!(world.outcomes("j").iter().all(|o| *o == Outcome::Failure));
}

#[test]
fn the_wait_before_another_attempt_can_grow() {
    let options = Options { failure_retry_factor: 2.0, ..Options::default() };
    let mut world = World::with(options);
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/P1D");
    world.advance(10_000);
    world.fail("j");
    world.advance(60_000);
    world.fail("j");
    world.advance(119_999);
    assert!(world.live().is_empty());
    world.advance(1);
    assert_eq!(world.live().len(), 1);
}

/// covers: CHR-0171
#[test]
fn a_wait_before_another_attempt_survives_a_restart() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/P1D");
    world.advance(10_000);
    world.fail("j");
    world.advance(30_000);
    world.restart();
    world.advance(29_999);
    assert!(world.live().is_empty());
    world.advance(1);
    assert_eq!(world.live().len(), 1);
}

/// covers: CHR-0166
#[test]
fn so_many_failures_in_a_row_disable_a_job() {
    let options = Options { disable_after_failures: 2, ..Options::default() };
    let mut world = World::with(options);
    world.upload(json!({"name": "j", "command": "c", "retries": 0, "schedule": "R/2024-01-01T00:00:10Z/PT10S"}));
    world.advance(10_000);
    world.fail("j");
    assert_eq!(world.shown("j")["disabled"], false);
    world.advance(10_000);
    world.fail("j");
    assert_eq!(world.shown("j")["disabled"], true);
    world.advance(60_000);
    assert_eq!(world.launched_of("j"), 2);
    world.restart();
    assert_eq!(world.shown("j")["disabled"], true);
}

/// covers: CHR-0167
#[test]
fn a_job_that_was_disabled_stays_so_when_its_run_fails() {
    let mut world = World::new();
    let mut job = json!({"name": "j", "command": "c", "schedule": "R/2024-01-01T00:00:10Z/PT10S"});
    world.upload(job.clone());
    world.advance(10_000);
    job["disabled"] = true.into();
    world.upload(job);
    world.fail("j");
    assert_eq!(world.shown("j")["disabled"], true);
    world.advance(600_000);
    assert_eq!(world.launched_of("j"), 1);
    assert_eq!(world.outcomes("j"), [Outcome::Failure]);
}

/// covers: CHR-0168
#[test]
fn a_finite_job_is_disabled_after_its_last_success() {
    let mut world = World::new();
    world.scheduled("j", "R2/2024-01-01T00:00:10Z/PT10S");
    world.advance(10_000);
    world.finish("j");
    assert_eq!(world.shown("j")["disabled"], false);
    world.advance(10_000);
    world.finish("j");
    assert_eq!(world.shown("j")["disabled"], true);
}

/// covers: CHR-0133
#[test]
fn killed_is_neither_success_nor_failure() {
    let mut world = World::new();
    world.scheduled("j", "R/2024-01-01T00:00:10Z/PT1H");
    world.idle("w");
    world.advance(10_000);
    let task = world.live()[0].clone();
    for state in [TaskState::TaskStaging, TaskState::TaskStarting, TaskState::TaskRunning] {
        world.tell(&task, state);
    }
    world.tell(&task, TaskState::TaskKilled);
    world.tell(&task, TaskState::TaskKilled);
    assert_eq!(world.outcomes("j"), [Outcome::Killed]);
    let shown = world.shown("j");
    assert_eq!((shown["successCount"].as_u64(), shown["errorCount"].as_u64()), (Some(0), Some(0)));
    assert!(!world.master.tasks[&task].unacknowledged);
}

#[test]
fn killing_a_job_ends_what_runs_and_what_waits() {
    let mut world = World::new();
    world.scheduled("j", "R/2024-01-01T00:00:10Z/PT10S");
    world.advance(20_000);
    assert_eq!(world.runs("j").len(), 2);
    assert_eq!(world.ask(Command::Kill { name: "j".into() }), Answer::Done);
    assert_eq!(world.outcomes("j"), [Outcome::Killed, Outcome::Killed]);
    assert!(world.live().is_empty());
    let refused = world.ask(Command::Kill { name: "x".into() });
    let Answer::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.message, "requirement failed: Job 'x' not found");
}

#[test]
fn a_kill_survives_a_restart_and_a_lost_call() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/PT10S");
    world.advance(10_000);
    world.loses_acts = true;
    world.requests_kill("j");
    assert_eq!(world.live().len(), 1);
    world.restart();
    assert!(world.live().is_empty());
    assert_eq!(world.outcomes("j"), [Outcome::Killed]);
}

/// A master that leads only since the call does not know of it.
#[test]
fn a_task_that_is_told_to_run_after_it_was_killed_is_killed_again() {
    let mut world = World::new();
    for (name, delete) in [("killed", false), ("deleted", true)] {
        world.upload(json!({"name": name, "command": "c"}));
        let [task] = world.live_of(name).try_into().unwrap();
        world.loses_acts = true;
        match delete {
            true => world.requests_delete(name),
            false => world.requests_kill(name),
        }
        world.loses_acts = false;
        world.settle();
        assert_eq!(world.live_of(name), std::slice::from_ref(&task), "the call was lost");
        world.tell(&task, TaskState::TaskRunning);
        assert!(world.live_of(name).is_empty());
        if !delete {
            assert_eq!(world.outcomes(name), [Outcome::Killed]);
        }
    }
}

#[test]
fn an_asynchronous_run_ends_when_that_is_reported() {
    let mut world = World::new();
    world.upload(json!({"name": "j", "command": "c", "async": true, "schedule": "R/2024-01-01T00:00:10Z/P1D"}));
    world.advance(10_000);
    let task = world.live()[0].clone();
    world.finish("j");
    assert!(world.rows("j").is_empty());
    world.restart();
    let report = |code| Command::Report { task_id: task.clone(), code };
    assert_eq!(world.ask(report(0)), Answer::Done);
    assert_eq!(world.outcomes("j"), [Outcome::Success]);
    // Reported before the task ends, and with a failure: tried again.
    world.advance(24 * 3_600_000);
    let task = world.live()[0].clone();
    assert_eq!(world.ask(Command::Report { task_id: task, code: 3 }), Answer::Done);
    world.finish("j");
    world.advance(60_000);
    assert_eq!(world.live().len(), 1);
    // Never reported.
    world.finish("j");
    world.advance(24 * 3_600_000 - 1);
    assert_eq!(world.ask(Command::Report { task_id: "nobody's".into(), code: 0 }), Answer::Done);
    let failures = world.runs("j").iter().map(|run| run.failures).max();
    assert_eq!(failures, Some(1));
    world.advance(1);
    let failures = world.runs("j").iter().map(|run| run.failures).max();
    assert_eq!(failures, Some(2));
}

#[test]
fn a_task_that_was_never_started_is_launched_under_another_id() {
    let mut world = World::new();
    world.master.loses_launches = true;
    world.upload(json!({"name": "j", "command": "c", "retries": 0, "schedule": "R/2024-01-01T00:00:10Z/P1D"}));
    world.advance(10_300);
    assert_eq!(world.launched_of("j"), 3);
    world.master.loses_launches = false;
    world.advance(1000);
    world.finish("j");
    assert_eq!(world.outcomes("j"), [Outcome::Success]);
    // But not for ever.
    world.master.loses_launches = true;
    world.force("j");
    world.advance(120_000);
    assert_eq!(world.outcomes("j").last(), Some(&Outcome::Failure));
}

#[test]
fn what_was_lost_with_its_agent_is_a_failed_attempt_if_it_had_started() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/P1D");
    world.advance(10_000);
    let task = world.live()[0].clone();
    world.tell(&task, TaskState::TaskRunning);
    world.tell(&task, TaskState::TaskUnreachable);
    assert_eq!(world.runs("j")[0].state(), "unreachable");
    world.tell(&task, TaskState::TaskRunning);
    assert_eq!(world.runs("j")[0].state(), "running");
    world.tell(&task, TaskState::TaskGone);
    assert_eq!(world.runs("j")[0].state(), "retrying");
}

#[test]
fn what_a_drain_ended_is_a_failed_attempt_too() {
    use crate::mesos::v1::task_status::Reason;
    for (reason, state) in
        [(Some(Reason::AgentDraining), "retrying"), (None, "nothing: it was killed")]
    {
        let mut world = World::new();
        world.scheduled("j", "R1/2024-01-01T00:00:10Z/P1D");
        world.advance(10_000);
        let task = world.live()[0].clone();
        world.tell(&task, TaskState::TaskRunning);
        world.tell_why(&task, TaskState::TaskKilled, reason);
        let runs = world.runs("j");
        let told = runs.first().map_or("nothing: it was killed", |run| run.state());
        assert_eq!(told, state);
    }
}

#[test]
fn a_run_on_an_agent_that_was_lost_without_a_word_about_it_is_asked_for() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/P1D");
    world.advance(10_000);
    let task = world.live()[0].clone();
    world.tell(&task, TaskState::TaskRunning);
    let asked = world.master.reconciled;
    world.fail_agent("another");
    assert_eq!(world.master.reconciled, asked, "it is not there");
    // A new master knows no task of an agent that never came to it.
    let known = world.master.tasks.get_mut(&task).unwrap();
    known.state = TaskState::TaskUnreachable;
    let agent = known.info.agent_id.value.clone();
    world.fail_agent(&agent);
    assert_eq!(world.master.reconciled, asked + 1);
    assert_eq!(world.runs("j")[0].state(), "unreachable");
}

#[test]
fn progress_adds_up_while_it_runs_and_afterwards() {
    let mut world = World::new();
    world.upload(json!({"name": "j", "command": "c", "dataProcessingJobType": true,
        "schedule": "R1/2024-01-01T00:00:10Z/P1D"}));
    world.idle("plain");
    world.advance(10_000);
    let task = world.live()[0].clone();
    let tell = |world: &mut World, name: &str, task: &str, more| {
        world.ask(Command::Progress { name: name.into(), task_id: task.into(), more })
    };
    assert_eq!(tell(&mut world, "j", &task, 5), Answer::Done);
    world.finish("j");
    assert_eq!(tell(&mut world, "j", &task, 7), Answer::Done);
    world.restart();
    assert_eq!(world.rows("j")[0].elements, Some(12));
    assert_eq!(tell(&mut world, "j", "ct:1:0:j:", 7), Answer::NoSuchTask);
    for (name, task, more, text) in [
        ("x", "ct:1:0:x:", 1, "Job 'x' not found"),
        ("j", "j", 1, "Invalid task id format j"),
        ("plain", "ct:1:0:plain:", 1, "Job 'plain' is not enabled to track data"),
        ("j", task.as_str(), -1, "numAdditionalElementsProcessed (-1) is not positive"),
    ] {
        let answer = tell(&mut world, name, task, more);
        let Answer::Refused(problem) = answer else { panic!("{answer:?}") };
        assert_eq!(problem.message, format!("requirement failed: {text}"));
    }
}
