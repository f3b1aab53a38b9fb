//! Durable writes through the replicated registry of one voter, beside a bare append and fdatasync.
//!
//! The bare variant writes the same values to a file, one sync for as many as are in flight: what a log could do at
//! best that loses nothing. So many writers wait at a time, each for its own write; both variants take turns.

use crate::Result;
use crate::stats::median;
use mesolith::cluster::consensus::{Epoch, Op, Options, Registry};
use mesolith::store::DataDir;
use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

const IN_FLIGHT: [usize; 3] = [1, 16, 64];
const ROUNDS: usize = 5;
/// How long a variant has in a round.
const TURN: Duration = Duration::from_millis(600);
const VALUE: [u8; 200] = [1; 200];
/// How many keys each writer writes again and again.
const KEYS: usize = 100;

/// What one variant did, over all rounds.
#[derive(Default)]
struct Done {
    /// Writes a second, of each round.
    rates: Vec<f64>,
    /// Every write's time, in ms.
    times: Vec<f64>,
    syncs: u64,
}

/// The row.
pub async fn row() -> Result<()> {
    // Not in /tmp, which may be memory.
    let tmp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let dir = DataDir::open(&tmp.path().join("data"))?;
    let registry = Registry::open(&dir, Options::default()).await?;
    let epoch = registry.begin().await?;
    let mut file = File::create_new(tmp.path().join("log"))?;
    println!("\n5. durable writes of {} bytes ({ROUNDS} rounds of {TURN:?})", VALUE.len());
    println!(
        "  {:<28} {:>9} {:>9} {:>9} {:>12} {:>7}",
        "in flight", "writes/s", "p50 ms", "p95 ms", "writes/sync", "/bare"
    );
    let mut done = IN_FLIGHT.map(|n| (n, Done::default(), Done::default()));
    for _ in 0..ROUNDS {
        for (in_flight, ours, bare) in &mut done {
            append(&mut file, *in_flight, bare)?;
            propose(&registry, epoch, *in_flight, ours).await?;
        }
    }
    for (in_flight, ours, bare) in &mut done {
        let floor = median(&mut bare.rates);
        line(&format!("{in_flight:>3} append + fdatasync"), bare, floor);
        line(&format!("{in_flight:>3} registry"), ours, floor);
    }
    registry.shutdown().await?;
    Ok(())
}

/// As many at a time as `in_flight`, through the registry.
async fn propose(
    registry: &Registry,
    epoch: Epoch,
    in_flight: usize,
    done: &mut Done,
) -> Result<()> {
    let before = registry.status().commits.0;
    let start = Instant::now();
    let writers: Vec<_> = (0..in_flight)
        .map(|writer| tokio::spawn(write(registry.clone(), epoch, writer, start + TURN)))
        .collect();
    let mut count = 0;
    for writer in writers {
        let times = writer.await??;
        count += times.len();
        done.times.extend(times);
    }
    done.rates.push(count as f64 / start.elapsed().as_secs_f64());
    done.syncs += registry.status().commits.0 - before;
    Ok(())
}

async fn write(
    registry: Registry,
    epoch: Epoch,
    writer: usize,
    until: Instant,
) -> std::result::Result<Vec<f64>, mesolith::cluster::consensus::ProposeError> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let op = Op::put(format!("bench/{writer}/{}", times.len() % KEYS), VALUE);
        let start = Instant::now();
        registry.propose(epoch, vec![op]).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// So many values appended with one sync, again and again.
fn append(file: &mut File, in_flight: usize, done: &mut Done) -> Result<()> {
    let together = VALUE.repeat(in_flight);
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < TURN {
        let start = Instant::now();
        file.write_all(&together)?;
        file.sync_data()?;
        let took = start.elapsed().as_secs_f64() * 1e3;
        done.times.extend(std::iter::repeat_n(took, in_flight));
        done.syncs += 1;
        count += in_flight;
    }
    done.rates.push(count as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

fn line(name: &str, done: &mut Done, floor: f64) {
    let (rate, middle) = (median(&mut done.rates), median(&mut done.times));
    let late = done.times.get(done.times.len() * 95 / 100).copied().unwrap_or(f64::NAN);
    let together = done.times.len() as f64 / done.syncs as f64;
    println!(
        "  {name:<28} {rate:>9.0} {middle:>9.2} {late:>9.2} {together:>12.1} {:>7.2}",
        rate / floor
    );
}
