//! Downloads that are kept for later tasks: one copy for each user and URI; the least recently used goes first.
//!
//! A copy was made with its user's rights and is given to nobody else: what a user may not read is not read for him from
//! here. Only the agent can open the folder. What is in it is known in memory alone, so it is emptied at each start; like the
//! original, nothing asks whether a copy is still what its URI leads to. Where the cache cannot help it says why, and the
//! fetch goes on without it.

use super::owner::Owner;
use super::pace::Pace;
use super::source::Source;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// How many copies are kept, whatever their size: each holds an open file.
pub const ENTRIES_MAX: usize = 256;
/// How often who waits for another's download looks whether anybody waits for him.
const LOOK: Duration = Duration::from_millis(100);

/// Whose copy of what.
type Key = (Option<String>, String);

/// The cache; shared by all fetches.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    capacity: u64,
    kept: Mutex<Kept>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<Key, Entry>,
    /// Bytes, of what is kept and what is on its way.
    used: u64,
    /// Counts uses: a greater one is later.
    uses: u64,
    /// Counts files: no name is used twice.
    files: u64,
}

#[derive(Debug)]
enum Entry {
    /// Somebody downloads it.
    Loading,
    Kept {
        file: Arc<File>,
        path: PathBuf,
        size: u64,
        used: u64,
    },
}

/// What the cache has to say to a URI.
#[derive(Debug)]
pub enum Had {
    /// It is there.
    Copy(Copy),
    /// Fetch it without the cache, and why.
    Direct(String),
}

/// A copy, to be read from its beginning.
#[derive(Debug)]
pub struct Copy {
    file: Arc<File>,
    at: u64,
}

impl Read for Copy {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read_at(into, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// How a copy is made.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// What the URI leads to.
    pub source: &'a Source,
    /// With whose rights the calling thread touches files, if not with the agent's.
    pub owner: Option<&'a Owner>,
    /// Where downloads go on.
    pub io: &'a Handle,
    /// How long it may take.
    pub pace: &'a Pace,
    /// How long a download may bring nothing.
    pub stall: Duration,
}

/// Takes back what was noted of a download when it comes to nothing.
struct Loading<'a> {
    cache: &'a Cache,
    owner: Option<&'a Owner>,
    key: Key,
    reserved: u64,
    path: Option<PathBuf>,
    done: bool,
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut kept = self.cache.kept();
            kept.entries.remove(&self.key);
            kept.used -= self.reserved;
            drop(kept);
            if let Some(path) = &self.path {
                as_agent(self.owner, || remove(path));
            }
        }
        self.cache.changed.notify_all();
    }
}

impl Cache {
    /// A cache in that folder, which is made, and emptied of what an earlier process left; for so many bytes.
    ///
    /// # Errors
    /// The folder cannot be made or emptied.
    pub fn open(dir: &Path, capacity: u64) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("the fetcher's cache {}: {e}", dir.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        for entry in fs::read_dir(dir).map_err(failed)? {
            fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
        }
        let (kept, changed) = (Mutex::default(), Condvar::new());
        Ok(Self { dir: dir.into(), capacity, kept, changed })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the copies are.
    #[cfg(test)]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many bytes there is room for.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How many bytes are taken.
    pub fn used(&self) -> u64 {
        self.kept().used
    }

    /// The copy of a user's URI; made if there is none, waited for if somebody makes it just now.
    ///
    /// # Errors
    /// What the download failed with; nobody waits any more, or the time is over.
    pub fn get(&self, user: Option<&str>, uri: &str, load: Load<'_>) -> Result<Had, String> {
        let key = (user.map(str::to_string), uri.to_string());
        if let Some(found) = self.find(&key, load)? {
            return Ok(Had::Copy(found));
        }
        let owner = load.owner;
        let mut loading = Loading { cache: self, owner, key, reserved: 0, path: None, done: false };
        let size = match load.source.size(load.io, load.pace, load.stall) {
            Ok(Some(size)) => size,
            Ok(None) => return Ok(Had::Direct("its size is not told".into())),
            Err(why) => return Ok(Had::Direct(why)),
        };
        if !self.reserve(load.owner, size) {
            return Ok(Had::Direct(format!(
                "there is no room for {size} of {} bytes",
                self.capacity
            )));
        }
        loading.reserved = size;
        let path = self.path(uri);
        let mut file = match as_agent(load.owner, || create(&path)) {
            Ok(file) => file,
            Err(e) => return Ok(Had::Direct(format!("{}: {e}", path.display()))),
        };
        loading.path = Some(path.clone());
        load.source.copy(&mut file, load.io, load.pace, load.stall)?;
        let got = file.metadata().map_err(|e| format!("{}: {e}", path.display()))?.len();
        if got != size {
            return Ok(Had::Direct(format!("it has {got} bytes where {size} were told")));
        }
        let file = Arc::new(file);
        let copy = Copy { file: file.clone(), at: 0 };
        let mut kept = self.kept();
        kept.uses += 1;
        let used = kept.uses;
        kept.entries.insert(loading.key.clone(), Entry::Kept { file, path, size, used });
        drop(kept);
        loading.done = true;
        Ok(Had::Copy(copy))
    }

    /// What is there, once nobody loads it any more; nothing when it is to be loaded by whoever asks.
    fn find(&self, key: &Key, load: Load<'_>) -> Result<Option<Copy>, String> {
        let mut kept = self.kept();
        loop {
            let now = kept.uses + 1;
            match kept.entries.get_mut(key) {
                None => break,
                Some(Entry::Loading) => {
                    load.pace.check()?;
                    let waited = self.changed.wait_timeout(kept, LOOK);
                    kept = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Some(Entry::Kept { file, used, .. }) if is_there(file) => {
                    *used = now;
                    let file = file.clone();
                    kept.uses = now;
                    return Ok(Some(Copy { file, at: 0 }));
                }
                // Somebody has removed the file.
                Some(Entry::Kept { size, .. }) => {
                    let size = *size;
                    kept.entries.remove(key);
                    kept.used -= size;
                    break;
                }
            }
        }
        kept.entries.insert(key.clone(), Entry::Loading);
        Ok(None)
    }

    /// Makes room. What a fetch reads at present stays.
    fn reserve(&self, owner: Option<&Owner>, size: u64) -> bool {
        let mut gone = Vec::new();
        let mut kept = self.kept();
        let fits = loop {
            let few = kept.entries.len() <= ENTRIES_MAX;
            if few && kept.used.checked_add(size).is_some_and(|all| all <= self.capacity) {
                kept.used += size;
                break true;
            }
            let idle = kept.entries.iter().filter_map(|(key, entry)| match entry {
                Entry::Kept { file, used, .. } if Arc::strong_count(file) == 1 => Some((used, key)),
                _ => None,
            });
            // Nothing goes for what does not fit at all.
            let oldest = idle.min().map(|(_, key)| key.clone()).filter(|_| size <= self.capacity);
            let Some(Entry::Kept { path, size, .. }) =
                oldest.and_then(|key| kept.entries.remove(&key))
            else {
                break false;
            };
            kept.used -= size;
            gone.push(path);
        };
        drop(kept);
        as_agent(owner, || gone.iter().for_each(|path| remove(path)));
        fits
    }

    fn path(&self, uri: &str) -> PathBuf {
        let mut kept = self.kept();
        kept.files += 1;
        // So that people who look into the folder see what it is.
        let name: String = uri.chars().rev().take_while(|c| *c != '/').collect();
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name: String = name.chars().rev().filter(plain).take(64).collect();
        self.dir.join(format!("c{}-{name}", kept.files))
    }
}

fn is_there(file: &File) -> bool {
    file.metadata().is_ok_and(|there| there.nlink() > 0)
}

fn create(path: &Path) -> std::io::Result<File> {
    fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

fn remove(path: &Path) {
    if let Err(e) = fs::remove_file(path)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("cannot remove {} from the fetcher's cache: {e}", path.display());
    }
}

/// Does something with the agent's own rights on a thread that otherwise acts for a user.
fn as_agent<T>(owner: Option<&Owner>, act: impl FnOnce() -> T) -> T {
    match owner {
        Some(owner) => owner.paused(act),
        None => act(),
    }
}
