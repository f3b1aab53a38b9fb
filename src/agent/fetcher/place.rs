//! Where fetched things are put: below the sandbox, nowhere else, belonging to the task's user.
//!
//! The sandbox may be changed by the task's other processes while this runs as root, so nothing follows links: every
//! file is made new, every folder is looked at before it is gone into.

use crate::base::error::{Code, Error, Result as Outcome};
use crate::mesos::v1;
use nix::unistd::{Gid, Uid, User, fchown};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

/// A sandbox that is fetched into.
#[derive(Clone, Debug)]
pub struct Sandbox {
    root: PathBuf,
    owner: (u32, u32),
}

/// The name a URI has in the sandbox: `output_file`, or the last segment of its path.
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

impl Sandbox {
    /// The sandbox at `root`, for that user.
    ///
    /// # Errors
    /// [`Code::Invalid`] for an unknown user.
    pub fn open(root: &Path, user: Option<&str>) -> Outcome<Self> {
        let system = |e: &dyn std::fmt::Display| {
            Error::new(Code::System, format!("cannot use the sandbox {}: {e}", root.display()))
        };
        let there = fs::metadata(root).map_err(|e| system(&e))?;
        let owner = match user {
            None => (there.uid(), there.gid()),
            Some(name) => match User::from_name(name).map_err(|e| system(&e))? {
                Some(user) => (user.uid.as_raw(), user.gid.as_raw()),
                None => {
                    let cause = format!("there is no user {name:?} on this machine");
                    return Err(Error::new(Code::Invalid, cause));
                }
            },
        };
        Ok(Self { root: root.into(), owner })
    }

    /// Makes a new file, and the folders on the way, instead of what had its name.
    ///
    /// # Errors
    /// What is in the way.
    pub fn create(&self, name: &Path, executable: bool) -> Result<(File, PathBuf), String> {
        let path = self.make_parents(name)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let file = self.create_new(&path, mode)?;
        Ok((file, path))
    }

    /// Makes the folders above `name`; answers its whole path.
    ///
    /// # Errors
    /// A link or a file where a folder should be; a name that leads out.
    pub fn make_parents(&self, name: &Path) -> Result<PathBuf, String> {
        let parent = name.parent().unwrap_or(Path::new(""));
        let mut path = self.root.clone();
        for part in parent.components() {
            match part {
                Component::Normal(part) => path.push(part),
                Component::CurDir => continue,
                _ => return Err(format!("'{}' leads out of the sandbox", name.display())),
            }
            self.make_dir(&path)?;
        }
        let Some(file_name) = name.file_name() else {
            return Err(format!("'{}' has no file name", name.display()));
        };
        Ok(path.join(file_name))
    }

    /// Makes a folder that is not there yet.
    ///
    /// # Errors
    /// A link or a file that has its name.
    pub fn make_dir(&self, path: &Path) -> Result<(), String> {
        match DirBuilder::new().mode(0o755).create(path) {
            Ok(()) => self.own_dir(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let there = fs::symlink_metadata(path).map_err(|e| at(path, &e))?;
                match there.is_dir() {
                    true => Ok(()),
                    false => Err(format!("'{}' is in the way", path.display())),
                }
            }
            Err(e) => Err(at(path, &e)),
        }
    }

    fn own_dir(&self, path: &Path) -> Result<(), String> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_DIRECTORY);
        let dir = options.open(path).map_err(|e| at(path, &e))?;
        self.own(&dir, path)
    }

    fn own(&self, file: &File, path: &Path) -> Result<(), String> {
        let (uid, gid) = self.owner;
        let there = file.metadata().map_err(|e| at(path, &e))?;
        if (there.uid(), there.gid()) == self.owner {
            return Ok(());
        }
        fchown(file.as_raw_fd(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .map_err(|e| format!("cannot give '{}' to the task's user: {e}", path.display()))
    }

    /// A new file at a path that [`Sandbox::make_parents`] answered.
    ///
    /// # Errors
    /// What is in the way.
    pub fn create_new(&self, path: &Path, mode: u32) -> Result<File, String> {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(at(path, &e)),
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(path).map_err(|e| at(path, &e))?;
        self.own(&file, path)?;
        Ok(file)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Adds a line to the sandbox's `stderr`. A log that cannot be written fails no fetch.
    pub fn log(&self, line: &str) {
        let path = self.root.join("stderr");
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o644).custom_flags(libc::O_NOFOLLOW);
        let written = options.open(&path).and_then(|mut file| {
            let _ = self.own(&file, &path);
            file.write_all(line.as_bytes())
        });
        if let Err(e) = written {
            tracing::debug!("cannot write to {}: {e}", path.display());
        }
    }
}

/// A failure of the file system.
pub fn at(path: &Path, e: &io::Error) -> String {
    format!("'{}': {e}", path.display())
}
