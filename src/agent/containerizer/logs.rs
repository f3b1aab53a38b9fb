//! A container's `stdout` and `stderr`: plain files in the sandbox, written by the task itself, rotated from outside.
//!
//! Files, not pipes: nothing of ours stands between a task and its output, so output costs us nothing, and a task
//! outlives agent and supervisor without a broken pipe. The price is that the size is looked at from time to time
//! (each 250 ms while a file grows, each 4 s while it does not), so a fast writer overshoots.
//! A file is rotated by copying its beginning to `<name>.1` and collapsing that range of it, which the file system
//! does at once under the writer's feet: not a byte is lost. Where it cannot (not ext4, XFS), the file is copied
//! whole and truncated, and what is written between the two is lost.

use super::spec::Rotation;
use nix::fcntl::{AtFlags, FallocateFlags, OFlag, fallocate, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, ftruncate, unlinkat};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How soon a growing file is looked at again.
const LOOK_MIN: Duration = Duration::from_millis(250);
/// How soon one that does not grow is.
const LOOK_MAX: Duration = Duration::from_secs(4);
/// How much is copied at a time, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

fn open_at(dir: RawFd, name: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let fd = openat(Some(dir), name, flags, Mode::from_bits_truncate(0o644))?;
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn open_dir(path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::open(path, flags, Mode::empty())?;
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens `stdout` and `stderr` in the sandbox for appending, owned by that user.
///
/// # Errors
/// A text with the path.
pub fn open_streams(sandbox: &Path, uid: u32, gid: u32) -> Result<(OwnedFd, OwnedFd), String> {
    let dir = open_dir(sandbox).map_err(|e| format!("sandbox {}: {e}", sandbox.display()))?;
    let open = |name: &str| {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND;
        let told = |e| format!("{}/{name}: {e}", sandbox.display());
        let fd = open_at(dir.as_raw_fd(), name, flags).map_err(told)?;
        let stat = fstat(fd.as_raw_fd()).map_err(told)?;
        if !SFlag::from_bits_truncate(stat.st_mode).contains(SFlag::S_IFREG) {
            return Err(format!("{}/{name} is not a file", sandbox.display()));
        }
        if (stat.st_uid, stat.st_gid) != (uid, gid) {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            nix::unistd::fchown(fd.as_raw_fd(), Some(uid), Some(gid)).map_err(told)?;
        }
        // Not blocking was for opening a pipe somebody laid there; a file of a task is an ordinary one.
        let flags = OFlag::O_APPEND;
        nix::fcntl::fcntl(fd.as_raw_fd(), nix::fcntl::FcntlArg::F_SETFL(flags)).map_err(told)?;
        Ok(fd)
    };
    Ok((open("stdout")?, open("stderr")?))
}

/// Opens a stream that is there, for appending.
///
/// # Errors
/// A text with the path.
pub fn open_stream(sandbox: &Path, name: &str) -> Result<File, String> {
    let told = |e: nix::Error| format!("{}/{name}: {e}", sandbox.display());
    let dir = open_dir(sandbox).map_err(told)?;
    let fd = open_at(dir.as_raw_fd(), name, OFlag::O_WRONLY | OFlag::O_APPEND).map_err(told)?;
    let stat = fstat(fd.as_raw_fd()).map_err(told)?;
    match SFlag::from_bits_truncate(stat.st_mode).contains(SFlag::S_IFREG) {
        true => Ok(File::from(fd)),
        false => Err(format!("{}/{name} is not a file", sandbox.display())),
    }
}

/// One rotated stream.
#[derive(Debug)]
pub struct Log {
    sandbox: PathBuf,
    name: &'static str,
    rotation: Rotation,
    size: u64,
    wait: Duration,
    /// When it is to be looked at.
    pub due: Instant,
}

impl Log {
    /// A stream of that sandbox.
    pub fn new(sandbox: &Path, name: &'static str, rotation: Rotation, now: Instant) -> Log {
        let wait = LOOK_MIN;
        Log { sandbox: sandbox.into(), name, rotation, size: 0, wait, due: now + wait }
    }

    /// Looks at it, rotates it if it is time, and says when to look again.
    ///
    /// # Errors
    /// A text with the path; it will be looked at again all the same.
    pub fn look(&mut self, now: Instant) -> Result<(), String> {
        let looked = self.rotate_if_due();
        match &looked {
            Ok(size) if *size != self.size => {
                self.size = *size;
                self.wait = LOOK_MIN;
            }
            _ => self.wait = (self.wait * 2).min(LOOK_MAX),
        }
        self.due = now + self.wait;
        looked
            .map(drop)
            .map_err(|e| format!("rotating {}/{}: {e}", self.sandbox.display(), self.name))
    }

    /// The size after it.
    fn rotate_if_due(&self) -> io::Result<u64> {
        let dir = match open_dir(&self.sandbox) {
            Ok(dir) => dir,
            // The agent removed the sandbox, or the task its file: nothing to keep small.
            Err(nix::Error::ENOENT) => return Ok(0),
            Err(e) => return Err(e.into()),
        };
        let file = match open_at(dir.as_raw_fd(), self.name, OFlag::O_RDWR) {
            Ok(fd) => File::from(fd),
            Err(nix::Error::ENOENT) => return Ok(0),
            Err(e) => return Err(e.into()),
        };
        let meta = file.metadata()?;
        if meta.len() < self.rotation.max_bytes || !meta.is_file() {
            return Ok(meta.len());
        }
        self.rotate(&dir, &file)?;
        Ok(file.metadata()?.len())
    }

    fn rotated(&self, n: u32) -> String {
        format!("{}.{n}", self.name)
    }

    fn rotate(&self, dir: &OwnedFd, file: &File) -> io::Result<()> {
        let fd = dir.as_raw_fd();
        let to = (self.rotation.files > 0).then(|| self.make_room(fd, file)).transpose()?;
        let meta = file.metadata()?;
        let block = std::os::unix::fs::MetadataExt::blksize(&meta).max(1);
        let cut = meta.len().saturating_sub(1) / block * block;
        // No more than the limit goes into one rotated file: of an overshoot, its end.
        let from = cut.saturating_sub(self.rotation.max_bytes);
        let mut copied = copy(file, to.as_ref(), from, cut, 0)?;
        let whole = i64::try_from(cut).unwrap_or(i64::MAX);
        if fallocate(file.as_raw_fd(), FallocateFlags::FALLOC_FL_COLLAPSE_RANGE, 0, whole).is_ok() {
            return Ok(());
        }
        let mut end = cut;
        loop {
            let size = file.metadata()?.len();
            if size <= end {
                break;
            }
            copied = copy(file, to.as_ref(), end, size, copied)?;
            end = size;
        }
        ftruncate(file, 0).map_err(io::Error::from)
    }

    /// Moves rotated files one up, and opens a new `.1` with the owner of the file.
    fn make_room(&self, fd: RawFd, file: &File) -> io::Result<File> {
        for n in (1..self.rotation.files).rev() {
            let (from, to) = (self.rotated(n), self.rotated(n + 1));
            match renameat(Some(fd), from.as_str(), Some(fd), to.as_str()) {
                Ok(()) | Err(nix::Error::ENOENT) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let first = self.rotated(1);
        match unlinkat(Some(fd), first.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let made = File::from(open_at(fd, &first, flags)?);
        let owner = fstat(file.as_raw_fd())?;
        let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
        nix::unistd::fchownat(
            Some(made.as_raw_fd()),
            "",
            Some(uid),
            Some(gid),
            AtFlags::AT_EMPTY_PATH,
        )?;
        Ok(made)
    }
}

/// Copies a range to the end of another file (or nowhere); the new end.
fn copy(from: &File, to: Option<&File>, start: u64, end: u64, at: u64) -> io::Result<u64> {
    let Some(to) = to else { return Ok(0) };
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut read, mut written) = (start, at);
    while read < end {
        let want = usize::try_from(end - read).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let n = from.read_at(chunk.get_mut(..want).unwrap_or_default(), read)?;
        if n == 0 {
            break;
        }
        to.write_all_at(chunk.get(..n).unwrap_or_default(), written)?;
        read += n as u64;
        written += n as u64;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn fill(dir: &Path, bytes: usize) {
        let (mut out, _err) = {
            let (o, e) =
                open_streams(dir, Uid::effective().as_raw(), Gid::effective().as_raw()).unwrap();
            (File::from(o), File::from(e))
        };
        let line = [b'x'; 99];
        for _ in 0..bytes / 100 {
            out.write_all(&line).unwrap();
            out.write_all(b"\n").unwrap();
        }
    }

    // covers: MES-0811
    #[test]
    fn a_full_file_is_rotated_and_no_byte_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let rotation = Rotation { max_bytes: 10_000, files: 2 };
        let mut log = Log::new(dir.path(), "stdout", rotation, Instant::now());
        fill(dir.path(), 9000);
        log.look(Instant::now()).unwrap();
        assert!(!dir.path().join("stdout.1").exists());
        fill(dir.path(), 2000);
        log.look(Instant::now()).unwrap();
        let size = |name: &str| dir.path().join(name).metadata().map_or(0, |m| m.len());
        assert!(size("stdout") < 10_000);
        assert_eq!(size("stdout") + size("stdout.1"), 11_000);
        for _ in 0..3 {
            fill(dir.path(), 12_000);
            log.look(Instant::now()).unwrap();
        }
        assert!(size("stdout.2") > 0 && size("stdout.2") <= 12_000);
        assert!(!dir.path().join("stdout.3").exists());
    }

    #[test]
    fn a_link_in_place_of_a_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, vec![b'v'; 20_000]).unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("stdout")).unwrap();
        assert!(open_streams(dir.path(), 0, 0).is_err());
        let rotation = Rotation { max_bytes: 5000, files: 1 };
        let mut log = Log::new(dir.path(), "stdout", rotation, Instant::now());
        assert!(log.look(Instant::now()).is_err());
        assert_eq!(victim.metadata().unwrap().len(), 20_000);
    }
}
