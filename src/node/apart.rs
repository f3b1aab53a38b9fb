//! A thread for what must never wait behind users: the log, and what goes over the cluster port. What users ask for over
//! that port is served elsewhere.

use crate::base::error::{Code, Error, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// How many of its threads may wait for the disk at the most.
const BLOCKING_MAX: usize = 16;

/// The runtime of that thread; it ends, without being waited for, when this is dropped.
pub struct Apart(Option<Runtime>);

impl Apart {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Code::System`] when the machine gives no thread.
    pub fn start() -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(BLOCKING_MAX).thread_name("cluster");
        let runtime = builder.enable_all().build().map_err(|e| {
            Error::new(Code::System, format!("cannot start the thread of the cluster: {e}"))
        })?;
        Ok(Self(Some(runtime)))
    }

    /// Where its tasks are started.
    pub fn handle(&self) -> Handle {
        // Taken only when this is dropped.
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
