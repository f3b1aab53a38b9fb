//! The data directory: locked by one process, and marked with who it belongs to.
//!
//! `LOCK` is held by the process that uses the directory and contains its pid. `IDENTITY` says that
//! the directory was initialised: the node's random id, the directory's own id (a wiped disk is
//! another one), and which databases exist in it, so that a database that disappeared is an error
//! and not an empty start.

use crate::base::error::{Code, Error, Result};
use crate::base::rng::format_uuid;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The schema of `IDENTITY` that this program reads and writes.
const SCHEMA: u32 = 1;
/// Nothing in the directory is for anybody but its owner.
pub(super) const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// What `IDENTITY` contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    schema: u32,
    /// 16 hexadecimal digits.
    node: String,
    instance: String,
    databases: Vec<String>,
}

/// A data directory that this process holds.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    node: u64,
    identity: Mutex<Identity>,
    /// Held until dropped.
    _lock: File,
}

impl DataDir {
    /// Takes hold of the directory; makes it (mode 0700) and its identity when it is new or empty.
    ///
    /// # Errors
    /// [`Code::Conflict`] when another process holds it (its pid is named), [`Code::Corrupt`] when
    /// its identity cannot be read or is missing beside databases, [`Code::System`] for what the
    /// file system refuses.
    pub fn open(path: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(path)
            .map_err(|e| system("make the data directory", path, &e))?;
        let lock = lock(path)?;
        let file = path.join("IDENTITY");
        let identity = match std::fs::read_to_string(&file) {
            Ok(text) => read_identity(&file, &text)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => make_identity(path)?,
            Err(e) => return Err(system("read", &file, &e)),
        };
        let node = u64::from_str_radix(&identity.node, 16)
            .ok()
            .filter(|node| *node != 0)
            .ok_or_else(|| bad_identity(&file, "its node id is not a number"))?;
        Ok(Self { path: path.into(), node, identity: Mutex::new(identity), _lock: lock })
    }

    /// The process that holds a data directory now, if one does. Somebody else may take it at any time.
    ///
    /// # Errors
    /// [`Code::System`] for what the file system refuses.
    pub fn holder(path: &Path) -> Result<Option<u32>> {
        let file = path.join("LOCK");
        let lock = match File::open(&file) {
            Ok(lock) => lock,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(system("open", &file, &e)),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                lock.take(20).read_to_string(&mut pid).map_err(|e| system("read", &file, &e))?;
                let pid = pid.trim().parse();
                pid.map(Some).map_err(|_| {
                    let cause = format!("{} is held, but names no process", file.display());
                    Error::new(Code::Corrupt, cause)
                })
            }
            Err(TryLockError::Error(e)) => Err(system("lock", &file, &e)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a replicated log was kept here.
    pub fn has_log(&self) -> bool {
        self.path.join(super::raft::FILE_NAME).exists()
    }

    /// The node's id: random, never 0, made with the directory and used as its raft id.
    pub fn node_id(&self) -> u64 {
        self.node
    }

    /// The directory's own id, a random uuid: each database in it carries it.
    pub fn instance(&self) -> String {
        self.lock_identity().instance.clone()
    }

    /// Whether that database was created here before.
    pub(super) fn knows(&self, database: &str) -> bool {
        self.lock_identity().databases.iter().any(|d| d == database)
    }

    /// Records, durably, that the database exists.
    pub(super) fn learn(&self, database: &str) -> Result<()> {
        let mut identity = self.lock_identity();
        let mut next = identity.clone();
        next.databases.push(database.into());
        write_identity(&self.path, &next)?;
        *identity = next;
        Ok(())
    }

    fn lock_identity(&self) -> std::sync::MutexGuard<'_, Identity> {
        // Assigned whole or not at all, so a panic elsewhere cannot have left it half-changed.
        self.identity.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("LOCK");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(|e| system("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The pid is a help to the reader; the refusal stands without it.
            let _ = (&file).take(20).read_to_string(&mut pid);
            let holder = match pid.trim().parse::<u32>() {
                Ok(pid) => format!("process {pid}"),
                Err(_) => "another process".into(),
            };
            return Err(Error::new(
                Code::Conflict,
                format!("the data directory {} is in use by {holder}", dir.display()),
            )
            .hint("stop that process, or start this one with another data directory"));
        }
        Err(TryLockError::Error(e)) => return Err(system("lock", &path, &e)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(|e| system("write", &path, &e))?;
    Ok(file)
}

fn read_identity(file: &Path, text: &str) -> Result<Identity> {
    let identity: Identity =
        serde_json::from_str(text).map_err(|e| bad_identity(file, &e.to_string()))?;
    if identity.schema != SCHEMA {
        return Err(Error::new(
            Code::Corrupt,
            format!(
                "{} has schema {}; this program reads {SCHEMA}",
                file.display(),
                identity.schema
            ),
        )
        .hint("start the version of mesolith that wrote it, or a newer one"));
    }
    Ok(identity)
}

fn bad_identity(file: &Path, why: &str) -> Error {
    let dir = file.parent().unwrap_or(file).display();
    Error::new(Code::Corrupt, format!("{} cannot be read: {why}", file.display())).hint(format!(
        "restore it from a backup of {dir}, or move the whole directory away: this node then starts \
         as a new one, without its copy of the registry and without the tasks its agent runs"
    ))
}

fn make_identity(dir: &Path) -> Result<Identity> {
    let left = [super::raft::FILE_NAME, super::agent::FILE_NAME];
    if let Some(name) = left.iter().find(|name| dir.join(name).exists()) {
        return Err(bad_identity(
            &dir.join("IDENTITY"),
            &format!("it is missing, but {name} is there"),
        ));
    }
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::new(Code::System, format!("no randomness: {e}")))?;
    let (mut node, mut uuid) = ([0; 8], [0; 16]);
    node.copy_from_slice(&bytes[..8]);
    uuid.copy_from_slice(&bytes[8..]);
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    let node = u64::from_le_bytes(node).max(1);
    let identity = Identity {
        schema: SCHEMA,
        node: format!("{node:016x}"),
        instance: format_uuid(&uuid),
        databases: Vec::new(),
    };
    write_identity(dir, &identity)?;
    Ok(identity)
}

/// Replaces `IDENTITY` at once and durably: written beside, synced, renamed, the directory synced.
fn write_identity(dir: &Path, identity: &Identity) -> Result<()> {
    let (path, beside) = (dir.join("IDENTITY"), dir.join("IDENTITY.new"));
    let text = serde_json::to_string_pretty(identity)
        .map_err(|e| Error::new(Code::Internal, format!("IDENTITY has no text form: {e}")))?;
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&beside)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    };
    write().map_err(|e| system("write", &path, &e))?;
    sync_dir(dir)
}

/// Makes renames in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| system("sync", dir, &e))
}

/// The file system refused something.
pub(super) fn system(doing: &str, path: &Path, e: &std::io::Error) -> Error {
    Error::new(Code::System, format!("cannot {doing} {}: {e}", path.display()))
}
