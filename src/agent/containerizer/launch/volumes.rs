//! Volumes: their sources found or made, their mount points made, and what libcontainer is to mount where.
//!
//! Runs in the builder, within its own mount namespace. What is made below a sandbox is made a component at a time without
//! following links: who filled the sandbox (a fetched archive, say) must not lead root to other places of the host.

use super::account::Account;
use super::private_dir;
use crate::agent::containerizer::linux::{Source, Target};
use crate::agent::containerizer::spec::ContainerSpec;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, fchown, fchownat};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where in the builder's own file system that of the secrets is mounted.
const SECRETS: &str = "secrets";

/// Mounts in OCI's words, in the order of the volumes. `scratch` is a file system that only this mount namespace has.
///
/// # Errors
/// A text that names the volume's path and says what failed.
pub fn prepare(
    spec: &ContainerSpec,
    account: &Account,
    scratch: &Path,
) -> Result<Vec<Value>, String> {
    let mut mounts = Vec::new();
    let mut secrets = None;
    for (number, volume) in spec.linux.volumes.iter().enumerate() {
        let source = match &volume.source {
            Source::Host { path, make } => host(path, *make)?,
            Source::Sandbox(path) => {
                below(&spec.sandbox, path, account, Kind::Directory)?;
                spec.sandbox.join(path)
            }
            Source::Other { sandbox, path } => {
                let whole = sandbox.join(path);
                let kind = if whole.is_file() { Kind::File } else { Kind::Directory };
                below(sandbox, path, account, kind)?;
                whole
            }
            Source::Secret(data) => {
                let home = match &secrets {
                    Some(home) => home,
                    None => secrets.insert(memory(scratch)?),
                };
                write_secret(home, number, data, account)?
            }
        };
        let kind = if source.is_dir() { Kind::Directory } else { Kind::File };
        let destination = match &volume.target {
            Target::Sandbox(path) => {
                below(&spec.sandbox, path, account, kind)?;
                spec.sandbox_inside().join(path)
            }
            Target::Root(path) => {
                if spec.host_root && !path.exists() {
                    return Err(format!(
                        "Mount point '{}' is an absolute path. It must exist if the container \
                         shares the host filesystem",
                        path.display()
                    ));
                }
                path.clone()
            }
        };
        // Recursively: what is mounted below a read-only volume is read-only, too.
        let access = if volume.read_only { "rro" } else { "rw" };
        mounts.push(json!({
            "destination": destination,
            "type": "bind",
            "source": source,
            "options": ["rbind", access, "rslave"],
        }));
    }
    Ok(mounts)
}

fn host(path: &Path, make: bool) -> Result<PathBuf, String> {
    if path.exists() {
        return Ok(path.to_owned());
    }
    if !make {
        return Err(format!("Path '{}' in HOST_PATH volume does not exist", path.display()));
    }
    fs::create_dir_all(path)
        .map_err(|e| format!("Failed to create the host path at '{}': {e}", path.display()))?;
    Ok(path.to_owned())
}

/// What is to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory.
    Directory,
    /// A file.
    File,
}

/// Has a directory or file below the sandbox: what is missing is made, and given to the task's user.
pub(super) fn below(
    sandbox: &Path,
    path: &Path,
    account: &Account,
    kind: Kind,
) -> Result<(), String> {
    let failed = |at: &Path, e: nix::Error| {
        let why = match e {
            nix::Error::ELOOP | nix::Error::ENOTDIR => "a link, or not what it should be".into(),
            other => other.to_string(),
        };
        format!("'{}' in the sandbox: {why}", at.display())
    };
    let open = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut at: OwnedFd =
        File::open(sandbox).map_err(|e| format!("sandbox {}: {e}", sandbox.display()))?.into();
    let parts: Vec<_> = path.iter().collect();
    let (owner, group) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    for (n, part) in parts.iter().enumerate() {
        let here: PathBuf = parts.iter().take(n + 1).collect();
        if kind == Kind::File && n + 1 == parts.len() {
            return file(&at, part, owner, group).map_err(|e| failed(&here, e));
        }
        match mkdirat(Some(at.as_raw_fd()), *part, Mode::from_bits_truncate(0o755)) {
            Ok(()) => {
                let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
                fchownat(Some(at.as_raw_fd()), *part, Some(owner), Some(group), flags)
                    .map_err(|e| failed(&here, e))?;
            }
            Err(nix::Error::EEXIST) => {}
            Err(e) => return Err(failed(&here, e)),
        }
        let next = openat(Some(at.as_raw_fd()), *part, open, Mode::empty());
        // SAFETY: just opened, owned by nobody else.
        at = unsafe { OwnedFd::from_raw_fd(next.map_err(|e| failed(&here, e))?) };
    }
    Ok(())
}

/// A file that is there, or an empty one.
fn file(at: &OwnedFd, name: &OsStr, owner: Uid, group: Gid) -> nix::Result<()> {
    let at = Some(at.as_raw_fd());
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    match openat(at, name, flags, Mode::from_bits_truncate(0o644)) {
        Ok(made) => {
            // SAFETY: just opened, owned by nobody else.
            let made = unsafe { OwnedFd::from_raw_fd(made) };
            fchown(made.as_raw_fd(), Some(owner), Some(group))
        }
        // What is there belongs to whom it belongs; it may have other names.
        Err(nix::Error::EEXIST) => {
            let found = fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            match found.st_mode & libc::S_IFMT {
                libc::S_IFREG => Ok(()),
                _ => Err(nix::Error::ENOTDIR),
            }
        }
        Err(e) => Err(e),
    }
}

/// A file system in memory; the kernel drops it with the last process of the container.
fn memory(scratch: &Path) -> Result<PathBuf, String> {
    let home = scratch.join(SECRETS);
    private_dir(&home).map_err(|e| e.cause)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), &home, Some("tmpfs"), flags, Some("mode=0700,size=1m"))
        .map_err(|e| format!("mounting a place for secrets: {e}"))?;
    Ok(home)
}

fn write_secret(home: &Path, n: usize, data: &[u8], account: &Account) -> Result<PathBuf, String> {
    let path = home.join(n.to_string());
    let written = || -> std::io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(&path)?;
        file.write_all(data)?;
        fchown(
            file.as_raw_fd(),
            Some(Uid::from_raw(account.uid)),
            Some(Gid::from_raw(account.gid)),
        )?;
        Ok(())
    };
    written().map_err(|e| format!("writing a secret: {e}"))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    fn me() -> Account {
        let (uid, gid) = (Uid::effective().as_raw(), Gid::effective().as_raw());
        Account { uid, gid, groups: vec![gid] }
    }

    #[test]
    fn mount_points_are_made_without_following_links() {
        let (sandbox, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let make = |path: &str, kind| below(sandbox.path(), Path::new(path), &me(), kind);
        make("a/b", Kind::Directory).unwrap();
        make("a/b", Kind::Directory).unwrap();
        make("a/c/file", Kind::File).unwrap();
        assert!(sandbox.path().join("a/b").is_dir());
        let file = sandbox.path().join("a/c/file").metadata().unwrap();
        assert!(file.is_file() && file.uid() == me().uid);
        symlink(outside.path(), sandbox.path().join("link")).unwrap();
        symlink(outside.path().join("made"), sandbox.path().join("file-link")).unwrap();
        for (path, kind) in [
            ("link/x", Kind::Directory),
            ("link", Kind::Directory),
            ("link/x", Kind::File),
            ("file-link", Kind::File),
            ("a/c/file/x", Kind::Directory),
        ] {
            let why = make(path, kind).unwrap_err();
            assert!(why.contains("in the sandbox"), "{why}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_host_path_must_be_there_or_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/y");
        assert!(host(&path, false).unwrap_err().contains("does not exist"));
        assert_eq!(host(&path, true), Ok(path.clone()));
        assert!(path.is_dir());
        assert_eq!(host(&path, false), Ok(path));
    }
}
