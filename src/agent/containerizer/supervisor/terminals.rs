//! Containers' own terminals. What is written to one goes into the container's `stdout`, and to those who look on. The
//! keeper holds the terminal too, so that it survives a supervisor.

use super::Supervisor;
use super::container::Asker;
use super::poll::Source;
use crate::agent::containerizer::launch::keeper::TERMINAL_FD;
use crate::agent::containerizer::launch::streams;
use crate::agent::containerizer::logs;
use crate::agent::containerizer::wire::{Answer, Message, VERSION};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Who looks on at one terminal, at most.
const VIEWERS_MAX: usize = 16;
/// What may wait for one who looks on, in bytes; who is further behind is cut off.
const VIEWER_BYTES_MAX: i32 = 1 << 20;

/// A container's terminal.
pub struct Terminal {
    master: OwnedFd,
    token: Option<u64>,
    log: File,
    viewers: Vec<OwnedFd>,
}

/// A process's descriptor as one of ours (Linux 5.6); none when it has none.
pub fn of_keeper(keeper: &OwnedFd) -> Option<OwnedFd> {
    // SAFETY: returns a descriptor or an error.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, keeper.as_raw_fd(), TERMINAL_FD, 0) };
    // SAFETY: just made, owned by nobody else.
    nix::errno::Errno::result(fd).ok().map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

impl Supervisor {
    /// Takes what the keeper has handed over, if the container has a terminal.
    pub(super) fn take_terminal(&mut self, id: &ContainerId) {
        let Some(c) = self.table.get(id) else { return };
        if c.spec.terminal.is_none() || c.terminal.is_some() {
            return;
        }
        let Some(gate) = &c.gate else { return };
        let mut text = [0; 1];
        let came = streams::receive(gate.as_raw_fd(), &mut text);
        if let Some(master) = came.ok().and_then(|(_, mut fds)| fds.pop()) {
            self.hold_terminal(id, master);
        }
    }

    /// From now on what is written to it is kept.
    pub(super) fn hold_terminal(&mut self, id: &ContainerId, master: OwnedFd) {
        let held = self.hold(id, master);
        if let Err(e) = held {
            self.log(id, &e);
        }
    }

    fn hold(&mut self, id: &ContainerId, master: OwnedFd) -> Result<()> {
        let failed = |e: nix::Error| Error::new(Code::System, format!("its terminal: {e}"));
        let c = self.container(id)?;
        let log = logs::open_stream(&c.spec.sandbox, "stdout");
        let log = log.map_err(|why| Error::new(Code::System, why))?;
        fcntl(master.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(failed)?;
        let token = Some(self.poll.add(&master, Source::Terminal(id.clone()))?);
        let c = self.container(id)?;
        c.terminal = Some(Terminal { master, token, log, viewers: Vec::new() });
        Ok(())
    }

    /// Takes what was written to it, a few chunks at a time: others want to be heard too.
    pub(super) fn terminal_said(&mut self, id: &ContainerId) {
        let Some(terminal) = self.table.get_mut(id).and_then(|c| c.terminal.as_mut()) else {
            return;
        };
        if !terminal.take(16)
            && let Some(token) = terminal.token.take()
        {
            self.poll.remove(&terminal.master, token);
        }
    }

    /// Its container ended: what is left in it is taken, and it is given up.
    pub(super) fn close_terminal(&mut self, id: &ContainerId) {
        let Some(c) = self.table.get_mut(id).filter(|c| c.live()) else { return };
        let Some(mut terminal) = c.terminal.take() else { return };
        // As much as a terminal holds, and more.
        terminal.take(64);
        if let Some(token) = terminal.token {
            self.poll.remove(&terminal.master, token);
        }
    }

    /// Hands a container's terminal to somebody who looks on.
    pub(super) fn attach(&mut self, asker: Asker, version: u32, id: &ContainerId) -> Result<()> {
        if version != VERSION {
            let cause = format!("this supervisor speaks version {VERSION}, not {version}");
            return Err(Error::new(Code::Invalid, cause));
        }
        let system = |e: nix::Error| Error::new(Code::System, format!("attaching: {e}"));
        let c = self.running_one(id)?;
        let none = || Error::new(Code::Invalid, format!("container {id} has no terminal"));
        let terminal = c.terminal.as_mut().ok_or_else(none)?;
        if terminal.viewers.len() >= VIEWERS_MAX {
            let cause = format!("{VIEWERS_MAX} look on at container {id}, the most there may be");
            return Err(Error::new(Code::Overloaded, cause));
        }
        let (reads, writes) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(system)?;
        // With less room it is cut off sooner.
        let _ = fcntl(writes.as_raw_fd(), FcntlArg::F_SETPIPE_SZ(VIEWER_BYTES_MAX));
        let master = terminal.master.try_clone();
        let master = master.map_err(|e| Error::new(Code::System, format!("attaching: {e}")))?;
        terminal.viewers.push(writes);
        let message = Message::Answer { seq: asker.seq, result: Ok(Answer::Attached) };
        self.peers.send_with(asker.peer, &message, &[reads, master], &mut self.poll);
        Ok(())
    }
}

impl Terminal {
    /// Takes what is there, up to so many chunks; false when it is closed.
    fn take(&mut self, chunks: usize) -> bool {
        let mut chunk = [0; 16 * 1024];
        for _ in 0..chunks {
            match nix::unistd::read(self.master.as_raw_fd(), &mut chunk) {
                // Nobody has the other side open: one that was started by the task may open it again, but nobody waits.
                Ok(0) | Err(nix::Error::EIO) => return false,
                Ok(got) => self.pass_on(chunk.get(..got).unwrap_or_default()),
                Err(nix::Error::EINTR) => {}
                Err(_) => return true,
            }
        }
        true
    }

    fn pass_on(&mut self, bytes: &[u8]) {
        // A full disk is the task's own loss, as with a file it writes to itself.
        let _ = self.log.write_all(bytes);
        self.viewers.retain(|viewer| nix::unistd::write(viewer, bytes) == Ok(bytes.len()));
    }
}
