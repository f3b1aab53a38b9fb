//! `/files/browse`.

use super::table::{FileTable, Found};
use crate::http::{Query, Refusal, reply};
use axum::response::Response;
use nix::dir::Dir;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstatat, stat};
use nix::unistd::{Gid, Group, Uid, User};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// How many entries a directory may have to be shown.
const ENTRIES_MAX: usize = 100_000;

/// One file as it is shown.
#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    nlink: u64,
    size: i64,
    mtime: f64,
    mode: String,
    uid: String,
    gid: String,
}

/// The names of users and groups, each asked for once.
#[derive(Default)]
struct Owners {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Owners {
    fn user(&mut self, uid: u32) -> String {
        let name = || match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => user.name,
            _ => uid.to_string(),
        };
        self.users.entry(uid).or_insert_with(name).clone()
    }

    fn group(&mut self, gid: u32) -> String {
        let name = || match Group::from_gid(Gid::from_raw(gid)) {
            Ok(Some(group)) => group.name,
            _ => gid.to_string(),
        };
        self.groups.entry(gid).or_insert_with(name).clone()
    }
}

/// One file of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its virtual path.
    pub path: String,
    /// How many names it has.
    pub links: u64,
    /// In bytes.
    pub size: i64,
    /// When it was changed, in seconds since 1970.
    pub modified_secs: i64,
    /// Kind and permissions, as `stat` has them.
    pub mode: u32,
    /// Name of its owner, or the number.
    pub user: String,
    /// Name of its group, or the number.
    pub group: String,
}

pub(super) fn browse(table: &FileTable, path: &str, query: &Query) -> Result<Response, Refusal> {
    let entry = |file: Listed| Entry {
        mode: mode(file.mode),
        path: file.path,
        nlink: file.links,
        size: file.size,
        mtime: file.modified_secs as f64,
        uid: file.user,
        gid: file.group,
    };
    let entries: Vec<Entry> = list_files(table, path)?.into_iter().map(entry).collect();
    reply::json(&entries, query)
}

/// The files of a virtual directory; none of what is no directory. Looks at the file system: for a thread that may wait.
///
/// # Errors
/// 404 when the path is not there, 400 when it cannot be listed.
pub(super) fn list_files(table: &FileTable, path: &str) -> Result<Vec<Listed>, Refusal> {
    let found = super::open(table, path)?;
    if !found.opened.metadata.is_dir() {
        return Ok(Vec::new());
    }
    list(found, path.trim_end_matches('/'))
        .map_err(|e| Refusal::bad_request(format!("Failed to list '{path}': {e}.\n")))
}

fn list(found: Found, path: &str) -> io::Result<Vec<Listed>> {
    let Found { opened, root, real } = found;
    let mut dir = Dir::from(opened.file)?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        let name = entry?.file_name().to_owned();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if names.len() == ENTRIES_MAX {
            return Err(io::Error::other(format!("it has more than {ENTRIES_MAX} entries")));
        }
        names.push(name);
    }
    names.sort();
    let mut owners = Owners::default();
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        let fd = Some(dir.as_raw_fd());
        // Gone between listing and looking: it is not there.
        let Ok(mut seen) = fstatat(fd, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue;
        };
        if kind(seen.st_mode) == SFlag::S_IFLNK {
            match behind(&root, &real.join(OsStr::from_bytes(name.to_bytes()))) {
                Behind::Inside(target) => seen = *target,
                Behind::Outside => {}
                Behind::Nothing => continue,
            }
        }
        entries.push(Listed {
            path: format!("{path}/{}", name.to_string_lossy()),
            links: seen.st_nlink,
            size: seen.st_size,
            modified_secs: seen.st_mtime,
            mode: seen.st_mode,
            user: owners.user(seen.st_uid),
            group: owners.group(seen.st_gid),
        });
    }
    Ok(entries)
}

enum Behind {
    Inside(Box<FileStat>),
    Outside,
    Nothing,
}

/// What a link leads to: shown as that if it can be reached, as the link if it leads outside.
fn behind(root: &Path, link: &Path) -> Behind {
    match link.canonicalize() {
        Ok(real) if real.starts_with(root) => {
            stat(&real).map_or(Behind::Nothing, |seen| Behind::Inside(Box::new(seen)))
        }
        Ok(_) => Behind::Outside,
        Err(_) => Behind::Nothing,
    }
}

fn kind(mode: u32) -> SFlag {
    SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits())
}

/// `-rw-r--r--`.
fn mode(mode: u32) -> String {
    let mut text = String::with_capacity(10);
    text.push(match kind(mode) {
        SFlag::S_IFDIR => 'd',
        SFlag::S_IFLNK => 'l',
        SFlag::S_IFCHR => 'c',
        SFlag::S_IFBLK => 'b',
        SFlag::S_IFIFO => 'p',
        SFlag::S_IFSOCK => 's',
        _ => '-',
    });
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if mode >> shift & bit != 0 { letter } else { '-' });
        }
    }
    text
}
