//! The machine's files without the cgroup v1 hierarchies. Mounts that a user namespace has from outside cannot be undone in
//! it, and the container library looks for hierarchies of v1 and would join them: so the root is put together anew, of
//! everything else. Where only v2 is mounted nothing is done: a tmpfs over it is enough.

use crate::agent::containerizer::isolators::probe;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const NOTHING: Option<&str> = None;
/// Mounts that are made at the most: a folder that has hierarchies in it is put together entry by entry.
const ENTRIES_MAX: usize = 2048;

/// Has this process, and all that it starts, see a root without them. `dir` is where that root is made.
///
/// # Errors
/// A text.
pub fn without_v1(dir: &Path) -> Result<(), String> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(|e| format!("mounts: {e}"))?;
    if !probe::has_v1(&table) {
        return Ok(());
    }
    let hidden = probe::mount_points(&table);
    let root = dir.join("root");
    fs::create_dir_all(&root).map_err(|e| format!("{}: {e}", root.display()))?;
    let put = |e: nix::Error| format!("a root without cgroups: {e}");
    mount(Some("tmpfs"), &root, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=0755"))
        .map_err(put)?;
    let mut left = ENTRIES_MAX;
    rebuild(Path::new("/"), &root, &hidden, &mut left)?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(NOTHING, &root, NOTHING, read_only | MsFlags::MS_NOSUID, NOTHING).map_err(put)?;
    chdir(&root).map_err(put)?;
    // The old root comes to lie over the new one, and is taken away.
    pivot_root(".", ".").map_err(put)?;
    umount2(".", MntFlags::MNT_DETACH).map_err(put)?;
    chdir("/").map_err(put)
}

/// Shows in `to` what is in `from`, but for the places that are hidden, which are empty.
fn rebuild(from: &Path, to: &Path, hidden: &[PathBuf], left: &mut usize) -> Result<(), String> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |e: std::io::Error| format!("{path}: {e}")
    };
    for entry in fs::read_dir(from).map_err(at(from))?.flatten() {
        *left = left.checked_sub(1).ok_or("too many files beside the cgroup hierarchies")?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        // One that went away meanwhile is not missed.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            let Ok(goal) = fs::read_link(&path) else { continue };
            symlink(goal, &target).map_err(at(&target))?;
            continue;
        }
        if !kind.is_dir() {
            File::create(&target).map_err(at(&target))?;
        } else {
            fs::create_dir(&target).map_err(at(&target))?;
            if hidden.contains(&path) {
                continue;
            }
            if hidden.iter().any(|place| place.starts_with(&path)) {
                rebuild(&path, &target, hidden, left)?;
                continue;
            }
        }
        let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(&path), &target, NOTHING, bind, NOTHING)
            .map_err(|e| format!("{} in a root without cgroups: {e}", path.display()))?;
    }
    Ok(())
}
