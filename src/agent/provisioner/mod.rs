//! Images of containers without an engine: pulled from registries, or read from files, unpacked into a store, and made the
//! root file systems of containers. It decides nothing about tasks, and mounts nothing: a container's builder does, where
//! nobody else sees it.
//!
//! [`Provisioner`] is what the agent's shell holds.

mod collect;
mod copy;
pub mod credentials;
pub mod digest;
pub mod layout;
pub mod manifest;
pub mod overlay;
mod pull;
mod pulls;
pub mod reference;
pub mod registry;
pub mod remove;
pub mod root;
pub mod runtime;
pub mod store;
pub mod tree;
pub mod unpack;
pub mod users;

use crate::base::ids::ContainerId;
pub use collect::Collection;
use credentials::Credentials;
use digest::Digest;
use pull::{Order, Source, Tools};
use pulls::{Pulls, Ready};
use reference::Reference;
use registry::Place;
use root::{Holds, Root};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Image, Pins, Store};
use tokio_util::sync::CancellationToken;

/// Docker's own registry.
pub const DOCKER_HUB: &str = "registry-1.docker.io";
/// The longest text of a stranger that is told on, in characters.
const SHOWN_MAX: usize = 300;
/// Images of one container, its volumes' included, at most.
pub const IMAGES_PER_CONTAINER_MAX: usize = 32;

/// A stranger's text as it may be told: on one line, cut where it is long.
pub(crate) fn shown(text: &str) -> String {
    let mut all = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = all.by_ref().take(SHOWN_MAX).collect();
    if all.next().is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}

/// A stranger's path, in quotes.
pub(crate) fn shown_path(path: &Path) -> String {
    format!("'{}'", shown(&path.to_string_lossy()))
}

/// How root file systems are made (`--image_provisioner_backend`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// By overlayfs where it can be mounted, else by copying.
    #[default]
    Auto,
    /// By overlayfs.
    Overlay,
    /// By copying.
    Copy,
}

/// Where images without a registry in their name are (`--docker_registry`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// A registry's URL.
    Registry(String),
    /// A folder of files.
    Folder(PathBuf),
}

impl Home {
    /// Reads the option.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix("file://").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Folder(path.into()));
        }
        registry::default_url(text)?;
        Ok(Self::Registry(text.into()))
    }
}

/// How images are provided.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where images are kept.
    pub store_dir: PathBuf,
    /// Where root file systems are made, a folder a container.
    pub containers_dir: PathBuf,
    /// Where images come from.
    pub home: Home,
    /// Logins that every task may use.
    pub credentials: Credentials,
    /// How root file systems are made.
    pub backend: Backend,
    /// A registry that brings nothing for this long is given up.
    pub stall_timeout: Duration,
    /// All of a pull may take this long.
    pub pull_timeout: Duration,
    /// Whether what images say of commands and environment is passed over.
    pub ignore_runtime: bool,
    /// When what nobody uses is removed.
    pub collection: Collection,
}

/// An image that somebody wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Whether one that is here will do, without asking the registry.
    pub cached: bool,
    /// The task's own logins.
    pub credentials: Option<Credentials>,
}

/// What a container gets.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// Its image and root file system, if it wants one.
    pub image: Option<(Arc<Image>, Root)>,
    /// Its volumes', in their order.
    pub volumes: Vec<Root>,
}

/// A container's folder; the lock is held by whoever works in it.
struct Held {
    given_up: CancellationToken,
    work: Arc<Mutex<Folder>>,
}

#[derive(Default)]
struct Folder {
    released: bool,
    pins: Vec<Pins>,
    provisioned: Option<Provisioned>,
}

struct Shared {
    options: Options,
    store: Arc<Store>,
    pulls: Arc<Pulls>,
    /// Whether overlays are mounted; else why not.
    overlay: Result<(), String>,
    containers: Mutex<BTreeMap<ContainerId, Held>>,
}

/// Provides images.
#[derive(Clone)]
pub struct Provisioner(Arc<Shared>);

/// The locks guard plain data, whole between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Provisioner {
    /// Opens the store. Root file systems of containers that are not `alive` are removed: nobody uses them since the last
    /// start of the agent, or of the machine. Blocks.
    ///
    /// # Errors
    /// The store cannot be used; overlayfs is demanded and cannot be had.
    pub fn open(options: Options, alive: &[ContainerId]) -> Result<Self, String> {
        let store = Store::open(&options.store_dir)?;
        store::private_dir(&options.containers_dir)?;
        let mut containers = BTreeMap::new();
        let all = std::fs::read_dir(&options.containers_dir);
        let all = all.map_err(|e| format!("{}: {e}", options.containers_dir.display()))?;
        for entry in all.flatten() {
            let id = ContainerId::from(entry.file_name().to_string_lossy().into_owned());
            if !alive.contains(&id) {
                root::discard(&entry.path());
                continue;
            }
            let layers = root::noted(&entry.path()).unwrap_or_default().layers;
            let folder = Folder { pins: vec![store.pin(&layers)], ..Folder::default() };
            containers.insert(id, Held::new(folder));
        }
        let overlay = match options.backend {
            Backend::Copy => Err("copying was chosen".into()),
            _ => overlay::probe(&options.containers_dir.join(".probe")),
        };
        if let (Backend::Overlay, Err(why)) = (options.backend, &overlay) {
            return Err(format!("overlayfs cannot be used here: {why}"));
        }
        let pulls = Arc::default();
        let containers = Mutex::new(containers);
        Ok(Self(Arc::new(Shared { options, store, pulls, overlay, containers })))
    }

    /// Whether root file systems are overlays; else why they are copies.
    ///
    /// # Errors
    /// Why not.
    pub fn overlays(&self) -> Result<(), &str> {
        self.0.overlay.as_ref().copied().map_err(String::as_str)
    }

    /// Makes the root file systems of a container. `told` hears of pulls: at once, and then how far they are. Given up
    /// when the future is dropped; what is there is removed by [`Self::release`].
    ///
    /// # Errors
    /// The text of the status message.
    pub async fn provision(
        &self,
        container: &ContainerId,
        image: Option<&Wanted>,
        volumes: &[Wanted],
        told: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Provisioned, String> {
        let wanted: Vec<&Wanted> = image.into_iter().chain(volumes).collect();
        if wanted.len() > IMAGES_PER_CONTAINER_MAX {
            let n = wanted.len();
            return Err(format!("{n} images are over the limit of {IMAGES_PER_CONTAINER_MAX}"));
        }
        let mut all = Vec::new();
        for one in wanted {
            all.push(self.ready(one, told).await?);
        }
        let (given_up, work) = {
            let mut containers = lock(&self.0.containers);
            let fresh = || Held::new(Folder::default());
            let held = containers.entry(container.clone()).or_insert_with(fresh);
            (held.given_up.clone(), Arc::clone(&held.work))
        };
        let (shared, folder) = (Arc::clone(&self.0), self.folder(container));
        let has_image = image.is_some();
        let made = tokio::task::spawn_blocking(move || {
            let mut work = lock(&work);
            if work.released {
                return Err("given up".to_owned());
            }
            let roots = shared.make(&folder, &all, &given_up)?;
            let mut roots = roots.into_iter();
            let first = if has_image { all.first().zip(roots.next()) } else { None };
            let image = first.map(|(ready, root)| (shared.known(&ready.image), root));
            let provisioned = Provisioned { image, volumes: roots.collect() };
            work.pins = all.iter().map(|r| shared.store.pin(&r.image.layers)).collect();
            work.provisioned = Some(provisioned.clone());
            Ok(provisioned)
        });
        made.await.unwrap_or_else(|e| Err(format!("file work has panicked: {e}")))
    }

    /// What was made for a container.
    pub fn provisioned(&self, container: &ContainerId) -> Option<Provisioned> {
        let work = Arc::clone(&lock(&self.0.containers).get(container)?.work);
        lock(&work).provisioned.clone()
    }

    /// Removes what was made for a container, whose processes are gone, and lets its layers go.
    ///
    /// # Errors
    /// It cannot be removed.
    pub async fn release(&self, container: &ContainerId) -> Result<(), String> {
        let held = {
            let containers = lock(&self.0.containers);
            let Some(held) = containers.get(container) else { return Ok(()) };
            held.given_up.cancel();
            Arc::clone(&held.work)
        };
        let folder = self.folder(container);
        let removed = tokio::task::spawn_blocking(move || {
            let mut work = lock(&held);
            work.released = true;
            let removed = remove::remove_tree(&folder);
            removed.map_err(|e| format!("cannot remove {}: {e}", folder.display()))?;
            work.pins.clear();
            Ok(())
        });
        removed.await.unwrap_or_else(|e| Err(format!("file work has panicked: {e}")))?;
        lock(&self.0.containers).remove(container);
        Ok(())
    }

    fn folder(&self, container: &ContainerId) -> PathBuf {
        self.0.options.containers_dir.join(container.as_str())
    }

    /// The image, from the store or by a pull.
    async fn ready(
        &self,
        wanted: &Wanted,
        told: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Arc<Ready>, String> {
        let order = self.0.order(wanted)?;
        let store = &self.0.store;
        let (key, mark) = (order.key.clone(), order.mark.clone());
        if wanted.cached
            && let Some((image, pins)) = store.image(&key, mark.as_deref())
        {
            return Ok(Ready::new(image, pins));
        }
        let tools = Tools {
            store: Arc::clone(store),
            pulls: Arc::clone(&self.0.pulls),
            stall: self.0.options.stall_timeout,
            timeout: self.0.options.pull_timeout,
            limits: unpack::Limits::default(),
        };
        let name = shown(&order.name);
        let from = order.source.words();
        let told = |words: String| told(format!("Pulling the image {name} from {from}{words}"));
        let work = move |meter, given_up| pull::pull(tools, order, meter, given_up);
        self.0.pulls.join((key, mark), work, &told).await
    }
}

impl Held {
    fn new(folder: Folder) -> Self {
        Self { given_up: CancellationToken::new(), work: Arc::new(Mutex::new(folder)) }
    }
}

impl Shared {
    /// The image as it is to be obeyed.
    fn known(&self, image: &Arc<Image>) -> Arc<Image> {
        match self.options.ignore_runtime {
            true => Arc::new(Image { runtime: Default::default(), ..(**image).clone() }),
            false => Arc::clone(image),
        }
    }

    fn make(
        &self,
        folder: &Path,
        all: &[Arc<Ready>],
        given_up: &CancellationToken,
    ) -> Result<Vec<Root>, String> {
        let layers: Vec<Digest> = all.iter().flat_map(|r| r.image.layers.clone()).collect();
        root::note(folder, &Holds { layers })?;
        let mut roots = Vec::new();
        for (n, ready) in all.iter().enumerate() {
            let folder = folder.join(n.to_string());
            let mut layers = Vec::new();
            for layer in &ready.image.layers {
                let known = self.store.layer(layer);
                let known = known.ok_or_else(|| format!("the layer {layer} was lost"))?;
                if known.opaque.iter().any(|p| p.as_os_str().is_empty()) {
                    // It hides all below it, which overlayfs does not know of roots.
                    layers.clear();
                }
                layers.push(known);
            }
            roots.push(match self.overlay.is_ok() && layers.iter().all(|l| l.overlay) {
                true => root::overlay(&self.store, &folder, &layers)?,
                false => root::copy(&self.store, &folder, &layers, given_up)?,
            });
        }
        Ok(roots)
    }

    /// What a wish comes to.
    fn order(&self, wanted: &Wanted) -> Result<Order, String> {
        let name = wanted.name.clone();
        let path = name.strip_prefix("file://").unwrap_or(&name);
        if path.starts_with('/') {
            return self.order_path(&name, Path::new(path));
        }
        let reference = Reference::parse(&name)?;
        let default = match (&self.options.home, &reference.host) {
            (Home::Folder(folder), None) => return self.order_file(folder, reference),
            (Home::Folder(folder), Some(_)) => {
                if let Ok(order) = self.order_file(folder, reference.clone()) {
                    return Ok(order);
                }
                DOCKER_HUB
            }
            (Home::Registry(url), _) => url,
        };
        let place = Place::of(&reference, default)?;
        let own = wanted.credentials.as_ref().and_then(|c| Some((c, c.of(&place.host)?.clone())));
        let mark = own.as_ref().map(|(c, _)| c.mark());
        let is_own = own.is_some();
        let login = own.map(|(_, login)| login);
        let login = login.or_else(|| self.options.credentials.of(&place.host).cloned());
        let key = format!("{}/{}@{}", place.base, place.repository, reference.wanted());
        let source = Source::Registry { place, login, own: is_own };
        Ok(Order { key, name, reference, source, mark })
    }

    /// The file of an image in the operator's folder.
    fn order_file(&self, folder: &Path, reference: Reference) -> Result<Order, String> {
        let tagged = reference.tagged();
        let places = [folder.join(format!("{tagged}.tar")), folder.join(&tagged)];
        let layout = ["index.json", "manifest.json"];
        let whole = layout.iter().any(|name| folder.join(name).is_file());
        let path = places.iter().find(|p| p.exists()).cloned();
        let path = path.or_else(|| whole.then(|| folder.to_path_buf())).ok_or_else(|| {
            format!(
                "there is no image {tagged} in {}: no {}",
                folder.display(),
                places[0].display()
            )
        })?;
        Ok(file_order(reference.to_string(), path, reference))
    }

    /// A file that a task names itself: only of the operator's folder, since the agent may read more than the task may.
    fn order_path(&self, name: &str, path: &Path) -> Result<Order, String> {
        let Home::Folder(folder) = &self.options.home else {
            return Err(format!(
                "the image {} is a file, and no folder of images is set: \
                 see --docker_registry",
                shown(name)
            ));
        };
        let real = |p: &Path| p.canonicalize().map_err(|e| format!("{}: {e}", shown_path(p)));
        let (path, folder) = (real(path)?, real(folder)?);
        if !path.starts_with(&folder) {
            let (path, folder) = (shown_path(&path), folder.display());
            return Err(format!("the image {path} is not in {folder}, the folder of images"));
        }
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
        let repository = stem.unwrap_or_default();
        let reference = Reference { host: None, repository, tag: None, digest: None };
        Ok(file_order(name.into(), path, reference))
    }
}

/// A file is found again only for as long as it is the same.
fn file_order(name: String, path: PathBuf, reference: Reference) -> Order {
    use std::os::unix::fs::MetadataExt as _;
    let of = if path.is_dir() { path.join("index.json") } else { path.clone() };
    let meta = of.metadata().map(|m| (m.mtime(), m.mtime_nsec(), m.size(), m.ino()));
    let key = format!("file:{}#{reference}#{:?}", path.display(), meta.ok());
    Order { key, name, reference, source: Source::Files(path), mark: None }
}

#[cfg(test)]
mod tests;
