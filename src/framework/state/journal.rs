//! A core's writes on their way into its namespace: in order, many together, and only while this process holds it.
//!
//! Who opens the journal takes the namespace: it writes the row [`HOLDER_KEY`], and every commit after that demands the
//! version which that row then has. So whatever an earlier holder still has under way is refused, without any clock. What
//! the rows mean is known to the core alone.

use super::{
    COMMIT_BYTES_MAX, COMMIT_OPS_MAX, Change, Expect, StatePort, VALUE_BYTES_MAX, Version,
};
use crate::base::error::{Code, Error, Result};
use crate::base::kv::Op;
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// The row that says who holds the namespace; no row of the core.
pub const HOLDER_KEY: &str = "holder";

/// How many batches are merged at the most; a driver has fewer under way.
const BATCHES_MAX: usize = 256;

/// How many bytes a commit may hold besides the check of the holder.
const BYTES_MAX: usize = COMMIT_BYTES_MAX - HOLDER_KEY.len();

type Batch = (Vec<Op>, oneshot::Sender<Result<()>>);

/// The way of a core's writes into its namespace. The driver that uses it bounds what is under way.
pub struct Journal {
    batches: mpsc::UnboundedSender<Batch>,
}

impl Journal {
    /// Takes the namespace for `holder` (who it is, for people), and reads all rows.
    ///
    /// # Errors
    /// As `StatePort::put` and `StatePort::list`.
    pub async fn open(state: StatePort, holder: &str) -> Result<(Self, Vec<(String, Vec<u8>)>)> {
        let held = state.put(HOLDER_KEY, holder.as_bytes().to_vec(), Expect::Any).await?;
        let entries = state.list("").await?;
        let rows = entries.into_iter().filter(|entry| entry.key != HOLDER_KEY);
        let rows = rows.map(|entry| (entry.key, entry.value)).collect();
        let (batches, queue) = mpsc::unbounded_channel();
        tokio::spawn(commit_all(state, held, queue));
        Ok((Self { batches }, rows))
    }

    /// Makes a batch durable. It takes its place when this is called. A batch is made whole or not at all, together with
    /// others where they fit; one that is too large for a commit is made in several, in order.
    ///
    /// # Errors
    /// [`Code::Conflict`] when another process has taken the namespace, else as `StatePort::commit`. After an error nothing
    /// more is written: the core is ahead of its rows and must be built anew.
    pub fn write(&self, ops: Vec<Op>) -> impl Future<Output = Result<()>> + 'static + use<> {
        let (tx, done) = oneshot::channel();
        // The other side ends with the first failure; then `tx` is dropped, too.
        let _ = self.batches.send((ops, tx));
        async move {
            done.await.unwrap_or_else(|_| {
                Err(Error::new(Code::Unavailable, "an earlier write of this service failed"))
            })
        }
    }
}

async fn commit_all(state: StatePort, held: Version, mut queue: mpsc::UnboundedReceiver<Batch>) {
    let mut batches = Vec::new();
    while queue.recv_many(&mut batches, BATCHES_MAX).await > 0 {
        let mut waiting = Vec::with_capacity(batches.len());
        let mut merged = Merged::default();
        for (ops, tx) in batches.drain(..) {
            merged.add(ops);
            waiting.push(tx);
        }
        let done = commit(&state, held, merged).await;
        let failed = done.is_err();
        for tx in waiting {
            // Who has stopped waiting will build the core anew anyway.
            let _ = tx.send(done.clone());
        }
        if failed {
            return;
        }
    }
}

async fn commit(state: &StatePort, held: Version, merged: Merged) -> Result<()> {
    for mut changes in merged.commits() {
        changes.push(Change::Check { key: HOLDER_KEY.into(), expect: Expect::Version(held) });
        state.commit(changes).await.map_err(|e| match e.code {
            Code::Conflict => {
                let cause = format!("another process has taken this framework's state over: {e}");
                Error::new(Code::Conflict, cause).hint("run one of them only")
            }
            _ => e,
        })?;
    }
    Ok(())
}

/// Changes of several batches, of each key the last one, cut into commits.
#[derive(Default)]
struct Merged {
    full: Vec<BTreeMap<String, Option<Vec<u8>>>>,
    open: BTreeMap<String, Option<Vec<u8>>>,
    bytes: usize,
}

impl Merged {
    fn add(&mut self, ops: Vec<Op>) {
        let whole: usize = ops.iter().map(size_of).sum();
        if self.open.len() + ops.len() + 1 > COMMIT_OPS_MAX || self.bytes + whole > BYTES_MAX {
            self.close();
        }
        for op in ops {
            let size = size_of(&op);
            let (key, value) = match op {
                Op::Put { key, value } => (key, Some(value)),
                Op::Delete { key } => (key, None),
            };
            if self.open.len() + 1 == COMMIT_OPS_MAX || self.bytes + size > BYTES_MAX {
                self.close();
            }
            self.bytes += size;
            self.open.insert(key, value);
        }
    }

    fn close(&mut self) {
        self.full.push(std::mem::take(&mut self.open));
        self.bytes = 0;
    }

    fn commits(mut self) -> impl Iterator<Item = Vec<Change>> {
        self.full.push(self.open);
        self.full.into_iter().filter(|changes| !changes.is_empty()).map(|changes| {
            let expect = Expect::Any;
            let change = |(key, value)| match value {
                Some(value) => Change::Put { key, value, expect },
                None => Change::Delete { key, expect },
            };
            changes.into_iter().map(change).collect()
        })
    }
}

fn size_of(op: &Op) -> usize {
    match op {
        Op::Put { key, value } => key.len() + value.len(),
        Op::Delete { key } => key.len(),
    }
}

// A value at its limit fits into a commit.
const _: () = assert!(VALUE_BYTES_MAX + 2 * super::KEY_BYTES_MAX < COMMIT_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::state::{MemoryState, Scope};
    use std::sync::Arc;

    fn port(server: &Arc<MemoryState>) -> StatePort {
        let scope = Scope { namespace: "m".into(), principal: None };
        StatePort::in_process(server.clone(), scope).unwrap()
    }

    #[tokio::test]
    async fn what_was_written_is_read_by_the_next_holder() {
        let server = Arc::new(MemoryState::new());
        let (journal, rows) = Journal::open(port(&server), "first").await.unwrap();
        assert!(rows.is_empty());
        let first = journal.write(vec![Op::put("a", b"1".to_vec()), Op::put("b", vec![])]);
        let second = journal.write(vec![Op::put("a", b"2".to_vec()), Op::delete("b")]);
        second.await.unwrap();
        first.await.unwrap();
        let (_, rows) = Journal::open(port(&server), "second").await.unwrap();
        assert_eq!(rows, [("a".to_string(), b"2".to_vec())]);
    }

    #[tokio::test]
    async fn an_earlier_holder_writes_nothing_more() {
        let server = Arc::new(MemoryState::new());
        let (old, _) = Journal::open(port(&server), "old").await.unwrap();
        let (new, _) = Journal::open(port(&server), "new").await.unwrap();
        let refused = old.write(vec![Op::put("a", b"old".to_vec())]).await.unwrap_err();
        assert_eq!(refused.code, Code::Conflict);
        assert_eq!(old.write(vec![Op::delete("x")]).await.unwrap_err().code, Code::Unavailable);
        new.write(vec![Op::put("b", b"new".to_vec())]).await.unwrap();
        let keys: Vec<_> =
            port(&server).list("").await.unwrap().into_iter().map(|e| e.key).collect();
        assert_eq!(keys, ["b", HOLDER_KEY]);
    }

    #[tokio::test]
    async fn a_batch_over_the_limits_of_a_commit_is_made_in_several() {
        let server = Arc::new(MemoryState::new());
        let (journal, _) = Journal::open(port(&server), "h").await.unwrap();
        let many = (0..COMMIT_OPS_MAX * 2).map(|n| Op::put(format!("k/{n:05}"), vec![1])).collect();
        journal.write(many).await.unwrap();
        let large = (0..5).map(|n| Op::put(format!("l/{n}"), vec![0; VALUE_BYTES_MAX])).collect();
        journal.write(large).await.unwrap();
        assert_eq!(port(&server).list("k/").await.unwrap().len(), COMMIT_OPS_MAX * 2);
        assert_eq!(port(&server).list("l/").await.unwrap().len(), 5);
    }
}
