//! Root file systems of containers: a folder each, from which its builder mounts an overlay that nobody else sees, or in
//! which a copy of the layers is.
//!
//! ```text
//! <container>/image.json          which layers it holds: read when the agent starts again
//! <container>/<n>/l/0 … l/<m>     links to the layers, the uppermost first: their names fit into one page
//! <container>/<n>/upper, work     what the container writes
//! <container>/<n>/merged          where a volume is put together, in its container's builder
//! <container>/<n>/rootfs          instead, a copy
//! ```
//! Nothing is mounted on the host, so nothing is left mounted, whoever dies when.

use super::digest::Digest;
use super::store::{Store, private_dir, read_record, write_record};
use super::unpack::Unpacked;
pub use crate::agent::containerizer::spec::Root;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// The folder of links to layers.
pub const LINKS: &str = "l";
/// What a container writes, and what overlayfs needs beside it.
pub const UPPER: &str = "upper";
/// See [`UPPER`].
pub const WORK: &str = "work";
/// Where an image that is a volume is put together, seen by its container's builder alone.
pub const MERGED: &str = "merged";
/// The folder of a copy.
pub const COPY: &str = "rootfs";
const RECORD: &str = "image.json";

/// What a container holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Holds {
    /// Layers, in no order.
    pub layers: Vec<Digest>,
}

fn failed(path: &Path, e: impl std::fmt::Display) -> String {
    format!("{}: {e}", path.display())
}

/// Notes what a container holds, before it does.
///
/// # Errors
/// It cannot be written.
pub fn note(container: &Path, holds: &Holds) -> Result<(), String> {
    private_dir(container)?;
    write_record(&container.join(RECORD), holds)
}

/// What a container of an earlier agent holds.
pub fn noted(container: &Path) -> Option<Holds> {
    read_record(&container.join(RECORD))
}

fn open_dir(path: &Path) -> Result<(), String> {
    DirBuilder::new().mode(0o755).create(path).map_err(|e| failed(path, e))?;
    // Whatever the umask is.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|e| failed(path, e))
}

/// Makes what an overlay is mounted from. `layers` are the lowest first.
///
/// # Errors
/// What the file system says.
pub fn overlay(store: &Store, folder: &Path, layers: &[Unpacked]) -> Result<Root, String> {
    private_dir(folder)?;
    let links = folder.join(LINKS);
    private_dir(&links)?;
    for (n, layer) in layers.iter().rev().enumerate() {
        let link = links.join(n.to_string());
        symlink(store.layer_files(&layer.diff_id), &link).map_err(|e| failed(&link, e))?;
    }
    if layers.is_empty() {
        // An overlay has something below.
        open_dir(&links.join("0"))?;
    }
    for name in [UPPER, WORK, MERGED] {
        open_dir(&folder.join(name))?;
    }
    let layers = u32::try_from(layers.len().max(1)).map_err(|e| failed(folder, e))?;
    Ok(Root { folder: folder.into(), layers: Some(layers) })
}

/// Copies the layers over each other. Blocks for as long as that takes.
///
/// # Errors
/// What the file system says; nobody waits any more.
pub fn copy(
    store: &Store,
    folder: &Path,
    layers: &[Unpacked],
    given_up: &CancellationToken,
) -> Result<Root, String> {
    private_dir(folder)?;
    let root = folder.join(COPY);
    open_dir(&root)?;
    open_dir(&folder.join(MERGED))?;
    for layer in layers {
        super::copy::layer(&store.layer_files(&layer.diff_id), layer, &root, given_up)?;
    }
    Ok(Root { folder: folder.into(), layers: None })
}

/// Removes the folder of a container that is gone. What cannot be removed now is tried at the next start.
pub fn discard(container: &Path) {
    if let Err(e) = super::remove::remove_tree(container) {
        tracing::warn!("cannot remove {}: {e}", container.display());
    }
}
