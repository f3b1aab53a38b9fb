//! Archives: which names are ones, and unpacking them into a sandbox.

use super::place::{Sandbox, at};
use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

/// The most bytes one archive may unpack to.
pub const UNPACKED_BYTES_MAX: u64 = 64 << 30;
/// The most entries one archive may have.
pub const ENTRIES_MAX: usize = 1_000_000;

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
    /// `.zip`
    Zip,
    /// `.gz`: one file
    Gz,
}

/// The endings the original knows; the longest first.
const ENDINGS: &[(&str, Kind)] = &[
    (".tar.gz", Kind::TarGz),
    (".tar.bz2", Kind::TarBz2),
    (".tar.xz", Kind::TarXz),
    (".tgz", Kind::TarGz),
    (".tbz2", Kind::TarBz2),
    (".txz", Kind::TarXz),
    (".tar", Kind::Tar),
    (".zip", Kind::Zip),
    (".gz", Kind::Gz),
];

/// The kind of archive that this name says it is.
pub fn kind_of(name: &Path) -> Option<Kind> {
    let name = name.to_string_lossy();
    ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, kind)| *kind)
}

/// Unpacks the archive beside itself. A `.gz` is replaced by what is in it.
///
/// # Errors
/// What is wrong with the archive; an entry that leads out of the sandbox.
pub fn extract(sandbox: &Sandbox, archive: &Path, kind: Kind) -> Result<(), String> {
    let file = File::open(archive).map_err(|e| at(archive, &e))?;
    let below =
        archive.parent().and_then(|p| p.strip_prefix(sandbox.root()).ok()).unwrap_or(Path::new(""));
    let target = Target { sandbox, below, bytes_left: UNPACKED_BYTES_MAX };
    let broken = |e: io::Error| format!("cannot unpack '{}': {e}", archive.display());
    match kind {
        Kind::Tar => target.tar(file),
        Kind::TarGz => target.tar(flate2::read::MultiGzDecoder::new(file)),
        Kind::TarBz2 => target.tar(bzip2::read::MultiBzDecoder::new(file)),
        Kind::TarXz => target.tar(unxz(file, archive)?),
        Kind::Zip => target.zip(file),
        Kind::Gz => {
            let plain = archive.with_extension("");
            let mut out = sandbox.create_new(&plain, 0o644)?;
            let decoder = flate2::read::MultiGzDecoder::new(file);
            let size = io::copy(&mut decoder.take(UNPACKED_BYTES_MAX + 1), &mut out);
            if size.map_err(broken)? > UNPACKED_BYTES_MAX {
                return Err(too_large());
            }
            fs::remove_file(archive).map_err(|e| at(archive, &e))
        }
    }
}

fn too_large() -> String {
    format!("the archive unpacks to more than {UNPACKED_BYTES_MAX} bytes")
}

/// The xz decoder writes only; what it writes goes to a nameless file.
fn unxz(file: File, archive: &Path) -> Result<File, String> {
    let broken = |e: String| format!("cannot unpack '{}': {e}", archive.display());
    let folder = archive.parent().unwrap_or(Path::new("/tmp"));
    let mut plain = nameless(folder).map_err(|e| broken(e.to_string()))?;
    let mut bounded = Bounded { to: &mut plain, left: UNPACKED_BYTES_MAX };
    lzma_rs::xz_decompress(&mut io::BufReader::new(file), &mut bounded)
        .map_err(|e| broken(format!("{e:?}")))?;
    plain.rewind().map_err(|e| broken(e.to_string()))?;
    Ok(plain)
}

fn nameless(folder: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE).open(folder)
}

struct Bounded<'a> {
    to: &'a mut File,
    left: u64,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other(too_large()))?;
        self.to.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

struct Target<'a> {
    sandbox: &'a Sandbox,
    below: &'a Path,
    bytes_left: u64,
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
        let path = self.sandbox.make_parents(name)?;
        // The owner may always read and write; set-user-id bits are nobody's to bring.
        let mut file = self.sandbox.create_new(&path, (mode & 0o777) | 0o600)?;
        let size =
            io::copy(&mut from.take(self.bytes_left + 1), &mut file).map_err(|e| at(&path, &e))?;
        self.bytes_left = self.bytes_left.checked_sub(size).ok_or_else(too_large)?;
        Ok(())
    }

    fn make_dir(&self, name: &Path) -> Result<(), String> {
        let path = self.sandbox.make_parents(name)?;
        self.sandbox.make_dir(&path)
    }

    /// Links may point anywhere, as in the original: the task reads them as itself. They are not followed here.
    fn link(&self, name: &Path, to: &Path) -> Result<(), String> {
        let path = self.sandbox.make_parents(name)?;
        let _ = fs::remove_file(&path);
        symlink(to, &path).map_err(|e| at(&path, &e))
    }

    fn tar(mut self, from: impl Read) -> Result<(), String> {
        let broken = |e: io::Error| format!("cannot unpack it: {e}");
        let mut archive = tar::Archive::new(from);
        for (n, entry) in archive.entries().map_err(broken)?.enumerate() {
            if n >= ENTRIES_MAX {
                return Err(format!("the archive has more than {ENTRIES_MAX} entries"));
            }
            let mut entry = entry.map_err(broken)?;
            let path = entry.path().map_err(broken)?.into_owned();
            let Some(name) = self.name(&path)? else { continue };
            let mode = entry.header().mode().unwrap_or(0o644);
            match entry.header().entry_type() {
                tar::EntryType::Directory => self.make_dir(&name)?,
                tar::EntryType::Regular | tar::EntryType::Continuous => {
                    self.write(&name, mode, &mut entry)?;
                }
                tar::EntryType::Symlink => {
                    let Some(to) = entry.link_name().map_err(broken)? else { continue };
                    self.link(&name, &to)?;
                }
                tar::EntryType::Link => {
                    let Some(to) = entry.link_name().map_err(broken)? else { continue };
                    self.hard_link(&name, &to)?;
                }
                tar::EntryType::XGlobalHeader => {}
                other => return Err(format!("the entry '{}' is a {other:?}", path.display())),
            }
        }
        Ok(())
    }

    /// A second name of a file of the same archive: copied, so that no file outside can be meant.
    fn hard_link(&mut self, name: &Path, to: &Path) -> Result<(), String> {
        let Some(source) = self.name(to)? else { return Err("a link to nothing".into()) };
        let source = self.sandbox.make_parents(&source)?;
        let there = fs::symlink_metadata(&source).map_err(|e| at(&source, &e))?;
        if !there.is_file() {
            return Err(format!("the link to '{}' is to no file", to.display()));
        }
        use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
        let mut options = fs::OpenOptions::new();
        let opened = options.read(true).custom_flags(libc::O_NOFOLLOW).open(&source);
        let mut file = opened.map_err(|e| at(&source, &e))?;
        self.write(name, there.mode(), &mut file)
    }

    fn zip(mut self, file: File) -> Result<(), String> {
        let broken = |e: zip::result::ZipError| format!("cannot unpack it: {e}");
        let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
        if archive.len() > ENTRIES_MAX {
            return Err(format!("the archive has more than {ENTRIES_MAX} entries"));
        }
        for n in 0..archive.len() {
            let mut entry = archive.by_index(n).map_err(broken)?;
            let Some(name) = self.name(Path::new(entry.name()))? else { continue };
            let mode = entry.unix_mode().unwrap_or(0o644);
            if entry.is_dir() {
                self.make_dir(&name)?;
            } else if entry.is_symlink() {
                let mut to = String::new();
                entry.read_to_string(&mut to).map_err(|e| format!("cannot unpack it: {e}"))?;
                self.link(&name, Path::new(&to))?;
            } else {
                self.write(&name, mode, &mut entry)?;
            }
        }
        Ok(())
    }
}
