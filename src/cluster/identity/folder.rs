//! `<data folder>/identity/`: the node's key, and its membership (certificate and authorities, in one file so that they
//! always fit). The folder is its owner's alone; files are written beside, synced and renamed.

use super::authorities::Authorities;
use super::authority::Authority;
use super::certificate::{Certificate, Credentials};
use super::key::NodeKey;
use super::record;
use crate::base::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FOLDER: &str = "identity";
const KEY: &str = "node.key";
const MEMBERSHIP: &str = "membership";
/// The new authority, with its key, while it is nowhere else.
const FOUNDING: &str = "founding";
/// Where other nodes were last: whom to look for after a restart.
const OTHERS: &str = "others";
/// The addresses of how many other nodes are kept.
const OTHERS_MAX: usize = 64;
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

#[derive(Serialize, Deserialize)]
struct Membership {
    certificate: Certificate,
    authorities: Authorities,
}

/// Where a node keeps who it is.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    key: Arc<NodeKey>,
}

fn system(doing: &str, path: &Path, e: &std::io::Error) -> Error {
    Error::new(Code::System, format!("cannot {doing} {}: {e}", path.display()))
}

impl Folder {
    /// Opens the folder of a data directory that this process holds; makes it and the key when they are not there.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when the key cannot be read, or is gone beside a membership; [`Code::System`].
    pub fn open(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(FOLDER);
        let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&path);
        made.map_err(|e| system("make", &path, &e))?;
        tighten(&path, FOLDER_MODE)?;
        let file = path.join(KEY);
        let key = match std::fs::read(&file) {
            Ok(bytes) => {
                tighten(&file, FILE_MODE)?;
                NodeKey::from_pkcs8(&bytes).map_err(|e| lost(e, &file))?
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if path.join(MEMBERSHIP).exists() {
                    let gone = Error::new(Code::Corrupt, "the node's key is not there");
                    return Err(lost(gone, &file));
                }
                let key = NodeKey::generate()?;
                write(&path, KEY, key.pkcs8())?;
                key
            }
            Err(e) => return Err(system("read", &file, &e)),
        };
        Ok(Self { path, key: Arc::new(key) })
    }

    /// Keeps the authority of a cluster that this node founds, until the registry has it.
    ///
    /// # Errors
    /// [`Code::System`].
    pub fn keep_founding(&self, authority: &Authority) -> Result<()> {
        write(&self.path, FOUNDING, &authority.encode()?)
    }

    /// The authority that is to be put into the registry, if there is one.
    ///
    /// # Errors
    /// [`Code::Corrupt`], [`Code::System`].
    pub fn founding(&self) -> Result<Option<Authority>> {
        let file = self.path.join(FOUNDING);
        match std::fs::read(&file) {
            Ok(bytes) => Ok(Some(Authority::decode(&bytes)?)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(system("read", &file, &e)),
        }
    }

    /// The registry has the authority: it is kept nowhere else.
    ///
    /// # Errors
    /// [`Code::System`].
    pub fn founded(&self) -> Result<()> {
        let file = self.path.join(FOUNDING);
        match std::fs::remove_file(&file) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(system("remove", &file, &e)),
            _ => Ok(()),
        }
    }

    /// Keeps where other nodes are, `host:port`: for a start at which the log, where there is one, has only old addresses.
    ///
    /// # Errors
    /// [`Code::System`].
    pub fn keep_others(&self, addresses: &[String]) -> Result<()> {
        let kept: Vec<&String> = addresses.iter().take(OTHERS_MAX).collect();
        write(&self.path, OTHERS, &record::encode(&kept)?)
    }

    /// Where other nodes were; none before the first was seen.
    ///
    /// # Errors
    /// [`Code::Corrupt`], [`Code::System`].
    pub fn others(&self) -> Result<Vec<String>> {
        let file = self.path.join(OTHERS);
        match std::fs::read(&file) {
            Ok(bytes) => record::decode(&file.display().to_string(), &bytes),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(system("read", &file, &e)),
        }
    }

    /// The node's key.
    pub fn key(&self) -> &Arc<NodeKey> {
        &self.key
    }

    /// What the node was given when it joined; nothing before.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when it cannot be read or is of another key; [`Code::System`].
    pub fn load(&self) -> Result<Option<Credentials>> {
        let file = self.path.join(MEMBERSHIP);
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(system("read", &file, &e)),
        };
        let what = file.display().to_string();
        let Membership { certificate, authorities } = record::decode(&what, &bytes)?;
        if certificate.node != self.key.node() {
            let cause =
                format!("{what} is of node {}, not of {}", certificate.node, self.key.node());
            return Err(Error::new(Code::Corrupt, cause)
                .hint("restore the identity folder as a whole, or join again without it"));
        }
        Ok(Some(Credentials { key: Arc::clone(&self.key), certificate, authorities }))
    }

    /// Keeps what the node was given.
    ///
    /// # Errors
    /// [`Code::System`].
    pub fn store(
        &self,
        certificate: &Certificate,
        authorities: &Authorities,
    ) -> Result<Credentials> {
        let (certificate, authorities) = (certificate.clone(), authorities.clone());
        let membership = Membership { certificate, authorities };
        write(&self.path, MEMBERSHIP, &record::encode(&membership)?)?;
        let Membership { certificate, authorities } = membership;
        Ok(Credentials { key: Arc::clone(&self.key), certificate, authorities })
    }
}

fn lost(e: Error, file: &Path) -> Error {
    Error { cause: format!("{}: {}", file.display(), e.cause), ..e }.hint(
        "restore it from a backup, or move the data directory away and join again: the node is then another one",
    )
}

/// Takes from others what they should not have.
fn tighten(path: &Path, mode: u32) -> Result<()> {
    let about = std::fs::metadata(path).map_err(|e| system("look at", path, &e))?;
    if about.mode() & 0o777 & !mode != 0 {
        tracing::warn!("{} was open to others: it is closed now", path.display());
        let closed = std::fs::set_permissions(path, Permissions::from_mode(mode));
        closed.map_err(|e| system("close", path, &e))?;
    }
    Ok(())
}

/// Replaces a file at once and durably.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (path, beside) = (folder.join(name), folder.join(format!("{name}.new")));
    let written = || {
        match std::fs::remove_file(&beside) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(FILE_MODE).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(|e| system("write", &path, &e))
}
