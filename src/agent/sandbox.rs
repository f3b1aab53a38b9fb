//! Sandboxes on disk: made, shown under their virtual paths, measured, removed. When one is removed is decided by the
//! core.

use crate::base::error::{Code, Error, Result};
use crate::base::ids::{ContainerId, ExecutorId, FrameworkId};
use crate::http::files::FileTable;
use nix::unistd::{User, chown};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

fn system(doing: &str, path: &Path, e: impl std::fmt::Display) -> Error {
    Error::new(Code::System, format!("cannot {doing} {}: {e}", path.display()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(e) => Err(Error::new(Code::Internal, format!("file work has panicked: {e}"))),
    }
}

/// Makes a sandbox that belongs to `user`, and the link `latest` beside it.
///
/// # Errors
/// [`Code::Invalid`] for an unknown user, [`Code::System`] for what the file system refuses.
pub async fn make(path: PathBuf, user: Option<String>) -> Result<()> {
    blocking(move || {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755);
        let parent = path.parent().unwrap_or(&path);
        builder.create(parent).map_err(|e| system("make", parent, e))?;
        // The sandbox itself is nobody else's to look into.
        let own = DirBuilder::new().recursive(true).mode(0o750).create(&path);
        own.map_err(|e| system("make", &path, e))?;
        if let Some(name) = user {
            give(&path, &name)?;
        }
        link_latest(&path)
    })
    .await
}

/// Makes the sandbox of a nested container, and a link to it.
///
/// # Errors
/// As [`make`].
pub async fn make_nested(path: PathBuf, user: Option<String>, link: Option<PathBuf>) -> Result<()> {
    blocking(move || {
        let parent = path.parent().unwrap_or(&path);
        let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
        made.map_err(|e| system("make", parent, e))?;
        let own = DirBuilder::new().recursive(true).mode(0o750).create(&path);
        own.map_err(|e| system("make", &path, e))?;
        if let Some(name) = user {
            give(&path, &name)?;
        }
        let Some(link) = link else { return Ok(()) };
        let tasks = link.parent().unwrap_or(&link);
        let made = DirBuilder::new().recursive(true).mode(0o755).create(tasks);
        made.map_err(|e| system("make", tasks, e))?;
        let Some(name) = path.file_name() else { return Ok(()) };
        let target = Path::new("../containers").join(name);
        // Of a task that was there before under this name, it is the newer one's.
        let _ = fs::remove_file(&link);
        symlink(target, &link).map_err(|e| system("make", &link, e))
    })
    .await
}

/// Makes a directory a user's.
///
/// # Errors
/// As [`make`].
pub(super) fn give(path: &Path, name: &str) -> Result<()> {
    let found = User::from_name(name).map_err(|e| system("look up the owner of", path, e))?;
    let Some(user) = found else {
        return Err(Error::new(
            Code::Invalid,
            format!("there is no user {name:?} on this machine"),
        ));
    };
    let owner = fs::metadata(path).map_err(|e| system("look at", path, e))?.uid();
    if owner == user.uid.as_raw() {
        return Ok(());
    }
    chown(path, Some(user.uid), Some(user.gid)).map_err(|e| system("change the owner of", path, e))
}

fn link_latest(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let (latest, fresh) = (parent.join("latest"), parent.join(".latest"));
    // By a rename, so that there is always one.
    let _ = fs::remove_file(&fresh);
    symlink(name, &fresh).map_err(|e| system("make", &fresh, e))?;
    fs::rename(&fresh, &latest).map_err(|e| system("make", &latest, e))
}

/// The virtual path of an executor's newest sandbox.
fn virtual_path(framework: &FrameworkId, executor: &ExecutorId) -> String {
    format!("/frameworks/{framework}/executors/{executor}/runs/latest")
}

/// Shows a sandbox under its own path, that of `latest`, and the virtual one.
pub fn attach(
    files: &FileTable,
    framework: &FrameworkId,
    executor: &ExecutorId,
    container: &ContainerId,
    sandbox: &Path,
) {
    let real = sandbox.to_string_lossy();
    let mut paths = vec![virtual_path(framework, executor), real.to_string()];
    paths.push(format!("/frameworks/{framework}/executors/{executor}/runs/{container}"));
    if let Some(parent) = sandbox.parent() {
        paths.push(parent.join("latest").to_string_lossy().into_owned());
    }
    for path in paths {
        if let Err(e) = files.attach(&path, sandbox) {
            tracing::warn!("cannot show the sandbox {real} as {path}: {e}");
        }
    }
}

/// Takes every path of a sandbox back.
pub fn detach(files: &FileTable, sandbox: &Path) {
    let real = sandbox.to_string_lossy();
    for (path, target) in files.all() {
        if target == real {
            files.detach(&path);
        }
    }
}

/// Removes a directory below the work directory, whole.
///
/// # Errors
/// [`Code::Invalid`] when it is not below the work directory, [`Code::Conflict`] when something is mounted in it: what is
/// behind a mount is not the sandbox's. [`Code::System`] for what the file system refuses.
pub async fn remove(work_dir: PathBuf, path: PathBuf) -> Result<()> {
    blocking(move || {
        let inside = path.strip_prefix(&work_dir).is_ok_and(|rest| {
            let alone = rest.starts_with("containers") && rest.components().count() == 2;
            alone || rest.components().count() > 2
        });
        if !inside || path.components().any(|c| c == std::path::Component::ParentDir) {
            let cause = format!("{} is no sandbox below {}", path.display(), work_dir.display());
            return Err(Error::new(Code::Invalid, cause));
        }
        if let Some(mount) = mount_below(&path)? {
            let cause = format!("something is mounted at {}: left alone", mount.display());
            return Err(Error::new(Code::Conflict, cause));
        }
        match fs::remove_dir_all(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(system("remove", &path, e)),
        }
    })
    .await
}

/// A mount point at or below `path`, by the kernel's own table.
fn mount_below(path: &Path) -> Result<Option<PathBuf>> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(|e| system("read", table, e))?;
    let points = text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    Ok(points.map(PathBuf::from).find(|point| point.starts_with(path)))
}

/// The table writes blanks and the like in octal.
fn unescape(field: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = field.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let digits: Vec<u8> = bytes.by_ref().take(3).collect();
        let text = String::from_utf8_lossy(&digits);
        out.push(u8::from_str_radix(&text, 8).unwrap_or(b'?'));
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Sandboxes measured at one time; others wait: each is a walk over all its files.
const MEASURED_MAX: usize = 2;
static MEASURING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(MEASURED_MAX);

/// What a sandbox takes on its disk, in bytes: blocks of everything in it, each file once, links not followed, other file
/// systems left out. None when it cannot be read.
pub async fn size(path: PathBuf) -> Option<u64> {
    // The semaphore is never closed.
    let turn = MEASURING.acquire().await;
    let measured = blocking(move || {
        let meta = fs::symlink_metadata(&path).map_err(|e| system("measure", &path, e))?;
        Ok(sum(&path, meta.dev()))
    })
    .await;
    drop(turn);
    measured.ok()
}

/// Files with several names that are remembered, so as to be counted once; beyond that they count with each name.
const LINKED_MAX: usize = 100_000;

fn sum(root: &Path, device: u64) -> u64 {
    /// The unit of a file's blocks, in bytes.
    const BLOCK: u64 = 512;
    let mut linked = std::collections::BTreeSet::new();
    let mut total = 0;
    let mut next = vec![root.to_path_buf()];
    while let Some(path) = next.pop() {
        // What goes while it is looked at takes nothing.
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.dev() != device {
            continue;
        }
        let is_linked = !meta.is_dir() && meta.nlink() > 1 && linked.len() < LINKED_MAX;
        if is_linked && !linked.insert(meta.ino()) {
            continue;
        }
        total += meta.blocks() * BLOCK;
        if meta.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            next.extend(entries.map(|entry| entry.path()));
        }
    }
    total
}

/// How full the disk of a directory is, 0 to 1; 0 when it cannot be asked, so that nothing is removed by mistake.
pub async fn disk_used(path: PathBuf) -> f64 {
    let asked = blocking(move || {
        nix::sys::statvfs::statvfs(&path).map_err(|e| system("measure the disk of", &path, e))
    });
    match asked.await {
        Ok(disk) if disk.blocks() > 0 => {
            // Of all blocks, as the original counts: what is kept for root is not used.
            1.0 - disk.blocks_free() as f64 / disk.blocks() as f64
        }
        Ok(_) => 0.0,
        Err(e) => {
            tracing::warn!("{e}");
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: MES-0374
    #[test]
    fn a_mount_is_found_behind_blanks() {
        assert_eq!(unescape("/a\\040b"), "/a b");
        let found = mount_below(Path::new("/proc")).expect("the table is readable");
        assert_eq!(found.as_deref(), Some(Path::new("/proc")));
    }

    // covers: MES-0855
    #[tokio::test]
    async fn a_sandbox_is_measured_without_what_links_lead_to() {
        let (dir, other) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a"));
        fs::write(other.path().join("big"), vec![1; 4 << 20]).expect("written");
        let empty = size(dir.path().to_path_buf()).await.expect("measured");
        symlink(other.path(), dir.path().join("link")).expect("linked");
        symlink(dir.path(), dir.path().join("loop")).expect("linked");
        fs::create_dir(dir.path().join("d")).expect("made");
        fs::write(dir.path().join("d/one"), vec![1; 1 << 20]).expect("written");
        fs::hard_link(dir.path().join("d/one"), dir.path().join("two")).expect("linked");
        let grown = size(dir.path().to_path_buf()).await.expect("measured") - empty;
        assert!((1 << 20..2 << 20).contains(&grown), "{grown}");
        assert_eq!(size(dir.path().join("nosuch")).await, None);
    }

    #[tokio::test]
    async fn only_sandboxes_are_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let work = dir.path().to_path_buf();
        let sandbox = work.join("slaves/a/runs/c");
        make(sandbox.clone(), None).await.expect("made");
        assert!(sandbox.parent().expect("runs").join("latest").exists());
        for wrong in [work.clone(), work.join("slaves"), PathBuf::from("/etc")] {
            let refused = remove(work.clone(), wrong).await.expect_err("not a sandbox");
            assert_eq!(refused.code, Code::Invalid);
        }
        remove(work.clone(), sandbox.clone()).await.expect("removed");
        assert!(!sandbox.exists());
        remove(work, sandbox).await.expect("removing what is gone is good");
    }

    #[tokio::test]
    async fn an_unknown_user_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/b/c");
        let refused = make(path, Some("nobody-by-this-name".into())).await.expect_err("unknown");
        assert!(refused.cause.contains("nobody-by-this-name"), "{}", refused.cause);
    }
}
