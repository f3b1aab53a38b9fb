//! What a parked container of the mesos containerizer waits at: a named pipe in its directory. It outlives the supervisor that
//! made it, so that the next one can let the container go, too.
//!
//! (libcontainer has a socket for this. It would have to be in a directory of libcontainer's own, with files nobody reads.)

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::stat::Mode;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Its name.
pub const GATE_FILE: &str = "gate";

/// Makes the one of a container, and opens it for the container's first process.
///
/// # Errors
/// A text.
pub fn make(dir: &Path) -> Result<RawFd, String> {
    let path = dir.join(GATE_FILE);
    let failed = |e: Errno| format!("{}: {e}", path.display());
    nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed)?;
    // For writing too: it must not look closed while no supervisor has it open.
    open(&path, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed)
}

/// Waits until the container is let go.
///
/// # Errors
/// A text: it cannot be waited for.
pub fn wait(gate: RawFd) -> Result<(), String> {
    let mut go = [0; 1];
    loop {
        match nix::unistd::read(gate, &mut go) {
            Ok(1..) => break,
            Ok(_) => return Err("the gate is closed".into()),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(format!("waiting at the gate: {e}")),
        }
    }
    // What it was for is over; that it cannot be closed is not possible.
    let _ = nix::unistd::close(gate);
    Ok(())
}

/// The same for one that is nobody yet. Nobody but the supervisor at the other end of the socket can tell it who it is, so it
/// waits no longer than for that: there may be no later supervisor to end it.
///
/// # Errors
/// A text: it cannot be waited for, or the supervisor has ended.
pub fn wait_to_be_told(gate: RawFd, socket: RawFd) -> Result<(), String> {
    // SAFETY: both are this process's own, and stay open until it ends.
    let (at_gate, at_socket) =
        unsafe { (BorrowedFd::borrow_raw(gate), BorrowedFd::borrow_raw(socket)) };
    let mut fds =
        [PollFd::new(at_gate, PollFlags::POLLIN), PollFd::new(at_socket, PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(format!("waiting at the gate: {e}")),
        }
        let came = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        if came(&fds[0]) {
            return wait(gate);
        }
        if came(&fds[1]) {
            // What it was told is read once it is let go, whoever ends meanwhile.
            match recv(socket, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
                Ok(1..) => return wait(gate),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Ok(_) | Err(_) => return Err("its supervisor has ended".into()),
            }
        }
    }
}

/// Lets a container go.
///
/// # Errors
/// The kernel's reason; `ENXIO` when nobody waits there.
pub fn pass(dir: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    options.open(dir.join(GATE_FILE))?.write_all(b"g")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::containerizer::launch::streams;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn whoever_waits_is_let_go_once_and_nobody_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let none = pass(dir.path()).unwrap_err();
        assert_eq!(none.raw_os_error(), Some(libc::ENOENT));
        let gate = make(dir.path()).unwrap();
        let waits = std::thread::spawn(move || wait(gate));
        pass(dir.path()).unwrap();
        waits.join().unwrap().unwrap();
        assert_eq!(pass(dir.path()).unwrap_err().raw_os_error(), Some(libc::ENXIO));
    }

    #[test]
    fn who_is_nobody_waits_for_the_supervisor_alone_and_who_is_told_for_any() {
        for told in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let gate = make(dir.path()).unwrap();
            let (socket, supervisor) = streams::pair().unwrap();
            let waits = std::thread::spawn(move || wait_to_be_told(gate, socket.as_raw_fd()));
            if told {
                streams::send(supervisor.as_raw_fd(), &[]).unwrap();
                drop(supervisor);
                pass(dir.path()).unwrap();
                waits.join().unwrap().unwrap();
            } else {
                drop(supervisor);
                assert_eq!(waits.join().unwrap().unwrap_err(), "its supervisor has ended");
            }
        }
    }
}
