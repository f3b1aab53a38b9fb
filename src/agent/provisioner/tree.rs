//! A file tree that is made from what strangers say: everything stays below its root.
//!
//! Folders are opened by the kernel with the root as the end of the world, so that links within the tree work as they will
//! in the container, and none leads out. The last part of a path is never followed.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, fstatat, mkdirat,
    mknodat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// How deep folders may be.
pub const DEPTH_MAX: usize = 256;
/// Links in a row to folders that are not there yet.
const LINKS_MAX: usize = 8;
/// What overlayfs takes for "this hides everything below".
const OPAQUE: &CStr = c"trusted.overlay.opaque";
const FOLDER: Mode = Mode::from_bits_truncate(0o755);

/// Whose a file is, how it may be used, and since when it is.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Modified, in seconds since 1970.
    pub mtime: i64,
}

/// A path below the root without `.` and `..`: above the root there is nothing.
pub fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::ParentDir => {
                plain.pop();
            }
            _ => {}
        }
    }
    plain
}

/// A tree below a folder.
pub struct Tree {
    root: OwnedFd,
    /// The folder last worked in. Forgotten whenever something is removed.
    last: Option<(PathBuf, Rc<OwnedFd>)>,
}

type Result<T> = std::result::Result<T, String>;

fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: just opened, owned by nobody else.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The parts of a path that begins at the root of the tree: nothing for the root itself.
///
/// # Errors
/// It leads upwards, or is too deep.
pub fn inside(path: &Path) -> Result<PathBuf> {
    let mut plain = PathBuf::new();
    let mut depth = 0;
    for part in path.components() {
        match part {
            Component::Normal(part) => {
                plain.push(part);
                depth += 1;
            }
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(format!("the path {} leads upwards", super::shown_path(path)));
            }
        }
    }
    match depth > DEPTH_MAX {
        true => Err(format!("the path {} is too deep", super::shown_path(path))),
        false => Ok(plain),
    }
}

fn failed(path: &Path, e: Errno) -> String {
    format!("{}: {e}", super::shown_path(path))
}

const OPEN_FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// Opens a folder below another one; links end at that one.
fn scoped(root: RawFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    match openat2(root, path, OpenHow::new().flags(flags).resolve(resolve)) {
        Ok(fd) => Ok(own(fd)),
        // Linux before 5.6: no links at all on the way.
        Err(Errno::ENOSYS) => walk(root, path, flags),
        Err(e) => Err(e),
    }
}

fn walk(root: RawFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let parts: Vec<&OsStr> = path
        .components()
        .filter_map(|c| if let Component::Normal(part) = c { Some(part) } else { None })
        .collect();
    let mut at = own(openat(Some(root), ".", OPEN_FOLDER, Mode::empty())?);
    for (n, part) in parts.iter().enumerate() {
        let last = n + 1 == parts.len();
        let flags = if last { flags } else { OPEN_FOLDER };
        at = own(openat(Some(at.as_raw_fd()), *part, flags | OFlag::O_NOFOLLOW, Mode::empty())?);
    }
    Ok(at)
}

impl Tree {
    /// The tree below an existing folder.
    ///
    /// # Errors
    /// It is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let root = openat(None, path, OPEN_FOLDER, Mode::empty()).map_err(|e| failed(path, e))?;
        Ok(Self { root: own(root), last: None })
    }

    /// Opens a file to read it, as a process with this root would.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn read(&self, path: &Path) -> std::io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        Ok(File::from(scoped(self.root.as_raw_fd(), path, flags)?))
    }

    /// Opens a folder, and makes it and those above it if they are not there.
    ///
    /// # Errors
    /// A file in the way.
    pub fn folder(&mut self, path: &Path) -> Result<Rc<OwnedFd>> {
        self.folder_through(path, LINKS_MAX)
    }

    fn folder_through(&mut self, path: &Path, links: usize) -> Result<Rc<OwnedFd>> {
        if let Some((last, fd)) = &self.last
            && last == path
        {
            return Ok(Rc::clone(fd));
        }
        let root = self.root.as_raw_fd();
        let opened = match path.as_os_str().is_empty() {
            true => openat(Some(root), ".", OPEN_FOLDER, Mode::empty()).map(own),
            false => scoped(root, path, OPEN_FOLDER),
        };
        let fd = match opened {
            Ok(fd) => Rc::new(fd),
            Err(Errno::ENOENT) => {
                let (above, name) = self.parent(path)?;
                if let Ok(to) = readlinkat(Some(above.as_raw_fd()), name.as_c_str()) {
                    // To a folder that is not there yet.
                    if links == 0 {
                        return Err(format!("{} leads nowhere", super::shown_path(path)));
                    }
                    let to = path.parent().unwrap_or(Path::new("")).join(to);
                    return self.folder_through(&lexical(&to), links - 1);
                }
                mkdirat(Some(above.as_raw_fd()), name.as_c_str(), FOLDER)
                    .map_err(|e| failed(path, e))?;
                // Whatever the umask is.
                let all = OPEN_FOLDER | OFlag::O_NOFOLLOW;
                let fd = openat(Some(above.as_raw_fd()), name.as_c_str(), all, Mode::empty())
                    .map_err(|e| failed(path, e))?;
                let fd = own(fd);
                fchmod(fd.as_raw_fd(), FOLDER).map_err(|e| failed(path, e))?;
                Rc::new(fd)
            }
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                return Err(format!("{} is no folder", super::shown_path(path)));
            }
            Err(e) => return Err(failed(path, e)),
        };
        self.last = Some((path.into(), Rc::clone(&fd)));
        Ok(fd)
    }

    fn parent(&mut self, path: &Path) -> Result<(Rc<OwnedFd>, CString)> {
        let Some(name) = path.file_name() else {
            return Err(format!("{} has no name", super::shown_path(path)));
        };
        let name = CString::new(name.as_bytes()).map_err(|_| failed(path, Errno::EINVAL))?;
        let above = self.folder(path.parent().unwrap_or(Path::new("")))?;
        Ok((above, name))
    }

    /// Does something with a name in its folder.
    fn at<T>(
        &mut self,
        path: &Path,
        act: impl FnOnce(RawFd, &CStr) -> nix::Result<T>,
    ) -> Result<T> {
        let (above, name) = self.parent(path)?;
        act(above.as_raw_fd(), &name).map_err(|e| failed(path, e))
    }

    /// What has this name; links are not followed.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn look(&mut self, path: &Path) -> Result<Option<FileStat>> {
        self.at(path, |dir, name| match fstatat(Some(dir), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(e),
        })
    }

    /// Removes what has this name, whole; nothing is there is good.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn remove(&mut self, path: &Path) -> Result<()> {
        self.last = None;
        let removed = self.at(path, remove);
        self.last = None;
        removed
    }

    /// A new file instead of what has this name.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn file(&mut self, path: &Path) -> Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let flags = flags | OFlag::O_NOFOLLOW;
        self.make(path, |dir, name| {
            let mode = Mode::from_bits_truncate(0o600);
            openat(Some(dir), name, flags, mode).map(|fd| File::from(own(fd)))
        })
    }

    fn make<T>(&mut self, path: &Path, act: impl Fn(RawFd, &CStr) -> nix::Result<T>) -> Result<T> {
        let (above, name) = self.parent(path)?;
        match act(above.as_raw_fd(), &name) {
            Err(Errno::EEXIST) => {
                drop(above);
                self.remove(path)?;
                self.at(path, act)
            }
            other => other.map_err(|e| failed(path, e)),
        }
    }

    /// A folder with this name, that stays what it is when it is there. Whether it took another thing's place.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn dir(&mut self, path: &Path) -> Result<Option<FileStat>> {
        let there = self.look(path)?;
        let is_dir = |s: &FileStat| s.st_mode & libc::S_IFMT == libc::S_IFDIR;
        if there.as_ref().is_some_and(is_dir) {
            return Ok(None);
        }
        self.make(path, |dir, name| mkdirat(Some(dir), name, FOLDER))?;
        Ok(there)
    }

    /// A symbolic link instead of what has this name.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn link(&mut self, path: &Path, to: &OsStr) -> Result<()> {
        self.make(path, |dir, name| symlinkat(to, Some(dir), name))
    }

    /// Another name of a file (or link) of this tree.
    ///
    /// # Errors
    /// The other one is not there, or something else.
    pub fn hard_link(&mut self, path: &Path, to: &Path) -> Result<()> {
        let kind = self.look(to)?.map(|s| s.st_mode & libc::S_IFMT);
        if !matches!(kind, Some(libc::S_IFREG | libc::S_IFLNK | libc::S_IFIFO)) {
            let (path, to) = (super::shown_path(path), super::shown_path(to));
            return Err(format!("{path} is a link to {to}, which is no file of this layer"));
        }
        if path == to {
            return Ok(());
        }
        let (source, source_name) = self.parent(to)?;
        self.make(path, |dir, name| {
            let source = Some(source.as_raw_fd());
            linkat(source, source_name.as_c_str(), Some(dir), name, AtFlags::empty())
        })
    }

    /// A named pipe instead of what has this name.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn pipe(&mut self, path: &Path) -> Result<()> {
        let mode = Mode::from_bits_truncate(0o600);
        self.make(path, |dir, name| mknodat(Some(dir), name, SFlag::S_IFIFO, mode, 0))
    }

    /// The mark by which overlayfs hides what is below; whether the machine lets it be made.
    ///
    /// # Errors
    /// The kernel's reason, other than that it is not allowed.
    pub fn whiteout(&mut self, path: &Path) -> Result<bool> {
        self.make(path, |dir, name| {
            match mknodat(Some(dir), name, SFlag::S_IFCHR, Mode::empty(), 0) {
                Err(Errno::EPERM | Errno::EOPNOTSUPP) => Ok(false),
                other => other.map(|()| true),
            }
        })
    }

    /// Marks a folder as hiding all of the same name below; whether that can be done here.
    ///
    /// # Errors
    /// It is no folder.
    pub fn opaque(&mut self, path: &Path) -> Result<bool> {
        let fd = self.folder(path)?;
        // SAFETY: the name and the value outlive the call.
        let set =
            unsafe { libc::fsetxattr(fd.as_raw_fd(), OPAQUE.as_ptr(), c"y".as_ptr().cast(), 1, 0) };
        match Errno::result(set) {
            Ok(_) => Ok(true),
            Err(Errno::EPERM | Errno::EOPNOTSUPP) => Ok(false),
            Err(e) => Err(failed(path, e)),
        }
    }

    /// Sets whose something is, how it may be used, and since when it is. A link has no permissions.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn dress(&mut self, path: &Path, a: &Attributes, link: bool) -> Result<()> {
        if path.as_os_str().is_empty() {
            return dress(self.root.as_raw_fd(), c".", a, link).map_err(|e| failed(path, e));
        }
        self.at(path, |dir, name| dress(dir, name, a, link))
    }

    /// Sets since when a folder is, after things were put into it.
    ///
    /// # Errors
    /// The kernel's reason, other than that it was removed.
    pub fn date(&mut self, path: &Path, mtime: i64) -> Result<()> {
        let set = |dir, name: &CStr| match times(dir, name, mtime) {
            Err(Errno::ENOENT) => Ok(()),
            other => other,
        };
        match path.as_os_str().is_empty() {
            true => set(self.root.as_raw_fd(), c".").map_err(|e| failed(path, e)),
            false => self.at(path, set),
        }
    }
}

fn times(dir: RawFd, name: &CStr, mtime: i64) -> nix::Result<()> {
    let time = TimeSpec::new(mtime, 0);
    utimensat(Some(dir), name, &time, &time, UtimensatFlags::NoFollowSymlink)
}

fn dress(dir: RawFd, name: &CStr, a: &Attributes, link: bool) -> nix::Result<()> {
    let root = Uid::effective().is_root();
    // Nobody else can give files away: all of an image are his, who must be able to copy and remove them.
    if root {
        let (uid, gid) = (Some(Uid::from_raw(a.uid)), Some(Gid::from_raw(a.gid)));
        fchownat(Some(dir), name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    if !link {
        let kept = match root {
            true => 0,
            false => match fstatat(Some(dir), name, AtFlags::AT_SYMLINK_NOFOLLOW)?.st_mode
                & libc::S_IFMT
            {
                libc::S_IFDIR => 0o700,
                _ => 0o600,
            },
        };
        // After the owner, whose change takes bits away.
        let mode = Mode::from_bits_truncate(a.mode | kept);
        fchmodat(Some(dir), name, mode, FchmodatFlags::FollowSymlink)?;
    }
    times(dir, name, a.mtime)
}

/// Removes a name, and all below it if it is a folder.
fn remove(dir: RawFd, name: &CStr) -> nix::Result<()> {
    match unlinkat(Some(dir), name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(e) => return Err(e),
    }
    // No deeper than `DEPTH_MAX`, since it was made here.
    let flags = OPEN_FOLDER | OFlag::O_NOFOLLOW;
    let mut open = Dir::openat(Some(dir), name, flags, Mode::empty())?;
    let names: Vec<CString> = open
        .iter()
        .flatten()
        .map(|e| e.file_name().to_owned())
        .filter(|n| !matches!(n.to_bytes(), b"." | b".."))
        .collect();
    for inner in names {
        remove(open.as_raw_fd(), &inner)?;
    }
    unlinkat(Some(dir), name, UnlinkatFlags::RemoveDir)
}
