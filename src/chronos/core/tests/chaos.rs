//! Random histories: crashes at any point, lost calls, lost agents' words; then the rules that must hold of all of them.

use super::world::{BEGIN, World, ms};
use crate::base::rng::Rng;
use crate::chronos::core::row::Outcome;
use crate::chronos::core::run::Cause;
use crate::mesos::v1::TaskState;
use serde_json::json;
use std::collections::BTreeMap;

const JOBS: [(&str, i64, bool); 3] = [("fast", 5, false), ("slow", 20, false), ("wide", 7, true)];

fn history(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut world = World::new();
    for (name, period, concurrent) in JOBS {
        world.upload(json!({
            "name": name, "command": "c", "concurrent": concurrent,
            "schedule": format!("R/{}/PT{period}S", "2024-01-01T00:00:05Z"),
        }));
    }
    world.dependent("child", &["fast", "slow"]);
    for _ in 0..250 {
        match rng.below(20) {
            0 => world.crash(),
            1 => world.restart(),
            2 => {
                world.loses_acts = true;
                world.advance(i64::try_from(rng.below(6000)).unwrap());
                world.crash();
            }
            3 => world.disconnect(),
            4 => world.master.loses_launches = rng.chance(1, 2),
            5 => world.force(JOBS[rng.below(3) as usize].0),
            6..=12 => {
                for task in world.live() {
                    let end = match rng.below(8) {
                        0 => TaskState::TaskFailed,
                        1 => TaskState::TaskGone,
                        2..=4 => TaskState::TaskRunning,
                        _ => TaskState::TaskFinished,
                    };
                    if !world.live().contains(&task) {
                        continue;
                    }
                    world.tell(&task, end);
                }
            }
            _ => world.advance(i64::try_from(rng.below(8000)).unwrap()),
        }
        if !world.connected && rng.chance(1, 2) {
            world.connect();
        }
        check_overlap(&world, seed);
    }
    // All faults end.
    world.master.loses_launches = false;
    world.restart();
    for _ in 0..100 {
        world.offer_all();
        world.finish_all();
        world.advance(3000);
    }
    world.finish_all();
    for (name, period, _) in JOBS {
        check_rows(&world, name, period, seed);
    }
}

/// Never two tasks of a job that may not overlap.
fn check_overlap(world: &World, seed: u64) {
    for name in ["fast", "slow", "child"] {
        let live = world.live_of(name);
        assert!(live.len() <= 1, "seed {seed}: {live:?}");
    }
}

/// Each planned time since the job was registered has one row, is summed up, or is a run that is not over.
fn check_rows(world: &World, name: &str, period: i64, seed: u64) {
    let detail = world.core.job(name).unwrap();
    let entry = &detail.job.entry;
    let mut seen: BTreeMap<i64, u32> = BTreeMap::new();
    let planned = entry.history.iter().filter(|row| row.cause == Cause::Planned);
    for due in planned.map(|row| row.due) {
        *seen.entry(due).or_default() += 1;
    }
    for run in detail.runs.iter().filter(|run| run.cause == Cause::Planned) {
        *seen.entry(run.due).or_default() += 1;
    }
    assert!(seen.values().all(|n| *n == 1), "seed {seed}: {name}: {seen:?}");
    let earlier = &entry.state.earlier;
    let from = earlier.through.unwrap_or(ms(BEGIN));
    let first = ms(BEGIN) + 5000;
    let mut expected = first;
    while expected <= entry.state.through {
        let has_row = seen.contains_key(&expected);
        assert!(has_row || expected <= from, "seed {seed}: {name} has nothing for {expected}");
        expected += period * 1000;
    }
    let forced = entry.history.iter().filter(|row| row.cause == Cause::Forced).count() as u64;
    let summed: u64 = earlier.outcomes.values().sum();
    let planned = (entry.state.through - first) as u64 / (period as u64 * 1000) + 1;
    let rows = entry.history.len() as u64 - forced + detail.runs.len() as u64;
    assert!(summed + rows >= planned, "seed {seed}: {name}: {summed} + {rows} of {planned}");
    assert!(entry.history.iter().any(|row| row.outcome == Outcome::Success), "seed {seed}");
}

/// covers: CHR-0056
#[test]
fn random_histories_hold_the_rules() {
    for seed in 0..12 {
        history(seed);
    }
}
