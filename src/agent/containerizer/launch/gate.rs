//! What a parked container of the mesos containerizer waits at: a named pipe in its directory. It outlives the supervisor that
//! made it, so that the next one can let the container go, too.
//!
//! (libcontainer has a socket for this. It would have to be in a directory of libcontainer's own, with files nobody reads.)

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::fd::RawFd;
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
}
