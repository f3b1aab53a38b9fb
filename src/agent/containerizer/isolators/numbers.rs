//! Reading the kernel's small text files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A file with one number; "max" and unreadable ones are none.
pub fn one(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A file of `name number` lines; an unreadable one is empty.
pub fn table(path: &Path) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

/// A file of process ids; an unreadable one is empty.
pub fn pids(path: &Path) -> Vec<i32> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|l| l.trim().parse().ok()).filter(|p| *p > 0).collect()
}
