//! Root file systems where overlayfs cannot be had: the layers copied over each other, the lowest first.

use super::unpack::Unpacked;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsStr};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

fn failed(path: &Path, e: impl std::fmt::Display) -> String {
    format!("cannot copy {}: {e}", super::shown_path(path))
}

/// Copies a layer over what is in `to`. Both belong to us alone meanwhile. Blocks.
///
/// # Errors
/// What the file system says; nobody waits any more.
pub fn layer(
    from: &Path,
    layer: &Unpacked,
    to: &Path,
    given_up: &CancellationToken,
) -> Result<(), String> {
    let opaque: BTreeSet<&Path> = layer.opaque.iter().map(PathBuf::as_path).collect();
    for hidden in &layer.hidden {
        remove_below(to, hidden)?;
    }
    let mut copy = Copy { from, to, opaque, names: BTreeMap::new(), given_up };
    copy.folder(Path::new(""))
}

/// Removes a name below `root`, unless a link is on the way to it: then it is none of this tree.
fn remove_below(root: &Path, path: &Path) -> Result<(), String> {
    let mut at = root.to_path_buf();
    let parts: Vec<&OsStr> = path.iter().collect();
    for part in parts.iter().take(parts.len().saturating_sub(1)) {
        at.push(part);
        if !fs::symlink_metadata(&at).is_ok_and(|m| m.is_dir()) {
            return Ok(());
        }
    }
    let at = root.join(path);
    remove(&at).map_err(|e| failed(&at, e))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(m) if m.is_dir() => super::remove::remove_tree(path),
        Ok(_) => fs::remove_file(path),
    }
}

struct Copy<'a> {
    from: &'a Path,
    to: &'a Path,
    opaque: BTreeSet<&'a Path>,
    /// Files with several names: where the first one was copied to.
    names: BTreeMap<(u64, u64), PathBuf>,
    given_up: &'a CancellationToken,
}

impl Copy<'_> {
    /// A folder that is there in both; no deeper than layers may be.
    fn folder(&mut self, path: &Path) -> Result<(), String> {
        let (from, to) = (self.from.join(path), self.to.join(path));
        if self.opaque.contains(path) {
            for entry in fs::read_dir(&to).map_err(|e| failed(&to, e))? {
                let entry = entry.map_err(|e| failed(&to, e))?.path();
                remove(&entry).map_err(|e| failed(&entry, e))?;
            }
        }
        for entry in fs::read_dir(&from).map_err(|e| failed(&from, e))? {
            if self.given_up.is_cancelled() {
                return Err("given up".into());
            }
            let entry = entry.map_err(|e| failed(&from, e))?;
            let path = path.join(entry.file_name());
            let meta = entry.metadata().map_err(|e| failed(&path, e))?;
            self.one(&path, &meta)?;
        }
        let meta = fs::metadata(&from).map_err(|e| failed(&from, e))?;
        dress(&to, &meta).map_err(|e| failed(&to, e))
    }

    fn one(&mut self, path: &Path, meta: &Metadata) -> Result<(), String> {
        let (from, to) = (self.from.join(path), self.to.join(path));
        let kind = meta.file_type();
        if kind.is_char_device() {
            // The mark of something hidden: it is gone already.
            return Ok(());
        }
        if kind.is_dir() {
            if !fs::symlink_metadata(&to).is_ok_and(|m| m.is_dir()) {
                remove(&to).and_then(|()| fs::create_dir(&to)).map_err(|e| failed(&to, e))?;
            }
            return self.folder(path);
        }
        remove(&to).map_err(|e| failed(&to, e))?;
        let node = (meta.dev(), meta.ino());
        if meta.nlink() > 1 {
            if let Some(first) = self.names.get(&node) {
                return fs::hard_link(first, &to).map_err(|e| failed(&to, e));
            }
            self.names.insert(node, to.clone());
        }
        let copied = if kind.is_symlink() {
            fs::read_link(&from).and_then(|target| symlink(target, &to))
        } else if kind.is_fifo() {
            nix::unistd::mkfifo(&to, nix::sys::stat::Mode::S_IRUSR).map_err(Into::into)
        } else {
            fs::copy(&from, &to).map(drop)
        };
        copied.and_then(|()| dress(&to, meta)).map_err(|e| failed(&to, e))
    }
}

fn dress(to: &Path, meta: &Metadata) -> io::Result<()> {
    lchown(to, Some(meta.uid()), Some(meta.gid()))?;
    if !meta.file_type().is_symlink() {
        fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    }
    let name = CString::new(to.as_os_str().as_bytes())?;
    let time = nix::sys::time::TimeSpec::new(meta.mtime(), meta.mtime_nsec());
    let flags = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(None, name.as_c_str(), &time, &time, flags)?;
    Ok(())
}
