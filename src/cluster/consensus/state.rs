//! The replicated key-value state: what committed entries make of it.
//!
//! Applying is written behind the log. The state in the database is its own snapshot at any time,
//! so taking one is reading which entry was applied last.

use super::command::{Answer, Batch, Command, Op};
use super::log::io_error;
use super::record::{self, IdRecord, StoredMembersRecord};
use super::snapshot::{self, Builder, Chunks, Install};
use super::types::{Entry, LogId, SnapshotMeta, StoredMembership, Types};
use crate::base::error::{Code, Error, Result};
use crate::store::RaftStore;
use crate::store::raft::{RaftSpace, RaftTables};
use crate::store::tables::meta;
use crate::store::writer::{Job, Mode};
use futures_util::{Stream, StreamExt as _};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine, Snapshot};
use openraft::{EntryPayload, OptionalSend};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// How many entries are applied in one go.
const APPLY_ENTRIES_MAX: usize = 1024;
/// After how many bytes no more entries are applied in one go.
const APPLY_BYTES_MAX: usize = 4 << 20;

/// The state machine.
pub(super) struct State {
    store: Arc<RaftStore>,
    epoch: Arc<AtomicU64>,
}

/// The epoch as bytes of its record.
pub(super) fn epoch_decode(bytes: Option<&[u8]>) -> Result<u64> {
    bytes.map_or(Ok(0), |bytes| record::decode("the epoch", bytes))
}

impl State {
    /// The state in that database. `epoch` is set to the newest applied epoch, now and after every
    /// change.
    pub(super) fn open(store: Arc<RaftStore>, epoch: Arc<AtomicU64>) -> Result<Self> {
        let stored = store.view()?.meta(meta::EPOCH)?;
        epoch.store(epoch_decode(stored.as_deref())?, Ordering::Release);
        Ok(Self { store, epoch })
    }

    /// Applies what has been gathered and waits until it is readable.
    async fn write(
        &self,
        entries: Vec<Entry>,
        responders: Vec<Option<ApplyResponder<Types>>>,
    ) -> io::Result<()> {
        let (reply, answer) = oneshot::channel();
        let job = Apply {
            entries,
            responders,
            answers: Vec::new(),
            new_epoch: None,
            epoch: self.epoch.clone(),
            reply,
        };
        self.store.submit(Box::new(job)).await;
        let outcome = answer.await.unwrap_or_else(|_| {
            Err(Error::new(Code::Unavailable, "the writer of raft.redb has ended"))
        });
        outcome.map_err(io_error)
    }
}

impl RaftStateMachine<Types> for State {
    type SnapshotData = Chunks;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let view = self.store.view().map_err(io_error)?;
        snapshot::applied(&view).map_err(io_error)
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let (mut batch, mut responders, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            bytes += super::cache::size(&entry);
            batch.push(entry);
            responders.push(responder);
            if batch.len() >= APPLY_ENTRIES_MAX || bytes >= APPLY_BYTES_MAX {
                bytes = 0;
                self.write(std::mem::take(&mut batch), std::mem::take(&mut responders)).await?;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.write(batch, responders).await }
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(self.store.clone())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Chunks) -> io::Result<()> {
        let (reply, answer) = oneshot::channel();
        let install = Install::new(meta, snapshot, self.epoch.clone(), reply).map_err(io_error)?;
        self.store.submit(Box::new(install)).await;
        let outcome = answer.await.unwrap_or_else(|_| {
            Err(Error::new(Code::Unavailable, "the writer of raft.redb has ended"))
        });
        outcome.map_err(io_error)
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<openraft::alias::SnapshotOf<Types, Chunks>>> {
        let (meta, chunks) = snapshot::take(&self.store).map_err(io_error)?;
        Ok(meta.last_log_id.is_some().then_some(Snapshot { meta, snapshot: chunks }))
    }
}

/// Committed entries on their way into the state.
struct Apply {
    entries: Vec<Entry>,
    responders: Vec<Option<ApplyResponder<Types>>>,
    answers: Vec<Answer>,
    new_epoch: Option<u64>,
    epoch: Arc<AtomicU64>,
    reply: oneshot::Sender<Result<()>>,
}

impl Job<RaftSpace> for Apply {
    fn mode(&self) -> Mode {
        // Appends touch the log only, applies never; installing a snapshot waits for its turn in
        // the same task.
        Mode::Aside
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(super::cache::size).sum()
    }

    fn run(&mut self, tables: &mut RaftTables<'_>) -> Result<()> {
        let mut epoch = epoch_decode(tables.meta_get(meta::EPOCH)?.as_deref())?;
        let before = epoch;
        for entry in &self.entries {
            let index = entry.log_id.index;
            let answer = match &entry.payload {
                EntryPayload::Normal(Command::Batch(batch)) => apply(tables, epoch, index, batch)?,
                EntryPayload::Normal(Command::Begin) => {
                    epoch = index;
                    Answer::Applied
                }
                EntryPayload::Membership(members) => {
                    let stored = StoredMembership::new(Some(entry.log_id), members.clone());
                    let bytes = record::encode(&StoredMembersRecord::from(&stored))?;
                    tables.meta_put(meta::MEMBERSHIP, &bytes)?;
                    Answer::Applied
                }
                EntryPayload::Blank => Answer::Applied,
            };
            self.answers.push(answer);
        }
        if epoch != before {
            tables.meta_put(meta::EPOCH, &record::encode(&epoch)?)?;
            self.new_epoch = Some(epoch);
        }
        match self.entries.last() {
            Some(last) => {
                tables.meta_put(meta::APPLIED, &record::encode(&IdRecord::from(last.log_id))?)
            }
            None => Ok(()),
        }
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        if outcome.is_ok() {
            if let Some(epoch) = self.new_epoch {
                self.epoch.store(epoch, Ordering::Release);
            }
            for (answer, responder) in self.answers.into_iter().zip(self.responders) {
                if let Some(responder) = responder {
                    responder.send(answer);
                }
            }
        }
        // On a failure the proposers' responders are dropped unanswered: to them the outcome is
        // unknown.
        let _ = self.reply.send(outcome);
    }
}

/// Applies one batch: all of it, or nothing and why.
fn apply(tables: &mut RaftTables<'_>, epoch: u64, index: u64, batch: &Batch) -> Result<Answer> {
    if batch.epoch != epoch {
        return Ok(Answer::Fenced { current: epoch });
    }
    for op in &batch.ops {
        if let Op::Check { key, version } = op {
            let actual = tables.kv_version(key)?;
            if actual != *version {
                return Ok(Answer::Conflict { key: key.clone(), actual });
            }
        }
    }
    for op in &batch.ops {
        match op {
            Op::Put { key, value } => tables.kv_put(key, index, value)?,
            Op::Delete { key } => tables.kv_delete(key)?,
            Op::Check { .. } => {}
        }
    }
    Ok(Answer::Applied)
}
