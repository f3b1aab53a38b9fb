//! Which cgroup an ordinary user was given, if any: of v2, the one this process is in, where its files may be written.

use crate::agent::containerizer::isolators::cgroups::LEAF;
use crate::agent::containerizer::isolators::probe::{Found, V2_CONTROLLERS, has_v1, mount_points};
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::path::{Path, PathBuf};

/// What to do about a cgroup that was not given, on this machine.
pub fn remedy() -> &'static str {
    match has_v1(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()) {
        true => "boot the machine with cgroup v2 alone (systemd.unified_cgroup_hierarchy=1)",
        false => "start it as `systemd-run --user --scope -p Delegate=yes mesolith up`",
    }
}

/// Looks on this machine.
pub fn find() -> Found {
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let writable = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
    of(&read("mountinfo"), &read("cgroup"), writable)
}

/// By the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn of(mountinfo: &str, own: &str, writable: impl Fn(&Path) -> bool) -> Found {
    if has_v1(mountinfo) {
        return Found::None("cgroup v1 is root's alone".into());
    }
    let Some(mount) = mount_points(mountinfo).into_iter().next() else {
        return Found::None("no cgroup file system is mounted".into());
    };
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return Found::None("this process is in no cgroup of v2".into());
    };
    let mut dir = mount.join(path);
    // An earlier start has moved the agent aside.
    if dir.ends_with(LEAF) {
        dir.pop();
    }
    let files = ["", "cgroup.procs", "cgroup.subtree_control"];
    if dir == mount || !files.iter().all(|file| writable(&dir.join(file))) {
        let dir = dir.display();
        return Found::None(format!("the cgroup {dir} was not delegated to this user"));
    }
    given(dir)
}

fn given(dir: PathBuf) -> Found {
    let has = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    let has: Vec<_> = has.split_whitespace().collect();
    let lacking: Vec<_> = V2_CONTROLLERS.iter().filter(|c| !has.contains(c)).collect();
    match lacking.is_empty() {
        true => Found::V2(dir),
        false => Found::None(format!(
            "the controllers {lacking:?} were not delegated with the cgroup {}",
            dir.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(at: &Path) -> String {
        format!("30 24 0:27 / {} rw,nosuid - cgroup2 cgroup2 rw\n", at.display())
    }

    #[test]
    fn the_cgroup_of_this_process_is_used_if_it_was_given() {
        let mount = tempfile::tempdir().unwrap();
        let own = mount.path().join("user.slice/up.scope");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("cgroup.controllers"), "cpu io memory pids\n").unwrap();
        let table = mounted(mount.path());
        for text in ["0::/user.slice/up.scope\n", "0::/user.slice/up.scope/agent\n"] {
            assert_eq!(of(&table, text, |_| true), Found::V2(own.clone()), "{text}");
        }
        let not = |found: Found, words: &str| match found {
            Found::None(why) => assert!(why.contains(words), "{why}"),
            other => panic!("{other:?}"),
        };
        let text = "0::/user.slice/up.scope\n";
        not(of(&table, text, |p| !p.ends_with("cgroup.procs")), "not delegated to this user");
        not(of(&table, "0::/\n", |_| true), "not delegated");
        fs::write(own.join("cgroup.controllers"), "memory pids\n").unwrap();
        not(of(&table, text, |_| true), "[\"cpu\"] were not delegated");
        let hybrid = format!("{table}31 24 0:28 / /c/cpu rw - cgroup cgroup rw,cpu\n");
        not(of(&hybrid, text, |_| true), "cgroup v1");
        not(of("", text, |_| true), "no cgroup file system");
    }
}
