//! The storage under openraft's own test suite, and the forms of records.

use super::command::{Batch, Command, Op};
use super::log::Log;
use super::record::{self, EntryRecord};
use super::snapshot::{self, Chunks};
use super::state::State;
use super::types::{Entry, Types, log_id};
use crate::base::error::Code;
use crate::store::RaftStore;
use crate::store::crash::CrashDisk;
use crate::store::writer::Mode;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, StorageError};
use std::sync::Arc;

struct OnMemory;

impl StoreBuilder<Types, Log, State, ()> for OnMemory {
    async fn build(&self) -> Result<((), Log, State), StorageError<Types>> {
        let store = Arc::new(RaftStore::open_on(CrashDisk::new()).expect("opens"));
        let state = State::open(store.clone(), Arc::default()).expect("opens");
        Ok(((), Log::open(store).expect("opens"), state))
    }
}

#[tokio::test]
async fn the_storage_passes_the_suite_of_the_library() {
    Suite::<Types, Log, State, OnMemory, ()>::test_all(OnMemory).await.expect("passes");
}

#[test]
fn the_statistics_of_the_library_are_kept_in_the_small_histogram() {
    let mut small = base2histogram::Histogram::<()>::new();
    (1..=1000).for_each(|n| small.record(n));
    small.record_n(u64::MAX, 1);
    small.record_n(0, 1);
    assert_eq!(small.total(), 1002);
    // The least value of the bucket; the crate this stands in for would interpolate within it.
    assert_eq!(small.percentile(0.5), 448);
    assert_eq!((small.percentile(0.0), small.percentile(1.0)), (0, 7 << 61));
    let stats = small.percentile_stats();
    assert_eq!((stats.samples, stats.p90, stats.p99), (1002, 896, 896));
    assert_eq!(base2histogram::Histogram::<()>::new().percentile(0.5), 0);
}

#[test]
fn an_entry_survives_its_stored_form_and_a_newer_one_is_refused() {
    let ops = vec![Op::put("a", [0, 255, 7]), Op::delete("b"), Op::check("c", Some(3))];
    let batch = Command::Batch(Arc::new(Batch { epoch: 9, ops }));
    for payload in [EntryPayload::Blank, EntryPayload::Normal(batch)] {
        let entry = Entry { log_id: log_id(3, 12), payload };
        let mut bytes = record::encode(&EntryRecord::from(&entry)).expect("has a form");
        let read: EntryRecord = record::decode("entry 12", &bytes).expect("is read");
        assert_eq!(read.into_entry().expect("is whole"), entry);
        bytes[0] = record::SCHEMA + 1;
        let newer = record::decode::<EntryRecord>("entry 12", &bytes).expect_err("is newer");
        assert_eq!(newer.code, Code::Corrupt);
        assert!(newer.cause.contains("entry 12"), "{newer}");
    }
}

#[tokio::test]
async fn a_snapshot_that_is_not_whole_is_refused_before_anything_changes() {
    let store = RaftStore::open_on(CrashDisk::new()).expect("opens");
    let write = store.write(Mode::Synced, |tables| {
        for i in 0..2000 {
            tables.kv_put(&format!("k{i:05}"), i, &[7; 500])?;
        }
        Ok(())
    });
    write.await.expect("is written");
    let chunks = || -> Vec<Vec<u8>> {
        let (_, chunks) = snapshot::take(&store).expect("is taken");
        chunks.map(|c| c.expect("is read")).collect()
    };
    let receive = |chunks: Vec<Vec<u8>>| snapshot::receive(Chunks::new(chunks.into_iter().map(Ok)));
    let whole = chunks();
    assert!(whole.len() > 5, "1 MB in {} chunks", whole.len());
    assert_eq!(receive(whole.clone()).expect("is whole").count(), whole.len());
    for missing in 0..whole.len() {
        let mut cut = chunks();
        cut.remove(missing);
        assert!(receive(cut).is_err(), "chunk {missing} is missing");
    }
    let mut twice = chunks();
    twice.insert(2, whole[1].clone());
    assert!(receive(twice).is_err(), "a chunk came twice");
}
