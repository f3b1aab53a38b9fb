//! Finding the cgroup hierarchies of this machine from its mount table.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The v1 controllers a container joins. Each hierarchy costs a directory and a move at launch, so only those that
/// limit or measure: no freezer (killing the first process of a pid namespace is atomic), no devices.
pub const V1_CONTROLLERS: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];
/// The v2 controllers a container needs.
pub const V2_CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// The hierarchies found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Controller to mount point (two controllers may share one); whether a cgroup2 mount is there too.
    V1(BTreeMap<String, PathBuf>, bool),
    /// The unified mount point.
    V2(PathBuf),
    /// Nothing usable, and why.
    None(String),
}

/// What the text of `/proc/self/mountinfo` says.
pub fn mounts(mountinfo: &str) -> Found {
    let mut v1 = BTreeMap::new();
    let mut v2 = None;
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(point) = left.split(' ').nth(4).map(unescape) else { continue };
        let mut fields = right.split(' ');
        match fields.next() {
            Some("cgroup2") => v2 = Some(point),
            Some("cgroup") => {
                let options = fields.nth(1).unwrap_or_default();
                for c in options.split(',').filter(|c| V1_CONTROLLERS.contains(c)) {
                    v1.entry(c.to_owned()).or_insert_with(|| point.clone());
                }
            }
            _ => {}
        }
    }
    let lacking: Vec<_> = V1_CONTROLLERS.iter().filter(|c| !v1.contains_key(**c)).collect();
    match (v2, lacking.is_empty()) {
        (hybrid, true) => Found::V1(v1, hybrid.is_some()),
        (Some(root), false) if v1.is_empty() => unified(&root),
        (_, false) if !v1.is_empty() => {
            Found::None(format!("cgroup v1 controllers not mounted: {lacking:?}"))
        }
        _ => Found::None("no cgroup file system is mounted".into()),
    }
}

/// Where any cgroup file system is mounted, in the order of mounting.
pub fn mount_points(mountinfo: &str) -> Vec<PathBuf> {
    let cgroup = |right: &str| right.starts_with("cgroup ") || right.starts_with("cgroup2 ");
    mountinfo
        .lines()
        .filter_map(|line| line.split_once(" - "))
        .filter(|(_, right)| cgroup(right))
        .filter_map(|(left, _)| left.split(' ').nth(4).map(unescape))
        .collect()
}

/// Whether a hierarchy of v1 is mounted, whatever its controllers are.
pub fn has_v1(mountinfo: &str) -> bool {
    let kinds = mountinfo.lines().filter_map(|line| line.split_once(" - "));
    kinds.map(|(_, right)| right).any(|right| right.starts_with("cgroup "))
}

/// A v2 mount serves if it has the controllers.
fn unified(root: &Path) -> Found {
    let has = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    let has: Vec<_> = has.split_whitespace().collect();
    let lacking: Vec<_> = V2_CONTROLLERS.iter().filter(|c| !has.contains(c)).collect();
    if lacking.is_empty() {
        Found::V2(root.to_owned())
    } else {
        Found::None(format!("cgroup v2 lacks the controllers {lacking:?}"))
    }
}

/// Mount points come with blanks and the like as octal escapes.
fn unescape(text: &str) -> PathBuf {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        let octal = (b == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u8::from_str_radix(d, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(b);
                rest = tail;
            }
        }
    }
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(std::ffi::OsString::from_vec(out))
}
