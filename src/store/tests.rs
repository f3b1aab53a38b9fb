//! The writer's promises, and the disk that crashes.

use super::crash::CrashDisk;
use super::raft::{RaftSpace, RaftTables};
use super::writer::{GROUP_JOBS_MAX, Job, Mode, QUEUE_MAX};
use super::{AgentStore, RaftStore, tables};
use crate::base::error::{Code, Error, Result};
use crate::base::kv::Op;
use crate::base::rng::Rng;
use redb::StorageBackend as _;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

/// A job that holds the writer until it is told to go on.
struct Hold {
    entered: mpsc::Sender<()>,
    go: mpsc::Receiver<()>,
}

impl Job<RaftSpace> for Hold {
    fn mode(&self) -> Mode {
        Mode::Behind
    }

    fn bytes(&self) -> usize {
        0
    }

    fn run(&mut self, _: &mut RaftTables<'_>) -> Result<()> {
        self.entered.send(()).expect("the test waits");
        self.go.recv_timeout(Duration::from_secs(30)).expect("the test goes on");
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        outcome.expect("is written");
    }
}

/// A job that tells its number when it is answered.
struct Tell(u64, Mode, mpsc::Sender<(u64, Result<()>)>);

impl Job<RaftSpace> for Tell {
    fn mode(&self) -> Mode {
        self.1
    }

    fn bytes(&self) -> usize {
        0
    }

    fn run(&mut self, tables: &mut RaftTables<'_>) -> Result<()> {
        tables.log_put(self.0, b"x")
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        self.2.send((self.0, outcome)).expect("the test waits");
    }
}

#[tokio::test]
async fn what_waits_shares_one_sync_and_keeps_its_order() {
    let store = RaftStore::open_on(CrashDisk::new()).expect("opens");
    let (entered, is_entered) = mpsc::channel();
    let (let_go, go) = mpsc::channel();
    store.submit(Box::new(Hold { entered, go })).await;
    is_entered.recv_timeout(Duration::from_secs(30)).expect("the writer holds");
    let (tell, told) = mpsc::channel();
    for n in 0..500 {
        // One apply in the middle of the appends: it must be neither before nor after its turn.
        let mode = if n == 250 { Mode::Behind } else { Mode::Synced };
        store.submit(Box::new(Tell(n, mode, tell.clone()))).await;
    }
    let before = store.counters().synced.load(Ordering::Relaxed);
    let_go.send(()).expect("the writer waits");
    for n in (0..250).rev().chain([250]).chain((251..500).rev()) {
        let (number, outcome) = told.recv_timeout(Duration::from_secs(30)).expect("is answered");
        outcome.expect("is written");
        assert_eq!(number, n);
    }
    assert_eq!(store.counters().synced.load(Ordering::Relaxed) - before, 2);
    const { assert!(GROUP_JOBS_MAX > 500, "else the count above is another") };
}

#[tokio::test]
async fn what_may_go_ahead_does_not_divide_the_syncs_of_the_others() {
    let store = RaftStore::open_on(CrashDisk::new()).expect("opens");
    let (entered, is_entered) = mpsc::channel();
    let (let_go, go) = mpsc::channel();
    store.submit(Box::new(Hold { entered, go })).await;
    is_entered.recv_timeout(Duration::from_secs(30)).expect("the writer holds");
    let (tell, told) = mpsc::channel();
    for n in 0..500 {
        let mode = if n % 2 == 0 { Mode::Synced } else { Mode::Aside };
        store.submit(Box::new(Tell(n, mode, tell.clone()))).await;
    }
    let before = store.counters().synced.load(Ordering::Relaxed);
    let_go.send(()).expect("the writer waits");
    let answers: Vec<u64> = (0..500)
        .map(|_| told.recv_timeout(Duration::from_secs(30)).expect("is answered").0)
        .collect();
    let expected: Vec<u64> =
        (0..250).rev().map(|i| 2 * i + 1).chain((0..250).rev().map(|i| 2 * i)).collect();
    assert_eq!(answers, expected);
    assert_eq!(store.counters().synced.load(Ordering::Relaxed) - before, 1);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_counts() {
    let disk = CrashDisk::new();
    let (store, _) = AgentStore::open_on(disk).expect("opens");
    // Writes are handed over when `write` is called, not when it is awaited.
    let mut answers = Vec::new();
    for n in 0..QUEUE_MAX * 4 {
        answers.push(store.write(vec![Op::put(format!("{n:06}"), vec![0; 10])]));
    }
    let mut refused = 0;
    let mut written = Vec::new();
    for (n, answer) in answers.into_iter().enumerate() {
        match answer.await {
            Ok(()) => written.push(format!("{n:06}")),
            Err(e) => {
                assert_eq!(e.code, Code::Overloaded);
                refused += 1;
            }
        }
    }
    assert_eq!(store.counters().overloaded.load(Ordering::Relaxed), refused);
    let keys: Vec<_> = store.scan("").expect("is read").into_iter().map(|(k, _)| k).collect();
    assert_eq!(keys, written, "what was refused is not there, what was acknowledged is");
}

#[tokio::test]
async fn batches_are_whole_ordered_and_scanned_by_prefix() {
    let disk = CrashDisk::new();
    let (store, _) = AgentStore::open_on(disk.clone()).expect("opens");
    let first = store.write(vec![Op::put("a/1", vec![1]), Op::put("b/1", vec![2])]);
    let second = store.write(vec![Op::put("a/1", vec![3]), Op::delete("b/1"), Op::delete("none")]);
    // Awaited in the other order: that changes nothing.
    second.await.expect("is written");
    first.await.expect("is written");
    store.write(vec![Op::put("a", vec![4]), Op::put("b/2", vec![5])]).await.expect("is written");
    let found = store.scan("a/").expect("is read");
    assert_eq!(found, [("a/1".to_owned(), vec![3])]);
    store.close();
    let closed = store.write(vec![Op::delete("a")]).await.expect_err("is closed");
    assert_eq!(closed.code, Code::Unavailable);
    drop(store);
    let (_, all) = AgentStore::open_on(disk).expect("opens");
    let keys: Vec<_> = all.iter().map(|(k, _)| k.as_str()).collect();
    assert_eq!(keys, ["a", "a/1", "b/2"]);
}

#[tokio::test]
async fn a_failed_job_takes_back_its_group_and_ends_all_writing() {
    let store = RaftStore::open_on(CrashDisk::new()).expect("opens");
    store.write(Mode::Synced, |t| t.kv_put("a", 1, b"1")).await.expect("is written");
    let fails = |t: &mut RaftTables<'_>| {
        t.kv_put("a", 2, b"2")?;
        Err(Error::new(Code::Corrupt, "a record cannot be read"))
    };
    let failed = store.write(Mode::Behind, fails).await.expect_err("fails");
    assert_eq!(failed.cause, "a record cannot be read");
    let later = store.write(Mode::Synced, |t| t.kv_put("b", 3, b"3")).await.expect_err("is over");
    assert_eq!(later, failed);
    let view = store.view().expect("reads go on");
    assert_eq!(view.get("a").expect("is read"), Some((b"1".to_vec(), 1)));
    assert_eq!(view.get("b").expect("is read"), None);
}

#[test]
fn a_view_pages_through_rows_and_log() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
    let store = RaftStore::open_on(CrashDisk::new()).expect("opens");
    let fill = store.write(Mode::Synced, |t| {
        for n in 0..20 {
            t.log_put(n, &[0; 100])?;
            t.kv_put(&format!("k/{n:02}"), n, &[0; 100])?;
        }
        t.kv_put("l", 99, b"")
    });
    runtime.block_on(fill).expect("is written");
    let view = store.view().expect("opens");
    let change = store.write(Mode::Synced, |t| {
        t.kv_clear()?;
        t.log_remove(..)
    });
    runtime.block_on(change).expect("is written");
    assert_eq!(view.log(3, 9, usize::MAX).expect("is read").len(), 6);
    assert_eq!(view.log(3, 9, 250).expect("is read").len(), 2);
    assert_eq!(view.log(3, 9, 1).expect("is read").len(), 1, "one at the least");
    assert_eq!(view.log_last().expect("is read").map(|l| l.0), Some(19));
    let mut keys = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = view.rows("k/", after.as_deref(), 300, 9).expect("is read").rows;
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = Some(last.key.clone());
        keys.extend(page.into_iter().map(|row| row.version));
    }
    assert_eq!(keys, (0..20).collect::<Vec<_>>());
    let three = view.rows("k/", None, usize::MAX, 3).expect("is read");
    assert_eq!((three.rows.len(), three.more), (3, true));
    let all = view.rows("k/", None, usize::MAX, 20).expect("is read");
    assert_eq!((all.rows.len(), all.more), (20, false));
    drop(view);
    let now = store.view().expect("opens");
    let (all, no_limit) = ("", usize::MAX);
    assert_eq!(now.rows(all, None, no_limit, no_limit).expect("is read").rows, []);
    assert_eq!(now.log_last().expect("is read"), None);
}

#[test]
fn a_record_of_a_newer_program_is_refused() {
    let record = tables::kv_encode(7, b"value");
    assert_eq!(tables::kv_decode("k", &record).expect("is read"), (7, b"value".as_slice()));
    let mut newer = record.clone();
    newer[0] += 1;
    let e = tables::kv_decode("k", &newer).expect_err("is newer");
    assert_eq!(e.code, Code::Corrupt);
    assert!(e.hint.is_some_and(|h| h.contains("newer")));
    assert!(tables::kv_decode("k", &record[..5]).is_err());
}

#[test]
fn the_disk_keeps_what_was_synced_and_an_arbitrary_part_of_the_rest() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = CrashDisk::new();
        disk.set_len(4096).expect("grows");
        disk.write(0, &[1; 4096]).expect("is written");
        disk.sync_data().expect("syncs");
        disk.write(0, &[2; 1024]).expect("is written");
        disk.write(2048, &[3; 512]).expect("is written");
        let found = disk.crash(&mut Rng::new(seed));
        assert!(disk.write(0, &[9]).is_err(), "a dead disk takes nothing");
        let mut bytes = [0; 4096];
        found.read(0, &mut bytes).expect("is read");
        assert!(bytes[1024..2048].iter().chain(&bytes[2560..]).all(|b| *b == 1));
        outcomes.insert((bytes[0], bytes[512], bytes[2048]));
    }
    assert_eq!(outcomes.len(), 8, "each sector by itself: {outcomes:?}");
}
