//! Nothing in a container may write to this program's file through a process that runs it (`/proc/<pid>/exe`, which leads
//! out of any root): so the supervisor executes itself anew from a read-only view of that file, and whatever it forks has
//! that view alone.

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;

const OWN_FILE: &std::ffi::CStr = c"/proc/self/exe";
/// A mount of its own, in no namespace (`OPEN_TREE_CLONE`).
const CLONE: libc::c_int = 1;

/// Comes back when this process runs from such a view: at once, or never and anew with the same arguments.
///
/// # Errors
/// A text: the kernel (before 5.12) or our rights do not allow it.
pub fn seal() -> Result<(), String> {
    let view = statvfs(OWN_FILE).map_err(|e| format!("own file: {e}"))?;
    if view.flags().contains(FsFlags::ST_RDONLY) {
        return Ok(());
    }
    // SAFETY: plain system calls; path, attributes and arguments outlive them.
    unsafe {
        let flags = CLONE | libc::O_CLOEXEC;
        let fd = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, OWN_FILE.as_ptr(), flags);
        let fd = Errno::result(fd).map_err(|e| format!("a view of the own file: {e}"))?;
        let mut attributes: libc::mount_attr = std::mem::zeroed();
        attributes.attr_set = libc::MOUNT_ATTR_RDONLY;
        let done = libc::syscall(
            libc::SYS_mount_setattr,
            fd,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &attributes,
            size_of::<libc::mount_attr>(),
        );
        Errno::result(done).map_err(|e| format!("a read-only view of the own file: {e}"))?;
        let arguments = texts(std::env::args_os().map(OsString::into_vec))?;
        let environment = texts(std::env::vars_os().map(|(name, value)| {
            let mut pair = name.into_vec();
            pair.push(b'=');
            pair.extend(value.into_vec());
            pair
        }))?;
        let pointers = |all: &[CString]| -> Vec<*const libc::c_char> {
            all.iter().map(|t| t.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv, envp) = (pointers(&arguments), pointers(&environment));
        libc::syscall(
            libc::SYS_execveat,
            fd,
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    Err(format!("executing the view of the own file: {}", Errno::last()))
}

fn texts(all: impl Iterator<Item = Vec<u8>>) -> Result<Vec<CString>, String> {
    all.map(CString::new).collect::<Result<_, _>>().map_err(|e| format!("own arguments: {e}"))
}
