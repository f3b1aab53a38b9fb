//! Requests that wait for a core's answer: a bounded table between those who ask and the shell that is told the answer.
//!
//! It is part of shells, not of cores; what a request means is between its maker and the core.

use super::Machine;
use super::driver::Handle;
use crate::base::error::{Code, Error, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The requests that wait for an answer `A`, each under a number never used before.
pub struct Requests<A> {
    /// None once the core has ended.
    waiting: Mutex<Option<Waiting<A>>>,
    next: AtomicU64,
    max: usize,
}

type Waiting<A> = HashMap<u64, oneshot::Sender<A>>;

impl<A> Requests<A> {
    /// Room for so many at once.
    pub fn new(max: usize) -> Self {
        Self { waiting: Mutex::new(Some(HashMap::new())), next: AtomicU64::new(0), max }
    }

    /// The lock guards a plain map, whole between statements: a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Option<Waiting<A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self) -> Result<(u64, oneshot::Receiver<A>)> {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (tx, rx) = oneshot::channel();
        let mut waiting = self.lock();
        let waiting = waiting.as_mut().ok_or_else(ended)?;
        if waiting.len() >= self.max {
            return Err(Error::new(Code::Overloaded, "too many requests wait for an answer"));
        }
        waiting.insert(request, tx);
        Ok((request, rx))
    }

    /// Sends what `make` makes of the request's number into the core, and waits for the answer.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when too many wait, [`Code::Unavailable`] when the core has ended.
    pub async fn ask<M: Machine>(
        &self,
        handle: &Handle<M>,
        make: impl FnOnce(u64) -> M::Input,
    ) -> Result<A> {
        let (request, answer) = self.register()?;
        // Also when the asker gives up meanwhile: nobody waits for the answer then.
        let _forget = Forget { requests: self, request };
        handle.try_send(make(request))?;
        answer.await.map_err(|_| ended())
    }

    /// Hands an answer to whoever waits for it. One that has gone needs none.
    pub fn answer(&self, request: u64, answer: A) {
        let waiting = self.lock().as_mut().and_then(|waiting| waiting.remove(&request));
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }

    /// The core has ended: who waits is told so, and so is who asks from now on. A shell calls it when it is dropped.
    pub fn end(&self) {
        *self.lock() = None;
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, HashMap::len)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn ended() -> Error {
    Error::new(Code::Unavailable, "this service is stopping or has lost its leadership")
}

struct Forget<'a, A> {
    requests: &'a Requests<A>,
    request: u64,
}

impl<A> Drop for Forget<'_, A> {
    fn drop(&mut self) {
        if let Some(waiting) = self.requests.lock().as_mut() {
            waiting.remove(&self.request);
        }
    }
}
