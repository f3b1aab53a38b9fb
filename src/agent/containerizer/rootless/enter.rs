//! Into the user namespace: tried in a process of its own first, since there is no way back.
//!
//! The program executes itself anew in there, so that its memory belongs to the namespace: of a process whose memory is the
//! host's, and that may not be looked into, nobody in the namespace could join the others.

use super::{ENTERED, limits};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getegid, geteuid};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

/// The argument that tells the supervisor that it is in its user namespace.
pub const FLAG: &str = "--in-user-namespace";
const NOTHING: Option<&str> = None;
/// Of the kernel's `linux/capability.h`: two words a set.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// No kernel has more capabilities than a set has bits.
const CAPABILITIES_MAX: libc::c_ulong = 64;

/// Does all that a container needs, in a child; nothing of it stays. Must be called with one thread.
///
/// # Errors
/// What the kernel refuses, and by which of its settings.
pub fn attempt() -> Result<(), String> {
    in_child(|| {
        namespace()?;
        let more = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
        unshare(more).map_err(|e| refused("namespaces within a user namespace", e))?;
        // The first process of the pid namespace: a container's /proc is mounted by such a one.
        in_child(|| {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            mount(Some("proc"), "/proc", Some("proc"), flags, NOTHING)
                .map_err(|e| refused("mounting /proc in a user namespace", e))?;
            mount(Some("tmpfs"), "/proc", Some("tmpfs"), flags, NOTHING)
                .map_err(|e| refused("mounting tmpfs in a user namespace", e))
        })
    })
}

/// Does something in a child, and says what it says.
fn in_child(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let (told, tell) = nix::unistd::pipe().map_err(|e| format!("pipe: {e}"))?;
    // SAFETY: the caller has one thread.
    match unsafe { fork() }.map_err(|e| format!("fork: {e}"))? {
        ForkResult::Child => {
            drop(told);
            let code = match work() {
                Ok(()) => 0,
                Err(why) => {
                    // Untold, its exit code still says that it failed.
                    let _ = File::from(tell).write_all(why.as_bytes());
                    1
                }
            };
            // SAFETY: ends the child at once; nothing of the parent's image runs in it any more.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            drop(tell);
            let mut why = String::new();
            let read = File::from(told).read_to_string(&mut why);
            match (waitpid(child, None), read) {
                (Ok(WaitStatus::Exited(_, 0)), Ok(_)) => Ok(()),
                (_, Ok(_)) if !why.is_empty() => Err(why),
                (ended, _) => Err(format!("a user namespace was tried in vain: {ended:?}")),
            }
        }
    }
}

/// A refusal with the setting that is behind it, as far as one shows.
fn refused(what: &str, e: Errno) -> String {
    match limits::reason() {
        Some(setting) => format!("{what}: {e} ({setting})"),
        None => format!("{what}: {e}"),
    }
}

/// A user namespace in which we are who we are, and mounts of our own.
fn namespace() -> Result<(), String> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(|e| refused("a user namespace", e))?;
    let put = |file: &str, text: String| {
        fs::write(Path::new("/proc/self").join(file), text)
            .map_err(|e| format!("{file} of a user namespace: {e}"))
    };
    // An ordinary user may map its group only after that.
    put("setgroups", "deny".into())?;
    put("uid_map", format!("{uid} {uid} 1"))?;
    put("gid_map", format!("{gid} {gid} 1"))?;
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(NOTHING, "/", NOTHING, slave, NOTHING)
        .map_err(|e| refused("mounts in a user namespace", e))
}

/// Executes this program anew within a user namespace, with the same arguments and [`FLAG`]. Comes back only if that fails.
pub fn enter() -> String {
    let entered = namespace().and_then(|()| keep_rights());
    if let Err(why) = entered {
        return why;
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(arguments.next().unwrap_or_else(|| "mesolith".into()));
    let why = command.args(arguments).arg(FLAG).exec();
    format!("executing this program in a user namespace: {why}")
}

/// Has our one user called otherwise, in a further user namespace: as an image wants it. Nothing is done if it has that
/// name already.
///
/// # Errors
/// A text.
pub fn rename(uid: u32, gid: u32) -> Result<(), String> {
    let (own_uid, own_gid) = (geteuid().as_raw(), getegid().as_raw());
    if (uid, gid) == (own_uid, own_gid) {
        return Ok(());
    }
    let failed = |e: &dyn std::fmt::Display| format!("the user {uid} of an image: {e}");
    // Else our own files in /proc were not ours.
    nix::sys::prctl::set_dumpable(true).map_err(|e| failed(&e))?;
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|e| failed(&e))?;
    let maps = [("uid_map", uid, own_uid), ("gid_map", gid, own_gid)];
    for (file, inner, outer) in maps {
        let path = Path::new("/proc/self").join(file);
        fs::write(path, format!("{inner} {outer} 1")).map_err(|e| failed(&e))?;
    }
    Ok(())
}

/// The sets of capabilities as the kernel takes them.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// Has our capabilities stay over an execution: who is not called root would lose them.
fn keep_rights() -> Result<(), String> {
    let mut header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: header and sets are as the kernel wants them for this version, and outlive the calls.
    let set = unsafe {
        let got = libc::syscall(libc::SYS_capget, &mut header, sets.as_mut_ptr());
        Errno::result(got).map_err(|e| format!("own capabilities: {e}"))?;
        for half in &mut sets {
            half.inheritable = half.permitted;
        }
        libc::syscall(libc::SYS_capset, &mut header, sets.as_ptr())
    };
    Errno::result(set).map_err(|e| format!("inheritable capabilities: {e}"))?;
    for capability in 0..CAPABILITIES_MAX {
        // SAFETY: a flag of this process. Refused for those that the kernel does not know.
        unsafe {
            libc::prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong,
                capability,
                0,
                0,
            );
        }
    }
    Ok(())
}

/// Within the namespace, after the execution: nothing that is executed from now on has our rights.
///
/// # Errors
/// A text.
pub fn settle() -> Result<(), String> {
    let map = fs::read_to_string("/proc/self/uid_map").map_err(|e| format!("uid_map: {e}"))?;
    if map.split_whitespace().nth(2) != Some("1") {
        return Err(format!("{FLAG} is for the supervisor itself"));
    }
    // SAFETY: a flag of this process.
    let cleared = unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0, 0, 0)
    };
    Errno::result(cleared).map_err(|e| format!("ambient capabilities: {e}"))?;
    ENTERED.store(true, Ordering::Relaxed);
    Ok(())
}
