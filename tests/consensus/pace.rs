//! How fast it is: printed, not asserted. `cargo test --test consensus pace -- --nocapture`

use super::open;
use mesolith::cluster::consensus::Op;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pace_of_durable_writes() {
    let tmp = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory on a real disk");
    let started = Instant::now();
    let (_dir, registry) = open(tmp.path()).await;
    println!("open and bootstrap: {:?}", started.elapsed());
    let epoch = registry.begin().await.expect("begins");
    for in_flight in [1usize, 16, 64] {
        let before = registry.status().commits;
        let started = Instant::now();
        let until = started + Duration::from_millis(700);
        let tasks: Vec<_> = (0..in_flight)
            .map(|task| {
                let registry = registry.clone();
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    while Instant::now() < until {
                        let ops = vec![Op::put(format!("k{task}/{}", took.len() % 100), [1; 200])];
                        let started = Instant::now();
                        registry.propose(epoch, ops).await.expect("is written");
                        took.push(started.elapsed());
                    }
                    took
                })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("no panics"));
        }
        let rate = all.len() as f64 / started.elapsed().as_secs_f64();
        all.sort();
        let after = registry.status().commits;
        println!(
            "{in_flight:>3} in flight: {rate:>7.0} writes/s, p50 {:?}, p99 {:?}, {} writes, {} \
             syncs, {} applies",
            all[all.len() / 2],
            all[all.len() * 99 / 100],
            all.len(),
            after.0 - before.0,
            after.1 - before.1
        );
    }
    let started = Instant::now();
    for _ in 0..200 {
        registry.read_index().await.expect("is linearizable");
    }
    println!("read_index: {:?}", started.elapsed() / 200);
    registry.shutdown().await.expect("stops");
    let started = Instant::now();
    drop((_dir, registry));
    let (_dir, registry) = open(tmp.path()).await;
    println!("open again ({} bytes): {:?}", registry.status().database_bytes, started.elapsed());
}
