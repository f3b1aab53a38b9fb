//! Where fetched things are put: below the sandbox, nowhere else.
//!
//! The sandbox may be changed meanwhile by other processes of the task's user, so nothing follows links: every folder is
//! entered from the one above it, every file is made new.

use crate::mesos::v1;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::{Component, Path, PathBuf};

/// A sandbox that is fetched into.
#[derive(Debug)]
pub struct Sandbox {
    root: OwnedFd,
    path: PathBuf,
}

/// The name a URI has in the sandbox: `output_file`, or the last segment of its path.
///
/// # Errors
/// An absolute `output_file`, one with `..`; a URI that names no file.
pub fn name_of(uri: &v1::command_info::Uri) -> Result<PathBuf, String> {
    if let Some(name) = &uri.output_file {
        let path = PathBuf::from(name);
        let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
        return match plain && path.file_name().is_some() {
            true => Ok(path),
            false => Err(format!("output_file '{name}' must be a relative path without '..'")),
        };
    }
    let path = uri.value.split(['?', '#']).next().unwrap_or_default();
    let after_scheme = path.split_once("://").map_or(path, |(_, rest)| rest);
    let name = match after_scheme.rsplit_once('/') {
        Some((_, name)) => name,
        // `http://host` has no path to take a name from.
        None if path.contains("://") => "",
        None => after_scheme,
    };
    if name.is_empty() || name == "." || name == ".." || name.contains('\0') {
        return Err("no file name in it: give an output_file".into());
    }
    Ok(PathBuf::from(name))
}

/// Opens relative to an open folder; never through a link.
fn open(dir: RawFd, name: &OsStr, flags: OFlag, mode: u32) -> nix::Result<OwnedFd> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = openat(Some(dir), name, flags, Mode::from_bits_truncate(mode))?;
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn enter(dir: RawFd, name: &OsStr) -> nix::Result<OwnedFd> {
    open(dir, name, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)
}

impl Sandbox {
    /// The sandbox at `path`. Opened as who calls: its user need not be able to reach it by its path.
    ///
    /// # Errors
    /// It is not there, or no folder.
    pub fn open(path: &Path) -> Result<Self, String> {
        let root = enter(libc::AT_FDCWD, path.as_os_str())
            .map_err(|e| format!("cannot use the sandbox {}: {e}", path.display()))?;
        Ok(Self { root, path: path.into() })
    }

    /// The whole path of a name in it.
    pub fn path(&self, name: &Path) -> PathBuf {
        self.path.join(name)
    }

    /// Does something in the folder of `name`, which is made if it is not there.
    fn within<T>(
        &self,
        name: &Path,
        act: impl FnOnce(RawFd, &OsStr) -> nix::Result<T>,
    ) -> Result<T, String> {
        let failed = |at: &Path, e: Errno| match e {
            Errno::ELOOP | Errno::ENOTDIR | Errno::EEXIST => {
                format!("'{}' is in the way", self.path(at).display())
            }
            e => format!("'{}': {e}", self.path(at).display()),
        };
        let Some(last) = name.file_name() else {
            return Err(format!("'{}' has no file name", name.display()));
        };
        let (mut dir, mut at) = (None::<OwnedFd>, PathBuf::new());
        for part in name.parent().unwrap_or(Path::new("")).components() {
            let Component::Normal(part) = part else {
                return Err(format!("'{}' leads out of the sandbox", name.display()));
            };
            at.push(part);
            let above = dir.as_ref().unwrap_or(&self.root).as_raw_fd();
            let next = make_dir(above, part).and_then(|()| enter(above, part));
            dir = Some(next.map_err(|e| failed(&at, e))?);
        }
        let dir = dir.as_ref().unwrap_or(&self.root).as_raw_fd();
        act(dir, last).map_err(|e| failed(name, e))
    }

    /// A new file instead of what had its name, open for writing and reading.
    ///
    /// # Errors
    /// What is in the way.
    pub fn create(&self, name: &Path, mode: u32) -> Result<File, String> {
        self.within(name, |dir, name| {
            unlink(dir, name)?;
            let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
            let file = open(dir, name, flags, mode)?;
            // Whatever the agent's own umask is.
            fchmod(file.as_raw_fd(), Mode::from_bits_truncate(mode))?;
            Ok(File::from(file))
        })
    }

    /// A file that is there, to read.
    ///
    /// # Errors
    /// It is no file, or a link.
    pub fn read(&self, name: &Path) -> Result<File, String> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let file = File::from(self.within(name, |dir, name| open(dir, name, flags, 0))?);
        match file.metadata() {
            Ok(there) if there.is_file() => Ok(file),
            Ok(_) => Err(format!("'{}' is not a file", name.display())),
            Err(e) => Err(format!("'{}': {e}", name.display())),
        }
    }

    /// Makes a folder that is not there yet.
    ///
    /// # Errors
    /// A link or a file that has its name.
    pub fn make_dir(&self, name: &Path) -> Result<(), String> {
        self.within(name, |dir, name| {
            make_dir(dir, name)?;
            enter(dir, name).map(drop)
        })
    }

    /// Makes a link instead of what had its name. Where it leads is not looked at: nothing here follows it.
    ///
    /// # Errors
    /// What is in the way.
    pub fn link(&self, name: &Path, to: &Path) -> Result<(), String> {
        self.within(name, |dir, name| {
            unlink(dir, name)?;
            symlinkat(to, Some(dir), name)
        })
    }

    /// Removes a file.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &Path) -> Result<(), String> {
        self.within(name, unlink)
    }

    /// Adds a line to the sandbox's `stderr`. A log that cannot be written fails no fetch.
    pub fn log(&self, line: &str) {
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NONBLOCK;
        let opened = open(self.root.as_raw_fd(), OsStr::new("stderr"), flags, 0o644);
        let written = opened
            .map_err(std::io::Error::from)
            .and_then(|file| File::from(file).write_all(line.as_bytes()));
        if let Err(e) = written {
            tracing::debug!("cannot write the log of a fetch into {}: {e}", self.path.display());
        }
    }
}

fn make_dir(dir: RawFd, name: &OsStr) -> nix::Result<()> {
    match mkdirat(Some(dir), name, Mode::from_bits_truncate(0o755)) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

fn unlink(dir: RawFd, name: &OsStr) -> nix::Result<()> {
    match unlinkat(Some(dir), name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}
