//! The real log on disks that crash, over the real link, under faults that a seed decides: clients write down what they
//! ask and are told, and the whole must be explained by one thing after the other.
//!
//! - `MESOLITH_CONSENSUS_SEEDS=N` runs N more seeds, from `MESOLITH_CONSENSUS_BASE` on (10,000 unless told).
//! - `MESOLITH_CONSENSUS_SEED=S` runs one again, `MESOLITH_CONSENSUS_TIMES` times. A seed decides what is done, when, and
//!   what is asked; how threads and packets then meet is chance, so a failure may take some runs to come again. Its
//!   history is kept in a file.

mod audit;
mod clients;
mod far;
mod faults;
mod history;
mod linear;
mod linear_tests;
mod node;
mod relay;
mod world;

use super::DEADLINE;
use clients::Client;
use faults::Plan;
use history::{Ask, Counts, Told};
use mesolith::base::rng::Rng;
use mesolith::cluster::consensus::Pace;
use mesolith::store::raft::Row;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use world::{LAST, World};

/// How long operations are waited for before the next step is taken without them: where nobody leads, few finish.
const STEP_MAX: Duration = Duration::from_millis(600);
/// The longest a silence lasts before another is elected: so short that much happens in little time.
const ELECTION: Duration = Duration::from_millis(400);
/// How many operations must succeed when all is well again.
const GOOD_AFTERWARDS: u64 = 40;
/// What a run has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Report {
    counts: Counts,
    steps: usize,
    leaders: usize,
}

/// One run.
async fn run(seed: u64) -> Result<Report, String> {
    let mut rng = Rng::new(seed);
    let plan = Plan::of(&mut rng);
    let world = World::start(plan.nodes, Pace::within(ELECTION)).await;
    let judged = go(&world, &plan, &mut rng).await;
    if judged.is_ok() {
        world.end().await;
    }
    judged.map_err(|why| {
        let file = keep(seed, &world);
        format!(
            "seed {seed}: {why}\nwhat was done:\n{}\nthe history is in {file}\n  again: \
             MESOLITH_CONSENSUS_SEED={seed} MESOLITH_CONSENSUS_TIMES=10 cargo test --test \
             consensus -- --nocapture seeded::one_seed",
            world.recorder.story()
        )
    })
}

async fn go(world: &Arc<World>, plan: &Plan, rng: &mut Rng) -> Result<Report, String> {
    let (stop, stopped) = watch::channel(false);
    let client = |number| {
        let rng = Rng::new(rng.next_u64());
        let client = Client::new(number, plan.keys, world.clone(), rng);
        tokio::spawn(client.run(stopped.clone()))
    };
    let clients: Vec<_> = (0..plan.clients).map(client).collect();
    let mut counts = world.recorder.counts();
    for step in &plan.steps {
        let enough = counts.borrow().finished + step.after;
        let finished = counts.wait_for(|counts| counts.finished >= enough);
        // In time or not: the next fault comes.
        let _ = tokio::time::timeout(STEP_MAX, finished).await;
        world.carry_out(&step.fault, rng).await;
    }
    world.end_faults().await;
    let enough = counts.borrow().good + GOOD_AFTERWARDS;
    let good = counts.wait_for(|counts| counts.good >= enough);
    let good = tokio::time::timeout(DEADLINE, good).await.is_ok();
    stop.send_replace(true);
    for client in clients {
        client.await.map_err(|e| format!("a client ended: {e}"))?;
    }
    if !good {
        return Err(world.stuck("little succeeds"));
    }
    let mut state = world.converge().await?;
    if plan.ends_dark {
        world.power_fails(rng).await;
        world.start_all().await;
        let found = world.converge().await?;
        // But what is written each time that all has come to rest.
        let kept = |rows: &[Row]| -> Vec<Row> {
            rows.iter().filter(|row| row.key != LAST).cloned().collect()
        };
        if kept(&state) != kept(&found) {
            return Err("the power failed, and the state is another".into());
        }
        state = found;
    }
    last_reads(world, plan.keys).await?;
    judge(world, &state)?;
    let counts = *counts.borrow();
    Ok(Report { counts, steps: plan.steps.len(), leaders: world.recorder.all_begun().len() })
}

/// What each key is in the end, read by one who wants to know.
async fn last_reads(world: &Arc<World>, keys: usize) -> Result<(), String> {
    let mut reader = Client::new(usize::MAX, keys, world.clone(), Rng::new(0));
    for key in 0..keys {
        let read = async { while !reader.read(&*world.led().await, key).await {} };
        tokio::time::timeout(DEADLINE, read).await.map_err(|_| "nothing is read in the end")?;
    }
    Ok(())
}

fn judge(world: &World, state: &[Row]) -> Result<(), String> {
    let (events, begun) = (world.recorder.events(), world.recorder.all_begun());
    if let Some(torn) = world.recorder.all_torn().first() {
        return Err(torn.clone());
    }
    linear::check(&events)?;
    let records = clients::records(state);
    audit::check(&events, &begun, &records)?;
    let view = world.nodes[0].running().ok_or("the first node has ended")?;
    let view = view.registry.view().map_err(|e| e.to_string())?;
    let wanted = audit::replay(&events, &records);
    let keys = events.iter().map(|event| event.key).max().map_or(0, |key| key + 1);
    let mut found = BTreeMap::new();
    for key in 0..keys {
        if let Some(value) = clients::of_key(&view, key)? {
            found.insert(key, value);
        }
    }
    match found == wanted {
        true => Ok(()),
        false => Err(format!("the log says {wanted:?}, the state is {found:?}")),
    }
}

/// Keeps the history of a run that failed.
fn keep(seed: u64, world: &World) -> String {
    let mut text = world.recorder.story();
    let mut events = world.recorder.events();
    events.sort_by_key(|event| event.begin);
    for event in events {
        let _ = write!(text, "\n{event}");
    }
    for begun in world.recorder.all_begun() {
        let _ = write!(text, "\n{begun:?}");
    }
    let path = format!("{}/consensus-seed-{seed}.txt", env!("CARGO_TARGET_TMPDIR"));
    match std::fs::write(&path, text) {
        Ok(()) => path,
        Err(e) => format!("no file: {path}: {e}"),
    }
}

async fn run_all(seeds: impl IntoIterator<Item = u64>) -> Report {
    // One for each core: nodes that get no time elect each other for ever.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let room = Arc::new(Semaphore::new(cores));
    let start = |seed| {
        let room = room.clone();
        let run = async move {
            let _one = room.acquire().await.map_err(|e| e.to_string())?;
            // In a task of its own: one that panics is one that failed.
            let done = tokio::spawn(run(seed)).await;
            done.unwrap_or_else(|e| Err(format!("seed {seed}: {e}")))
        };
        tokio::spawn(run)
    };
    let runs: Vec<_> = seeds.into_iter().map(start).collect();
    let (mut total, mut failed, count) = (Report::default(), Vec::new(), runs.len());
    for run in runs {
        match run.await.expect("no panics") {
            Ok(report) => {
                total.counts.finished += report.counts.finished;
                total.counts.good += report.counts.good;
                total.counts.unknown += report.counts.unknown;
                total.steps += report.steps;
                total.leaders += report.leaders;
            }
            Err(why) => {
                println!("{why}");
                failed.push(why);
            }
        }
    }
    println!("{count} seeds: {total:?}");
    assert!(failed.is_empty(), "{} of {count} seeds failed:\n{}", failed.len(), failed.join("\n"));
    total
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_hold() {
    let seeds: Range<u64> = 0..6;
    let total = run_all(seeds.clone()).await;
    let count = seeds.end - seeds.start;
    assert!(total.counts.good >= count * GOOD_AFTERWARDS && total.leaders as u64 > count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_seeds_hold() {
    let base = number("MESOLITH_CONSENSUS_BASE").unwrap_or(10_000);
    run_all(base..base + number("MESOLITH_CONSENSUS_SEEDS").unwrap_or(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_seed() {
    let Some(seed) = number("MESOLITH_CONSENSUS_SEED") else { return };
    for _ in 0..number("MESOLITH_CONSENSUS_TIMES").unwrap_or(1) {
        run_all([seed]).await;
    }
}

/// The judges see what they are there for: a leader that was cut off tells what it has without asking the others, and is
/// found out; one that asks tells nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_asks_nobody_is_found_out() {
    let world = World::start(3, Pace::within(ELECTION)).await;
    let mut client = Client::new(0, 1, world.clone(), Rng::new(1));
    let old = world.led().await;
    while !client.write(&old, &[(0, Ask::Put)]).await {}
    let it = old.process.node;
    world.net.cut(|from, to| from == it || to == it);
    let led = async {
        loop {
            let new = world.led().await;
            if new.process != old.process && client.write(&new, &[(0, Ask::Put)]).await {
                return new;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let new = tokio::time::timeout(DEADLINE, led).await.expect("another is elected");
    assert!(client.read(&new, 0).await);
    // Either it knows that it does not lead, or it does not know.
    client.read(&old, 0).await;
    linear::check(&world.recorder.events()).expect("nothing stale was told");
    let begin = world.recorder.now();
    let told = client.look(&old.registry.view().expect("is read"), 0, 0);
    assert!(matches!(told, Told::Found { value: Some(_), .. }), "{told:?}");
    client.told(begin, begin, 0, Ask::Read, told);
    let e = linear::check(&world.recorder.events()).expect_err("it is stale");
    assert!(e.contains("no order explains"), "{e}");
    world.net.heal();
    world.end().await;
}
