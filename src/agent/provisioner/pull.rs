//! One pull: manifest, configuration and those layers that are not here, from a registry or from a file.

use super::credentials::Login;
use super::digest::{Digest, Hashing};
use super::layout::{Found, Layout};
use super::manifest::{CONFIG_BYTES_MAX, Config, Descriptor, Document, Manifest, Platform, choose};
use super::pulls::{Meter, Pulls, Ready};
use super::reference::Reference;
use super::registry::{Place, Registry};
use super::store::{Image, Store};
use super::unpack::{Limits, unpack};
use futures_util::{StreamExt as _, stream};
use std::fs::File;
use std::io::{Read as _, sink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Layers of one image fetched and unpacked at a time.
const LAYERS_AT_ONCE: usize = 3;
/// The most bytes that an image may have as it travels.
pub const IMAGE_BYTES_MAX: u64 = 64 << 30;
/// How many indexes lead from one to the next.
const INDEXES_MAX: usize = 4;

/// Where an image comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A registry.
    Registry {
        /// Where.
        place: Place,
        /// By which login.
        login: Option<Login>,
        /// Whether it is the task's own login.
        own: bool,
    },
    /// A file or folder of this machine.
    Files(PathBuf),
}

/// What to pull.
#[derive(Clone, Debug)]
pub struct Order {
    /// What it is found by afterwards.
    pub key: String,
    /// Its name as it is told.
    pub name: String,
    /// Its name, taken apart.
    pub reference: Reference,
    /// Where it is.
    pub source: Source,
    /// Whose login it is pulled with, if it is the task's own.
    pub mark: Option<String>,
}

/// What a pull works with.
#[derive(Clone)]
pub struct Tools {
    /// Where it goes.
    pub store: Arc<Store>,
    /// Other pulls.
    pub pulls: Arc<Pulls>,
    /// A registry that brings nothing for this long is given up.
    pub stall: Duration,
    /// All of it may take this long.
    pub timeout: Duration,
    /// How large layers may become.
    pub limits: Limits,
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(e) => Err(format!("file work has panicked: {e}")),
    }
}

impl Source {
    /// Where it is, in words.
    pub fn words(&self) -> String {
        match self {
            Source::Registry { place, .. } => place.host.clone(),
            Source::Files(path) => path.display().to_string(),
        }
    }
}

/// Pulls an image.
///
/// # Errors
/// A text that names the image, where it was looked for, and what went wrong.
pub async fn pull(
    tools: Tools,
    order: Order,
    meter: Arc<Meter>,
    given_up: CancellationToken,
) -> Result<Arc<Ready>, String> {
    let (name, from) = (super::shown(&order.name), order.source.words());
    let limit = tools.timeout;
    let work = Work { tools, order, meter, given_up };
    let done = match tokio::time::timeout(limit, work.run()).await {
        Ok(done) => done,
        Err(_) => {
            let limit = crate::base::units::MesosDuration(limit);
            Err(format!("not done within {limit}{}", work.meter.words()))
        }
    };
    done.map_err(|why| format!("cannot pull the image {name} from {from}: {why}"))
}

struct Work {
    tools: Tools,
    order: Order,
    meter: Arc<Meter>,
    given_up: CancellationToken,
}

/// A layer, packed and unpacked.
type Pair = (Digest, Descriptor);

impl Work {
    async fn run(&self) -> Result<Arc<Ready>, String> {
        match &self.order.source {
            Source::Registry { place, login, .. } => {
                let stall = self.tools.stall;
                let registry = Registry::new(place.clone(), login.clone(), stall);
                self.by_registry(&registry).await
            }
            Source::Files(path) => self.by_files(path.clone()).await,
        }
    }

    async fn by_registry(&self, registry: &Registry) -> Result<Arc<Ready>, String> {
        let (manifest, digest) = self.manifest(registry).await?;
        let bytes = registry.small_blob(&manifest.config.digest, CONFIG_BYTES_MAX).await?;
        let config = Config::read(&bytes)?;
        let (layers, ids) = (manifest.layers.len(), config.diff_ids.len());
        if layers != ids {
            return Err(format!("it has {layers} layers, and its configuration names {ids}"));
        }
        let pins = self.tools.store.pin(&config.diff_ids);
        let pairs = config.diff_ids.iter().cloned().zip(manifest.layers);
        let store = &self.tools.store;
        let missing: Vec<Pair> = pairs.filter(|(id, _)| !store.has_layer(id)).collect();
        let total = missing.iter().map(|(_, layer)| layer.size).sum::<u64>();
        if total > IMAGE_BYTES_MAX {
            return Err(format!("its {total} bytes are over the limit of {IMAGE_BYTES_MAX}"));
        }
        self.meter.total.store(total, Ordering::Relaxed);
        let mut fetching = stream::iter(missing)
            .map(|pair| self.layer(registry, pair))
            .buffer_unordered(LAYERS_AT_ONCE);
        while let Some(fetched) = fetching.next().await {
            fetched?;
        }
        drop(fetching);
        self.keep(digest, config, pins).await
    }

    async fn manifest(&self, registry: &Registry) -> Result<(Manifest, Digest), String> {
        let mut wanted = self.order.reference.wanted().to_owned();
        for _ in 0..=INDEXES_MAX {
            match registry.manifest(&wanted).await? {
                (Document::Image(manifest), digest) => return Ok((manifest, digest)),
                (Document::Index(all), _) => {
                    wanted = choose(&all, &Platform::own())?.digest.to_string();
                }
            }
        }
        Err("indexes lead to indexes without end".into())
    }

    /// Fetches and unpacks one layer, unless somebody else has meanwhile.
    async fn layer(&self, registry: &Registry, (id, layer): Pair) -> Result<(), String> {
        let lock = self.tools.pulls.blob(&layer.digest);
        let _held = lock.lock().await;
        let store = Arc::clone(&self.tools.store);
        if store.has_layer(&id) {
            self.meter.fetched.fetch_add(layer.size, Ordering::Relaxed);
            return Ok(());
        }
        let path = store.partial(&layer.digest);
        registry.blob(&layer.digest, layer.size, &path, &self.meter.fetched).await?;
        let (limits, given_up) = (self.tools.limits, self.given_up.clone());
        blocking(move || {
            let made = store.make_layer(&id, |into| {
                let file = File::open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
                unpack(file, into, limits, &given_up)
            });
            // Whole, it is of no more use; spoilt, of none at all.
            drop(std::fs::remove_file(&path));
            made.map_err(|why| format!("layer {}: {why}", layer.digest))
        })
        .await
    }

    async fn by_files(&self, path: PathBuf) -> Result<Arc<Ready>, String> {
        let reference = self.order.reference.clone();
        let (layout, found) = blocking(move || {
            let layout = Layout::open(&path)?;
            let found = layout.find(&reference, &Platform::own())?;
            Ok((layout, found))
        })
        .await?;
        let Found { digest, config, layers } = found;
        let pins = self.tools.store.pin(&config.diff_ids);
        let (store, ids) = (Arc::clone(&self.tools.store), config.diff_ids.clone());
        let (limits, given_up) = (self.tools.limits, self.given_up.clone());
        blocking(move || {
            for (id, file) in ids.iter().zip(&layers).filter(|(id, _)| !store.has_layer(id)) {
                let told = |why| format!("layer {}: {why}", super::shown_path(&file.name));
                let made = store.make_layer(id, |into| {
                    let mut from = layout.layer(file)?;
                    let unpacked = unpack(&mut from, into, limits, &given_up)?;
                    whole(from, file.digest.as_ref())?;
                    Ok(unpacked)
                });
                made.map_err(told)?;
            }
            Ok(())
        })
        .await?;
        self.keep(digest, config, pins).await
    }

    async fn keep(
        &self,
        digest: Digest,
        config: Config,
        pins: super::store::Pins,
    ) -> Result<Arc<Ready>, String> {
        let own = matches!(self.order.source, Source::Registry { own: true, .. });
        let image = Arc::new(Image {
            key: self.order.key.clone(),
            name: self.order.name.clone(),
            digest,
            layers: config.diff_ids,
            runtime: config.runtime,
            private: own,
        });
        let (store, kept) = (Arc::clone(&self.tools.store), Arc::clone(&image));
        let mark = self.order.mark.clone();
        blocking(move || store.keep(kept, mark)).await?;
        Ok(Ready::new(image, pins))
    }
}

/// Reads what a layer's file has after its end, and compares the whole with what it must be.
fn whole(
    mut from: Hashing<Box<dyn std::io::Read + Send>>,
    digest: Option<&Digest>,
) -> Result<(), String> {
    let Some(digest) = digest else { return Ok(()) };
    std::io::copy(&mut from.by_ref().take(IMAGE_BYTES_MAX), &mut sink())
        .map_err(|e| e.to_string())?;
    let there = from.finish();
    match there == *digest {
        true => Ok(()),
        false => Err(format!("it is {there} in fact")),
    }
}
