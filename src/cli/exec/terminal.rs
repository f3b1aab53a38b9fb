//! The user's terminal: its size, and its raw mode, which is undone on every way out.

use crate::base::error::{Code, Error, Result};
use crate::mesos::v1::tty_info::WindowSize;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::os::fd::AsRawFd as _;

/// Nothing is echoed and no key is special, as long as this is there.
pub struct Raw(Termios);

impl Raw {
    /// Sets it for the terminal that is our input.
    ///
    /// # Errors
    /// [`Code::System`] when it is none.
    pub fn set() -> Result<Self> {
        let failed = |e| Error::new(Code::System, format!("the terminal cannot be set: {e}"));
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).map_err(failed)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&stdin, SetArg::TCSADRAIN, &raw).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing put right.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}

/// The size of our terminal, if we have one.
pub fn size() -> Option<WindowSize> {
    let of = |fd: std::os::fd::RawFd| {
        // SAFETY: an all-zero winsize is one.
        let mut size: libc::winsize = unsafe { std::mem::zeroed() };
        // SAFETY: writes a struct of ours.
        let asked = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) };
        let (rows, columns) = (u32::from(size.ws_row), u32::from(size.ws_col));
        (asked == 0 && rows > 0 && columns > 0).then_some(WindowSize { rows, columns })
    };
    let fds = [std::io::stdin().as_raw_fd(), std::io::stdout().as_raw_fd()];
    fds.into_iter().find_map(of)
}
