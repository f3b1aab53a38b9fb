//! Old sandboxes: by age, by disk, and never under a living executor.

use super::world::*;
use crate::agent::core::io::{Act, Input};
use crate::agent::core::options::Options;
use crate::mesos::v1::TaskState::*;
use std::path::PathBuf;

const WEEK: u64 = 7 * 24 * 3600;

fn done(id: &str) -> World {
    let mut w = World::ready();
    w.run(task(id));
    w.task_exits(id, 0);
    w
}

fn removed(w: &mut World, path: PathBuf) {
    w.input(Input::SandboxRemoved { path, result: Ok(()) });
}

// covers: MES-0369, MES-0370
#[test]
fn an_old_sandbox_goes_and_then_what_is_empty_above_it() {
    let mut w = done("t");
    // Nine tenths of a week: the headroom is part of the formula.
    w.advance(seconds(WEEK * 9 / 10 - 60));
    assert!(w.removals().is_empty());
    w.advance(seconds(120));
    assert_eq!(w.removals().len(), 1);
    let run = w.removals()[0].clone();
    removed(&mut w, run);
    let executor = PathBuf::from("/work/slaves/m-S0/frameworks/f-0000/executors/t");
    assert_eq!(w.removals()[1], executor);
    removed(&mut w, executor);
    assert_eq!(w.removals()[2], PathBuf::from("/work/slaves/m-S0/frameworks/f-0000"));
    removed(&mut w, PathBuf::from("/work/slaves/m-S0/frameworks/f-0000"));
    assert_eq!(w.removals().len(), 3);
    assert_eq!(w.disk.keys().collect::<Vec<_>>(), ["agent"]);
}

// covers: MES-0371
#[test]
fn a_full_disk_shortens_the_wait() {
    let mut w = done("t");
    w.advance(seconds(60));
    assert!(w.count(|a| matches!(a, Act::MeasureDisk)) >= 2);
    w.input(Input::DiskUsage { used: 0.5 });
    assert!(w.removals().is_empty());
    w.input(Input::DiskUsage { used: 0.95 });
    assert_eq!(w.removals().len(), 1);
}

// covers: MES-0381, MES-0368
#[test]
fn sandboxes_are_remembered_over_a_restart_and_living_ones_left_alone() {
    let mut w = done("t");
    w.run(task("alive"));
    w.restart();
    w.connect();
    w.input(Input::DiskUsage { used: 1.0 });
    assert_eq!(w.removals().len(), 1);
    let run = w.removals()[0].clone();
    assert!(run.starts_with("/work/slaves/m-S0/frameworks/f-0000/executors/t/runs"));
    removed(&mut w, run);
    let executor = w.removals()[1].clone();
    removed(&mut w, executor);
    // The framework's directory holds the living task.
    assert_eq!(w.removals().len(), 2);
}

// covers: MES-0372
#[test]
fn an_executor_id_used_again_keeps_or_waits_for_its_directory() {
    let mut w = done("t");
    w.input(Input::DiskUsage { used: 1.0 });
    w.run(task("t"));
    let run = w.removals()[0].clone();
    removed(&mut w, run);
    assert_eq!(w.removals().len(), 1, "a new run is in the executor's directory");

    let mut w = done("t");
    w.input(Input::DiskUsage { used: 1.0 });
    let run = w.removals()[0].clone();
    removed(&mut w, run);
    let executor = w.removals()[1].clone();
    let prepared = w.count(|a| matches!(a, Act::Prepare(_)));
    w.run(task("t"));
    assert_eq!(w.count(|a| matches!(a, Act::Prepare(_))), prepared, "not below what is removed");
    removed(&mut w, executor);
    assert_eq!(w.last("t").state(), TaskRunning);
}

#[test]
fn a_removal_that_failed_is_tried_again_later() {
    let mut w = done("t");
    w.input(Input::DiskUsage { used: 1.0 });
    let path = w.removals()[0].clone();
    w.input(Input::SandboxRemoved { path, result: Err("busy".into()) });
    w.advance(seconds(3500));
    assert_eq!(w.removals().len(), 1);
    w.advance(seconds(200));
    assert_eq!(w.removals().len(), 2);
    assert_eq!(w.core().view().metrics["gc/path_removals_failed"], 1.0);
}

#[test]
fn few_at_a_time() {
    let mut w = World::with(Options::new(agent_info(), "127.0.0.1", "/work"));
    w.connect();
    for n in 0..10 {
        w.run(task(&format!("t{n}")));
        w.task_exits(&format!("t{n}"), 0);
    }
    w.input(Input::DiskUsage { used: 1.0 });
    assert_eq!(w.removals().len(), crate::agent::core::gc::REMOVALS_MAX);
    for _ in 0..40 {
        let Some(path) = w.removals().last().cloned() else { break };
        removed(&mut w, path);
    }
}

#[test]
fn sandboxes_of_what_ended_before_a_restart_are_shown_again() {
    let mut w = World::ready();
    for _ in 0..2 {
        w.run(task("t"));
        w.task_exits("t", 0);
        w.advance(seconds(1));
    }
    w.run(task("t"));
    w.acts.clear();
    w.restart();
    let shown = w.acts.iter().filter_map(|act| match act {
        Act::AttachSandbox { executor_id, container, sandbox, .. } => {
            assert!(sandbox.ends_with(format!("executors/{executor_id}/runs/{container}")));
            Some(container.clone())
        }
        _ => None,
    });
    let shown: Vec<_> = shown.collect();
    assert_eq!(shown.len(), 3);
    assert_eq!(shown.last(), w.container("t").as_ref(), "`latest` is the one that runs");
}

#[test]
fn pictures_of_what_did_not_change_are_the_same() {
    let mut w = World::ready();
    w.run(task("a"));
    w.run(task("b"));
    let before = w.core().view();
    w.kill("b", None);
    let after = w.core().view();
    let (before, after) = (&before.frameworks[0].executors, &after.frameworks[0].executors);
    assert_eq!((before.len(), after.len()), (2, 1));
    assert!(std::sync::Arc::ptr_eq(&before[0], &after[0]));
    assert!(std::sync::Arc::ptr_eq(&after[0], &w.core().view().frameworks[0].executors[0]));
}
