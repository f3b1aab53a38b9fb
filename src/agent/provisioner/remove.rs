//! Removing trees that a container's processes made: of any depth and width, without recursion, following no links.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

/// Entries taken up at a time.
const BATCH: usize = 1024;
const FLAGS: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

fn names(dir: &mut Dir) -> nix::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() >= BATCH {
            break;
        }
    }
    Ok(names)
}

/// Removes one name that is not a full folder; whether that was done.
fn remove_one(dir: RawFd, name: &CStr) -> nix::Result<bool> {
    match unlinkat(Some(dir), name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(true),
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(e) => return Err(e),
    }
    match unlinkat(Some(dir), name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Removes a folder and all below it. Folders within folders are moved up to the top first, so that neither the stack nor
/// the number of open files grows with their depth. Nothing is there is good.
///
/// # Errors
/// The kernel's reason.
pub fn remove_tree(path: &Path) -> std::io::Result<()> {
    let open = || Dir::open(path, FLAGS, Mode::empty());
    let mut moved = 0u64;
    loop {
        let mut top = match open() {
            Ok(top) => top,
            Err(Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        let all = names(&mut top)?;
        if all.is_empty() {
            return std::fs::remove_dir(path);
        }
        for name in all {
            if !remove_one(top.as_raw_fd(), &name)? {
                empty(top.as_raw_fd(), &name, &mut moved)?;
            }
        }
    }
}

/// Empties a folder right below the top.
fn empty(top: RawFd, name: &CStr, moved: &mut u64) -> nix::Result<()> {
    loop {
        let mut dir = Dir::openat(Some(top), name, FLAGS, Mode::empty())?;
        let all = names(&mut dir)?;
        if all.is_empty() {
            return unlinkat(Some(top), name, UnlinkatFlags::RemoveDir);
        }
        for inner in all {
            if remove_one(dir.as_raw_fd(), &inner)? {
                continue;
            }
            loop {
                let fresh = format!(".removed-{moved}");
                *moved += 1;
                match renameat(Some(dir.as_raw_fd()), inner.as_c_str(), Some(top), &*fresh) {
                    // Somebody chose that name before us: the next one.
                    Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
                    other => break other?,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::openat;
    use nix::sys::stat::mkdirat;
    use std::os::fd::{FromRawFd, OwnedFd};

    #[test]
    fn a_very_deep_tree_is_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("tree");
        std::fs::create_dir(&path).expect("made");
        std::fs::write(dir.path().join("kept"), "x").expect("written");
        let mut at: OwnedFd = std::fs::File::open(&path).expect("open").into();
        for n in 0..3000 {
            std::os::unix::fs::symlink("/", format!("/proc/self/fd/{}/l", at.as_raw_fd()))
                .expect("linked");
            let name = if n % 2 == 0 { ".removed-0" } else { "d" };
            mkdirat(Some(at.as_raw_fd()), name, Mode::S_IRWXU).expect("made");
            let fd = openat(Some(at.as_raw_fd()), name, FLAGS, Mode::empty()).expect("open");
            // SAFETY: just opened, owned by nobody else.
            at = unsafe { OwnedFd::from_raw_fd(fd) };
        }
        remove_tree(&path).expect("removed");
        assert!(!path.exists());
        assert!(dir.path().join("kept").exists());
        remove_tree(&path).expect("removing what is gone is good");
    }
}
