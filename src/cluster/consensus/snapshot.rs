//! The whole state as a sequence of chunks: read from one view of the database, checked on arrival,
//! installed in one synced transaction.

use super::log::io_error;
use super::record::{self, IdRecord, StoredMembersRecord};
use super::state::epoch_decode;
use super::types::{LogId, SnapshotMeta, StoredMembership, Types};
use crate::base::error::{Code, Error, Result};
use crate::store::RaftStore;
use crate::store::raft::{RaftSpace, RaftTables, RaftView, Row};
use crate::store::tables::meta;
use crate::store::writer::{Job, Mode};
use openraft::storage::{RaftSnapshotBuilder, Snapshot};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// How large a chunk is, roughly; one key with its value is never divided.
const CHUNK_BYTES: usize = 256 << 10;
/// How large a snapshot from another node may be, in bytes: it is held in memory until it is known
/// to be whole.
pub const SNAPSHOT_BYTES_MAX: usize = 512 << 20;

/// A snapshot's content, as encoded chunks.
pub struct Chunks(Box<dyn Iterator<Item = Result<Vec<u8>>> + Send>);

impl Chunks {
    /// Chunks from wherever they come.
    pub fn new(chunks: impl Iterator<Item = Result<Vec<u8>>> + Send + 'static) -> Self {
        Self(Box::new(chunks))
    }
}

impl Iterator for Chunks {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        self.0.next()
    }
}

#[derive(Serialize, Deserialize)]
enum Chunk {
    Head { epoch: u64 },
    Rows(Vec<RowRecord>),
    End { rows: u64 },
}

#[derive(Serialize, Deserialize)]
struct RowRecord {
    key: String,
    version: u64,
    #[serde(with = "super::record::bytes")]
    value: Vec<u8>,
}

fn decode(bytes: &[u8]) -> Result<Chunk> {
    record::decode("a snapshot's chunk", bytes)
}

/// The last applied entry's id and the last applied membership.
pub(super) fn applied(view: &RaftView) -> Result<(Option<LogId>, StoredMembership)> {
    let id = match view.meta(meta::APPLIED)? {
        Some(bytes) => Some(record::decode::<IdRecord>("the applied id", &bytes)?.into()),
        None => None,
    };
    let members = match view.meta(meta::MEMBERSHIP)? {
        Some(bytes) => {
            record::decode::<StoredMembersRecord>("the membership", &bytes)?.into_stored()?
        }
        None => StoredMembership::default(),
    };
    Ok((id, members))
}

/// The state as it is now: which entry it goes up to, and its content, read while the chunks are
/// taken.
pub(super) fn take(store: &RaftStore) -> Result<(SnapshotMeta, Chunks)> {
    let view = store.view()?;
    let (last_log_id, last_membership) = applied(&view)?;
    let epoch = epoch_decode(view.meta(meta::EPOCH)?.as_deref())?;
    let reader = Reader { view, next: Next::Head { epoch }, rows: 0 };
    Ok((SnapshotMeta { last_log_id, last_membership }, Chunks::new(reader)))
}

enum Next {
    Head { epoch: u64 },
    After(Option<String>),
    Nothing,
}

/// Makes chunks of a view.
struct Reader {
    view: RaftView,
    next: Next,
    rows: u64,
}

impl Reader {
    fn rows(&mut self, after: Option<&str>) -> Result<(Chunk, Next)> {
        let rows = self.view.rows("", after, CHUNK_BYTES, usize::MAX)?.rows;
        self.rows += rows.len() as u64;
        match rows.last() {
            Some(last) => {
                let next = Next::After(Some(last.key.clone()));
                let record = |Row { key, value, version }| RowRecord { key, version, value };
                Ok((Chunk::Rows(rows.into_iter().map(record).collect()), next))
            }
            None => Ok((Chunk::End { rows: self.rows }, Next::Nothing)),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        let chunk = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Head { epoch } => Ok((Chunk::Head { epoch }, Next::After(None))),
            Next::After(key) => self.rows(key.as_deref()),
            Next::Nothing => return None,
        };
        Some(chunk.and_then(|(chunk, next)| {
            self.next = next;
            record::encode(&chunk)
        }))
    }
}

/// Takes all chunks from another node and makes sure that they are a whole snapshot.
pub(super) fn receive(chunks: Chunks) -> Result<Chunks> {
    let bad = |why: &str| Error::new(Code::Invalid, format!("the snapshot {why}"));
    let (mut taken, mut bytes, mut rows, mut ended) = (Vec::new(), 0usize, 0u64, false);
    for chunk in chunks {
        let chunk = chunk?;
        bytes = bytes.saturating_add(chunk.len());
        if bytes > SNAPSHOT_BYTES_MAX {
            return Err(bad(&format!("is larger than {SNAPSHOT_BYTES_MAX} bytes")));
        }
        match decode(&chunk)? {
            Chunk::Head { .. } if taken.is_empty() => {}
            Chunk::Rows(some) if !taken.is_empty() && !ended => rows += some.len() as u64,
            Chunk::End { rows: all } if all == rows && !ended => ended = true,
            _ => return Err(bad("has its chunks in a wrong order or lacks some")),
        }
        taken.push(chunk);
    }
    if ended { Ok(Chunks::new(taken.into_iter().map(Ok))) } else { Err(bad("is cut")) }
}

/// Takes snapshots for the protocol: nothing is copied, the state is its own snapshot.
pub(super) struct Builder(pub(super) Arc<RaftStore>);

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Chunks;

    async fn build_snapshot(&mut self) -> io::Result<openraft::alias::SnapshotOf<Types, Chunks>> {
        let (meta, chunks) = take(&self.0).map_err(io_error)?;
        Ok(Snapshot { meta, snapshot: chunks })
    }
}

/// A snapshot on its way to replace the state.
pub(super) struct Install {
    chunks: Option<Chunks>,
    applied: Option<Vec<u8>>,
    members: Vec<u8>,
    new_epoch: u64,
    epoch: Arc<AtomicU64>,
    reply: oneshot::Sender<Result<()>>,
}

impl Install {
    pub(super) fn new(
        meta: &SnapshotMeta,
        chunks: Chunks,
        epoch: Arc<AtomicU64>,
        reply: oneshot::Sender<Result<()>>,
    ) -> Result<Self> {
        let applied = match meta.last_log_id {
            Some(id) => Some(record::encode(&IdRecord::from(id))?),
            None => None,
        };
        let members = record::encode(&StoredMembersRecord::from(&meta.last_membership))?;
        Ok(Self { chunks: Some(chunks), applied, members, new_epoch: 0, epoch, reply })
    }
}

impl Job<RaftSpace> for Install {
    fn mode(&self) -> Mode {
        // The sender counts this node as one that has all entries up to here.
        Mode::Synced
    }

    fn bytes(&self) -> usize {
        crate::store::writer::GROUP_BYTES_MAX
    }

    fn run(&mut self, tables: &mut RaftTables<'_>) -> Result<()> {
        tables.kv_clear()?;
        for chunk in self.chunks.take().into_iter().flatten() {
            match decode(&chunk?)? {
                Chunk::Head { epoch } => self.new_epoch = epoch,
                Chunk::Rows(rows) => {
                    for row in rows {
                        tables.kv_put(&row.key, row.version, &row.value)?;
                    }
                }
                Chunk::End { .. } => {}
            }
        }
        tables.meta_put(meta::EPOCH, &record::encode(&self.new_epoch)?)?;
        tables.meta_put(meta::MEMBERSHIP, &self.members)?;
        match &self.applied {
            Some(applied) => tables.meta_put(meta::APPLIED, applied),
            None => Ok(()),
        }
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        if outcome.is_ok() {
            self.epoch.store(self.new_epoch, Ordering::Release);
        }
        // The protocol waits for it, unless it is shutting down.
        let _ = self.reply.send(outcome);
    }
}
