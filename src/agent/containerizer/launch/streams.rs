//! The streams of a process whose streams are in somebody else's hands: three pipes, or a terminal. Its own ends become
//! its descriptors 0, 1 and 2; the others go over a unix socket to whoever holds its other end.
//!
//! A terminal is one of the container's own `/dev/pts`, so that programs in it find it by its name.

use crate::agent::containerizer::spec::Window;
use nix::cmsg_space;
use nix::fcntl::OFlag;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::sys::stat::Mode;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Descriptors handed over at one time, at most.
pub const HANDED_MAX: usize = 3;
/// Where terminals are made: the container's own first.
const MULTIPLEXERS: [&str; 2] = ["/dev/pts/ptmx", "/dev/ptmx"];

fn why(doing: &'static str) -> impl Fn(nix::Error) -> String {
    move |e| format!("{doing}: {e}")
}

/// A pair of sockets for [`send`] and [`receive`], closed on exec.
///
/// # Errors
/// A text: the kernel refused.
pub fn pair() -> Result<(OwnedFd, OwnedFd), String> {
    socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
        .map_err(why("a socket"))
}

/// Hands descriptors over.
///
/// # Errors
/// A text: nobody is at the other end.
pub fn send(socket: RawFd, fds: &[RawFd]) -> Result<(), String> {
    send_with(socket, b"s", fds).map(drop).map_err(why("handing over streams"))
}

/// Hands descriptors over with the first byte of a text; how much of it was taken.
///
/// # Errors
/// The kernel's reason.
pub fn send_with(socket: RawFd, text: &[u8], fds: &[RawFd]) -> nix::Result<usize> {
    let rights = [ControlMessage::ScmRights(fds)];
    sendmsg::<()>(socket, &[IoSlice::new(text)], &rights, MsgFlags::MSG_NOSIGNAL, None)
}

/// Takes what was handed over, without waiting; with it, what was said beside.
///
/// # Errors
/// The kernel's reason; `EAGAIN` when nothing has come yet.
pub fn receive(socket: RawFd, text: &mut [u8]) -> nix::Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; HANDED_MAX]);
    let mut parts = [IoSliceMut::new(text)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket, &mut parts, Some(&mut space), flags)?;
    let mut fds = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(all) = part {
            // SAFETY: the kernel just made them for us.
            fds.extend(all.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((message.bytes, fds))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), String> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(why("a pipe"))
}

fn place(fd: &OwnedFd, at: RawFd) -> Result<(), String> {
    // Never one of 0, 1 and 2 itself: these are taken while it is made.
    nix::unistd::dup2(fd.as_raw_fd(), at).map(drop).map_err(why("dup2"))
}

/// Three pipes: hands over the end that writes its input, and those that read its output and its errors.
///
/// # Errors
/// A text: the kernel refused.
pub fn pipes(socket: RawFd) -> Result<(), String> {
    let (input, input_tx) = pipe()?;
    let (output, output_tx) = pipe()?;
    let (errors, errors_tx) = pipe()?;
    send(socket, &[input_tx.as_raw_fd(), output.as_raw_fd(), errors.as_raw_fd()])?;
    place(&input, 0)?;
    place(&output_tx, 1)?;
    place(&errors_tx, 2)
}

/// The two sides of a new terminal of this size, which belongs to that user.
///
/// # Errors
/// A text: the kernel refused.
pub fn open(window: Window, owner: u32) -> Result<(OwnedFd, OwnedFd), String> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let opened = MULTIPLEXERS.iter().find_map(|path| {
        let fd = nix::fcntl::open(*path, flags, Mode::empty()).ok()?;
        // SAFETY: just opened, owned by nobody else.
        Some(unsafe { OwnedFd::from_raw_fd(fd) })
    });
    let master = opened.ok_or("no terminal can be made: there is no /dev/ptmx")?;
    let unlock: libc::c_int = 0;
    // SAFETY: reads an int of ours.
    let unlocked = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &unlock) };
    nix::errno::Errno::result(unlocked).map_err(why("unlocking the terminal"))?;
    // Its other side without a look at paths, which may be anybody's in there.
    // SAFETY: returns a descriptor or an error.
    let fd = unsafe {
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags)
    };
    let fd = nix::errno::Errno::result(fd).map_err(why("the terminal's other side"))?;
    // SAFETY: just opened, owned by nobody else.
    let slave = unsafe { OwnedFd::from_raw_fd(fd) };
    if nix::unistd::geteuid().is_root() {
        nix::unistd::fchown(fd, Some(owner.into()), None).map_err(why("the terminal's owner"))?;
    }
    resize(master.as_raw_fd(), window).map_err(why("the terminal's size"))?;
    Ok((master, slave))
}

/// Makes it the terminal of the calling session and all three streams.
///
/// # Errors
/// A text: the kernel refused.
pub fn take(slave: &OwnedFd) -> Result<(), String> {
    // SAFETY: no pointer is passed.
    let taken = unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) };
    nix::errno::Errno::result(taken).map_err(why("taking the terminal"))?;
    (0..=2).try_for_each(|at| place(slave, at))
}

/// Sets the size of the terminal behind a descriptor.
///
/// # Errors
/// The kernel's reason.
pub fn resize(terminal: RawFd, window: Window) -> nix::Result<()> {
    let Window { rows, columns } = window;
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: reads a struct of ours.
    let set = unsafe { libc::ioctl(terminal, libc::TIOCSWINSZ, &size) };
    nix::errno::Errno::result(set).map(drop)
}
