//! Persistent volumes on disk: made, put into containers' reach, emptied and removed. Which there are is decided by the core.

use crate::agent::core::io::{PersistentVolume, VolumeDirectory};
use crate::agent::sandbox::give;
use crate::base::error::{Code, Error, Result};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Where on a disk volumes are put aside to be removed.
const ASIDE: &str = "volumes/removed";

/// What is to be there and what not.
pub struct Wanted {
    /// Made if they are not there.
    pub make: Vec<VolumeDirectory>,
    /// Not there afterwards.
    pub remove: Vec<VolumeDirectory>,
    /// Disks with volumes.
    pub roots: Vec<PathBuf>,
}

/// Carries out one wish after the other.
pub struct Volumes {
    wishes: mpsc::UnboundedSender<(Wanted, oneshot::Sender<Vec<PathBuf>>)>,
}

impl Volumes {
    /// Works on `io`.
    pub fn new(io: &tokio::runtime::Handle) -> Self {
        // The core has few under way: one each time a master changes what there is.
        let (wishes, mut waiting) = mpsc::unbounded_channel::<(Wanted, oneshot::Sender<_>)>();
        io.spawn(async move {
            while let Some((wanted, done)) = waiting.recv().await {
                let settled = tokio::task::spawn_blocking(move || {
                    let removed = settle(&wanted);
                    (removed, wanted.roots)
                });
                let (removed, roots) = settled.await.unwrap_or_else(|e| {
                    tracing::error!("making volumes has panicked: {e}");
                    (Vec::new(), Vec::new())
                });
                // Who asked may have ended.
                let _ = done.send(removed);
                // What was put aside is in nobody's way.
                tokio::task::spawn_blocking(move || sweep(&roots));
            }
        });
        Self { wishes }
    }

    /// Has it done after what was wished before; tells which of those to be removed are.
    pub fn settle(&self, wanted: Wanted) -> impl Future<Output = Vec<PathBuf>> + use<> {
        let (done, removed) = oneshot::channel();
        // A worker that has ended drops the sender, which is no answer.
        let _ = self.wishes.send((wanted, done));
        async move { removed.await.unwrap_or_default() }
    }
}

fn system(doing: &str, path: &Path, e: impl std::fmt::Display) -> Error {
    Error::new(Code::System, format!("cannot {doing} the volume {}: {e}", path.display()))
}

fn settle(wanted: &Wanted) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    for volume in &wanted.remove {
        match discard(volume) {
            Ok(()) => removed.push(volume.path.clone()),
            Err(e) => tracing::error!("{e}; it is tried again with the next change of volumes"),
        }
    }
    for volume in &wanted.make {
        // A task that uses it tries again, and is told.
        if let Err(e) = make(&volume.path) {
            tracing::error!("{e}");
        }
    }
    removed
}

/// Has the directory: as the original makes it, root's.
fn make(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|e| system("make", path, e))
}

/// The volume is no longer in its place: put aside at once, so that another of its name may come.
fn discard(volume: &VolumeDirectory) -> Result<()> {
    let path = volume.path.as_path();
    if volume.whole {
        return empty(path).map_err(|e| system("empty", path, e));
    }
    // …/volumes/roles/<role>/<id>
    let Some(root) = path.ancestors().nth(4) else {
        return Err(system("remove", path, "it is no place of a volume"));
    };
    let aside = root.join(ASIDE);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&aside)
        .map_err(|e| system("remove", path, e))?;
    let to = aside.join(uuid::Uuid::new_v4().to_string());
    match fs::rename(path, to) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(system("remove", path, e)),
    }
    // A role without volumes needs no directory.
    if let Some(role) = path.parent() {
        let _ = fs::remove_dir(role);
    }
    Ok(())
}

/// Removes all that is in a directory; links are not followed.
fn empty(path: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Removes for good what was put aside, one after the other.
fn sweep(roots: &[PathBuf]) {
    static SWEEPING: Mutex<()> = Mutex::new(());
    let _turn = SWEEPING.lock().unwrap_or_else(PoisonError::into_inner);
    for aside in roots.iter().map(|root| root.join(ASIDE)) {
        if let Err(e) = empty(&aside) {
            tracing::warn!("cannot remove what is in {}: {e}", aside.display());
        }
    }
}

/// Makes volumes ready for a container: they are there, and belong to its user.
///
/// # Errors
/// [`Code::Invalid`] for an unknown user, [`Code::System`] for what the file system refuses.
pub fn ready(volumes: &[PersistentVolume], user: Option<&str>) -> Result<()> {
    for volume in volumes {
        make(&volume.path)?;
        if let Some(user) = user.filter(|_| volume.give) {
            give(&volume.path, user)?;
        }
    }
    Ok(())
}

/// Shows volumes in the sandbox of a plain process, by links.
///
/// # Errors
/// [`Code::Invalid`] for what links cannot do, [`Code::System`] for what the file system refuses.
pub fn link(volumes: &[PersistentVolume], sandbox: &Path) -> Result<()> {
    for volume in volumes {
        let path = Path::new(&volume.container_path);
        let refuse = |why: &str| {
            let cause = format!("the volume '{}' {why}", path.display());
            Err(Error::new(Code::Invalid, cause))
        };
        if volume.read_only {
            return refuse("is read-only, which needs containers: tasks are plain processes here");
        }
        let normal: PathBuf = path.components().filter(|c| *c != Component::CurDir).collect();
        let inner = normal.components().all(|c| matches!(c, Component::Normal(_)));
        if !inner || normal.as_os_str().is_empty() {
            return refuse("is not below the sandbox, which needs containers");
        }
        // The sandbox is new: nobody has put links into it.
        let at = sandbox.join(normal);
        if let Some(parent) = at.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
            made.map_err(|e| system("show", &volume.path, e))?;
        }
        symlink(&volume.path, &at).map_err(|e| system("show", &volume.path, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(root: &Path, name: &str) -> VolumeDirectory {
        let path = root.join("volumes/roles/eng web").join(name);
        VolumeDirectory { path, whole: false }
    }

    fn wanted(root: &Path, make: &[&VolumeDirectory], remove: &[&VolumeDirectory]) -> Wanted {
        let all = |list: &[&VolumeDirectory]| list.iter().map(|v| (*v).clone()).collect();
        Wanted { make: all(make), remove: all(remove), roots: vec![root.to_path_buf()] }
    }

    #[tokio::test]
    async fn a_volume_of_the_same_name_has_nothing_of_the_one_before() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path();
        let (a, b) = (directory(root, "a"), directory(root, "b"));
        let volumes = Volumes::new(&tokio::runtime::Handle::current());
        assert!(volumes.settle(wanted(root, &[&a, &b], &[])).await.is_empty());
        fs::write(a.path.join("file"), "old").expect("written");
        fs::write(b.path.join("file"), "kept").expect("written");
        let first = volumes.settle(wanted(root, &[], &[&a]));
        let second = volumes.settle(wanted(root, &[&a], &[&a]));
        assert_eq!(first.await, std::slice::from_ref(&a.path));
        assert_eq!(second.await, std::slice::from_ref(&a.path));
        assert!(!a.path.join("file").exists() && a.path.exists());
        assert_eq!(fs::read_to_string(b.path.join("file")).expect("there"), "kept");
        assert_eq!(settle(&wanted(root, &[], &[&a, &b])), [a.path.clone(), b.path.clone()]);
        assert!(!root.join("volumes/roles/eng web").exists(), "no role is left");
        sweep(&[root.to_path_buf()]);
        assert_eq!(fs::read_dir(root.join(ASIDE)).expect("there").count(), 0);
    }

    #[test]
    fn a_whole_disk_is_emptied_and_links_are_not_followed() {
        let (disk, other) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        fs::write(other.path().join("kept"), "").expect("written");
        fs::create_dir_all(disk.path().join("a/b")).expect("made");
        symlink(other.path(), disk.path().join("link")).expect("linked");
        symlink(other.path(), disk.path().join("a/link")).expect("linked");
        let whole = VolumeDirectory { path: disk.path().to_path_buf(), whole: true };
        let wanted = Wanted { make: vec![], remove: vec![whole.clone()], roots: vec![] };
        assert_eq!(settle(&wanted), [whole.path]);
        assert_eq!(fs::read_dir(disk.path()).expect("the disk").count(), 0);
        assert!(other.path().join("kept").exists());
    }

    #[test]
    fn what_is_no_link_below_the_sandbox_is_refused() {
        let (sandbox, data) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let volume = |container_path: &str, read_only| PersistentVolume {
            path: data.path().to_path_buf(),
            container_path: container_path.into(),
            read_only,
            shared: false,
            give: true,
        };
        link(&[volume("./a/data", false)], sandbox.path()).expect("linked");
        fs::write(sandbox.path().join("a/data/file"), "x").expect("written through the link");
        assert!(data.path().join("file").exists());
        for (path, read_only) in [("../x", false), ("/x", false), ("", false), ("x", true)] {
            let refused = link(&[volume(path, read_only)], sandbox.path()).expect_err("refused");
            assert_eq!(refused.code, Code::Invalid, "{path}");
        }
    }
}
