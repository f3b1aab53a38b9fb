//! Opening a path below a directory without following a single link, one component at a time.

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::{Component, Path};

/// An open file or directory, and what it is.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) metadata: Metadata,
}

/// Opens `inside` below `root`. Both must be free of links and `..` (resolve them first): one that
/// is met, because it has just been put there, is an error, so that nothing outside `root` is ever
/// opened.
pub(super) fn open(root: &Path, inside: &Path) -> io::Result<Opened> {
    // The attached path itself is the agent's own, not a task's: its parents are trusted, it may
    // not be a link.
    let mut at = openat(None, root, flags(), Mode::empty()).map(owned)?;
    for component in inside.components() {
        let Component::Normal(name) = component else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        at = step(&at, name)?;
    }
    let file = File::from(at);
    let metadata = file.metadata()?;
    Ok(Opened { file, metadata })
}

fn step(at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(openat(Some(at.as_raw_fd()), name, flags(), Mode::empty()).map(owned)?)
}

/// A FIFO must not block and a terminal must not become ours.
fn flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: openat has just given us this descriptor; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Whether opening failed because a link was met.
pub(super) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ELOOP as i32)
}
