//! Deaths of the supervisor's children, and whose they are.

use super::Supervisor;
use crate::agent::containerizer::launch::{Split, split};
use crate::base::ids::ContainerId;

/// Deaths remembered of children whose pid was not yet reported.
const STRAYS_MAX: usize = 1024;

/// What a child is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It makes a container.
    Builder(ContainerId),
    /// It is a container's first process.
    Keeper(ContainerId),
    /// It makes a blank container.
    ParkedBuilder(u64),
    /// It is a blank container's first process.
    Parked(u64),
    /// It is a command run in a container.
    Exec(u64),
    /// It is the command of a session.
    Session(u64),
    /// It leaves a container's networks.
    Leaver(ContainerId),
    /// It makes exit records durable.
    Syncer,
}

impl Supervisor {
    /// Collects all that died.
    pub(super) fn reap(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        loop {
            let mut raw = 0;
            // SAFETY: `raw` outlives the call.
            let pid = unsafe { libc::waitpid(-1, &mut raw, libc::WNOHANG) };
            if pid <= 0 {
                break;
            }
            match self.children.remove(&pid) {
                Some(Role::Builder(id)) => self.builder_ended(&id, raw),
                Some(Role::Keeper(id)) => self.ended(&id, Some(raw)),
                Some(Role::ParkedBuilder(n)) => self.parked_builder_ended(n, raw),
                Some(Role::Parked(n)) => self.parked_ended(n),
                Some(Role::Exec(n)) => self.exec_ended(n, Some(raw)),
                Some(Role::Session(n)) => self.session_ended(n, Some(raw)),
                Some(Role::Leaver(id)) => self.left_networks(&id, raw),
                Some(Role::Syncer) => self.syncing = false,
                None if self.strays.len() < STRAYS_MAX => {
                    self.strays.insert(pid, raw);
                }
                None => {}
            }
        }
        // Only while pids are still to be reported can a stranger turn out to be one of ours.
        let known =
            self.execs.values().all(|e| e.known()) && self.sessions.values().all(|s| s.known());
        if self.building == 0 && known {
            self.strays.clear();
        }
    }

    /// Makes the exit records written since durable, all at once, in a child: one at a time.
    pub(super) fn sync_next(&mut self) {
        if self.syncing || self.unsynced.is_empty() {
            return;
        }
        match split(None) {
            Ok(Split::Parent(child)) => {
                self.children.insert(child, Role::Syncer);
                self.syncing = true;
                self.unsynced.clear();
            }
            Ok(Split::Child { .. }) => {
                for dir in &self.unsynced {
                    // One forgotten meanwhile needs no sync.
                    let _ = dir.sync();
                }
                // SAFETY: ends the process without touching what it shares with the supervisor.
                unsafe { libc::_exit(0) }
            }
            // Tried again when something else happens.
            Err(e) => eprintln!("syncing exit records: {e}"),
        }
    }

    /// Notes what a child is, now that its pid is known. Whether it died meanwhile: its wait status.
    pub(super) fn know(&mut self, pid: i32, role: Role) -> Option<i32> {
        let died = self.strays.remove(&pid);
        if died.is_none() {
            self.children.insert(pid, role);
        }
        died
    }
}
