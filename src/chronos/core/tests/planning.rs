//! Which planned times get a run.

use super::world::{World, ms};
use crate::chronos::core::io::{Answer, Command};
use crate::chronos::core::row::Outcome;
use crate::chronos::core::run::Cause;
use crate::machine::Machine as _;
use crate::mesos::v1::TaskState;
use serde_json::json;
use std::collections::BTreeSet;

/// covers: CHR-0037
/// covers: CHR-0039
/// covers: CHR-0042
/// covers: CHR-0045
/// covers: CHR-0052
#[test]
fn a_run_is_launched_at_its_time_and_once() {
    let mut world = World::new();
    world.advance(1000);
    assert!(world.live().is_empty() && world.core.view().jobs.is_empty());
    world.scheduled("once", "R1/2024-01-01T00:00:31Z/PT1M");
    world.scheduled("never", "R0/2024-01-01T00:00:31Z/PT1M");
    world.scheduled("later", "R/2024-01-10T00:00:00Z/P1D");
    world.advance(29_999);
    assert!(world.live().is_empty());
    world.advance(1);
    let due = ms("2024-01-01T00:00:31Z");
    assert_eq!(world.live(), [format!("ct:{due}:0:once:")]);
    world.finish("once");
    world.advance(600_000);
    assert_eq!(world.master.launched.len(), 1);
    assert_eq!(world.shown("later")["schedule"], "R/2024-01-10T00:00:00Z/P1D");
    assert!(world.rows("never").is_empty());
    assert_eq!(world.outcomes("once"), [Outcome::Success]);
}

/// covers: CHR-0038
/// covers: CHR-0040
#[test]
fn a_start_that_is_epsilon_past_is_never_run() {
    let mut world = World::new();
    world.scheduled("just", "R1/2023-12-31T23:59:00.000Z/PT1M");
    world.scheduled("day", "R1/2023-12-31T00:00:00Z/PT1M");
    world.scheduled("near", "R1/2023-12-31T23:59:00.001Z/PT1M");
    assert_eq!(world.launched_of("just") + world.launched_of("day"), 0);
    assert_eq!(world.launched_of("near"), 1);
    assert_eq!(world.shown("just")["schedule"], "R0/2024-01-01T00:00:00.000Z/PT1M");
    assert_eq!(world.core.job("just").unwrap().job.entry.state.earlier.not_planned, 1);
    assert_eq!(world.core.job("day").unwrap().job.next, None);
}

/// covers: CHR-0043
/// covers: CHR-0044
#[test]
fn all_times_within_epsilon_are_run() {
    let mut world = World::new();
    world.upload(json!({
        "name": "many", "command": "c", "schedule": "R60/2023-12-31T23:59:00Z/PT1S", "epsilon": "PT5M",
        "concurrent": true,
    }));
    assert_eq!(world.launched_of("many"), 60);
    world.scheduled("minutes", "R/2023-12-31T23:59:00Z/PT1M");
    assert_eq!(world.launched_of("minutes"), 1);
}

/// The ids of tasks that were due before the job was registered have a later time in them, and keep it.
#[test]
fn no_two_runs_have_task_ids_in_common_though_the_schedule_changes() {
    let mut world = World::new();
    let job = |schedule: &str| {
        json!({"name": "j", "command": "c", "schedule": schedule, "epsilon": "PT5M",
            "concurrent": true, "retries": 9})
    };
    world.upload(job("R/2023-12-31T23:59:51Z/PT3S"));
    for schedule in ["R/2023-12-31T23:59:53Z/PT5S", "R/2023-12-31T23:59:54Z/PT2S"] {
        world.force("j");
        for task in world.live() {
            world.tell(&task, TaskState::TaskFailed);
        }
        world.upload(job(schedule));
        world.advance(120_000);
    }
    // The same name again, at once: its predecessor's tasks may not have ended.
    assert_eq!(world.ask(Command::Delete { name: "j".into() }), Answer::Done);
    world.upload(job("R/2024-01-01T00:03:54Z/PT2S"));
    world.advance(120_000);
    let ids: Vec<&String> = world.master.launched.iter().map(|info| &info.task_id.value).collect();
    let different: BTreeSet<&&String> = ids.iter().collect();
    assert!(ids.len() > 100);
    assert_eq!(different.len(), ids.len());
}

/// covers: CHR-0041
/// covers: CHR-0047
/// covers: CHR-0048
#[test]
fn missed_times_are_passed_over_and_counted_down() {
    let mut world = World::new();
    world.scheduled("days", "R5/2023-12-30T00:00:00Z/P1D");
    assert_eq!(world.shown("days")["schedule"], "R2/2024-01-02T00:00:00.000Z/P1D");
    assert_eq!(world.launched_of("days"), 1);
    let entry = world.core.job("days").unwrap().job.entry;
    assert_eq!((entry.state.earlier.not_planned, entry.history.len()), (2, 0));
    world.upload(json!({
        "name": "minutes", "command": "c", "schedule": "R10/2023-12-31T23:59:30Z/PT1M",
        "epsilon": "PT20S", "concurrent": true,
    }));
    assert_eq!(world.shown("minutes")["schedule"], "R9/2024-01-01T00:00:30.000Z/PT1M");
    world.advance(330_000);
    assert_eq!(world.launched_of("minutes"), 6);
    assert_eq!(world.shown("minutes")["schedule"], "R3/2024-01-01T00:06:30.000Z/PT1M");
}

/// covers: CHR-0055
#[test]
fn a_job_without_schedule_and_parents_runs_once_now() {
    let mut world = World::new();
    world.upload(json!({"name": "now", "command": "date"}));
    assert_eq!(world.launched_of("now"), 1);
    world.finish("now");
    world.advance(3 * 24 * 3_600_000);
    assert_eq!(world.launched_of("now"), 1);
}

/// covers: CHR-0054
#[test]
fn a_period_of_seconds_runs_each_time() {
    let mut world = World::new();
    world.scheduled("tick", "R/2020-01-01T00:00:00Z/PT5S");
    for _ in 0..100 {
        world.finish_all();
        world.advance(5000);
    }
    world.finish_all();
    let rows = world.rows("tick");
    assert_eq!(rows.len(), 100);
    let dues: Vec<i64> = rows.iter().map(|row| row.due).collect();
    assert!(dues.windows(2).all(|w| w[1] - w[0] == 5000));
    assert!(rows.iter().all(|r| r.outcome == Outcome::Success && r.cause == Cause::Planned));
    // One row was let go for the hundred and first.
    let earlier = world.core.job("tick").unwrap().job.entry.state.earlier.clone();
    assert_eq!(earlier.outcomes[&Outcome::Success], 1);
    assert!(earlier.not_planned > 25_000_000);
}

#[test]
fn what_nobody_was_there_for_has_rows_that_say_so() {
    let mut world = World::new();
    world.scheduled("tick", "R/2024-01-01T00:00:05Z/PT5S");
    world.advance(5000);
    world.finish_all();
    world.skip(3_600_000);
    world.restart();
    world.finish_all();
    for _ in 0..20 {
        world.advance(1);
        world.finish_all();
    }
    let rows = world.rows("tick");
    let now = ms("2024-01-01T01:00:05Z");
    assert_eq!(rows.len(), 100);
    let late: Vec<_> = rows.iter().filter(|r| r.due > now - 60_000).collect();
    assert_eq!(late.len(), 12);
    assert!(late.iter().all(|r| r.outcome == Outcome::Success), "{late:?}");
    let missed: Vec<_> = rows.iter().filter(|r| r.due <= now - 60_000).collect();
    assert!(missed.iter().all(|r| r.outcome == Outcome::Missed && r.attempts == 0));
    let earlier = world.core.job("tick").unwrap().job.entry.state.earlier.clone();
    let total: u64 = earlier.outcomes.values().sum();
    // One an hour ago, and one each five seconds since.
    assert_eq!(total + rows.len() as u64, 1 + 720);
}

/// covers: CHR-0095
#[test]
fn runs_of_a_job_do_not_overlap_unless_they_may() {
    let mut world = World::new();
    world.scheduled("one", "R/2024-01-01T00:00:10Z/PT10S");
    world.upload(json!({
        "name": "many", "command": "c", "schedule": "R/2024-01-01T00:00:10Z/PT10S",
        "concurrent": true,
    }));
    world.advance(35_000);
    assert_eq!((world.live_of("one").len(), world.live_of("many").len()), (1, 3));
    assert_eq!(world.runs("one").len(), 3);
    // Those behind it run when it ends, one after the other, in order.
    world.finish("one");
    let due = ms("2024-01-01T00:00:20Z");
    assert_eq!(world.live_of("one"), [format!("ct:{due}:0:one:")]);
}

#[test]
fn a_run_that_waits_behind_another_longer_than_epsilon_is_skipped() {
    let mut world = World::new();
    world.scheduled("slow", "R/2024-01-01T00:00:10Z/PT30S");
    world.advance(100_001);
    // The one of 40 s waited for the one of 10 s until 100 s.
    assert_eq!(world.outcomes("slow"), [Outcome::Skipped]);
    assert!(world.rows("slow")[0].message.contains("earlier run"));
    assert_eq!(world.runs("slow").len(), 3);
    world.finish("slow");
    let due = ms("2024-01-01T00:01:10Z");
    assert_eq!(world.live_of("slow"), [format!("ct:{due}:0:slow:")]);
}

#[test]
fn without_resources_the_first_run_waits_and_the_rest_is_skipped() {
    let mut world = World::new();
    world.master.agents.clear();
    world.scheduled("tick", "R/2024-01-01T00:00:05Z/PT5S");
    world.advance(600_000);
    let runs = world.runs("tick");
    assert_eq!(runs[0].due, ms("2024-01-01T00:00:05Z"));
    assert!(runs.len() <= 14, "{}", runs.len());
    assert!(world.outcomes("tick").iter().all(|o| *o == Outcome::Skipped));
    world.add_agent("a2", 4.0, &[]);
    world.offer();
    world.settle();
    assert_eq!(world.live_of("tick"), ["ct:1704067205000:0:tick:"]);
}

#[test]
fn a_clock_that_is_set_on_is_noticed() {
    let mut world = World::new();
    world.scheduled("noon", "R/2024-01-01T12:00:00Z/P1D");
    world.set_clock_on(12 * 3_600_000);
    world.advance(10_000);
    assert_eq!(world.launched_of("noon"), 1);
}

/// covers: CHR-0049
/// covers: CHR-0050
/// covers: CHR-0051
#[test]
fn the_oldest_due_first_and_no_disabled_job() {
    let mut world = World::new();
    world.disconnect();
    world.scheduled("b", "R1/2023-12-31T23:59:50Z/PT1H");
    world.scheduled("a", "R1/2023-12-31T23:59:55Z/PT1H");
    world.upload(json!({
        "name": "off", "command": "c", "schedule": "R1/2023-12-31T23:59:45Z/PT1H", "disabled": true,
    }));
    world.scheduled("future", "R1/2024-01-01T00:00:30Z/PT1H");
    world.connect();
    let names: Vec<&str> = world.master.launched.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["ChronosTask:b", "ChronosTask:a"]);
    world.advance(5000);
    let wait = world.core.wake_at().unwrap();
    world.skip(10_000);
    assert!(wait.0 > 0);
    world.advance(15_000);
    assert_eq!(world.launched_of("future"), 1);
    assert_eq!(world.launched_of("off"), 0);
}

/// covers: CHR-0173
#[test]
fn hourly_daily_and_weekly_jobs_of_a_week() {
    let mut world = World::new();
    world.scheduled("hourly", "R/2024-01-01T00:30:00Z/PT1H");
    world.scheduled("daily", "R/2024-01-01T00:45:00Z/P1D");
    world.scheduled("weekly", "R/2024-01-02T00:50:00Z/P1W");
    for _ in 0..7 * 24 * 4 {
        world.advance(15 * 60_000);
        world.finish_all();
    }
    let count = |name: &str| world.shown(name)["successCount"].as_u64().unwrap();
    assert_eq!((count("hourly"), count("daily"), count("weekly")), (168, 7, 1));
}

#[test]
fn ten_thousand_jobs_at_one_instant() {
    let mut world = World::new();
    world.master.agents[0].cpus = 10_000.0;
    world.master.agents[0].mem = 1e9;
    for n in 0..10_000 {
        world.upload(json!({
            "name": format!("j{n}"), "command": "c", "schedule": "R/2024-01-01T00:01:00Z/PT1H",
            "disk": 1,
        }));
    }
    world.advance(60_000);
    assert_eq!(world.master.launched.len(), 10_000);
}
