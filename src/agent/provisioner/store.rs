//! Images on disk, by content: layers unpacked once, whatever number of images and containers has them.
//!
//! ```text
//! <store>/lock                     held by the agent that uses it
//! <store>/images/<hash of name>    what is known of an image: written aside, synced, renamed
//! <store>/layers/<digest>/         fs/ and layer.json: made in staging/, synced, renamed
//! <store>/partial/<digest>         blobs on their way; taken up again after a crash
//! <store>/staging/<n>/             what is being made; removed at start
//! ```
//! A layer that anybody uses is pinned, by containers, and by pulls under way. Only what is not pinned is removed.

use super::digest::Digest;
use super::runtime::Runtime;
use super::unpack::Unpacked;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

/// Images known at the most; those used longest ago are forgotten first.
pub const IMAGES_MAX: usize = 4096;
/// The longest record, in bytes.
const RECORD_BYTES_MAX: u64 = 512 << 20;
/// How records are written now.
const SCHEMA: u32 = 1;

type Result<T> = std::result::Result<T, String>;

/// What is known of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its whole name, with the registry or file it came from: what it is found by.
    pub key: String,
    /// Its name as it is told.
    pub name: String,
    /// The digest of its manifest or configuration.
    pub digest: Digest,
    /// Its layers, the lowest first.
    pub layers: Vec<Digest>,
    /// What a container of it does unless told otherwise.
    pub runtime: Runtime,
    /// Whether it was pulled with a login of the task's own.
    pub private: bool,
}

#[derive(Serialize, Deserialize)]
struct Record<T> {
    schema: u32,
    #[serde(flatten)]
    value: T,
}

#[derive(Clone)]
struct Known {
    image: Arc<Image>,
    used: SystemTime,
    /// Whose login it was pulled with; `None` is nobody's in particular, or was forgotten with a restart.
    mark: Option<String>,
}

#[derive(Default)]
struct State {
    images: BTreeMap<String, Known>,
    pins: BTreeMap<Digest, usize>,
}

/// The store.
pub struct Store {
    dir: PathBuf,
    _lock: File,
    state: Mutex<State>,
    next: AtomicU64,
}

/// Holds layers; dropped, it lets them go.
pub struct Pins {
    store: Arc<Store>,
    layers: Vec<Digest>,
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut state = self.store.state();
        for layer in &self.layers {
            if let Some(n) = state.pins.get_mut(layer) {
                *n = n.saturating_sub(1);
                if *n == 0 {
                    state.pins.remove(layer);
                }
            }
        }
    }
}

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.layers).finish()
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names of images.
    pub images: usize,
    /// Layers.
    pub layers: usize,
}

fn failed(path: &Path, e: impl std::fmt::Display) -> String {
    format!("{}: {e}", path.display())
}

/// Makes a folder that only its owner may enter, and those above it.
pub fn private_dir(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| failed(path, e))
}

/// Writes a record so that it is there whole, or not at all, whenever the machine stops.
pub fn write_record<T: Serialize>(path: &Path, value: T) -> Result<()> {
    let bytes = serde_json::to_vec(&Record { schema: SCHEMA, value });
    let bytes = bytes.map_err(|e| failed(path, e))?;
    let fresh = path.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync_dir(path.parent().unwrap_or(path))
    };
    write().map_err(|e: std::io::Error| failed(path, e))
}

/// Reads a record; none: it is not there, or no record of ours.
pub fn read_record<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let length = fs::metadata(path).ok()?.len();
    if length > RECORD_BYTES_MAX {
        return None;
    }
    let record: Record<T> = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (record.schema == SCHEMA).then_some(record.value)
}

fn sync_dir(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

impl Store {
    /// Opens the store in that folder, or makes it. What was being made when it was last used is removed. Within a process
    /// there is one for a folder: an agent that starts again in place may still have a pull of its former self.
    ///
    /// # Errors
    /// The folder cannot be used, or another agent uses it.
    pub fn open(dir: &Path) -> Result<Arc<Self>> {
        static OPEN: Mutex<BTreeMap<PathBuf, Weak<Store>>> = Mutex::new(BTreeMap::new());
        private_dir(dir)?;
        let real = dir.canonicalize().map_err(|e| failed(dir, e))?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, store| store.strong_count() > 0);
        if let Some(store) = open.get(&real).and_then(Weak::upgrade) {
            return Ok(store);
        }
        let store = Self::open_alone(dir)?;
        open.insert(real, Arc::downgrade(&store));
        Ok(store)
    }

    fn open_alone(dir: &Path) -> Result<Arc<Self>> {
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(|e| failed(&path, e))?;
        // SAFETY: a flag of an open file, which lasts until the file is closed.
        let held = unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        if held != 0 {
            return Err(format!(
                "the store of images {} is used by another agent: give each its own with \
                 --docker_store_dir",
                dir.display()
            ));
        }
        let staging = dir.join("staging");
        super::remove::remove_tree(&staging).map_err(|e| failed(&staging, e))?;
        for name in ["staging", "images", "layers", "partial"] {
            private_dir(&dir.join(name))?;
        }
        let mut state = State::default();
        let images = dir.join("images");
        for entry in fs::read_dir(&images).map_err(|e| failed(&images, e))?.flatten() {
            let path = entry.path();
            let whole = path.extension().is_none();
            let Some(image) = read_record::<Image>(&path).filter(|_| whole) else {
                // Not whole: it is pulled again when somebody wants it.
                drop(fs::remove_file(&path));
                continue;
            };
            let used = entry.metadata().and_then(|m| m.modified());
            let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
            let known = Known { image: Arc::new(image), used, mark: None };
            state.images.insert(known.image.key.clone(), known);
        }
        let next = AtomicU64::new(0);
        let dir = dir.to_path_buf();
        Ok(Arc::new(Self { dir, _lock: lock, state: Mutex::new(state), next }))
    }

    /// The lock guards plain maps, whole between statements: a panic elsewhere does not spoil them.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn image_path(&self, key: &str) -> PathBuf {
        self.dir.join("images").join(Digest::of(key.as_bytes()).hex())
    }

    fn layer_dir(&self, layer: &Digest) -> PathBuf {
        self.dir.join("layers").join(layer.hex())
    }

    /// The files of a layer.
    pub fn layer_files(&self, layer: &Digest) -> PathBuf {
        self.layer_dir(layer).join("fs")
    }

    /// Where a blob comes in.
    pub fn partial(&self, blob: &Digest) -> PathBuf {
        self.dir.join("partial").join(blob.hex())
    }

    /// What is known of a layer; none: it is not here.
    pub fn layer(&self, layer: &Digest) -> Option<Unpacked> {
        let dir = self.layer_dir(layer);
        let known: Unpacked = read_record(&dir.join("layer.json"))?;
        (known.diff_id == *layer && dir.join("fs").is_dir()).then_some(known)
    }

    /// Whether a layer is here, looked at without reading all that is known of it.
    pub fn has_layer(&self, layer: &Digest) -> bool {
        let dir = self.layer_dir(layer);
        dir.join("layer.json").is_file() && dir.join("fs").is_dir()
    }

    /// Holds layers, there or not yet.
    pub fn pin(self: &Arc<Self>, layers: &[Digest]) -> Pins {
        let mut state = self.state();
        for layer in layers {
            *state.pins.entry(layer.clone()).or_default() += 1;
        }
        Pins { store: Arc::clone(self), layers: layers.to_vec() }
    }

    /// An image that is here whole, for who shows this mark, and its layers held.
    ///
    /// One that was pulled with a login of a task's own is only for those who have the same: others have to show the
    /// registry theirs.
    pub fn image(self: &Arc<Self>, key: &str, mark: Option<&str>) -> Option<(Arc<Image>, Pins)> {
        let image = {
            let state = self.state();
            let known = state.images.get(key)?;
            let same = mark.is_some() && known.mark.as_deref() == mark;
            (same || !known.image.private).then(|| known.image.clone())?
        };
        let pins = self.pin(&image.layers);
        if !image.layers.iter().all(|layer| self.has_layer(layer)) {
            return None;
        }
        self.used(key);
        Some((image, pins))
    }

    /// Notes that an image was used.
    fn used(&self, key: &str) {
        let now = SystemTime::now();
        let noted = File::options().write(true).open(self.image_path(key));
        if let Err(e) = noted.and_then(|f| f.set_modified(now)) {
            // It is only taken for older than it is.
            tracing::debug!("cannot note the use of an image: {e}");
        }
        if let Some(known) = self.state().images.get_mut(key) {
            known.used = now;
        }
    }

    /// Keeps an image whose layers are here. Blocks.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, image: Arc<Image>, mark: Option<String>) -> Result<()> {
        write_record(&self.image_path(&image.key), &*image)?;
        let known = Known { image, used: SystemTime::now(), mark };
        let mut state = self.state();
        state.images.insert(known.image.key.clone(), known);
        while state.images.len() > IMAGES_MAX {
            let oldest = state.images.values().min_by_key(|k| k.used);
            let Some(key) = oldest.map(|k| k.image.key.clone()) else { break };
            state.images.remove(&key);
            drop(fs::remove_file(self.image_path(&key)));
        }
        Ok(())
    }

    /// Makes a layer: `fill` unpacks it into the folder it is given. One that is there already stays. Blocks.
    ///
    /// # Errors
    /// It cannot be made; nothing of it is left then.
    pub fn make_layer(
        &self,
        layer: &Digest,
        fill: impl FnOnce(&Path) -> Result<Unpacked>,
    ) -> Result<()> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let staging = self.dir.join("staging").join(n.to_string());
        let made = self.make_in(&staging, layer, fill);
        if let Err(e) = super::remove::remove_tree(&staging) {
            tracing::warn!("cannot remove {}: {e}", staging.display());
        }
        made
    }

    fn make_in(
        &self,
        staging: &Path,
        layer: &Digest,
        fill: impl FnOnce(&Path) -> Result<Unpacked>,
    ) -> Result<()> {
        private_dir(staging)?;
        let files = staging.join("fs");
        let made = DirBuilder::new().mode(0o755).create(&files);
        made.map_err(|e| failed(&files, e))?;
        // Whatever the umask is: it is the root of file systems.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&files, mode).map_err(|e| failed(&files, e))?;
        let unpacked = fill(&files)?;
        if unpacked.diff_id != *layer {
            return Err(format!("the layer {layer} is {} in fact", unpacked.diff_id));
        }
        write_record(&staging.join("layer.json"), &unpacked)?;
        sync_all(staging).map_err(|e| failed(staging, e))?;
        let place = self.layer_dir(layer);
        if place.exists() && !self.has_layer(layer) {
            // Half of it was lost: it is of no use to anybody.
            super::remove::remove_tree(&place).map_err(|e| failed(&place, e))?;
        }
        match fs::rename(staging, &place) {
            Ok(()) => sync_dir(&self.dir.join("layers")).map_err(|e| failed(&place, e)),
            Err(e)
                if matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) =>
            {
                Ok(())
            }
            Err(e) => Err(failed(&place, e)),
        }
    }

    /// Names of all images, those used longest ago first.
    pub fn images(&self) -> Vec<Arc<Image>> {
        let mut all: Vec<Known> = self.state().images.values().cloned().collect();
        all.sort_by_key(|k| k.used);
        all.into_iter().map(|k| k.image).collect()
    }

    /// Forgets an image, unless all its layers are held: then it is used, or nothing can be gained.
    pub fn forget(&self, key: &str) -> bool {
        let mut state = self.state();
        let Some(known) = state.images.get(key) else { return false };
        if known.image.layers.iter().all(|layer| state.pins.contains_key(layer)) {
            return false;
        }
        state.images.remove(key);
        drop(fs::remove_file(self.image_path(key)));
        true
    }

    /// Removes layers that no image has and nobody holds; how many. Blocks.
    ///
    /// # Errors
    /// The folder of layers cannot be read.
    pub fn sweep(&self) -> Result<usize> {
        let layers = self.dir.join("layers");
        let mut removed = 0;
        for entry in fs::read_dir(&layers).map_err(|e| failed(&layers, e))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let digest = Digest::parse(&format!("sha256:{name}")).ok();
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let aside = self.dir.join("staging").join(n.to_string());
            {
                let state = self.state();
                let held = |d: &Digest| {
                    state.pins.contains_key(d)
                        || state.images.values().any(|k| k.image.layers.contains(d))
                };
                if digest.as_ref().is_some_and(held) {
                    continue;
                }
                // Under the lock, so that nobody finds it from now on.
                if let Err(e) = fs::rename(entry.path(), &aside) {
                    tracing::warn!("cannot move the layer {name} away: {e}");
                    continue;
                }
            }
            removed += 1;
            if let Err(e) = super::remove::remove_tree(&aside) {
                // What is in staging is removed at the next start.
                tracing::warn!("cannot remove the layer {name}: {e}");
            }
        }
        Ok(removed)
    }

    /// Removes what is left of blobs that nobody fetches any more.
    pub fn sweep_blobs(&self, fetched: &BTreeSet<Digest>) {
        for entry in fs::read_dir(self.dir.join("partial")).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let digest = Digest::parse(&format!("sha256:{name}")).ok();
            if !digest.is_some_and(|d| fetched.contains(&d)) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

/// Makes all that was written into a folder durable. The whole file system is asked to, which is one wait and not one a
/// file.
fn sync_all(path: &Path) -> std::io::Result<()> {
    let dir = File::open(path)?;
    // SAFETY: a call on an open file.
    let synced = unsafe { libc::syncfs(dir.as_raw_fd()) };
    match synced {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
