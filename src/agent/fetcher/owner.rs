//! For whom is fetched: the thread of a fetch touches files as the task's user, so that nobody can fetch what he may not
//! read himself, and what is made belongs to him.

use nix::unistd::{Gid, Uid, User, getgrouplist, setfsgid, setfsuid};
use std::ffi::CString;

/// The user that a task runs as.
#[derive(Clone, Debug)]
pub struct Owner {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Owner {
    /// The user of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn find(name: &str) -> Result<Self, String> {
        let system = |e: &dyn std::fmt::Display| format!("cannot look up the user {name:?}: {e}");
        let found = User::from_name(name).map_err(|e| system(&e))?;
        let user = found.ok_or_else(|| format!("there is no user {name:?} on this machine"))?;
        let name = CString::new(name).map_err(|e| system(&e))?;
        let groups = getgrouplist(&name, user.gid).map_err(|e| system(&e))?;
        Ok(Self { uid: user.uid, gid: user.gid, groups })
    }

    fn take(&self) {
        setfsgid(self.gid);
        setfsuid(self.uid);
    }

    /// Does something as the agent itself on a thread that has assumed this user, and assumes it again.
    pub fn paused<T>(&self, act: impl FnOnce() -> T) -> T {
        setfsuid(Uid::effective());
        setfsgid(Gid::effective());
        let done = act();
        self.take();
        done
    }

    /// Makes the calling thread touch files as this user, until it ends. The other threads stay what they are.
    ///
    /// # Errors
    /// The agent may not act for others.
    pub fn assume(&self) -> Result<(), String> {
        let me = Uid::effective();
        if self.uid == me {
            return Ok(());
        }
        if !me.is_root() {
            return Err(format!("only an agent run by root can fetch for the user {}", self.uid));
        }
        let groups: Vec<libc::gid_t> = self.groups.iter().map(|g| g.as_raw()).collect();
        // SAFETY: the kernel reads as many ids as it is told there are. By the bare call, since the library's changes
        // all threads of the process.
        let set = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
        if set != 0 {
            let e = std::io::Error::last_os_error();
            return Err(format!("cannot take the groups of the user {}: {e}", self.uid));
        }
        self.take();
        // These calls tell no failure, only what was before: the second time it must be what was set.
        match (setfsgid(self.gid), setfsuid(self.uid)) == (self.gid, self.uid) {
            true => Ok(()),
            false => Err(format!("cannot act as the user {}", self.uid)),
        }
    }
}
