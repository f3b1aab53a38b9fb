//! Layers: tar files that strangers made, unpacked into folders that overlayfs takes as they are.
//!
//! What hides things of lower layers (`.wh.` names) becomes overlayfs's marks, and is listed too, for machines where the
//! marks cannot be made. Refused: paths that lead upwards, links to what is not in the layer, devices (but those below
//! `/dev`, which no container sees, are left out), more bytes or entries than the limits. Set-user-id and set-group-id bits
//! of files and extended attributes (file capabilities, overlayfs's own marks) are dropped: in containers they have no
//! effect, on the host nobody may gain by them.

use super::digest::{Digest, Hashing};
use super::tree::{Attributes, Tree, inside};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tokio_util::sync::CancellationToken;

/// The most bytes that names and the like of one entry may take.
pub const HEADERS_BYTES_MAX: u64 = 1 << 20;
/// The longest target of a link, in bytes.
const LINK_BYTES_MAX: usize = 4096;
/// How much is copied between two looks at whether anybody still waits, in bytes.
const PIECE: usize = 128 << 10;
/// The largest window of `zstd`, as a power of two: what its strongest ordinary setting asks for.
const ZSTD_WINDOW_LOG: u32 = 27;
/// What names of things to hide begin with.
const HIDES: &[u8] = b".wh.";
/// Hides all of lower layers in its folder.
const HIDES_ALL: &[u8] = b".wh..wh..opq";
/// Other remarks of an old file system.
const REMARKS: &[u8] = b".wh..wh.";

/// How large a layer may become.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the tar file.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 30, entries: 2_000_000 }
    }
}

/// What came of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// The digest of the tar file.
    pub diff_id: Digest,
    /// Bytes written.
    pub bytes: u64,
    /// Names of lower layers that are hidden.
    pub hidden: Vec<PathBuf>,
    /// Folders that hide those of lower layers.
    pub opaque: Vec<PathBuf>,
    /// Whether overlayfs's marks are in place.
    pub overlay: bool,
}

/// Unpacks a layer into an empty folder. Blocks. The layer may be packed with gzip or zstd, whatever it is said to be.
///
/// # Errors
/// What is wrong with it; nobody waits any more; what the file system says.
pub fn unpack(
    from: impl Read,
    into: &Path,
    limits: Limits,
    given_up: &CancellationToken,
) -> Result<Unpacked, String> {
    let mut from = BufReader::with_capacity(PIECE, from);
    let magic = from.fill_buf().map_err(text)?;
    if magic.starts_with(&[0x1f, 0x8b]) {
        return tar(flate2::bufread::MultiGzDecoder::new(from), into, limits, given_up);
    }
    if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(from).map_err(text)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(text)?;
        return tar(decoder, into, limits, given_up);
    }
    tar(from, into, limits, given_up)
}

fn text(e: impl std::fmt::Display) -> String {
    super::shown(&e.to_string())
}

/// Lets through so many bytes of one head, and so many of all.
struct Metered<R> {
    from: Hashing<R>,
    head: Rc<Cell<u64>>,
    left: u64,
    limit: u64,
    given_up: CancellationToken,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.given_up.is_cancelled() {
            return Err(io::Error::other("given up"));
        }
        if self.head.get() == 0 {
            let text = format!("the head of an entry has more than {HEADERS_BYTES_MAX} bytes");
            return Err(io::Error::other(text));
        }
        let most = usize::try_from(self.head.get()).unwrap_or(usize::MAX).min(to.len());
        let n = self.from.read(to.get_mut(..most).unwrap_or_default())?;
        let read = n as u64;
        self.head.set(self.head.get().saturating_sub(read));
        self.left = self.left.checked_sub(read).ok_or_else(|| {
            io::Error::other(format!("it unpacks to more than {} bytes", self.limit))
        })?;
        Ok(n)
    }
}

fn tar(
    from: impl Read,
    into: &Path,
    limits: Limits,
    given_up: &CancellationToken,
) -> Result<Unpacked, String> {
    let head = Rc::new(Cell::new(HEADERS_BYTES_MAX));
    let mut archive = tar::Archive::new(Metered {
        from: Hashing::new(from),
        head: Rc::clone(&head),
        left: limits.bytes,
        limit: limits.bytes,
        given_up: given_up.clone(),
    });
    let mut layer = Layer {
        tree: Tree::open(into)?,
        folders: Vec::new(),
        hidden: Vec::new(),
        opaque: Vec::new(),
        overlay: true,
        bytes: 0,
        limits,
        given_up,
    };
    let mut entries = archive.entries().map_err(text)?;
    for n in 0.. {
        // Long names are read into memory before anything is known of them.
        head.set(HEADERS_BYTES_MAX);
        let Some(entry) = entries.next() else { break };
        if n >= limits.entries {
            return Err(format!("it has more than {} entries", limits.entries));
        }
        let mut entry = entry.map_err(text)?;
        head.set(u64::MAX);
        layer.entry(&mut entry)?;
        // What is not wanted of it is passed over here, where it may be long.
        io::copy(&mut entry, &mut io::sink()).map_err(text)?;
    }
    head.set(u64::MAX);
    let mut rest = archive.into_inner();
    // The digest is over all there is.
    io::copy(&mut rest, &mut io::sink()).map_err(text)?;
    layer.finish(rest.from.finish())
}

struct Layer<'a> {
    tree: Tree,
    /// Folders and since when they are: set last, since whatever is put into them changes it.
    folders: Vec<(PathBuf, i64)>,
    hidden: Vec<PathBuf>,
    opaque: Vec<PathBuf>,
    overlay: bool,
    bytes: u64,
    limits: Limits,
    given_up: &'a CancellationToken,
}

fn is_whiteout(stat: &nix::sys::stat::FileStat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == 0
}

impl Layer<'_> {
    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), String> {
        use tar::EntryType as Kind;
        let kind = entry.header().entry_type();
        if kind == Kind::XGlobalHeader {
            return Ok(());
        }
        let given = entry.path().map_err(text)?.into_owned();
        let path = inside(&given)?;
        let attributes = attributes(entry.header(), kind)?;
        let Some(name) = path.file_name() else {
            // The root itself.
            if kind == Kind::Directory {
                self.folders.push((PathBuf::new(), attributes.mtime));
                self.tree.dress(&path, &attributes, false)?;
            }
            return Ok(());
        };
        if name.as_bytes().starts_with(HIDES) {
            return self.hide(&path, name);
        }
        let target = || -> Result<PathBuf, String> {
            let to = entry.link_name().map_err(text)?;
            let to = to.ok_or_else(|| format!("{} leads nowhere", super::shown_path(&path)))?;
            match to.as_os_str().len() <= LINK_BYTES_MAX {
                true => Ok(to.into_owned()),
                false => Err(format!("{} has too long a target", super::shown_path(&path))),
            }
        };
        match kind {
            Kind::Directory => return self.folder(&path, &attributes),
            Kind::Regular | Kind::Continuous | Kind::GNUSparse => {
                self.file(&path, entry)?;
            }
            Kind::Symlink => {
                // It may point anywhere: it is followed in the container, whose root ends its way.
                self.tree.link(&path, target()?.as_os_str())?;
                return self.tree.dress(&path, &attributes, true);
            }
            Kind::Link => {
                let to = inside(&target()?)?;
                // It has the attributes of the other name.
                return self.tree.hard_link(&path, &to);
            }
            Kind::Fifo => self.tree.pipe(&path)?,
            Kind::Char | Kind::Block if path.starts_with("dev") => return Ok(()),
            Kind::Char | Kind::Block => {
                return Err(format!("{} is a device", super::shown_path(&path)));
            }
            other => {
                let path = super::shown_path(&path);
                return Err(format!("{path} is of the unknown kind {other:?}"));
            }
        }
        self.tree.dress(&path, &attributes, false)
    }

    fn folder(&mut self, path: &Path, attributes: &Attributes) -> Result<(), String> {
        let replaced = self.tree.dir(path)?;
        if replaced.as_ref().is_some_and(is_whiteout) {
            // Hidden below, and here anew: nothing of the lower one shows.
            self.hide_all(path)?;
        }
        self.folders.push((path.into(), attributes.mtime));
        self.tree.dress(path, attributes, false)
    }

    fn file(&mut self, path: &Path, from: &mut impl Read) -> Result<(), String> {
        let mut file = self.tree.file(path)?;
        let mut piece = vec![0; PIECE];
        loop {
            if self.given_up.is_cancelled() {
                return Err("given up".into());
            }
            let n = from.read(&mut piece).map_err(text)?;
            if n == 0 {
                return Ok(());
            }
            // Holes count as what they look like.
            self.bytes += n as u64;
            if self.bytes > self.limits.bytes {
                return Err(format!("it unpacks to more than {} bytes", self.limits.bytes));
            }
            io::Write::write_all(&mut file, piece.get(..n).unwrap_or_default())
                .map_err(|e| format!("{}: {e}", super::shown_path(path)))?;
        }
    }

    fn hide(&mut self, path: &Path, name: &OsStr) -> Result<(), String> {
        let above = path.parent().unwrap_or(Path::new(""));
        if name.as_bytes() == HIDES_ALL {
            self.tree.folder(above)?;
            return self.hide_all(above);
        }
        if name.as_bytes().starts_with(REMARKS) {
            return Ok(());
        }
        let hidden = name.as_bytes().get(HIDES.len()..).unwrap_or_default();
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(format!("{} hides nothing that can be", super::shown_path(path)));
        }
        let hidden = above.join(OsStr::from_bytes(hidden));
        match self.tree.look(&hidden)? {
            None => self.overlay &= self.tree.whiteout(&hidden)?,
            // It is of this layer: only what is below is meant.
            Some(s) if s.st_mode & libc::S_IFMT == libc::S_IFDIR => self.hide_all(&hidden)?,
            Some(_) => {}
        }
        self.hidden.push(hidden);
        Ok(())
    }

    fn hide_all(&mut self, path: &Path) -> Result<(), String> {
        self.overlay &= self.tree.opaque(path)?;
        self.opaque.push(path.into());
        Ok(())
    }

    fn finish(mut self, diff_id: Digest) -> Result<Unpacked, String> {
        for (path, mtime) in std::mem::take(&mut self.folders).iter().rev() {
            let there = path.as_os_str().is_empty() || self.tree.look(path)?.is_some();
            if there {
                self.tree.date(path, *mtime)?;
            }
        }
        let Self { bytes, hidden, opaque, overlay, .. } = self;
        Ok(Unpacked { diff_id, bytes, hidden, opaque, overlay })
    }
}

fn attributes(header: &tar::Header, kind: tar::EntryType) -> Result<Attributes, String> {
    let number = |n: io::Result<u64>| n.map_err(text);
    let id = |n: u64| u32::try_from(n).map_err(|_| format!("{n} is no user or group"));
    // On a folder the group bit only says whose new files are.
    let kept = if kind == tar::EntryType::Directory { 0o3777 } else { 0o777 };
    Ok(Attributes {
        uid: id(number(header.uid())?)?,
        gid: id(number(header.gid())?)?,
        mode: header.mode().map_err(text)? & kept,
        mtime: i64::try_from(number(header.mtime())?).unwrap_or(0),
    })
}
