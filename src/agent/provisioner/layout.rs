//! Images in files of this machine: what `docker save` writes, and OCI image layouts; each as one tar file or as a folder.
//! Nothing outside of the file or folder is read, whatever it says of itself.

use super::digest::{Digest, Hashing};
use super::manifest::{
    CONFIG_BYTES_MAX, Config, Descriptor, Document, MANIFEST_BYTES_MAX, Manifest, Platform, choose,
    json, named,
};
use super::reference::Reference;
use super::tree::{Tree, inside, lexical};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Entries that the tar file of an image may have.
const ENTRIES_MAX: usize = 100_000;
/// What all heads of it may have, in bytes.
const HEADS_BYTES_MAX: u64 = 256 << 20;
/// How many links in a row lead to a file of it.
const LINKS_MAX: usize = 8;
/// How many indexes lead from one to the next.
const INDEXES_MAX: usize = 4;
/// What `docker save` calls its list of images.
const SAVED: &str = "manifest.json";
/// What makes a folder an OCI layout.
const OCI: &str = "index.json";

/// An image's file or folder, opened.
pub struct Layout {
    path: PathBuf,
    holds: Holds,
}

enum Holds {
    Tar { file: File, parts: BTreeMap<PathBuf, Part> },
    Folder,
}

/// What a name of a tar file stands for.
enum Part {
    Bytes { offset: u64, size: u64 },
    Link(PathBuf),
}

/// A layer in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFile {
    /// Its name there.
    pub name: PathBuf,
    /// What the file must be, if the layout says so.
    pub digest: Option<Digest>,
}

/// An image found in a layout.
#[derive(Debug)]
pub struct Found {
    /// The digest by which it is told apart from others.
    pub digest: Digest,
    /// Its configuration.
    pub config: Config,
    /// Its layers, the lowest first.
    pub layers: Vec<LayerFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: PathBuf,
    repo_tags: Option<Vec<String>>,
    layers: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

type Result<T> = std::result::Result<T, String>;

fn at(path: &Path, e: impl std::fmt::Display) -> String {
    format!("{}: {}", path.display(), super::shown(&e.to_string()))
}

impl Layout {
    /// Opens a file or a folder. Of a tar file the table of contents is read. Blocks.
    ///
    /// # Errors
    /// It is not there, or neither.
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        // A pipe without a writer must not be waited for.
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let mut file = file.map_err(|e| at(path, e))?;
        let meta = file.metadata().map_err(|e| at(path, e))?;
        let holds = if meta.is_dir() {
            Holds::Folder
        } else if meta.is_file() {
            let parts = contents(&mut file).map_err(|e| at(path, e))?;
            Holds::Tar { file, parts }
        } else {
            return Err(at(path, "neither a file nor a folder"));
        };
        Ok(Self { path: path.into(), holds })
    }

    /// Opens a file in it.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn read(&self, name: &Path) -> Result<Box<dyn Read + Send>> {
        let missing = || format!("{} holds no {}", self.path.display(), super::shown_path(name));
        let mut name = inside(name)?;
        match &self.holds {
            Holds::Folder => {
                let opened = Tree::open(&self.path)?.read(&name);
                let file = opened.map_err(|_| missing())?;
                match file.metadata().is_ok_and(|m| m.is_file()) {
                    true => Ok(Box::new(file)),
                    false => Err(missing()),
                }
            }
            Holds::Tar { file, parts } => {
                for _ in 0..=LINKS_MAX {
                    match parts.get(&name) {
                        Some(Part::Link(to)) => name = to.clone(),
                        Some(Part::Bytes { offset, size }) => {
                            // Of its own, since each has a place where it reads.
                            let own = file.try_clone().map_err(|e| at(&self.path, e))?;
                            return Ok(Box::new(Window { file: own, at: *offset, left: *size }));
                        }
                        None => break,
                    }
                }
                Err(missing())
            }
        }
    }

    fn small(&self, name: &Path, what: &str, max: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.read(name)?.take(max + 1).read_to_end(&mut bytes);
        read.map_err(|e| at(&self.path, e))?;
        match bytes.len() as u64 > max {
            true => Err(format!("the {what} is longer than {max} bytes")),
            false => Ok(bytes),
        }
    }

    fn blob(&self, d: &Descriptor, what: &str, max: u64) -> Result<Vec<u8>> {
        let bytes = self.small(&blob_path(&d.digest), what, max)?;
        let there = Digest::of(&bytes);
        match there == d.digest {
            true => Ok(bytes),
            false => Err(format!("the {what} {} is {there} in fact", d.digest)),
        }
    }

    /// The image of this name.
    ///
    /// # Errors
    /// There is none, or it is not whole.
    pub fn find(&self, reference: &Reference, own: &Platform) -> Result<Found> {
        let found = match self.read(Path::new(SAVED)).is_ok() {
            true => self.saved(reference),
            false => self.oci(reference, own),
        };
        found.map_err(|why| match why.contains(&*self.path.to_string_lossy()) {
            true => why,
            false => at(&self.path, why),
        })
    }

    fn saved(&self, reference: &Reference) -> Result<Found> {
        if let Some(digest) = &reference.digest {
            return Err(format!("docker save keeps no digests: {digest} cannot be looked for"));
        }
        let bytes = self.small(Path::new(SAVED), "list of images", MANIFEST_BYTES_MAX)?;
        let all: Vec<SavedImage> = json("list of images", &bytes)?;
        let tagged = reference.tagged();
        let is = |tag: &String| {
            let short = tag.strip_prefix("docker.io/").unwrap_or(tag);
            *tag == tagged || short == tagged || short.strip_prefix("library/") == Some(&*tagged)
        };
        let has = |image: &&SavedImage| image.repo_tags.iter().flatten().any(is);
        let image = match (all.iter().find(has), all.as_slice()) {
            (Some(image), _) | (None, [image]) => image,
            _ => return Err(format!("it holds {} images, none of them {tagged}", all.len())),
        };
        let bytes = self.small(&image.config, "configuration", CONFIG_BYTES_MAX)?;
        let digest = Digest::of(&bytes);
        // Its name is its digest, with an ending in the older form.
        let name = image.config.file_stem().map(|n| n.to_string_lossy().into_owned());
        if let Some(named) = name.and_then(|n| Digest::parse(&format!("sha256:{n}")).ok())
            && named != digest
        {
            return Err(format!("the configuration {named} is {digest} in fact"));
        }
        let layers = image.layers.iter().map(|l| LayerFile { name: l.clone(), digest: None });
        Found { digest, config: Config::read(&bytes)?, layers: layers.collect() }.checked()
    }

    fn oci(&self, reference: &Reference, own: &Platform) -> Result<Found> {
        let bytes = self.small(Path::new(OCI), "index", MANIFEST_BYTES_MAX).map_err(|_| {
            "it is no image: neither a docker save nor an OCI layout was found in it".to_owned()
        })?;
        let index: Index = json("index", &bytes)?;
        let (descriptor, manifest) = match &reference.digest {
            Some(digest) => {
                let is = |d: &&Descriptor| d.digest == *digest;
                let found = index.manifests.iter().find(is);
                let found = found.ok_or_else(|| format!("it holds no image {digest}"))?;
                self.manifest(found, own, 0)?
            }
            None => {
                let (tagged, tag) = (reference.tagged(), reference.tag());
                let found: Vec<Descriptor> =
                    named(&index.manifests, &tagged, tag).into_iter().cloned().collect();
                match found.as_slice() {
                    [] => return Err(format!("it holds no image {tagged}")),
                    [one] => self.manifest(one, own, 0)?,
                    several => self.manifest(choose(several, own)?, own, 0)?,
                }
            }
        };
        let bytes = self.blob(&manifest.config, "configuration", CONFIG_BYTES_MAX)?;
        let layers = manifest.layers.iter();
        let layers = layers
            .map(|l| LayerFile { name: blob_path(&l.digest), digest: Some(l.digest.clone()) });
        let layers = layers.collect();
        Found { digest: descriptor.digest, config: Config::read(&bytes)?, layers }.checked()
    }

    fn manifest(
        &self,
        of: &Descriptor,
        own: &Platform,
        depth: usize,
    ) -> Result<(Descriptor, Manifest)> {
        if depth > INDEXES_MAX {
            return Err("indexes lead to indexes without end".into());
        }
        match Document::read(&self.blob(of, "manifest", MANIFEST_BYTES_MAX)?)? {
            Document::Image(manifest) => Ok((of.clone(), manifest)),
            Document::Index(all) => self.manifest(choose(&all, own)?, own, depth + 1),
        }
    }

    /// Opens a layer; what it reads is hashed where the layout says what it must be.
    ///
    /// # Errors
    /// It is not there.
    pub fn layer(&self, layer: &LayerFile) -> Result<Hashing<Box<dyn Read + Send>>> {
        Ok(Hashing::new(self.read(&layer.name)?))
    }
}

impl Found {
    fn checked(self) -> Result<Self> {
        let (layers, ids) = (self.layers.len(), self.config.diff_ids.len());
        match layers == ids {
            true => Ok(self),
            false => Err(format!("it has {layers} layers, and its configuration names {ids}")),
        }
    }
}

fn blob_path(digest: &Digest) -> PathBuf {
    Path::new("blobs/sha256").join(digest.hex())
}

/// A part of a file.
struct Window {
    file: File,
    at: u64,
    left: u64,
}

impl Read for Window {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt as _;
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(to.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.file.read_at(to.get_mut(..most).unwrap_or_default(), self.at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

/// Reads the heads of a tar file, and no more bytes than heads may have: long names are read into memory.
struct Heads<'a> {
    file: &'a File,
    left: u64,
}

impl Read for Heads<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(to)?;
        let left = self.left.checked_sub(n as u64);
        self.left = left.ok_or_else(|| io::Error::other("its table of contents is too long"))?;
        Ok(n)
    }
}

impl io::Seek for Heads<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Where everything is in a tar file. It is read as it stands: what is packed is refused.
fn contents(file: &mut File) -> Result<BTreeMap<PathBuf, Part>> {
    let mut magic = [0; 2];
    let n = file.read(&mut magic).map_err(|e| e.to_string())?;
    if n == 2 && magic == [0x1f, 0x8b] {
        return Err("it is packed with gzip: unpack it first".into());
    }
    file.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    let mut archive = tar::Archive::new(Heads { file, left: HEADS_BYTES_MAX });
    let mut parts = BTreeMap::new();
    let entries = archive.entries_with_seek().map_err(|e| e.to_string())?;
    for (n, entry) in entries.enumerate() {
        if n >= ENTRIES_MAX {
            return Err(format!("it has more than {ENTRIES_MAX} entries"));
        }
        let entry = entry.map_err(|e| format!("it is no tar file: {e}"))?;
        let path = inside(&entry.path().map_err(|e| e.to_string())?)?;
        let link = entry.link_name().ok().flatten().map(|l| l.into_owned());
        match (entry.header().entry_type(), link) {
            (tar::EntryType::Regular | tar::EntryType::Continuous, _) => {
                let (offset, size) = (entry.raw_file_position(), entry.size());
                parts.insert(path, Part::Bytes { offset, size });
            }
            (tar::EntryType::Symlink, Some(to)) => {
                let above = path.parent().unwrap_or(Path::new(""));
                parts.insert(path.clone(), Part::Link(lexical(&above.join(to))));
            }
            (tar::EntryType::Link, Some(to)) => {
                parts.insert(path, Part::Link(lexical(&to)));
            }
            _ => {}
        }
    }
    Ok(parts)
}
