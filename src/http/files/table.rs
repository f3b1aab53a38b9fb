//! Which virtual path is which real one.

use super::open::{self, Opened};
use crate::base::error::{Code, Error, Result};
use crate::http::Refusal;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// How many paths may be attached.
pub const ATTACHED_MAX: usize = 256 * 1024;

/// The virtual paths of one role. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FileTable(Arc<RwLock<BTreeMap<String, PathBuf>>>);

/// A virtual path that was found and opened.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) opened: Opened,
    /// The attached real path it is below; links may not lead out of it.
    pub(super) root: PathBuf,
    /// Its real path at the time.
    pub(super) real: PathBuf,
}

impl FileTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows the real file or directory, and what is below it, under a virtual path; replaces an
    /// earlier one. Looks at the file system: not for the control thread.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is nothing, [`Code::System`] when it cannot be read,
    /// [`Code::Overloaded`] when [`ATTACHED_MAX`] paths are attached.
    pub fn attach(&self, virtual_path: &str, real: &Path) -> Result<()> {
        let refuse = |code, e: std::io::Error| {
            Error::new(code, format!("Failed to get realpath of '{}': {e}", real.display()))
        };
        let real = real.canonicalize().map_err(|e| match e.kind() {
            ErrorKind::NotFound => refuse(Code::NotFound, e),
            _ => refuse(Code::System, e),
        })?;
        open::open(&real, Path::new("")).map_err(|e| {
            Error::new(Code::System, format!("Failed to access '{}': {e}", real.display()))
        })?;
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let key = tokens(virtual_path).join("/");
        if table.len() >= ATTACHED_MAX && !table.contains_key(&key) {
            return Err(Error::new(Code::Overloaded, "too many files are attached"));
        }
        table.insert(key, real);
        Ok(())
    }

    /// Hides it again.
    pub fn detach(&self, virtual_path: &str) {
        let key = tokens(virtual_path).join("/");
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Whether a path is attached or below an attached one.
    pub fn is_attached(&self, virtual_path: &str) -> bool {
        self.longest(virtual_path).is_some()
    }

    /// All virtual paths and their real ones.
    pub fn all(&self) -> BTreeMap<String, String> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.iter().map(|(v, r)| (format!("/{v}"), r.display().to_string())).collect()
    }

    /// The real path of the longest attached prefix, and what follows it.
    fn longest(&self, virtual_path: &str) -> Option<(PathBuf, PathBuf)> {
        let tokens = tokens(virtual_path);
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (1..=tokens.len()).rev().find_map(|length| {
            let (prefix, rest) = tokens.split_at(length);
            let real = table.get(&prefix.join("/"))?;
            Some((real.clone(), rest.iter().collect()))
        })
    }

    /// Opens what a virtual path names; `None` where there is nothing.
    ///
    /// # Errors
    /// 400 when it leads out of what is attached or cannot be resolved, 500 when it cannot be
    /// opened.
    pub(super) fn open(&self, virtual_path: &str) -> std::result::Result<Option<Found>, Refusal> {
        let Some((root, rest)) = self.longest(virtual_path) else { return Ok(None) };
        let Some(real) = resolve(&root, &rest, virtual_path)? else { return Ok(None) };
        let inside = real.strip_prefix(&root).unwrap_or(Path::new(""));
        match open::open(&root, inside) {
            Ok(opened) => Ok(Some(Found { opened, root, real })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            // A link has appeared where none was when the path was resolved.
            Err(e) if open::is_link(&e) => Err(inaccessible(virtual_path)),
            Err(e) => {
                let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
                let what = format!("Failed to open file at '{virtual_path}': {e}.\n");
                Err(Refusal::new(status, what))
            }
        }
    }
}

fn tokens(path: &str) -> Vec<&str> {
    path.split('/').filter(|token| !token.is_empty()).collect()
}

fn inaccessible(virtual_path: &str) -> Refusal {
    Refusal::bad_request(format!("'{virtual_path}' is inaccessible.\n"))
}

/// The real path, all links followed, still below the root.
fn resolve(
    root: &Path,
    rest: &Path,
    virtual_path: &str,
) -> std::result::Result<Option<PathBuf>, Refusal> {
    if rest.as_os_str().is_empty() {
        return Ok(Some(root.to_owned()));
    }
    if !root.is_dir() {
        return Ok(None);
    }
    match root.join(rest).canonicalize() {
        Ok(real) if real.starts_with(root) => Ok(Some(real)),
        Ok(_) => Err(inaccessible(virtual_path)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            // Whether something exists outside must not show either.
            if leaves(rest) { Err(inaccessible(virtual_path)) } else { Ok(None) }
        }
        Err(e) => Err(Refusal::bad_request(format!(
            "Failed to determine canonical path of '{virtual_path}': {e}.\n"
        ))),
    }
}

/// Whether a relative path, read as text, goes above where it starts.
fn leaves(rest: &Path) -> bool {
    let mut depth = 0i64;
    rest.components().any(|component| {
        match component {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
        depth < 0
    })
}
