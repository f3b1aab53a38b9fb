//! `agent.redb`: what the agent must find again after a restart, as keys and values.
//!
//! What the keys mean is known to the agent's core alone; values begin with a schema number
//! (`mesos::stored`).

use super::dir::DataDir;
use super::failed;
use super::open::{self, Handle, Kind};
use super::tables::AGENT;
use super::writer::{Counters, Job, Mode, Space, Writer};
use crate::base::error::{Code, Error, Result};
use crate::base::kv::Op;
use redb::{Database, ReadableDatabase as _, StorageBackend, Table, WriteTransaction};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The file's name in the data directory.
pub(super) const FILE_NAME: &str = "agent.redb";

const KIND: Kind = Kind {
    name: FILE_NAME,
    loses: "the agent then registers as a new one, the tasks it was running are reported lost and \
            their containers destroyed; so is this node's copy of the registry, if it is a master",
    create: |txn| txn.open_table(AGENT).map(drop),
};

/// The one table of the agent's database.
struct AgentSpace;

impl Space for AgentSpace {
    type Open<'t> = Table<'t, &'static str, &'static [u8]>;

    fn open(txn: &WriteTransaction) -> std::result::Result<Self::Open<'_>, redb::TableError> {
        txn.open_table(AGENT)
    }
}

struct WriteOps {
    ops: Vec<Op>,
    reply: oneshot::Sender<Result<()>>,
}

impl Job<AgentSpace> for WriteOps {
    fn mode(&self) -> Mode {
        Mode::Synced
    }

    fn bytes(&self) -> usize {
        let size = |op: &Op| match op {
            Op::Put { key, value } => key.len() + value.len(),
            Op::Delete { key } => key.len(),
        };
        self.ops.iter().map(size).sum()
    }

    fn run(&mut self, table: &mut Table<'_, &'static str, &'static [u8]>) -> Result<()> {
        for op in &self.ops {
            match op {
                Op::Put { key, value } => {
                    table.insert(key.as_str(), value.as_slice()).map_err(failed)?;
                }
                Op::Delete { key } => {
                    table.remove(key.as_str()).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        // The caller may have given up waiting; the write stands all the same.
        let _ = self.reply.send(outcome);
    }
}

/// Keys and their values, in the order of keys.
pub type Rows = Vec<(String, Vec<u8>)>;

/// The agent's database.
pub struct AgentStore {
    db: Handle,
    writer: Writer<AgentSpace>,
}

impl AgentStore {
    /// Opens the database and reads all of it, in the order of keys.
    ///
    /// # Errors
    /// [`Code::Corrupt`], with the way out, when the file is not a whole database of this data
    /// directory.
    pub fn open(dir: &DataDir) -> Result<(Self, Rows)> {
        Self::with(open::open(dir, &KIND)?.0)
    }

    /// The same on a storage of the caller's: for tests with a disk that crashes.
    ///
    /// # Errors
    /// What the storage failed with.
    pub fn open_on(backend: impl StorageBackend) -> Result<(Self, Rows)> {
        Self::with(open::open_on(backend, &KIND)?)
    }

    fn with(db: Database) -> Result<(Self, Rows)> {
        let db = Arc::new(db);
        let writer = Writer::start("agent-store", db.clone())?;
        let store = Self { db: Handle::new(db), writer };
        let all = store.scan("")?;
        Ok((store, all))
    }

    /// Writes a batch, whole or not at all. It is handed over when this is called, so batches are
    /// written in the order of the calls; the answer comes after the sync.
    pub fn write(&self, ops: Vec<Op>) -> impl Future<Output = Result<()>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        self.writer.submit(Box::new(WriteOps { ops, reply }));
        async move {
            answer.await.unwrap_or_else(|_| {
                Err(Error::new(Code::Unavailable, "the writer of agent.redb has ended"))
            })
        }
    }

    /// All keys that begin with `prefix` and their values, in the order of keys, as of the last
    /// commit.
    ///
    /// # Errors
    /// What the database failed with.
    pub fn scan(&self, prefix: &str) -> Result<Rows> {
        let txn = self.db.get()?.begin_read().map_err(failed)?;
        let table = txn.open_table(AGENT).map_err(failed)?;
        let mut out = Vec::new();
        for row in table.range(prefix..).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            if !key.value().starts_with(prefix) {
                break;
            }
            out.push((key.value().to_owned(), value.value().to_vec()));
        }
        Ok(out)
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
