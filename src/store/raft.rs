//! `raft.redb`: the replicated log, the single records of the protocol, and the replicated
//! key-value state, as bytes.
//!
//! Log records and single records are opaque here; their forms are `cluster/consensus`'s. Log
//! appends and votes are synced; applies are written behind. As commits are ordered, a crash takes
//! back the newest applies at the most, and the log still has them.

use super::dir::DataDir;
use super::failed;
use super::open::{self, Handle, Kind};
use super::tables::{RAFT_KV, RAFT_LOG, RAFT_META, kv_decode, kv_encode};
use super::writer::{Counters, Job, Mode, Space, Writer};
use crate::base::error::{Code, Error, Result};
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    StorageBackend, Table, WriteTransaction,
};
use std::ops::RangeBounds;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The file's name in the data directory.
pub(super) const FILE_NAME: &str = "raft.redb";

const KIND: Kind = Kind {
    name: FILE_NAME,
    loses: "where other masters live, this node then joins them as a new one and nothing is lost; \
            where it was the only master, every role, quota, framework, app and job is lost. The \
            tasks that its agent runs are lost, too",
    create: |txn| {
        txn.open_table(RAFT_LOG)?;
        txn.open_table(RAFT_META)?;
        txn.open_table(RAFT_KV).map(drop)
    },
};

/// One key of the replicated state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// The log index of the write that made it.
    pub version: u64,
}

/// Some keys of the replicated state, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The keys.
    pub rows: Vec<Row>,
    /// Whether more come after the last one.
    pub more: bool,
}

/// The tables of `raft.redb`, open for writing.
pub struct RaftSpace;

/// See [`RaftSpace`].
pub struct RaftTables<'t> {
    log: Table<'t, u64, &'static [u8]>,
    meta: Table<'t, &'static str, &'static [u8]>,
    kv: Table<'t, &'static str, &'static [u8]>,
}

impl Space for RaftSpace {
    type Open<'t> = RaftTables<'t>;

    fn open(txn: &WriteTransaction) -> std::result::Result<RaftTables<'_>, redb::TableError> {
        Ok(RaftTables {
            log: txn.open_table(RAFT_LOG)?,
            meta: txn.open_table(RAFT_META)?,
            kv: txn.open_table(RAFT_KV)?,
        })
    }
}

impl RaftTables<'_> {
    /// Writes a log record.
    ///
    /// # Errors
    /// What the database failed with; so it is for all of these.
    pub fn log_put(&mut self, index: u64, record: &[u8]) -> Result<()> {
        self.log.insert(index, record).map(drop).map_err(failed)
    }

    /// Removes log records.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn log_remove(&mut self, range: impl RangeBounds<u64>) -> Result<()> {
        self.log.retain_in(range, |_, _| false).map_err(failed)
    }

    /// Writes a single record; the names are in [`super::tables::meta`].
    ///
    /// # Errors
    /// What the database failed with.
    pub fn meta_put(&mut self, name: &'static str, record: &[u8]) -> Result<()> {
        self.meta.insert(name, record).map(drop).map_err(failed)
    }

    /// Reads a single record.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn meta_get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.meta.get(name).map_err(failed)?.map(|v| v.value().to_vec()))
    }

    /// The version of a key, if it exists.
    ///
    /// # Errors
    /// What the database failed with, [`Code::Corrupt`] for an unreadable record.
    pub fn kv_version(&self, key: &str) -> Result<Option<u64>> {
        match self.kv.get(key).map_err(failed)? {
            Some(record) => Ok(Some(kv_decode(key, record.value())?.0)),
            None => Ok(None),
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn kv_put(&mut self, key: &str, version: u64, value: &[u8]) -> Result<()> {
        self.kv.insert(key, kv_encode(version, value).as_slice()).map(drop).map_err(failed)
    }

    /// Removes a key, if it is there.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn kv_delete(&mut self, key: &str) -> Result<()> {
        self.kv.remove(key).map(drop).map_err(failed)
    }

    /// Removes all keys.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn kv_clear(&mut self) -> Result<()> {
        self.kv.retain(|_, _| false).map_err(failed)
    }
}

/// The database as it was at one commit; it stays so while the view lives. Keep it for a short
/// time: pages it shows cannot be used again.
pub struct RaftView {
    txn: ReadTransaction,
    kv: ReadOnlyTable<&'static str, &'static [u8]>,
}

impl RaftView {
    /// Reads a single record.
    ///
    /// # Errors
    /// What the database failed with; so it is for all of these.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let meta = self.txn.open_table(RAFT_META).map_err(failed)?;
        Ok(meta.get(name).map_err(failed)?.map(|v| v.value().to_vec()))
    }

    /// The log records from `from` (inclusive) to `to` (exclusive), until they are more than
    /// `bytes_max`; one at the least, if there is one.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn log(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        let mut out = Vec::new();
        let mut bytes = 0usize;
        let log = self.txn.open_table(RAFT_LOG).map_err(failed)?;
        for row in log.range(from..to).map_err(failed)? {
            let (index, record) = row.map_err(failed)?;
            bytes = bytes.saturating_add(record.value().len());
            if bytes > bytes_max && !out.is_empty() {
                break;
            }
            out.push((index.value(), record.value().to_vec()));
        }
        Ok(out)
    }

    /// The last log record.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn log_last(&self) -> Result<Option<(u64, Vec<u8>)>> {
        let log = self.txn.open_table(RAFT_LOG).map_err(failed)?;
        Ok(log.last().map_err(failed)?.map(|(i, r)| (i.value(), r.value().to_vec())))
    }

    /// A key's value and version.
    ///
    /// # Errors
    /// What the database failed with, [`Code::Corrupt`] for an unreadable record.
    pub fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>> {
        match self.kv.get(key).map_err(failed)? {
            Some(record) => {
                let (version, value) = kv_decode(key, record.value())?;
                Ok(Some((value.to_vec(), version)))
            }
            None => Ok(None),
        }
    }

    /// The keys that begin with `prefix` and come after `after` (if given), in order: at
    /// most `limit`, and not more than `bytes_max` bytes, but one at the least, if there is one.
    ///
    /// # Errors
    /// What the database failed with, [`Code::Corrupt`] for an unreadable record.
    pub fn rows(
        &self,
        prefix: &str,
        after: Option<&str>,
        bytes_max: usize,
        limit: usize,
    ) -> Result<Rows> {
        use std::ops::Bound;
        let start = match after {
            Some(key) => Bound::Excluded(key),
            None => Bound::Included(prefix),
        };
        let (mut rows, mut more) = (Vec::new(), false);
        let mut bytes = 0usize;
        for row in self.kv.range::<&str>((start, Bound::Unbounded)).map_err(failed)? {
            let (key, record) = row.map_err(failed)?;
            let key = key.value();
            if !key.starts_with(prefix) {
                break;
            }
            bytes = bytes.saturating_add(key.len() + record.value().len());
            more = rows.len() >= limit || (bytes > bytes_max && !rows.is_empty());
            if more {
                break;
            }
            let (version, value) = kv_decode(key, record.value())?;
            rows.push(Row { key: key.to_owned(), value: value.to_vec(), version });
        }
        Ok(Rows { rows, more })
    }
}

/// `raft.redb`, open.
pub struct RaftStore {
    db: Handle,
    writer: Writer<RaftSpace>,
    path: Option<PathBuf>,
}

impl RaftStore {
    /// Opens the database of the data directory, creating it when the directory never had one.
    ///
    /// # Errors
    /// [`Code::Corrupt`], with the way out, when the file is not a whole database of this data
    /// directory.
    pub fn open(dir: &DataDir) -> Result<Self> {
        let (db, path) = open::open(dir, &KIND)?;
        Self::with(db, Some(path))
    }

    /// The same on a storage of the caller's: for tests with a disk that crashes.
    ///
    /// # Errors
    /// What the storage failed with.
    pub fn open_on(backend: impl StorageBackend) -> Result<Self> {
        Self::with(open::open_on(backend, &KIND)?, None)
    }

    fn with(db: Database, path: Option<PathBuf>) -> Result<Self> {
        let db = Arc::new(db);
        let writer = Writer::start("raft-store", db.clone())?;
        Ok(Self { db: Handle::new(db), writer, path })
    }

    /// The database as of its last commit.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn view(&self) -> Result<RaftView> {
        let txn = self.db.get()?.begin_read().map_err(failed)?;
        let kv = txn.open_table(RAFT_KV).map_err(failed)?;
        Ok(RaftView { txn, kv })
    }

    /// Hands over a job, waiting for room in the writer's queue.
    pub async fn submit(&self, job: Box<dyn Job<RaftSpace>>) {
        self.writer.submit_when_room(job).await;
    }

    /// Writes with a closure and waits for the outcome.
    ///
    /// # Errors
    /// What the database failed with.
    pub async fn write(
        &self,
        mode: Mode,
        run: impl FnOnce(&mut RaftTables<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.submit(Box::new(Once { mode, run: Some(run), reply })).await;
        answer.await.unwrap_or_else(|_| {
            Err(Error::new(Code::Unavailable, "the writer of raft.redb has ended"))
        })
    }

    /// The size of the file, in bytes; 0 when there is no file.
    pub fn size(&self) -> u64 {
        let size = |path: &PathBuf| std::fs::metadata(path).map(|m| m.len()).ok();
        self.path.as_ref().and_then(size).unwrap_or(0)
    }

    /// What the writer has done so far.
    pub fn counters(&self) -> &Counters {
        self.writer.counters()
    }

    /// Writes what waits and closes the database; blocks until then. Later reads and writes are
    /// refused.
    pub fn close(&self) {
        self.writer.close();
        self.db.close();
    }
}

/// A job made of a closure.
struct Once<F> {
    mode: Mode,
    run: Option<F>,
    reply: oneshot::Sender<Result<()>>,
}

impl<F> Job<RaftSpace> for Once<F>
where
    F: FnOnce(&mut RaftTables<'_>) -> Result<()> + Send,
{
    fn mode(&self) -> Mode {
        self.mode
    }

    fn bytes(&self) -> usize {
        0
    }

    fn run(&mut self, tables: &mut RaftTables<'_>) -> Result<()> {
        self.run.take().map_or(Ok(()), |run| run(tables))
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        // Nobody waits any more: the write stands all the same.
        let _ = self.reply.send(outcome);
    }
}
