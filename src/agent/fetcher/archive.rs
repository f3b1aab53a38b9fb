//! Archives: which names are ones, and unpacking them into a sandbox.

use super::pace::Pace;
use super::place::Sandbox;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// The most bytes one archive may unpack to.
pub const UNPACKED_BYTES_MAX: u64 = 64 << 30;
/// The most entries one archive may have.
pub const ENTRIES_MAX: usize = 1_000_000;
/// The most bytes that names and the like of one entry may take.
pub const HEADERS_BYTES_MAX: u64 = 1 << 20;
/// The longest target of a link, in bytes.
const LINK_BYTES_MAX: u64 = 4096;
/// The most memory that unpacking `.xz` may take, in KiB: twice what the strongest setting asks for.
const XZ_MEMORY_KIB_MAX: u32 = 128 << 10;
/// The largest window of `.zst`, as a power of two: what its strongest ordinary setting asks for.
const ZSTD_WINDOW_LOG: u32 = 27;

/// What kind of archive a name says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `.tar`
    Tar,
    /// `.tgz`, `.tar.gz`
    TarGz,
    /// `.tbz2`, `.tar.bz2`
    TarBz2,
    /// `.txz`, `.tar.xz`
    TarXz,
    /// `.tzst`, `.tar.zst`
    TarZst,
    /// `.zip`
    Zip,
    /// `.gz`: one file
    Gz,
    /// `.zst`: one file
    Zst,
}

impl Kind {
    /// Whether it is one file, which takes the archive's place.
    pub fn is_single(self) -> bool {
        matches!(self, Self::Gz | Self::Zst)
    }
}

/// The endings the original knows, and those of zstd; the longest first.
const ENDINGS: &[(&str, Kind)] = &[
    (".tar.gz", Kind::TarGz),
    (".tar.bz2", Kind::TarBz2),
    (".tar.xz", Kind::TarXz),
    (".tar.zst", Kind::TarZst),
    (".tgz", Kind::TarGz),
    (".tbz2", Kind::TarBz2),
    (".txz", Kind::TarXz),
    (".tzst", Kind::TarZst),
    (".tar", Kind::Tar),
    (".zip", Kind::Zip),
    (".gz", Kind::Gz),
    (".zst", Kind::Zst),
];

/// The kind of archive that this name says it is.
pub fn kind_of(name: &Path) -> Option<Kind> {
    let name = name.to_string_lossy();
    ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, kind)| *kind)
}

/// Unpacks an archive beside itself: `file` is it, at its beginning. A `.gz` or `.zst` is replaced by what is in it.
///
/// # Errors
/// What is wrong with the archive; an entry that leads out of the sandbox; the time is over.
pub fn extract(
    sandbox: &Sandbox,
    name: &Path,
    kind: Kind,
    file: File,
    pace: &Pace,
) -> Result<(), String> {
    let below = name.parent().unwrap_or(Path::new(""));
    let target = Target { sandbox, below, pace, left: UNPACKED_BYTES_MAX };
    let file = BufReader::new(file);
    let unpacked = match kind {
        Kind::Tar => target.tar(file),
        Kind::TarGz => target.tar(flate2::bufread::MultiGzDecoder::new(file)),
        Kind::TarBz2 => target.tar(bzip2::bufread::MultiBzDecoder::new(file)),
        Kind::TarXz => {
            target.tar(lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB_MAX))
        }
        Kind::TarZst => zstd_of(file).and_then(|from| target.tar(from)),
        Kind::Zip => target.zip(file),
        Kind::Gz => target.single(name, flate2::bufread::MultiGzDecoder::new(file)),
        Kind::Zst => zstd_of(file).and_then(|from| target.single(name, from)),
    };
    unpacked.map_err(|why| format!("cannot unpack '{}': {why}", sandbox.path(name).display()))
}

/// All frames of it, one after the other.
fn zstd_of(file: BufReader<File>) -> Result<impl Read, String> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(text)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(text)?;
    Ok(decoder)
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// Lets through so many bytes and no more.
struct Metered<R> {
    from: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            let text = format!("the head of an entry has more than {HEADERS_BYTES_MAX} bytes");
            return Err(io::Error::other(text));
        }
        let most = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(to.len());
        let n = self.from.read(&mut to[..most])?;
        self.left.set(self.left.get().saturating_sub(n as u64));
        Ok(n)
    }
}

struct Target<'a> {
    sandbox: &'a Sandbox,
    below: &'a Path,
    pace: &'a Pace,
    /// How many bytes may still be unpacked.
    left: u64,
}

impl Target<'_> {
    /// The name of an entry below the sandbox; nothing for the archive's own root.
    fn name(&self, entry: &Path) -> Result<Option<PathBuf>, String> {
        let mut name = self.below.to_path_buf();
        for part in entry.components() {
            match part {
                Component::Normal(part) => name.push(part),
                Component::CurDir => {}
                _ => return Err(format!("the entry '{}' leads out", entry.display())),
            }
        }
        Ok((name != self.below).then_some(name))
    }

    fn write(&mut self, name: &Path, mode: u32, from: &mut dyn Read) -> Result<(), String> {
        // The owner may always read and write; set-user-id bits are nobody's to bring.
        let mut file = self.sandbox.create(name, (mode & 0o777) | 0o600)?;
        self.left -= self.pace.copy(from, &mut file, self.left)?;
        Ok(())
    }

    fn single(mut self, name: &Path, mut from: impl Read) -> Result<(), String> {
        self.write(&name.with_extension(""), 0o644, &mut from)?;
        self.sandbox.remove(name)
    }

    fn tar(mut self, from: impl Read) -> Result<(), String> {
        let meter = Rc::new(Cell::new(HEADERS_BYTES_MAX));
        let mut archive = tar::Archive::new(Metered { from, left: Rc::clone(&meter) });
        let mut entries = archive.entries().map_err(text)?;
        for n in 0.. {
            // Long names are read into memory before anything is known of them.
            meter.set(HEADERS_BYTES_MAX);
            let Some(entry) = entries.next() else { break };
            if n >= ENTRIES_MAX {
                return Err(format!("there are more than {ENTRIES_MAX} entries"));
            }
            let mut entry = entry.map_err(text)?;
            meter.set(u64::MAX);
            self.tar_entry(&mut entry)?;
            // What is not wanted of it is passed over here, where it may be long.
            self.pace.copy(&mut entry, &mut io::sink(), UNPACKED_BYTES_MAX)?;
        }
        Ok(())
    }

    fn tar_entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), String> {
        let path = entry.path().map_err(text)?.into_owned();
        let Some(name) = self.name(&path)? else { return Ok(()) };
        let mode = entry.header().mode().unwrap_or(0o644);
        let to = entry.link_name().map_err(text)?.map(|to| to.into_owned());
        match (entry.header().entry_type(), to) {
            (tar::EntryType::Directory, _) => self.sandbox.make_dir(&name),
            (
                tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse,
                _,
            ) => self.write(&name, mode, entry),
            // Links may point anywhere, as in the original: the task reads them as itself.
            (tar::EntryType::Symlink, Some(to)) => self.sandbox.link(&name, &to),
            (tar::EntryType::Link, Some(to)) => self.hard_link(&name, &to),
            (tar::EntryType::XGlobalHeader, _) => Ok(()),
            (other, _) => Err(format!("the entry '{}' is a {other:?}", path.display())),
        }
    }

    /// A second name of a file of the same archive: copied, so that no file outside can be meant.
    fn hard_link(&mut self, name: &Path, to: &Path) -> Result<(), String> {
        let Some(source) = self.name(to)? else { return Err("a link to nothing".into()) };
        let mut file = self.sandbox.read(&source)?;
        let mode = file.metadata().map_err(text)?.permissions().mode();
        self.write(name, mode, &mut file)
    }

    fn zip(mut self, file: BufReader<File>) -> Result<(), String> {
        let mut archive = zip::ZipArchive::new(file).map_err(text)?;
        if archive.len() > ENTRIES_MAX {
            return Err(format!("there are more than {ENTRIES_MAX} entries"));
        }
        for n in 0..archive.len() {
            let mut entry = archive.by_index(n).map_err(text)?;
            let Some(name) = self.name(Path::new(entry.name()))? else { continue };
            let mode = entry.unix_mode().unwrap_or(0o644);
            if entry.is_dir() {
                self.sandbox.make_dir(&name)?;
            } else if entry.is_symlink() {
                let mut to = String::new();
                (&mut entry).take(LINK_BYTES_MAX).read_to_string(&mut to).map_err(text)?;
                self.sandbox.link(&name, Path::new(&to))?;
            } else {
                self.write(&name, mode, &mut entry)?;
            }
        }
        Ok(())
    }
}
