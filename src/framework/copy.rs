//! A framework's state as this node has it, for reads that may be old: a core is built from the rows, looked at, and thrown
//! away. It is never driven: what it would do is dropped, and it takes no requests.

use super::state::HOLDER_KEY;
use crate::base::error::{Code, Error, Result};
use crate::base::rng::Rng;
use crate::machine::driver::Clock;
use crate::machine::{Cx, Effects, Machine};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// For how long a core is looked at before another is built: many who ask cost no more than one.
const FRESH_FOR: Duration = Duration::from_millis(250);

/// Reads all rows of the framework that this node has.
pub type Rows = Arc<dyn Fn() -> Result<Vec<(String, Vec<u8>)>> + Send + Sync>;

type Build<M> = Arc<dyn Fn() -> Result<M> + Send + Sync>;

/// A copy of a framework's core.
pub struct Copy<M> {
    build: Build<M>,
    held: Mutex<Option<(Instant, M)>>,
}

impl<M: Machine + Send + 'static> Copy<M> {
    /// Built from these rows as the framework does it when it takes its state.
    pub fn new(
        rows: Rows,
        clock: Clock,
        recover: impl Fn(Vec<(String, Vec<u8>)>, &mut Cx<'_>, &mut Effects<M>) -> Result<M>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let build = move || {
            let rows = rows()?.into_iter().filter(|(key, _)| key != HOLDER_KEY).collect();
            // Nothing comes of what it decides.
            let mut rng = Rng::new(0);
            let mut cx = Cx { now: clock.mono(), wall: clock.wall(), rng: &mut rng };
            recover(rows, &mut cx, &mut Effects::default())
        };
        Self { build: Arc::new(build), held: Mutex::default() }
    }

    /// Looks at the core as of at most a moment ago.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub async fn look<T>(&self, look: impl FnOnce(&M) -> T) -> Result<T> {
        let mut held = self.held.lock().await;
        let fresh = held.take_if(|(since, _)| since.elapsed() < FRESH_FOR);
        let (since, core) = match fresh {
            Some(fresh) => fresh,
            None => {
                let (since, build) = (Instant::now(), self.build.clone());
                let built = tokio::task::spawn_blocking(move || build()).await;
                let failed =
                    |e| Error::new(Code::Internal, format!("a copy could not be built: {e}"));
                (since, built.map_err(failed)??)
            }
        };
        let seen = look(&core);
        *held = Some((since, core));
        Ok(seen)
    }
}

/// What a copy answers to whoever wants a change of it.
pub fn changes_nothing() -> Error {
    Error::new(Code::Unavailable, "this node does not lead: its copy takes no changes")
}
