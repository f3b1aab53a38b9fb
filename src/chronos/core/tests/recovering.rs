//! After a crash: nothing lost, nothing twice.

use super::world::World;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};
use crate::chronos::core::row::Outcome;
use crate::chronos::core::{ChronosCore, Options};
use crate::machine::{Cx, Effects};
use crate::mesos::v1::TaskState;
use serde_json::json;

/// covers: CHR-0096
/// covers: CHR-0134
/// covers: CHR-0135
#[test]
fn a_task_that_runs_is_known_after_a_restart() {
    let mut world = World::new();
    world.scheduled("j", "R/2024-01-01T00:00:10Z/PT10S");
    world.advance(10_000);
    let task = world.live()[0].clone();
    world.tell(&task, TaskState::TaskRunning);
    world.crash();
    assert_eq!(world.core.framework_id().map(|id| id.as_str().to_string()).as_deref(), Some("f-1"));
    assert_eq!(world.core.job("j").unwrap().job.state(false), "1 running");
    world.advance(10_000);
    world.connect();
    assert_eq!(world.live_of("j"), [task]);
    world.finish("j");
    assert_eq!(world.launched_of("j"), 2);
}

/// covers: CHR-0056
/// covers: CHR-0092
#[test]
fn a_crash_between_writing_a_launch_down_and_making_it_launches_once() {
    let mut world = World::new();
    world.upload(json!({"name": "j", "command": "c", "retries": 0, "schedule": "R1/2024-01-01T00:00:10Z/PT1H"}));
    world.loses_acts = true;
    world.advance(10_000);
    assert!(world.master.launched.is_empty());
    world.restart();
    // At once, though it has no retries: it was never started.
    assert_eq!(world.live_of("j").len(), 1);
    world.finish("j");
    assert_eq!(world.outcomes("j"), [Outcome::Success]);
}

#[test]
fn a_run_that_was_launched_before_a_crash_is_not_launched_again() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/PT1H");
    world.advance(10_000);
    world.crash();
    // Its end comes while nobody listens, and again afterwards.
    let task = world.live()[0].clone();
    world.tell(&task, TaskState::TaskFinished);
    world.connect();
    assert_eq!(world.outcomes("j"), [Outcome::Success]);
    assert_eq!(world.launched_of("j"), 1);
}

#[test]
fn an_end_that_was_written_but_not_acknowledged_counts_once() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/PT1H");
    world.idle("p");
    world.dependent("child", &["j"]);
    world.advance(10_000);
    let task = world.live()[0].clone();
    world.loses_acts = true;
    world.tell(&task, TaskState::TaskFinished);
    assert!(world.master.tasks[&task].unacknowledged);
    world.restart();
    // The agent tells it again.
    world.tell(&task, TaskState::TaskFinished);
    assert!(!world.master.tasks[&task].unacknowledged);
    assert_eq!(world.shown("j")["successCount"], 1);
    assert_eq!(world.launched_of("child"), 1);
}

#[test]
fn a_master_that_recovers_is_asked_until_it_answers() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/PT1H");
    world.advance(10_000);
    world.crash();
    let task = world.live()[0].clone();
    world.master.tasks.remove(&task);
    world.master.is_recovering = true;
    world.connect();
    world.advance(60_000);
    assert!(world.live().is_empty() && world.launched_of("j") == 1);
    world.master.is_recovering = false;
    world.advance(60_000);
    assert_eq!(world.live_of("j").len(), 1);
}

#[test]
fn a_task_that_nobody_knows_is_killed() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/PT1H");
    world.advance(10_000);
    let task = world.live()[0].clone();
    world.store.retain(|key, _| !key.starts_with("runs/"));
    world.restart();
    assert_eq!(world.master.killed, [task]);
}

#[test]
fn a_waiting_run_goes_on_waiting_after_a_restart() {
    let mut world = World::new();
    world.disconnect();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/PT1H");
    world.force("j");
    world.advance(10_000);
    world.crash();
    world.skip(3_600_000);
    world.connect();
    assert_eq!(world.live_of("j").len(), 1);
    world.finish("j");
    world.finish_all();
    assert_eq!(world.outcomes("j"), [Outcome::Success, Outcome::Skipped]);
}

/// covers: CHR-0110
/// covers: CHR-0111
/// covers: CHR-0112
/// covers: CHR-0113
#[test]
fn every_field_of_a_job_survives_a_restart() {
    let mut world = World::new();
    let full = json!({
        "name": "full", "command": "c", "shell": false, "epsilon": "PT10M", "executor": "e",
        "executorFlags": "f", "taskInfoData": "d", "retries": 7, "owner": "o@x", "ownerName": "on",
        "description": "de", "async": true, "successCount": 3, "errorCount": 4,
        "lastSuccess": "2013-03-15T13:02:14.243Z", "lastError": "2013-03-15T13:02:15.000Z",
        "cpus": 1.5, "disk": 1.0, "mem": 2.0, "disabled": true, "softError": true,
        "dataProcessingJobType": true, "errorsSinceLastSuccess": 5,
        "fetch": [{"uri": "u", "executable": true, "cache": true, "extract": false, "output_file": "x"}],
        "uris": [], "environmentVariables": [{"name": "n", "value": "v"}], "arguments": ["a", "b"],
        "highPriority": true, "runAsUser": "nobody", "concurrent": true, "maxCompletionTime": 60,
        "constraints": [["rack", "UNLIKE", "r.*"]],
        "schedule": "R5/2030-02-30T00:00:00Z/P1M".replace("-30T", "-28T"), "scheduleTimeZone": "Europe/Paris",
    });
    world.upload(full.clone());
    let mut child = full.clone();
    child["name"] = "child".into();
    let map = child.as_object_mut().unwrap();
    map.remove("schedule");
    map.remove("scheduleTimeZone");
    map.insert("parents".into(), json!(["full"]));
    world.upload(child.clone());
    for _ in 0..2 {
        assert_eq!(world.shown("full"), full);
        assert_eq!(world.shown("child"), child);
        world.restart();
    }
}

#[test]
fn rows_that_cannot_be_read_stop_the_start() {
    let mut world = World::new();
    world.idle("j");
    let good: Vec<(String, Vec<u8>)> = world.store.clone().into_iter().collect();
    let recover = |rows: Vec<(String, Vec<u8>)>| {
        let mut rng = Rng::new(1);
        let mut cx = Cx { now: Mono(0), wall: Wall(0), rng: &mut rng };
        ChronosCore::recover(Options::default(), rows, &mut cx, &mut Effects::default())
    };
    assert!(recover(good.clone()).is_ok());
    for at in 0..good.len() {
        for broken in [vec![], vec![9, b'{', b'}'], vec![1, b'x'], vec![1]] {
            let mut rows = good.clone();
            rows[at].1 = broken;
            let e = recover(rows).err().expect("it is refused");
            assert!(e.cause.contains(&good[at].0), "{e}");
        }
    }
    assert!(recover(vec![("other/x".into(), vec![1])]).is_err());
}
