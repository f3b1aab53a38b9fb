//! Whole clusters in one thread, in virtual time: many seeds, every fault, and worlds broken on purpose.
//!
//! - `MESOLITH_SIM_SEEDS=N` runs N more seeds, starting at `MESOLITH_SIM_BASE` (10,000 unless told).
//! - `MESOLITH_SIM_SEED=S cargo test --test sim -- --nocapture one_seed` runs one again;
//!   `MESOLITH_SIM_TRACE=1` shows the last events before a violation (or as many as it says, if more than 1).

use mesolith::sim::{Mutation, Profile, World};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn trace() -> usize {
    match number("MESOLITH_SIM_TRACE") {
        None | Some(0) => 0,
        Some(1) => 200,
        Some(n) => n as usize,
    }
}

fn run(seed: u64) -> Result<mesolith::sim::Report, String> {
    let profile = Profile { trace: trace(), ..Profile::of(seed) };
    World::run(seed, profile).map_err(|violation| {
        format!(
            "seed {seed}: {violation}\n  again: MESOLITH_SIM_SEED={seed} MESOLITH_SIM_TRACE=1 \
             cargo test --test sim -- --nocapture one_seed"
        )
    })
}

fn run_all(seeds: std::ops::Range<u64>) {
    let failed: Vec<String> = seeds.filter_map(|seed| run(seed).err()).collect();
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn calm_worlds_hold() {
    for seed in 0..5 {
        let report =
            World::run(seed, Profile::calm()).unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        assert!(report.starts > 3 && report.acknowledged > 6, "something happens: {report:?}");
    }
}

#[test]
fn seeds_hold() {
    run_all(0..100);
}

#[test]
fn more_seeds_hold() {
    let base = number("MESOLITH_SIM_BASE").unwrap_or(10_000);
    run_all(base..base + number("MESOLITH_SIM_SEEDS").unwrap_or(0));
}

#[test]
fn one_seed() {
    let seed = number("MESOLITH_SIM_SEED").unwrap_or(1);
    match run(seed) {
        Ok(report) => println!("seed {seed}: {report:?}"),
        Err(why) => panic!("{why}"),
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 4, 5] {
        let once = run(seed).unwrap_or_else(|why| panic!("{why}"));
        let again = run(seed).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(once, again);
        assert_ne!(
            once.trace_hash,
            run(seed + 100).unwrap_or_else(|why| panic!("{why}")).trace_hash
        );
    }
}

/// Within some seeds, the defect is caught by the rule that is about it.
fn caught(mutation: Mutation, rule: &str) {
    let mut others = Vec::new();
    for seed in 0..40 {
        let profile = Profile { mutation: Some(mutation), ..Profile::of(seed) };
        match World::run(seed, profile) {
            Err(violation) if violation.invariant == rule => return,
            Err(violation) => others.push(violation.to_string()),
            Ok(_) => {}
        }
    }
    panic!("{mutation:?} was not caught by {rule:?}, but: {others:#?}");
}

#[test]
fn a_resource_used_twice_is_caught() {
    caught(Mutation::KeepDestroyed, "resources");
}

#[test]
fn a_second_start_is_caught() {
    caught(Mutation::StartTwice, "launched once");
}

#[test]
fn a_lost_update_is_caught() {
    caught(Mutation::ForgetSynced, "never lost");
}

#[test]
fn a_step_back_is_caught() {
    caught(Mutation::GoBack, "forward");
}

#[test]
fn an_update_to_another_framework_is_caught() {
    caught(Mutation::Misdeliver, "isolation");
}

#[test]
fn a_forgotten_commit_is_caught() {
    caught(Mutation::ForgetCommitted, "registry");
}

#[test]
fn an_agent_that_stays_away_is_caught() {
    caught(Mutation::NeverHeal, "convergence");
}

#[test]
fn an_old_epoch_that_gets_through_is_caught() {
    caught(Mutation::OldEpoch, "fencing");
}

#[test]
fn another_uuid_is_caught() {
    caught(Mutation::NewUuid, "uuids");
}
