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

type Run = fn(u64) -> Result<mesolith::sim::Report, String>;

fn run(seed: u64) -> Result<mesolith::sim::Report, String> {
    run_profile(seed, Profile::of(seed), "one_seed")
}

/// The same seed with Marathon in the world.
fn run_marathon(seed: u64) -> Result<mesolith::sim::Report, String> {
    run_profile(seed, Profile::with_marathon(seed), "one_marathon_seed")
}

/// The same seed with Chronos in the world.
fn run_chronos(seed: u64) -> Result<mesolith::sim::Report, String> {
    run_profile(seed, Profile::with_chronos(seed), "one_chronos_seed")
}

/// The same seed with somebody who drains agents, and alone or beside Marathon or Chronos.
fn run_operator(seed: u64) -> Result<mesolith::sim::Report, String> {
    run_profile(seed, Profile::with_operator(seed), "one_operator_seed")
}

/// The same seed on the nodes of a cluster.
fn run_cluster(seed: u64) -> Result<mesolith::sim::Report, String> {
    run_profile(seed, Profile::with_cluster(seed), "one_cluster_seed")
}

fn run_profile(seed: u64, profile: Profile, test: &str) -> Result<mesolith::sim::Report, String> {
    let profile = Profile { trace: trace(), ..profile };
    World::run(seed, profile).map_err(|violation| {
        format!(
            "seed {seed}: {violation}\n  again: MESOLITH_SIM_SEED={seed} MESOLITH_SIM_TRACE=1 \
             cargo test --test sim -- --nocapture {test}"
        )
    })
}

fn run_all(run: Run, seeds: std::ops::Range<u64>) -> (u64, u64) {
    let mut failed = Vec::new();
    let (mut faults, mut masters, mut starts, mut acknowledged) = (0, 0, 0, 0);
    let (mut commands, mut steps, mut left) = (0, 0, 0);
    for seed in seeds {
        match run(seed) {
            Ok(report) => {
                faults += report.faults;
                masters += report.masters;
                starts += report.starts;
                acknowledged += report.acknowledged;
                commands += report.commands;
                steps += report.steps;
                left += report.left;
            }
            Err(why) => failed.push(why),
        }
    }
    println!(
        "{faults} faults, {masters} masters, {starts} starts, {acknowledged} acknowledged, \
         {commands} commands of clients, {steps} steps of membership, {left} nodes left"
    );
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.join("\n"));
    (steps, left)
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
    run_all(run, 0..100);
}

#[test]
fn more_seeds_hold() {
    let base = number("MESOLITH_SIM_BASE").unwrap_or(10_000);
    run_all(run, base..base + number("MESOLITH_SIM_SEEDS").unwrap_or(0));
}

#[test]
fn calm_worlds_with_marathon_hold() {
    for seed in 0..5 {
        let profile = Profile { marathon: true, frameworks: 1, trace: trace(), ..Profile::calm() };
        let report = World::run(seed, profile).unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        assert!(report.starts > 10 && report.commands > 10, "something happens: {report:?}");
    }
}

// covers: MAR-0350, MAR-0502, MAR-0511
#[test]
fn seeds_with_marathon_hold() {
    run_all(run_marathon, 0..100);
}

#[test]
fn more_seeds_with_marathon_hold() {
    let base = number("MESOLITH_SIM_BASE").unwrap_or(10_000);
    run_all(run_marathon, base..base + number("MESOLITH_SIM_SEEDS").unwrap_or(0));
}

#[test]
fn one_marathon_seed() {
    let seed = number("MESOLITH_SIM_SEED").unwrap_or(1);
    match run_marathon(seed) {
        Ok(report) => println!("seed {seed}: {report:?}"),
        Err(why) => panic!("{why}"),
    }
}

#[test]
fn calm_worlds_with_chronos_hold() {
    for seed in 0..5 {
        let profile = Profile { chronos: true, frameworks: 1, trace: trace(), ..Profile::calm() };
        let report = World::run(seed, profile).unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        assert!(report.job_starts > 10 && report.commands > 10, "something happens: {report:?}");
    }
}

#[test]
fn seeds_with_chronos_hold() {
    run_all(run_chronos, 0..100);
}

#[test]
fn more_seeds_with_chronos_hold() {
    let base = number("MESOLITH_SIM_BASE").unwrap_or(10_000);
    run_all(run_chronos, base..base + number("MESOLITH_SIM_SEEDS").unwrap_or(0));
}

#[test]
fn one_chronos_seed() {
    let seed = number("MESOLITH_SIM_SEED").unwrap_or(1);
    match run_chronos(seed) {
        Ok(report) => println!("seed {seed}: {report:?}"),
        Err(why) => panic!("{why}"),
    }
}

#[test]
fn seeds_with_an_operator_hold() {
    run_all(run_operator, 0..100);
}

#[test]
fn more_seeds_with_an_operator_hold() {
    let base = number("MESOLITH_SIM_BASE").unwrap_or(10_000);
    run_all(run_operator, base..base + number("MESOLITH_SIM_SEEDS").unwrap_or(0));
}

#[test]
fn one_operator_seed() {
    let seed = number("MESOLITH_SIM_SEED").unwrap_or(1);
    match run_operator(seed) {
        Ok(report) => println!("seed {seed}: {report:?}"),
        Err(why) => panic!("{why}"),
    }
}

#[test]
fn calm_clusters_hold() {
    for seed in 0..3 {
        let (marathon, chronos) = (seed == 1, seed == 2);
        let calm = Profile { agents: 5, marathon, chronos, trace: trace(), ..Profile::calm() };
        let profile = Profile { cluster: true, ..calm };
        let report = World::run(seed, profile).unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        // Each of four nodes becomes a learner, and the voters grow.
        assert!(report.steps >= 5 || report.masters > 1, "something happens: {report:?}");
        assert!(report.starts > 3 && report.acknowledged > 6, "something happens: {report:?}");
    }
}

#[test]
fn seeds_with_clusters_hold() {
    let (steps, left) = run_all(run_cluster, 0..40);
    assert!(steps > 400 && left > 20, "the clusters are too quiet: {steps} steps, {left} left");
}

#[test]
fn more_seeds_with_clusters_hold() {
    let base = number("MESOLITH_SIM_BASE").unwrap_or(10_000);
    run_all(run_cluster, base..base + number("MESOLITH_SIM_SEEDS").unwrap_or(0));
}

#[test]
fn one_cluster_seed() {
    let seed = number("MESOLITH_SIM_SEED").unwrap_or(1);
    match run_cluster(seed) {
        Ok(report) => println!("seed {seed}: {report:?}"),
        Err(why) => panic!("{why}"),
    }
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

#[test]
fn the_same_seed_gives_the_same_cluster() {
    let once = run_cluster(3).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(once, run_cluster(3).unwrap_or_else(|why| panic!("{why}")));
}

// Seeds that found a defect. What each found also has a test beside the core that had it.

#[test]
fn a_teardown_that_was_accepted_survives_a_change_of_master() {
    for seed in [42, 10_373, 10_447] {
        run(seed).unwrap_or_else(|why| panic!("{why}"));
    }
}

#[test]
fn a_registration_sent_twice_does_not_replace_the_agent() {
    for seed in [50, 10_358, 10_464] {
        run(seed).unwrap_or_else(|why| panic!("{why}"));
    }
}

#[test]
fn nothing_stays_unreachable_on_an_agent_that_is_back() {
    for seed in [10_398, 10_408, 10_269] {
        run(seed).unwrap_or_else(|why| panic!("{why}"));
    }
}

#[test]
fn an_agent_forgets_a_framework_that_ended_without_it() {
    for seed in [10_369, 11_257] {
        run(seed).unwrap_or_else(|why| panic!("{why}"));
    }
}

#[test]
fn no_task_id_of_a_job_is_used_twice() {
    for seed in [10_553, 10_727, 10_885] {
        run_chronos(seed).unwrap_or_else(|why| panic!("{why}"));
    }
}

#[test]
fn a_deleted_jobs_task_ends_though_a_new_master_knows_of_no_kill() {
    for seed in [10_347, 10_450, 10_570] {
        run_chronos(seed).unwrap_or_else(|why| panic!("{why}"));
    }
}

/// Within some seeds, the defect is caught by the rule that is about it.
fn caught(mutation: Mutation, rule: &str) {
    caught_in(Profile::of, mutation, rule);
}

fn caught_in(profile: fn(u64) -> Profile, mutation: Mutation, rule: &str) {
    let mut others = Vec::new();
    for seed in 0..40 {
        let profile = Profile { mutation: Some(mutation), ..profile(seed) };
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
    caught(Mutation::RunOn, "resources");
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

#[test]
fn a_task_that_is_asked_for_twice_is_caught() {
    caught_in(Profile::with_marathon, Mutation::ForgetLaunch, "asked once");
}

#[test]
fn too_few_in_service_are_caught() {
    caught_in(Profile::with_marathon, Mutation::TellRunning, "minimum health capacity");
}

#[test]
fn too_many_are_caught() {
    caught_in(Profile::with_marathon, Mutation::TellKilled, "maximum over capacity");
}

#[test]
fn an_app_that_does_not_get_its_instances_is_caught() {
    caught_in(Profile::with_marathon, Mutation::NoOffers, "convergence");
}

#[test]
fn a_planned_time_without_an_outcome_is_caught() {
    caught_in(Profile::with_chronos, Mutation::ForgetRow, "outcomes");
}

#[test]
fn a_run_that_is_launched_twice_under_one_id_is_caught() {
    caught_in(Profile::with_chronos, Mutation::ForgetRun, "asked once");
}

#[test]
fn two_attempts_of_one_run_are_caught() {
    caught_in(Profile::with_chronos, Mutation::TellFailed, "one attempt");
}

#[test]
fn a_job_that_overlaps_itself_is_caught() {
    caught_in(Profile::with_chronos, Mutation::TellFinished, "no overlap");
}

#[test]
fn two_leaders_that_both_commit_are_caught() {
    caught_in(Profile::with_cluster, Mutation::OldTerm, "one history");
}

#[test]
fn an_answered_write_that_a_leader_lacks_is_caught() {
    caught_in(Profile::with_cluster, Mutation::VoteBlindly, "answered");
}

#[test]
fn a_change_of_voters_that_takes_the_majority_away_is_caught() {
    caught_in(Profile::with_cluster, Mutation::HearAlways, "majority");
}

#[test]
fn too_many_voters_are_caught() {
    caught_in(Profile::with_cluster, Mutation::KeepVoters, "voters");
}

#[test]
fn a_cluster_that_does_not_come_to_its_voters_is_caught() {
    caught_in(Profile::with_cluster, Mutation::NoSteps, "convergence");
}

#[test]
fn a_task_that_ends_because_the_leader_changes_is_caught() {
    caught_in(Profile::with_cluster, Mutation::EndTasks, "undisturbed");
}
