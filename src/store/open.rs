//! Opening and creating database files: whole, ours, of a format we know, or not at all.

use super::dir::{self, DataDir, FILE_MODE};
use super::failed;
use super::tables::{FILE, FORMAT};
use crate::base::error::{Code, Error, Result};
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, StorageBackend};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Memory for cached pages of one database.
pub(super) const CACHE_BYTES: usize = 4 << 20;
/// Files up to this size are verified page by page whenever they are opened.
pub(super) const VERIFY_BYTES_MAX: u64 = 16 << 20;

/// An open database, until it is closed: a file that is closed well needs no repair when it is
/// opened again.
pub(super) struct Handle(Mutex<Option<Arc<Database>>>);

impl Handle {
    pub(super) fn new(db: Arc<Database>) -> Self {
        Self(Mutex::new(Some(db)))
    }

    pub(super) fn get(&self) -> Result<Arc<Database>> {
        let db = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        db.ok_or_else(|| Error::new(Code::Unavailable, "the database is closed"))
    }

    pub(super) fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// What is particular to one of the databases.
pub(super) struct Kind {
    /// The file's name in the data directory.
    pub name: &'static str,
    /// What is lost with it, for the hint.
    pub loses: &'static str,
    /// Makes its tables.
    pub create: fn(&redb::WriteTransaction) -> std::result::Result<(), redb::TableError>,
}

/// Opens the database of a data directory, or creates it when the directory never had it.
pub(super) fn open(dir: &DataDir, kind: &Kind) -> Result<(Database, PathBuf)> {
    let path = dir.path().join(kind.name);
    let owner = dir.instance();
    if !path.exists() {
        if dir.knows(kind.name) {
            return Err(corrupt(kind, &path, "is missing, though this node has had it"));
        }
        create(kind, &path, &owner)?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|e| dir::system("open", &path, &e))?;
    let size = file.metadata().map_err(|e| dir::system("read", &path, &e))?.len();
    if size == 0 {
        return Err(corrupt(kind, &path, "is empty"));
    }
    // Damaged pages can trip assertions inside the database: to the operator that is a damaged
    // file, too.
    let opened = catch_unwind(AssertUnwindSafe(|| -> std::result::Result<_, DatabaseError> {
        let mut db = Builder::new().set_cache_size(CACHE_BYTES).create_file(file)?;
        let sound = size > VERIFY_BYTES_MAX || db.check_integrity()?;
        Ok((db, sound))
    }));
    let db = match opened {
        Ok(Ok((db, true))) => db,
        Ok(Ok((_, false))) => return Err(corrupt(kind, &path, "fails its checksums")),
        Ok(Err(e)) => return Err(refused(kind, &path, e)),
        Err(_) => return Err(corrupt(kind, &path, "is damaged")),
    };
    check_owner(kind, &path, &db, &owner)?;
    if !dir.knows(kind.name) {
        dir.learn(kind.name)?;
    }
    Ok((db, path))
}

/// Opens or creates a database on a storage of the caller's, always verified: for tests with a disk
/// that crashes.
pub(super) fn open_on(backend: impl StorageBackend, kind: &Kind) -> Result<Database> {
    let mut db = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
        .map_err(|e| failed(e).context(kind.name))?;
    if !db.check_integrity().map_err(|e| failed(e).context(kind.name))? {
        return Err(Error::new(Code::Corrupt, format!("{} fails its checksums", kind.name)));
    }
    initialise(&db, kind, "").map_err(|e| e.context(kind.name))?;
    Ok(db)
}

/// Creates the file beside and renames it, so that under its name it is whole or not there.
fn create(kind: &Kind, path: &Path, owner: &str) -> Result<()> {
    let beside = path.with_extension("redb.new");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(&beside)
        .map_err(|e| dir::system("create", &beside, &e))?;
    let synced = file.try_clone().map_err(|e| dir::system("open", &beside, &e))?;
    let db = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_file(file)
        .map_err(|e| failed(e).context(format!("cannot create {}", beside.display())))?;
    initialise(&db, kind, owner)
        .map_err(|e| e.context(format!("cannot create {}", path.display())))?;
    drop(db);
    synced.sync_all().map_err(|e| dir::system("sync", &beside, &e))?;
    std::fs::rename(&beside, path).map_err(|e| dir::system("create", path, &e))?;
    dir::sync_dir(path.parent().unwrap_or(path))
}

fn initialise(db: &Database, kind: &Kind, owner: &str) -> Result<()> {
    let txn = db.begin_write().map_err(failed)?;
    (kind.create)(&txn).map_err(failed)?;
    {
        let mut file = txn.open_table(FILE).map_err(failed)?;
        file.insert("format", FORMAT.to_le_bytes().as_slice()).map_err(failed)?;
        file.insert("owner", owner.as_bytes()).map_err(failed)?;
    }
    txn.commit().map_err(failed)
}

fn check_owner(kind: &Kind, path: &Path, db: &Database, owner: &str) -> Result<()> {
    let txn = db.begin_read().map_err(failed)?;
    let file = match txn.open_table(FILE) {
        Ok(file) => file,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            return Err(corrupt(kind, path, "is not a database of mesolith"));
        }
        Err(e) => return Err(failed(e).context(path.display())),
    };
    let read = |key| -> Result<Option<Vec<u8>>> {
        Ok(file.get(key).map_err(failed)?.map(|v| v.value().to_vec()))
    };
    let format = read("format")?.and_then(|v| Some(u32::from_le_bytes(v.try_into().ok()?)));
    match format {
        Some(FORMAT) => {}
        Some(other) => {
            return Err(Error::new(
                Code::Corrupt,
                format!("{} has format {other}; this program reads {FORMAT}", path.display()),
            )
            .hint("start the version of mesolith that wrote it, or a newer one"));
        }
        None => return Err(corrupt(kind, path, "does not say which format it has")),
    }
    if read("owner")?.as_deref() != Some(owner.as_bytes()) {
        return Err(corrupt(kind, path, "belongs to another data directory"));
    }
    Ok(())
}

fn refused(kind: &Kind, path: &Path, e: DatabaseError) -> Error {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match redb::Error::from(e) {
        redb::Error::DatabaseAlreadyOpen => {
            Error::new(Code::Conflict, format!("{} is in use by another process", path.display()))
                .hint("stop that process; two nodes need two data directories")
        }
        redb::Error::UpgradeRequired(v) => {
            corrupt(kind, path, &format!("has the file format {v}, which this program cannot read"))
        }
        redb::Error::Corrupted(why) => corrupt(kind, path, &format!("is damaged: {why}")),
        redb::Error::Io(io) if matches!(io.kind(), InvalidData | UnexpectedEof) => {
            corrupt(kind, path, &format!("is not a whole database: {io}"))
        }
        other => failed(other).context(format!("cannot open {}", path.display())),
    }
}

/// The file cannot be used; the hint is the way out, and what it costs.
fn corrupt(kind: &Kind, path: &Path, why: &str) -> Error {
    let dir = path.parent().unwrap_or(path).display();
    Error::new(Code::Corrupt, format!("{} {why}", path.display())).hint(format!(
        "restore {dir} from a backup, or move the whole directory away and start again: {}",
        kind.loses
    ))
}
