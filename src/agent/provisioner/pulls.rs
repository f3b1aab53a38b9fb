//! Pulls under way: one for all who want the same at the same time, a few at once, ended when nobody waits any more.

use super::digest::Digest;
use super::store::{Image, Pins};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Images pulled at a time; others wait for their turn.
pub const PULLS_MAX: usize = 3;
/// How often who waits is told how far it is.
pub const PROGRESS: Duration = Duration::from_secs(10);

/// An image that is here, its layers held.
#[derive(Debug)]
pub struct Ready {
    /// The image.
    pub image: Arc<Image>,
    /// Its layers are held for as long as this is.
    _pins: Pins,
}

impl Ready {
    /// The image, and what holds its layers.
    pub fn new(image: Arc<Image>, pins: Pins) -> Arc<Self> {
        Arc::new(Self { image, _pins: pins })
    }
}

type Outcome = Result<Arc<Ready>, String>;
/// What is pulled, and by whose login.
pub type Key = (String, Option<String>);

/// How far a pull is.
#[derive(Debug, Default)]
pub struct Meter {
    /// Whether it has its turn.
    pub begun: AtomicBool,
    /// Bytes that came.
    pub fetched: AtomicU64,
    /// Bytes to come in all; none: not known yet.
    pub total: AtomicU64,
}

impl Meter {
    /// How far it is, in words; nothing while there is nothing to say.
    pub fn words(&self) -> String {
        let (fetched, total) = (self.fetched.load(Ordering::Relaxed), self.total());
        match (self.begun.load(Ordering::Relaxed), total) {
            (false, _) => format!(": waits, {PULLS_MAX} others are pulled"),
            (true, 0) => String::new(),
            (true, total) => format!(": {} of {}", megabytes(fetched), megabytes(total)),
        }
    }

    fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1_048_576.0)
}

/// One pull.
struct Pull {
    outcome: watch::Receiver<Option<Outcome>>,
    meter: Arc<Meter>,
    /// Ends it with the last who waits.
    _end: DropGuard,
}

/// All pulls under way.
pub struct Pulls {
    active: Mutex<BTreeMap<Key, Weak<Pull>>>,
    blobs: Mutex<BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
    turns: Arc<Semaphore>,
}

impl Default for Pulls {
    fn default() -> Self {
        Self {
            active: Mutex::default(),
            blobs: Mutex::default(),
            turns: Arc::new(Semaphore::new(PULLS_MAX)),
        }
    }
}

/// The locks guard plain maps, whole between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pulls {
    /// Waits for the pull of `key`, which `work` begins if nobody has; `told` hears how far it is, at once and then from
    /// time to time.
    ///
    /// # Errors
    /// Why the pull failed.
    pub async fn join<F>(
        &self,
        key: Key,
        work: impl FnOnce(Arc<Meter>, CancellationToken) -> F,
        told: &(dyn Fn(String) + Send + Sync),
    ) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let pull = self.begin(key, work);
        let mut outcome = pull.outcome.clone();
        let mut tick = tokio::time::interval(PROGRESS);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            tokio::select! {
                biased;
                done = outcome.wait_for(Option::is_some) => {
                    let panicked = || Err("the pull has panicked".to_owned());
                    return done.ok().and_then(|d| d.clone()).unwrap_or_else(panicked);
                }
                _ = tick.tick() => {
                    let words = pull.meter.words();
                    if last.as_ref() != Some(&words) {
                        told(words.clone());
                        last = Some(words);
                    }
                }
            }
        }
    }

    fn begin<F>(&self, key: Key, work: impl FnOnce(Arc<Meter>, CancellationToken) -> F) -> Arc<Pull>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut active = lock(&self.active);
        // One that has ended is not waited for by those who come now: it is asked for anew.
        active.retain(|_, pull| pull.upgrade().is_some_and(|p| p.outcome.borrow().is_none()));
        if let Some(pull) = active.get(&key).and_then(Weak::upgrade) {
            return pull;
        }
        let (tell, outcome) = watch::channel(None);
        let (meter, given_up) = (Arc::new(Meter::default()), CancellationToken::new());
        let end = given_up.clone().drop_guard();
        let pull = Arc::new(Pull { outcome, meter: Arc::clone(&meter), _end: end });
        active.insert(key, Arc::downgrade(&pull));
        drop(active);
        let turns = Arc::clone(&self.turns);
        let token = given_up.clone();
        let pulling = work(Arc::clone(&meter), given_up);
        tokio::spawn(async move {
            let pulled = async {
                let _turn = turns.acquire_owned().await.map_err(|e| format!("no turn: {e}"))?;
                meter.begun.store(true, Ordering::Relaxed);
                pulling.await
            };
            let outcome = tokio::select! {
                biased;
                () = token.cancelled() => Err("given up: nobody waits for it any more".into()),
                outcome = pulled => outcome,
            };
            // Nobody may wait any more, which is no matter.
            let _ = tell.send(Some(outcome));
        });
        pull
    }

    /// The lock of a blob: one at a time fetches it, for whichever image.
    pub fn blob(&self, blob: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut blobs = lock(&self.blobs);
        blobs.retain(|_, lock| lock.strong_count() > 0);
        if let Some(found) = blobs.get(blob).and_then(Weak::upgrade) {
            return found;
        }
        let fresh = Arc::new(tokio::sync::Mutex::new(()));
        blobs.insert(blob.clone(), Arc::downgrade(&fresh));
        fresh
    }

    /// Blobs that are being fetched.
    pub fn blobs(&self) -> BTreeSet<Digest> {
        let blobs = lock(&self.blobs);
        blobs.iter().filter(|(_, lock)| lock.strong_count() > 0).map(|(d, _)| d.clone()).collect()
    }
}
