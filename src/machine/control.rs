//! The control thread: one thread on which all cores of a node are driven, so that no decision waits for I/O work.

use crate::base::error::{Code, Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// How many drivers may wait to be taken over by the thread.
const STARTS_MAX: usize = 64;

type Local = Pin<Box<dyn Future<Output = ()>>>;
type Start = Box<dyn FnOnce() -> Local + Send>;

/// A handle on the control thread; the thread ends when all handles are gone and its work is done.
#[derive(Clone)]
pub struct Control {
    starts: mpsc::Sender<Start>,
}

impl Control {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Code::System`] when the machine gives no thread.
    pub fn start() -> Result<(Self, JoinHandle<()>)> {
        let (starts, queue) = mpsc::channel(STARTS_MAX);
        let thread = std::thread::Builder::new()
            .name("control".into())
            .spawn(move || serve(queue))
            .map_err(|e| {
                Error::new(Code::System, format!("cannot start the control thread: {e}"))
            })?;
        Ok((Self { starts }, thread))
    }

    /// Runs a future on the thread; the answer is what it came to. `make` is called there, so that what it makes
    /// need not be sendable.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the thread has ended.
    pub async fn run<F, T>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<Outcome<T>>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let (tx, rx) = oneshot::channel();
        let start: Start = Box::new(move || {
            let work = make();
            Box::pin(async move {
                // Nobody may be waiting for how it ends.
                let _ = tx.send(work.await);
            })
        });
        self.starts.send(start).await.map_err(|_| gone())?;
        Ok(Outcome(rx))
    }
}

/// What a future on the control thread will come to.
pub struct Outcome<T>(oneshot::Receiver<T>);

impl<T> Outcome<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// [`Code::Internal`] when it panicked.
    pub async fn wait(self) -> Result<T> {
        self.0
            .await
            .map_err(|_| Error::new(Code::Internal, "a core has panicked: this is a defect"))
    }
}

fn gone() -> Error {
    Error::new(Code::Unavailable, "the control thread has ended")
}

fn serve(mut queue: mpsc::Receiver<Start>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        // Whoever asks is then told that the thread has ended.
        Err(e) => return tracing::error!("the control thread has no timer: {e}"),
    };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut running = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                start = queue.recv() => match start {
                    Some(start) => {
                        running.spawn_local(start());
                    }
                    None => break,
                },
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    if let Err(e) = ended {
                        tracing::error!("a core has panicked: {e}");
                    }
                }
            }
        }
        while running.join_next().await.is_some() {}
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_one_thread_of_its_own() {
        let (control, thread) = Control::start().expect("a thread");
        let name = || std::thread::current().name().map(String::from);
        let first = control.run(move || async move { name() }).await.expect("runs");
        assert_eq!(first.wait().await.expect("ends").as_deref(), Some("control"));
        drop(control);
        thread.join().expect("ends when nobody needs it");
    }
}
