//! The log and the vote on `store::RaftStore`: appends return at once and are told when they are
//! synced.

use super::cache::{Cache, size};
use super::record::{self, EntryRecord, IdRecord, VoteRecord};
use super::types::{Entry, LogId, Types, Vote};
use crate::base::error::{Code, Error, Result};
use crate::store::RaftStore;
use crate::store::raft::{RaftSpace, RaftTables};
use crate::store::tables::meta;
use crate::store::writer::{Job, Mode};
use futures_util::Stream;
use openraft::alias::LogIdOf;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes of entries are read at once, whether to be applied or to be sent.
const READ_BYTES_MAX: usize = 1 << 20;

/// The log; clones are the same log.
#[derive(Clone)]
pub(super) struct Log(Arc<Shared>);

struct Shared {
    store: Arc<RaftStore>,
    cache: Mutex<Cache>,
    vote: Mutex<Option<Vote>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that holds these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error in the form openraft wants.
pub(super) fn io_error(e: Error) -> io::Error {
    io::Error::other(e)
}

impl Log {
    /// The log in that database.
    pub(super) fn open(store: Arc<RaftStore>) -> Result<Self> {
        let vote = match store.view()?.meta(meta::VOTE)? {
            Some(bytes) => Some(record::decode::<VoteRecord>("the vote", &bytes)?.into()),
            None => None,
        };
        Ok(Self(Arc::new(Shared { store, cache: Mutex::default(), vote: Mutex::new(vote) })))
    }

    fn cached(&self) -> MutexGuard<'_, Cache> {
        lock(&self.0.cache)
    }

    /// The entries from `from` to `to` (exclusive), until they are more than `bytes_max`.
    async fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Entry>> {
        let (first, cached) = {
            let cache = self.cached();
            match cache.first() {
                Some(first) => (first.min(to), cache.read(from.max(first), to, bytes_max)),
                None => (to, Vec::new()),
            }
        };
        if from >= first {
            return Ok(cached);
        }
        // Entries leave the cache only when they are in the database, so a view taken now has all
        // before `first`.
        let store = self.0.store.clone();
        let older = tokio::task::spawn_blocking(move || -> Result<Vec<Entry>> {
            let rows = store.view()?.log(from, first, bytes_max)?;
            let entry = |(index, bytes): (u64, Vec<u8>)| {
                let what = format!("log entry {index}");
                record::decode::<EntryRecord>(&what, &bytes)?.into_entry()
            };
            rows.into_iter().map(entry).collect()
        });
        let older = older.await.map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        join(older?, cached, first, bytes_max)
    }
}

/// Puts what the database has before what the cache has, keeping to the limit, and finding holes.
fn join(older: Vec<Entry>, cached: Vec<Entry>, first: u64, max: usize) -> Result<Vec<Entry>> {
    let mut out = older;
    let complete = out.last().is_none_or(|e| e.log_id.index + 1 == first);
    let mut bytes: usize = out.iter().map(size).sum();
    if complete {
        for entry in cached {
            bytes = bytes.saturating_add(size(&entry));
            if bytes > max && !out.is_empty() {
                break;
            }
            out.push(entry);
        }
    }
    for pair in out.windows(2) {
        if let [a, b] = pair
            && a.log_id.index + 1 != b.log_id.index
        {
            let hole = a.log_id.index + 1;
            return Err(Error::new(Code::Corrupt, format!("log entry {hole} is missing")));
        }
    }
    Ok(out)
}

/// From (inclusive) and to (exclusive).
fn ends(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(n) => *n,
        Bound::Excluded(n) => n.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(n) => n.saturating_add(1),
        Bound::Excluded(n) => *n,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = ends(&range);
        self.read(from, to, usize::MAX).await.map_err(io_error)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, READ_BYTES_MAX).await.map_err(io_error)
    }

    async fn entries_stream<R>(
        &mut self,
        range: R,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = ends(&range);
        let pages = futures_util::stream::try_unfold(from, move |from| {
            let log = self.clone();
            async move {
                if from >= to {
                    return Ok(None);
                }
                let page = log.read(from, to, READ_BYTES_MAX).await.map_err(io_error)?;
                let Some(last) = page.last() else { return Ok(None) };
                let next = last.log_id.index.saturating_add(1);
                let page = futures_util::stream::iter(page.into_iter().map(Ok));
                Ok::<_, io::Error>(Some((page, next)))
            }
        });
        Box::pin(futures_util::TryStreamExt::try_flatten(pages))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(*lock(&self.0.vote))
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let read = || -> Result<LogState<Types>> {
            let view = self.0.store.view()?;
            let purged: Option<LogId> = match view.meta(meta::PURGED)? {
                Some(bytes) => Some(record::decode::<IdRecord>("the purged id", &bytes)?.into()),
                None => None,
            };
            let last = match view.log_last()? {
                Some((index, bytes)) => {
                    let what = format!("log entry {index}");
                    let entry = record::decode::<EntryRecord>(&what, &bytes)?.into_entry()?;
                    Some(entry.log_id)
                }
                None => None,
            };
            Ok(LogState { last_purged_log_id: purged, last_log_id: last.max(purged) })
        };
        read().map_err(io_error)
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = *vote;
        let bytes = record::encode(&VoteRecord::from(vote)).map_err(io_error)?;
        let write = move |t: &mut RaftTables<'_>| t.meta_put(meta::VOTE, &bytes);
        self.0.store.write(Mode::Synced, write).await.map_err(io_error)?;
        *lock(&self.0.vote) = Some(vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.cached().push(&entries);
        self.0.store.submit(Box::new(Append { log: self.clone(), entries, callback })).await;
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> io::Result<()> {
        let last = last.map(|id| id.index);
        // Older entries may never come back as newer ones: the next synced append syncs this
        // removal, too.
        let from = last.map_or(0, |last| last.saturating_add(1));
        let write = move |t: &mut RaftTables<'_>| t.log_remove(from..);
        self.0.store.write(Mode::Behind, write).await.map_err(io_error)?;
        self.cached().truncate(last);
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> io::Result<()> {
        let index = upto.index;
        let bytes = record::encode(&IdRecord::from(upto)).map_err(io_error)?;
        self.cached().purge(index);
        // What makes the entries needless (an apply or an installed snapshot) was written before,
        // and commits are ordered, so no crash can leave neither.
        let write = move |t: &mut RaftTables<'_>| {
            t.log_remove(..=index)?;
            t.meta_put(meta::PURGED, &bytes)
        };
        self.0.store.write(Mode::Behind, write).await.map_err(io_error)
    }
}

/// Entries on their way to the disk.
struct Append {
    log: Log,
    entries: Vec<Entry>,
    callback: IOFlushed<Types>,
}

impl Job<RaftSpace> for Append {
    fn mode(&self) -> Mode {
        Mode::Synced
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(size).sum()
    }

    fn run(&mut self, tables: &mut RaftTables<'_>) -> Result<()> {
        for entry in &self.entries {
            tables.log_put(entry.log_id.index, &record::encode(&EntryRecord::from(entry))?)?;
        }
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        if let (Ok(()), Some(last)) = (&outcome, self.entries.last()) {
            self.log.cached().durable(last.log_id.index);
        }
        self.callback.io_completed(outcome.map_err(io_error));
    }
}
