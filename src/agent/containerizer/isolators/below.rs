//! Cgroups below a container's own: of commands run in it, and of containers nested in it. They are there so that all of
//! one can be found and killed; what they use counts, and is limited, with the container.

use super::Cgroup;
use super::cgroups::{at, hand_down, mkdir};
use crate::base::error::Result;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The name of a container's own part on v2; no container is called so.
pub(super) const SEAT: &str = "seat.";
/// Of a kernel before Linux 5.11: whether what is below counts with what is above.
const HIERARCHY: &str = "memory.use_hierarchy";

impl Cgroup {
    /// Makes it without limits of its own. One that is there is taken as it is.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn make_bare(&self) -> Result<()> {
        self.above().count_below()?;
        self.dirs().into_iter().try_for_each(|dir| mkdir(dir).map(drop))
    }

    /// What is below it counts with it from now on.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn count_below(&self) -> Result<()> {
        match self {
            Cgroup::V1(_) => count_together(self.dir("memory")),
            Cgroup::V2(_) => Ok(()),
        }
    }

    /// Where the processes of a container itself are in which others are nested: on v2, in one of its own below, since
    /// those whose controllers reach below have no processes.
    pub fn seat(&self) -> Cgroup {
        match self {
            Cgroup::V1(_) => self.clone(),
            Cgroup::V2(_) => self.child(SEAT),
        }
    }

    /// Makes ready for limits below it.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn make_seat(&self) -> Result<()> {
        if let Cgroup::V2(dir) = self {
            hand_down(dir, false)?;
            self.seat().make_bare()?;
        }
        Ok(())
    }

    /// Whether what is below it can have limits.
    pub fn limits_below(&self) -> bool {
        match self {
            Cgroup::V1(_) => true,
            Cgroup::V2(dir) => dir.join(SEAT).is_dir(),
        }
    }

    /// The one of that name right below it, whether or not it exists.
    pub fn child(&self, name: &str) -> Cgroup {
        match self {
            Cgroup::V1(map) => {
                Cgroup::V1(map.iter().map(|(c, dir)| (c.clone(), dir.join(name))).collect())
            }
            Cgroup::V2(dir) => Cgroup::V2(dir.join(name)),
        }
    }

    /// Kills, once, what is in those right below it whose names begin so, and removes those that are empty.
    pub fn clear_below(&self, prefix: &str) {
        for name in self.below().iter().filter(|name| name.starts_with(prefix)) {
            let child = self.child(name);
            child.kill();
            // One that is not empty yet is met again.
            let _ = child.remove();
        }
    }

    /// Kills, once, what is in those right below it that are not to stay and in all below them, and removes those that are
    /// empty. Whether any is still there.
    pub fn clear_but(&self, stays: &dyn Fn(&str) -> bool) -> bool {
        let mut left = false;
        for name in self.below().iter().filter(|name| *name != SEAT && !stays(name)) {
            let child = self.child(name);
            child.kill();
            child.clear_but(&|_| false);
            let seat = child.child(SEAT);
            seat.kill();
            let _ = seat.remove();
            left |= !matches!(child.remove(), Ok(true));
        }
        left
    }

    /// All processes in it and in all below it.
    pub fn pids_below(&self) -> Vec<i32> {
        let mut all = self.pids();
        for name in self.below() {
            all.extend(self.child(&name).pids_below());
        }
        all
    }

    /// The one it is in.
    pub fn above(&self) -> Cgroup {
        let above = |dir: &Path| dir.parent().unwrap_or(Path::new("")).to_path_buf();
        match self {
            Cgroup::V1(map) => Cgroup::V1(map.iter().map(|(c, d)| (c.clone(), above(d))).collect()),
            Cgroup::V2(dir) => Cgroup::V2(above(dir)),
        }
    }

    /// The names of those right below it.
    pub fn below(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for dir in self.dirs() {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            let dirs = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
            names.extend(dirs.filter_map(|e| e.file_name().into_string().ok()));
        }
        names
    }
}

fn count_together(above: &Path) -> Result<()> {
    let file = above.join(HIERARCHY);
    match fs::read_to_string(&file) {
        Ok(text) if text.trim() == "0" => fs::write(&file, "1").map_err(|e| at(&file, &e)),
        Err(e) if e.kind() != ErrorKind::NotFound => Err(at(&file, &e)),
        _ => Ok(()),
    }
}
