//! A disk that loses what was not synced, at arbitrary points: acknowledged writes are never lost.

use super::{alone, seeds};
use mesolith::base::kv;
use mesolith::base::rng::Rng;
use mesolith::cluster::consensus::{Op, Options, Registry};
use mesolith::store::crash::CrashDisk;
use mesolith::store::{AgentStore, RaftStore};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NODE: u64 = 7;

type Acknowledged = Arc<Mutex<BTreeMap<String, (u64, u64)>>>;

async fn registry(disk: &CrashDisk) -> Option<Registry> {
    let store = RaftStore::open_on(disk.clone()).ok()?;
    let timeout = Duration::from_secs(5);
    let options = Options { timeout, snapshot_entries: 40, log_keep: 10, ..alone() };
    let registry = Registry::open_on(store, NODE, options).await.ok()?;
    Some(registry)
}

/// Several writers, each counting up its own key, until the disk dies.
async fn write_until_death(registry: &Registry, acknowledged: &Acknowledged) {
    let Ok(epoch) = registry.begin().await else { return };
    let writer = |name: String| {
        let (registry, acknowledged) = (registry.clone(), acknowledged.clone());
        tokio::spawn(async move {
            let start = {
                let acknowledged = acknowledged.lock().expect("no panics");
                acknowledged.get(&name).map_or(0, |(n, _)| *n)
            };
            // Bounded, so that writes which never reach the disk are a failure and not a hang.
            for n in start + 1..start + 2000 {
                let ops = vec![Op::put(name.as_str(), n.to_string())];
                match registry.propose(epoch, ops).await {
                    Ok(done) => {
                        let mut acknowledged = acknowledged.lock().expect("no panics");
                        acknowledged.insert(name.clone(), (n, done.index));
                    }
                    Err(_) => break,
                }
            }
        })
    };
    let writers: Vec<_> = (0..4).map(|i| writer(format!("w{i}"))).collect();
    for writer in writers {
        writer.await.expect("no panics");
    }
}

#[tokio::test]
async fn a_crash_at_any_point_loses_no_acknowledged_write() {
    let mut total = 0;
    for seed in seeds(12) {
        let mut rng = Rng::new(seed);
        let mut disk = CrashDisk::new();
        let acknowledged = Acknowledged::default();
        for round in 0..4 {
            disk.die_after(rng.below(600) + 1);
            if let Some(registry) = registry(&disk).await {
                write_until_death(&registry, &acknowledged).await;
                assert!(disk.is_dead(), "seed {seed}: writers stop only for the disk's death");
                let _ = registry.shutdown().await;
            }
            disk = disk.crash(&mut rng);
            let again = registry(&disk).await.unwrap_or_else(|| panic!("seed {seed}: opens"));
            again.read_index().await.expect("is linearizable");
            for (key, (n, version)) in acknowledged.lock().expect("no panics").iter() {
                let found = again.get(key).expect("is read");
                let (value, at) =
                    found.unwrap_or_else(|| panic!("seed {seed} round {round}: {key} is lost"));
                let value: u64 = String::from_utf8_lossy(&value).parse().expect("a number");
                assert!(value >= *n && at >= *version, "seed {seed} round {round}: {key} is old");
                total += 1;
            }
            again.shutdown().await.expect("stops");
        }
    }
    assert!(total > 50, "only {total} checks: the disk dies too early to prove anything");
}

#[tokio::test]
async fn the_agent_store_keeps_whole_batches_or_nothing() {
    let mut total = 0;
    for seed in seeds(30) {
        let mut rng = Rng::new(seed);
        let disk = CrashDisk::new();
        let Ok((store, _)) = AgentStore::open_on(disk.clone()) else { panic!("opens") };
        disk.die_after(rng.below(200) + 1);
        let mut acknowledged = 0u32;
        for n in 1.. {
            let put = |key: &str| kv::Op::put(key, n.to_string().into_bytes());
            if store.write(vec![put("a"), put("b")]).await.is_err() {
                break;
            }
            acknowledged = n;
        }
        let later = store.write(vec![kv::Op::delete("a")]).await;
        assert!(later.is_err(), "after the first failure nothing is acknowledged");
        drop(store);
        let (_, all) = AgentStore::open_on(disk.crash(&mut rng)).expect("opens");
        let value = |key: &str| -> u32 {
            let found = all.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
            let text = String::from_utf8(found.unwrap_or(b"0".to_vec())).expect("a number");
            text.parse().expect("a number")
        };
        assert_eq!(value("a"), value("b"), "seed {seed}: half a batch");
        assert!(value("a") >= acknowledged, "seed {seed}: lost");
        total += acknowledged;
    }
    assert!(total > 100, "only {total} writes before the disk died");
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_acknowledges_nothing() {
    let disk = CrashDisk::new();
    let (store, _) = AgentStore::open_on(disk.clone()).expect("opens");
    disk.capacity(8 << 20);
    let mut written = 0u32;
    let refused = loop {
        let op = kv::Op::put(format!("{written:06}"), vec![1; 100_000]);
        match store.write(vec![op]).await {
            Ok(()) => written += 1,
            Err(e) => break e,
        }
        assert!(written < 1000, "the disk never fills");
    };
    assert!(refused.cause.contains("full"), "{refused}");
    assert!(refused.hint.is_some());
    let later = store.write(vec![kv::Op::put("small", vec![1])]).await.expect_err("is closed");
    assert_eq!(later, refused);
    drop(store);
    // With space again, a restart has all that was acknowledged.
    let (store, all) = AgentStore::open_on(disk.crash(&mut Rng::new(1))).expect("opens");
    let keys: Vec<u32> = all.iter().map(|(k, _)| k.parse().expect("a number")).collect();
    assert_eq!(keys, (0..written).collect::<Vec<_>>());
    store.write(vec![kv::Op::put("small", vec![1])]).await.expect("goes on");
}

#[tokio::test]
async fn a_failed_disk_stops_the_registry_and_says_so() {
    let disk = CrashDisk::new();
    let registry = registry(&disk).await.expect("opens");
    let epoch = registry.begin().await.expect("begins");
    registry.propose(epoch, vec![Op::put("a", "1")]).await.expect("is written");
    disk.die_after(0);
    let lost = registry.propose(epoch, vec![Op::put("a", "2")]).await;
    assert!(lost.is_err(), "{lost:?}");
    let mut leadership = registry.leadership();
    let gone = leadership.wait_for(|now| !now.is_me);
    tokio::time::timeout(super::DEADLINE, gone).await.expect("in time").expect("is watched");
    let later = registry.propose(epoch, vec![Op::put("a", "3")]).await;
    assert!(later.is_err(), "{later:?}");
    super::until("the cause is shown", || registry.status().failure.is_some()).await;
}
