//! The operator's CNI networks: files in a folder, looked at anew for each container, so that networks come and go without
//! a restart.

use crate::agent::containerizer::linux::NETWORK_BYTES_MAX;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Files looked at in the folder, at most.
pub const FILES_MAX: usize = 1024;

/// The configuration of the network of that name, as JSON; none: no file has it.
///
/// # Errors
/// A text: the folder cannot be read, or a file that could be the one is not what it should be.
pub fn find(dir: &Path, name: &str) -> Result<Option<String>, String> {
    let failed = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let entries = fs::read_dir(dir).map_err(|e| failed(dir, &e))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_configuration(path))
        .take(FILES_MAX)
        .collect();
    // Of two with one name, the first in this order.
    files.sort();
    let mut broken = None;
    for path in files {
        let mut text = String::new();
        let most = NETWORK_BYTES_MAX as u64;
        let read = File::open(&path).and_then(|f| f.take(most + 1).read_to_string(&mut text));
        if read.is_err() || text.len() > NETWORK_BYTES_MAX {
            broken.get_or_insert_with(|| failed(&path, &"it cannot be read whole"));
            continue;
        }
        match serde_json::from_str::<Value>(&text) {
            Ok(value) if value.get("name").and_then(Value::as_str) == Some(name) => {
                return Ok(Some(text));
            }
            Ok(_) => {}
            Err(e) => {
                broken.get_or_insert_with(|| failed(&path, &e));
            }
        }
    }
    // The broken one may be what was asked for.
    match broken {
        Some(why) => Err(format!("network '{name}' is not found, and {why}")),
        None => Ok(None),
    }
}

fn is_configuration(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    matches!(extension, Some("conf" | "conflist" | "json")) && path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: MES-0910
    #[test]
    fn networks_come_and_go_with_their_files() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(dir.path(), "a"), Ok(None));
        let file = dir.path().join("10-a.conf");
        let text = r#"{"name": "a", "type": "x", "cniVersion": "0.3.1"}"#;
        fs::write(&file, text).unwrap();
        assert_eq!(find(dir.path(), "a"), Ok(Some(text.into())));
        assert_eq!(find(dir.path(), "b"), Ok(None));
        fs::write(dir.path().join("20-b.conflist"), "{").unwrap();
        assert!(find(dir.path(), "b").unwrap_err().contains("20-b.conflist"));
        assert_eq!(find(dir.path(), "a"), Ok(Some(text.into())));
        fs::remove_file(file).unwrap();
        assert!(find(dir.path(), "a").is_err());
        assert!(find(&dir.path().join("nosuch"), "a").is_err());
    }
}
