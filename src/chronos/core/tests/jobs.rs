//! Uploading and deleting.

use super::world::{World, ms};
use crate::chronos::core::io::{Answer, Command};
use crate::chronos::core::row::Outcome;
use serde_json::json;

/// covers: CHR-0070
/// covers: CHR-0074
#[test]
fn an_upload_of_a_name_that_exists_is_another_version() {
    let mut world = World::new();
    world.idle("a");
    world.dependent("b", &["a"]);
    world
        .upload(json!({"name": "a", "command": "other", "schedule": "R/2030-01-01T00:00:00Z/P1Y"}));
    assert_eq!(world.core.view().jobs.len(), 2);
    assert_eq!(world.shown("a")["command"], "other");
    world.force("a");
    world.finish("a");
    assert_eq!(world.live_of("b").len(), 1);
    assert_eq!(world.shown("a")["successCount"], 1);
    // Counters stay, unless they are given.
    world.idle("a");
    assert_eq!(world.shown("a")["successCount"], 1);
    world.upload(json!({"name": "a", "command": "c", "schedule": "R1//P", "successCount": 7}));
    assert_eq!(world.shown("a")["successCount"], 7);
}

/// covers: CHR-0142
#[test]
fn a_job_sent_back_as_it_is_shown_goes_on_as_it_was() {
    let mut world = World::new();
    world.scheduled("j", "R5/2023-12-31T00:00:00Z/P1M");
    world.scheduled("tick", "R/2024-01-01T00:00:00Z/PT10S");
    world.finish("tick");
    world.advance(25_000);
    let shown = world.shown("tick");
    assert_eq!(shown["schedule"], "R/2024-01-01T00:00:30.000Z/PT10S");
    world.upload(shown);
    world.upload(world.shown("j"));
    assert_eq!(world.outcomes("tick"), [Outcome::Success]);
    assert_eq!(world.launched_of("tick"), 2);
    world.finish_all();
    world.finish_all();
    world.advance(5000);
    assert_eq!(world.launched_of("tick"), 4);
    assert_eq!(world.ask(Command::Delete { name: "tick".into() }), Answer::Done);
    // The last day of the month is not forgotten though the shown start has none.
    world.advance(31 * 24 * 3_600_000);
    world.upload(world.shown("j"));
    assert_eq!(world.shown("j")["schedule"], "R3/2024-02-29T00:00:00.000Z/P1M");
    world.advance(29 * 24 * 3_600_000);
    assert_eq!(world.shown("j")["schedule"], "R2/2024-03-31T00:00:00.000Z/P1M");
}

#[test]
fn the_same_planned_time_is_never_run_again_by_an_upload() {
    let mut world = World::new();
    world.scheduled("j", "R/2024-01-01T00:00:00Z/PT1M");
    world.finish("j");
    for schedule in ["R/2024-01-01T00:00:00Z/PT1M", "R9/2024-01-01T00:00:00Z/PT30S"] {
        world.scheduled("j", schedule);
        world.finish_all();
    }
    assert_eq!(world.launched_of("j"), 1);
    world.advance(30_000);
    assert_eq!(world.launched_of("j"), 2);
}

#[test]
fn times_while_a_job_is_disabled_are_nobodys() {
    let mut world = World::new();
    let mut job = json!({"name": "j", "command": "c", "schedule": "R/2024-01-01T00:00:10Z/PT10S"});
    world.upload(job.clone());
    world.advance(10_000);
    world.advance(10_000);
    job["disabled"] = true.into();
    world.upload(job.clone());
    // The one that waited behind the other.
    assert_eq!(world.outcomes("j"), [Outcome::Skipped]);
    world.finish("j");
    world.advance(3_600_000);
    assert_eq!(world.launched_of("j"), 1);
    job["disabled"] = false.into();
    world.upload(job);
    let entry = world.core.job("j").unwrap().job.entry;
    assert_eq!((entry.state.earlier.not_planned, world.launched_of("j")), (359, 2));
    world.advance(10_000);
    assert_eq!(world.runs("j").len(), 2);
}

/// covers: CHR-0046
/// covers: CHR-0164
/// covers: CHR-0165
#[test]
fn a_deleted_job_is_gone_at_once_with_its_tasks() {
    let mut world = World::new();
    world.scheduled("j", "R/2024-01-01T00:00:10Z/PT10S");
    world.scheduled("other", "R/2024-01-01T00:00:10Z/PT10S");
    world.advance(20_000);
    world.finish("j");
    assert_eq!(world.ask(Command::Delete { name: "j".into() }), Answer::Done);
    assert!(world.live_of("j").is_empty());
    let left: Vec<&String> = world.store.keys().filter(|k| k.contains("/j")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!world.store.keys().any(|k| k.starts_with("dying/")));
    world.advance(60_000);
    assert_eq!(world.launched_of("j"), 2);
    assert!(world.core.job("j").is_none());
    let refused = world.ask(Command::Delete { name: "j".into() });
    let Answer::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.message, "requirement failed: Job 'j' not found");
    assert_eq!(world.launched_of("other"), 1);
}

/// covers: CHR-0085
#[test]
fn what_waited_of_a_deleted_job_leaves_the_queue() {
    let mut world = World::new();
    world.disconnect();
    world.scheduled("j", "R/2024-01-01T00:00:00Z/PT1H");
    world.scheduled("other", "R/2024-01-01T00:00:00Z/PT1H");
    assert_eq!(world.core.numbers().queue, 2);
    world.ask(Command::Delete { name: "j".into() });
    assert_eq!((world.core.numbers().queue, world.core.numbers().runs), (1, 1));
    world.connect();
    assert_eq!((world.launched_of("j"), world.launched_of("other")), (0, 1));
}

#[test]
fn a_job_made_anew_waits_for_the_end_of_the_old_ones_task() {
    let mut world = World::new();
    world.scheduled("j", "R/2024-01-01T00:00:10Z/PT10S");
    world.advance(10_000);
    let old = world.live()[0].clone();
    world.loses_acts = true;
    world.requests_delete("j");
    world.loses_acts = false;
    assert_eq!(world.live(), std::slice::from_ref(&old));
    world.advance(1000);
    world.scheduled("j", "R/2024-01-01T00:00:10Z/PT10S");
    assert_eq!(world.live(), std::slice::from_ref(&old));
    assert!(world.core.why("j").unwrap().refusals[0].detail.contains("deleted job"));
    // The kill is made again with the next subscription.
    world.disconnect();
    world.connect();
    assert!(world.master.killed.contains(&old));
    assert_eq!(world.live().len(), 1);
    assert_ne!(world.live()[0], old);
}

/// covers: CHR-0091
#[test]
fn a_deleted_job_that_fails_blocks_nobody() {
    let mut world = World::new();
    world.scheduled("bad", "R/2024-01-01T00:00:10Z/PT10S");
    world.scheduled("good", "R/2024-01-01T00:00:10Z/PT10S");
    world.advance(10_000);
    world.fail("bad");
    world.ask(Command::Delete { name: "bad".into() });
    world.finish("good");
    world.advance(300_000);
    world.finish_all();
    assert!(world.launched_of("good") > 1);
    assert_eq!(world.launched_of("bad"), 1);
}

#[test]
fn names_are_checked_when_they_are_new() {
    let mut world = World::new();
    for name in ["", "a/b", "a:b", "é", "..", ".", "a\tb", "a\nb", " ", &"x".repeat(201)] {
        let json = json!({"name": name, "command": "c", "schedule": "R1//P"});
        let problem = world.try_upload(json).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("name"), "{name:?}");
        assert!(problem.message.starts_with("requirement failed: the job's name is invalid."));
    }
    assert_eq!(world.store.len(), 1);
    for name in ["a b#c", "36", "x.y_z-", &"x".repeat(200)] {
        world.scheduled(name, "R1//P");
    }
    world.finish_all();
    world.restart();
    assert_eq!(world.core.view().jobs.len(), 4);
}

/// covers: CHR-0161
#[test]
fn hundreds_of_uploads_keep_their_order() {
    let mut world = World::new();
    for n in (0..500).rev() {
        world.idle(&format!("j{n}"));
    }
    world.idle("j250");
    world.restart();
    let names: Vec<String> =
        world.core.view().jobs.iter().map(|job| job.entry.job.name.clone()).collect();
    let expected: Vec<String> = (0..500).rev().map(|n| format!("j{n}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn forcing_runs_at_once_and_leaves_the_schedule() {
    let mut world = World::new();
    world.scheduled("j", "R3/2024-01-01T01:00:00Z/PT1H");
    world.force("j");
    world.force("j");
    assert_eq!(world.live_of("j").len(), 1);
    world.finish("j");
    world.finish("j");
    assert_eq!(world.shown("j")["schedule"], "R3/2024-01-01T01:00:00Z/PT1H");
    assert_eq!(world.outcomes("j"), [Outcome::Success, Outcome::Success]);
    let refused = world.ask(Command::Force { name: "x".into(), arguments: None });
    let Answer::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.message, "requirement failed: Job 'x' not found");
}

#[test]
fn a_forced_run_of_a_disabled_job_has_a_row_that_says_so() {
    let mut world = World::new();
    world.upload(json!({"name": "j", "command": "c", "schedule": "R//PT1H", "disabled": true}));
    world.force("j");
    assert!(world.live().is_empty());
    assert_eq!(world.rows("j")[0].message, "the job is disabled");
}

#[test]
fn what_was_due_before_a_job_got_another_schedule_is_run() {
    let mut world = World::new();
    world.scheduled("a", "R/2024-01-01T00:00:05Z/PT5S");
    // It came due, and the upload is taken before that was noticed.
    world.skip(6000);
    world.scheduled("a", "R/2024-01-01T01:00:00Z/PT1H");
    let due: Vec<i64> = world.runs("a").iter().map(|run| run.due).collect();
    assert_eq!(due, [ms("2024-01-01T00:00:05Z")]);
}
