//! Brings the URIs of a command into its sandbox before it starts: files, HTTP downloads, archives unpacked, the
//! executable bit set, kept in a cache where that is asked for. The original's rules (its `docs/fetcher.md`).

mod archive;
mod cache;
mod owner;
mod pace;
mod place;
mod source;

use crate::agent::core::io::Launch;
use crate::mesos::v1;
pub use cache::Cache;
use cache::{Had, Load};
use owner::Owner;
use pace::Pace;
use place::Sandbox;
use std::io::Seek as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

/// How many URIs one command may have.
pub const URIS_MAX: usize = 1000;
/// How many commands are fetched for at a time, each on a thread of its own; others wait.
pub const FETCHES_MAX: usize = 64;

/// How the fetcher works.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// A download that brings nothing for this long has failed.
    pub stall_timeout: Duration,
    /// All that is fetched for a command together.
    pub total_timeout: Duration,
    /// Where relative paths begin (`--frameworks_home`).
    pub frameworks_home: Option<PathBuf>,
    /// What is kept for later tasks.
    pub cache: Arc<Cache>,
}

/// How often was fetched for a command, with what outcome.
#[derive(Debug)]
pub struct Counts {
    succeeded: AtomicU64,
    failed: AtomicU64,
    cache: Arc<Cache>,
}

impl Counts {
    /// All URIs of a command were there.
    pub fn succeeded(&self) -> u64 {
        self.succeeded.load(Ordering::Relaxed)
    }

    /// One of them was not.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// What is kept for later tasks.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}

/// Fetches the URIs of commands.
#[derive(Clone, Debug)]
pub struct Fetcher {
    options: FetchOptions,
    turns: Arc<Semaphore>,
    counts: Arc<Counts>,
}

impl Fetcher {
    /// A fetcher with these options.
    pub fn new(options: FetchOptions) -> Self {
        let (succeeded, failed) = (AtomicU64::default(), AtomicU64::default());
        let counts = Arc::new(Counts { succeeded, failed, cache: options.cache.clone() });
        Self { options, turns: Arc::new(Semaphore::new(FETCHES_MAX)), counts }
    }

    /// What it has done so far.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Brings everything the command asks for into the sandbox, in order, as the task's user. What was done is in the
    /// sandbox's `stderr`. Given up when the future is dropped.
    ///
    /// # Errors
    /// The text of the status message: which URI failed, and why.
    pub async fn fetch(&self, launch: &Launch) -> Result<(), String> {
        if launch.command.uris.is_empty() {
            return Ok(());
        }
        let outcome = self.run(launch).await;
        let count = if outcome.is_ok() { &self.counts.succeeded } else { &self.counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        outcome.map_err(|why| {
            let container = &launch.container;
            format!("Failed to fetch all URIs for container '{container}': {why}")
        })
    }

    async fn run(&self, launch: &Launch) -> Result<(), String> {
        let uris = launch.command.uris.len();
        if uris > URIS_MAX {
            return Err(format!("{uris} URIs are over the limit of {URIS_MAX}"));
        }
        let turns = Arc::clone(&self.turns);
        let turn = turns.acquire_owned().await.map_err(|e| format!("no turn: {e}"))?;
        let given_up = CancellationToken::new();
        let _guard = given_up.clone().drop_guard();
        let limit = self.options.total_timeout;
        let fetch = Fetch {
            options: self.options.clone(),
            command: Arc::clone(&launch.command),
            sandbox: launch.sandbox.clone(),
            user: launch.user.clone(),
            pace: Pace { given_up, until: Instant::now() + limit, limit },
            io: Handle::current(),
        };
        let (tell, told) = oneshot::channel();
        // Its own: what it may touch is changed for good.
        let thread = std::thread::Builder::new().name("fetch".into());
        let started = thread.spawn(move || {
            // Nobody may wait any more, which is no matter.
            let _ = tell.send(fetch.run());
            drop(turn);
        });
        started.map_err(|e| format!("cannot start a thread: {e}"))?;
        told.await.map_err(|_| "the fetch has panicked".to_string())?
    }
}

/// All there is to do for one command; runs on its own thread.
struct Fetch {
    options: FetchOptions,
    command: Arc<v1::CommandInfo>,
    sandbox: PathBuf,
    user: Option<String>,
    pace: Pace,
    io: Handle,
}

impl Fetch {
    fn run(self) -> Result<(), String> {
        let owner = self.user.as_deref().map(Owner::find).transpose()?;
        let sandbox = Sandbox::open(&self.sandbox)?;
        if let Some(owner) = &owner {
            owner.assume()?;
        }
        let owner = owner.as_ref();
        for uri in &self.command.uris {
            let fetched = self.pace.check().and_then(|()| self.one(&sandbox, owner, uri));
            let line = match &fetched {
                Ok(path) => format!("Fetched '{}' to '{}'\n", uri.value, path.display()),
                Err(why) => format!("Failed to fetch '{}': {why}\n", uri.value),
            };
            sandbox.log(&line);
            fetched.map_err(|why| format!("{}: {why}", uri.value))?;
        }
        Ok(())
    }

    fn one(
        &self,
        sandbox: &Sandbox,
        owner: Option<&Owner>,
        uri: &v1::command_info::Uri,
    ) -> Result<PathBuf, String> {
        let name = place::name_of(uri)?;
        let source = source::read(&uri.value, self.options.frameworks_home.as_deref())?;
        let mode = if uri.executable() { 0o755 } else { 0o644 };
        let mut file = sandbox.create(&name, mode)?;
        let (io, pace, stall) = (&self.io, &self.pace, self.options.stall_timeout);
        let had = match uri.cache() {
            true => {
                let load = Load { source: &source, owner, io, pace, stall };
                Some(self.options.cache.get(self.user.as_deref(), uri.value.trim_start(), load)?)
            }
            false => None,
        };
        let mut from_cache = false;
        match had {
            Some(Had::Copy(mut copy)) => {
                from_cache = true;
                pace.copy(&mut copy, &mut file, source::FETCHED_BYTES_MAX)?;
            }
            Some(Had::Direct(why)) => {
                sandbox.log(&format!("Fetching '{}' without the cache: {why}\n", uri.value));
                source.copy(&mut file, io, pace, stall)?;
            }
            None => source.copy(&mut file, io, pace, stall)?,
        }
        let kind = match uri.extract() && !uri.executable() {
            true => archive::kind_of(&name),
            false => None,
        };
        if let Some(kind) = kind {
            file.rewind().map_err(|e| format!("cannot read it again: {e}"))?;
            archive::extract(sandbox, &name, kind, file, &self.pace)?;
            // As the original, which unpacks from its cache.
            if from_cache && !kind.is_single() {
                sandbox.remove(&name)?;
            }
        }
        Ok(sandbox.path(&name))
    }
}

#[cfg(test)]
mod tests;
