//! What a container has of the one it is nested in: its network, and what it shares by memory.

use super::{Joined, private_dir};
use crate::agent::containerizer::network::{self, Namespace};
use crate::agent::containerizer::spec::{ContainerSpec, Network};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use serde_json::Value;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where in the builder's own file system its parent's `/dev/shm` is mounted.
const SHM: &str = "shm";
// Of the kernel's `linux/mount.h`.
const OPEN_TREE_CLONE: i32 = 1;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;

impl Joined {
    /// A path to a namespace of the parent.
    pub fn namespace(&self, kind: &str) -> String {
        format!("/proc/{}/ns/{kind}", self.keeper)
    }
}

/// Enters the parent's network, if that is not the host's; what is to be mounted for it.
///
/// # Errors
/// A text.
pub fn network(spec: &mut ContainerSpec, parent: &Joined) -> Result<Vec<Value>, String> {
    if parent.network {
        Namespace::of(parent.keeper).ok_or("the container it is nested in has ended")?.enter()?;
        spec.network = Network::Own;
    }
    Ok(network::files::of(spec, &parent.outermost))
}

/// Has the parent's `/dev/shm` mounted in `scratch`; none: the kernel (before 5.2) cannot.
///
/// # Errors
/// A text.
pub fn shm(parent: &Joined, scratch: &Path) -> Result<Option<PathBuf>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("/dev/shm of the container it is in: {e}");
    let open = |path: &str| File::open(path).map_err(|e| failed(&e));
    let (own, theirs) = (open("/proc/self/ns/mnt")?, open(&parent.namespace("mnt"))?);
    setns(&theirs, CloneFlags::CLONE_NEWNS).map_err(|e| failed(&e))?;
    let tree = open_tree(c"/dev/shm");
    setns(&own, CloneFlags::CLONE_NEWNS).map_err(|e| failed(&e))?;
    let tree = match tree {
        Ok(tree) => tree,
        Err(Errno::ENOSYS) => return Ok(None),
        Err(e) => return Err(failed(&e)),
    };
    let target = scratch.join(SHM);
    private_dir(&target).map_err(|e| e.cause)?;
    move_mount(&tree, &target).map_err(|e| failed(&e))?;
    Ok(Some(target))
}

/// A copy of a mount, attached nowhere.
fn open_tree(path: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC;
    // SAFETY: the path outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn move_mount(tree: &OwnedFd, target: &Path) -> Result<(), Errno> {
    let target = CString::new(target.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the paths outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(done).map(drop)
}
