//! Removing images: when the disk fills, those used longest ago; when an operator asks, all that nobody uses. What a
//! container uses stays, also after a restart of the agent.

use super::Provisioner;
use super::reference::Reference;
use super::store::{Removed, Store};
use std::path::Path;
use std::time::Duration;

/// When what nobody uses is removed (`--image_gc_config`).
#[derive(Clone, Debug)]
pub struct Collection {
    /// The part of the disk that images must leave free, 0 to 1; 0 is never.
    pub headroom: f64,
    /// How often the disk is measured.
    pub interval: Duration,
    /// Images that stay.
    pub excluded: Vec<String>,
}

impl Default for Collection {
    fn default() -> Self {
        Self { headroom: 0.1, interval: Duration::from_secs(600), excluded: Vec::new() }
    }
}

impl Collection {
    /// Whether a disk that full is too full.
    fn is_over(&self, used: f64) -> bool {
        self.headroom > 0.0 && used > 1.0 - self.headroom
    }
}

/// How full the disk is, 0 to 1; 0 when it cannot be asked, so that nothing is removed by mistake.
fn used(dir: &Path) -> f64 {
    match nix::sys::statvfs::statvfs(dir) {
        Ok(disk) if disk.blocks() > 0 => 1.0 - disk.blocks_free() as f64 / disk.blocks() as f64,
        Ok(_) => 0.0,
        Err(e) => {
            tracing::warn!("cannot measure the disk of {}: {e}", dir.display());
            0.0
        }
    }
}

/// Whether two names mean one image.
fn same(a: &str, b: &str) -> bool {
    match (Reference::parse(a), Reference::parse(b)) {
        (Ok(a), Ok(b)) => a == b || a.to_string() == b.to_string(),
        _ => a == b,
    }
}

/// Removes images that nobody uses, the one used longest ago first, until it is `enough`. Blocks.
fn remove(
    store: &Store,
    excluded: &[String],
    enough: impl Fn() -> bool,
) -> Result<Removed, String> {
    // Layers that no image has any more are of no use to anybody.
    let mut removed = Removed { images: 0, layers: store.sweep()? };
    for image in store.images() {
        if enough() {
            break;
        }
        if excluded.iter().any(|e| same(e, &image.name)) || !store.forget(&image.key) {
            continue;
        }
        removed.images += 1;
        removed.layers += store.sweep()?;
    }
    Ok(removed)
}

impl Provisioner {
    /// Removes all images that no container uses, but those of these names and those excluded for ever.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn prune(&self, excluded: &[String]) -> Result<Removed, String> {
        let also = &self.0.options.collection.excluded;
        let excluded: Vec<String> = excluded.iter().chain(also).cloned().collect();
        self.removing(move |store| remove(store, &excluded, || false)).await
    }

    /// Removes images if the disk is too full, until it is not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn collect(&self) -> Result<Removed, String> {
        let collection = self.0.options.collection.clone();
        self.removing(move |store| {
            let enough = || !collection.is_over(used(store.dir()));
            if enough() {
                Ok(Removed::default())
            } else {
                remove(store, &collection.excluded, enough)
            }
        })
        .await
    }

    async fn removing(
        &self,
        work: impl FnOnce(&Store) -> Result<Removed, String> + Send + 'static,
    ) -> Result<Removed, String> {
        let shared = std::sync::Arc::clone(&self.0);
        let removed = tokio::task::spawn_blocking(move || {
            let removed = work(&shared.store)?;
            if removed.layers > 0 || removed.images > 0 {
                shared.store.sweep_blobs(&shared.pulls.blobs());
            }
            Ok(removed)
        });
        removed.await.unwrap_or_else(|e| Err(format!("file work has panicked: {e}")))
    }

    /// Looks at the disk from time to time, for ever.
    pub async fn watch(self) {
        let mut tick = tokio::time::interval(self.0.options.collection.interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match self.collect().await {
                Ok(removed) if removed != Removed::default() => {
                    let Removed { images, layers } = removed;
                    tracing::info!("the disk was full: {images} images, {layers} layers removed");
                }
                Ok(_) => {}
                Err(e) => tracing::warn!("cannot collect images: {e}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_by_what_they_mean() {
        assert!(same("busybox", "busybox:latest"));
        assert!(!same("busybox", "busybox:1"));
        assert!(same("/a/b.tar", "/a/b.tar"));
    }

    #[test]
    fn no_headroom_is_never_too_full() {
        let of = |headroom| Collection { headroom, ..Collection::default() };
        assert!(!of(0.0).is_over(1.0));
        assert!(of(0.1).is_over(0.95));
        assert!(!of(0.1).is_over(0.85));
    }
}
