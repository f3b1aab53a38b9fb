//! The user that an image names for its containers, looked up in the image's own files.

use super::root::{COPY, LINKS, Root};
use super::tree::Tree;
use std::io::Read as _;
use std::path::Path;

/// The longest file of users or groups that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Groups of one user, at most.
const GROUPS_MAX: usize = 1024;

/// Ids of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
}

/// A file of the image as its containers see it at first: that of the uppermost layer that has it.
fn file(root: &Root, name: &str) -> String {
    let folders = match root.layers {
        None => vec![root.folder.join(COPY)],
        Some(n) => (0..n).map(|n| root.folder.join(LINKS).join(n.to_string())).collect(),
    };
    for folder in folders {
        // Links of the image end at the layer's own root.
        let Ok(opened) = Tree::open(&folder).map(|tree| tree.read(Path::new(name))) else {
            continue;
        };
        let mut text = String::new();
        if let Ok(file) = opened
            && file.metadata().is_ok_and(|m| m.is_file())
            && file.take(FILE_BYTES_MAX).read_to_string(&mut text).is_ok()
        {
            return text;
        }
    }
    String::new()
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

/// Finds `user`, `uid`, `user:group` or `uid:gid`.
///
/// # Errors
/// The image knows no such user or group.
pub fn find(root: &Root, text: &str) -> Result<Account, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (users, groups) = (file(root, "etc/passwd"), file(root, "etc/group"));
    account(user, group, &users, &groups)
}

fn account(user: &str, group: Option<&str>, users: &str, groups: &str) -> Result<Account, String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n != u32::MAX);
    let field = |line: &Vec<&str>, n: usize| line.get(n).and_then(|f| number(f));
    let by_name = lines(users).find(|l| l.first() == Some(&user) && l.len() > 3);
    let by_number = || lines(users).find(|l| l.len() > 3 && field(l, 2) == number(user));
    let known = by_name.or_else(|| number(user).and_then(|_| by_number()));
    let uid = known.as_ref().and_then(|l| field(l, 2)).or_else(|| number(user));
    let uid = uid.ok_or_else(|| {
        let user = super::shown(user);
        format!("the image names the user '{user}', whom its /etc/passwd does not know")
    })?;
    let gid = match group {
        None => known.as_ref().and_then(|l| field(l, 3)).unwrap_or(0),
        Some(group) => {
            let line = lines(groups).find(|l| l.first() == Some(&group) && l.len() > 2);
            line.and_then(|l| field(&l, 2)).or_else(|| number(group)).ok_or_else(|| {
                let group = super::shown(group);
                format!("the image names the group '{group}', which its /etc/group does not know")
            })?
        }
    };
    let name = known.as_ref().and_then(|l| l.first().copied());
    let mut all = vec![gid];
    // A group named beside the user is the only one, as with Docker.
    if let (Some(name), None) = (name, group) {
        let has = |l: &Vec<&str>| l.get(3).is_some_and(|m| m.split(',').any(|m| m == name));
        all.extend(lines(groups).filter(has).filter_map(|l| field(&l, 2)).take(GROUPS_MAX));
    }
    all.dedup();
    Ok(Account { uid, gid, groups: all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found() {
        let users = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/:\nbroken\n";
        let groups = "root:x:0:\nweb:x:34:\nlog:x:4:adm,web\n";
        let find = |user: &str, group: Option<&str>| account(user, group, users, groups);
        let is =
            |uid: u32, gid: u32, groups: &[u32]| Ok(Account { uid, gid, groups: groups.to_vec() });
        assert_eq!(find("web", None), is(33, 34, &[34, 4]));
        assert_eq!(find("33", None), is(33, 34, &[34, 4]));
        assert_eq!(find("web", Some("log")), is(33, 4, &[4]));
        assert_eq!(find("1000", Some("1001")), is(1000, 1001, &[1001]));
        assert_eq!(find("1000", None), is(1000, 0, &[0]));
        for (user, group) in [("nobody", None), ("web", Some("none")), ("", None), ("-1", None)] {
            assert!(find(user, group).is_err(), "{user}");
        }
    }
}
