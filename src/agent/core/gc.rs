//! Old sandboxes: kept while there is room, removed by age, sooner the fuller the disk is.

use super::io::Act;
use super::options::Options;
use super::tables::{ExecutorKey, Phase};
use super::{AgentCore, Step, Timer, records};
use crate::base::ids::ContainerId;
use crate::base::kv::Op;
use crate::base::time::Wall;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sandboxes kept at the most; the oldest go first, whatever their age.
pub const SANDBOXES_MAX: usize = 16 * 1024;
/// Removals under way at the same time.
pub const REMOVALS_MAX: usize = 4;
/// A removal that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
struct Old {
    path: PathBuf,
    ended: Wall,
    not_before: Wall,
}

type SandboxKey = (ExecutorKey, ContainerId);

#[derive(Clone, Debug)]
enum Removal {
    /// One run of an executor.
    Run(SandboxKey),
    /// A directory that held runs, and nothing else is in it that anybody uses.
    Parent(ExecutorKey),
}

/// Sandboxes nobody uses, and what is being removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Sandboxes {
    old: BTreeMap<SandboxKey, Old>,
    removing: BTreeMap<PathBuf, Removal>,
    used: f64,
    pub removed: u64,
    pub failed: u64,
}

impl Sandboxes {
    /// A container has ended; its sandbox is kept for a while.
    pub fn add(&mut self, key: &ExecutorKey, container: ContainerId, path: PathBuf, ended: Wall) {
        let old = Old { path, ended, not_before: Wall::default() };
        self.old.insert((key.clone(), container), old);
    }

    /// Whether something above (or at) this path is being removed just now.
    pub fn is_being_removed(&self, path: &Path) -> bool {
        self.removing.keys().any(|removing| path.starts_with(removing))
    }

    /// How old a sandbox may get while the disk is this full.
    pub fn allowed_age(&self, options: &Options) -> Duration {
        let part = (1.0 - options.gc_disk_headroom - self.used).clamp(0.0, 1.0);
        options.gc_delay.mul_f64(part)
    }

    /// How many wait to be removed.
    pub fn pending(&self) -> usize {
        self.old.len()
    }

    fn due(&self, old: &Old, allowed: Duration) -> Wall {
        (old.ended + allowed).max(old.not_before)
    }
}

impl AgentCore {
    pub(super) fn measure(&mut self, s: &mut Step<'_>) {
        self.timers.set(Timer::Disk, s.now + self.options.disk_watch_interval);
        s.act(Act::MeasureDisk);
    }

    pub(super) fn disk_usage(&mut self, s: &mut Step<'_>, used: f64) {
        if used.is_finite() {
            self.sandboxes.used = used.clamp(0.0, 1.0);
            self.collect(s);
        }
    }

    /// Removes what is old enough, a few at a time, and sets the clock for the next.
    pub(super) fn collect(&mut self, s: &mut Step<'_>) {
        let boxes = &mut self.sandboxes;
        let allowed = boxes.allowed_age(&self.options);
        let under_way = |boxes: &Sandboxes, path: &Path| boxes.removing.contains_key(path);
        let mut waiting: Vec<(Wall, SandboxKey, PathBuf)> = boxes
            .old
            .iter()
            .filter(|(_, old)| !under_way(boxes, &old.path))
            .map(|(key, old)| (boxes.due(old, allowed), key.clone(), old.path.clone()))
            .collect();
        waiting.sort();
        let mut surplus = boxes.old.len().saturating_sub(SANDBOXES_MAX);
        self.timers.cancel(&Timer::Collect);
        for (due, key, path) in waiting {
            if due > s.wall && surplus == 0 {
                self.timers.set(Timer::Collect, s.now + (due - s.wall));
                return;
            }
            if boxes.removing.len() >= REMOVALS_MAX {
                // The end of one of them comes back here.
                return;
            }
            surplus = surplus.saturating_sub(1);
            boxes.removing.insert(path.clone(), Removal::Run(key));
            s.act(Act::RemoveSandbox { path });
        }
    }

    pub(super) fn sandbox_removed(
        &mut self,
        s: &mut Step<'_>,
        path: &Path,
        result: Result<(), String>,
    ) {
        let Some(removal) = self.sandboxes.removing.remove(path) else { return };
        match (removal, result) {
            (Removal::Run(key), Ok(())) => {
                self.sandboxes.removed += 1;
                self.sandboxes.old.remove(&key);
                s.write(Op::delete(records::sandbox_key(&key.0, &key.1)));
                // …/executors/<executor>/runs/<container>
                self.remove_parent(s, key.0, path.ancestors().nth(2));
            }
            (Removal::Run(key), Err(_)) => {
                self.sandboxes.failed += 1;
                if let Some(old) = self.sandboxes.old.get_mut(&key) {
                    old.not_before = s.wall + RETRY;
                }
            }
            // …/frameworks/<framework>/executors/<executor>
            (Removal::Parent(key), Ok(())) if is_executor_directory(path) => {
                self.remove_parent(s, key, path.ancestors().nth(2));
            }
            (Removal::Parent(_), Ok(())) => {}
            (Removal::Parent(_), Err(_)) => self.sandboxes.failed += 1,
        }
        self.prepare_waiting(s, path);
        self.collect(s);
    }

    /// Removes an executor's or a framework's directory once nothing in it is used or kept.
    fn remove_parent(&mut self, s: &mut Step<'_>, key: ExecutorKey, path: Option<&Path>) {
        let Some(path) = path.filter(|p| p.starts_with(&self.options.work_dir)) else { return };
        let live = self.tables.executors.values().any(|e| e.sandbox.starts_with(path));
        let kept = self.sandboxes.old.values().any(|old| old.path.starts_with(path));
        if !live && !kept {
            self.sandboxes.removing.insert(path.into(), Removal::Parent(key));
            s.act(Act::RemoveSandbox { path: path.into() });
        }
    }

    /// Launches that waited for the removal of a directory above them.
    fn prepare_waiting(&mut self, s: &mut Step<'_>, path: &Path) {
        for executor in self.tables.executors.values() {
            let waits = executor.phase == Phase::Preparing && executor.sandbox.starts_with(path);
            if let (true, Some(launch)) = (waits, &executor.launch)
                && !self.sandboxes.is_being_removed(&executor.sandbox)
            {
                s.act(Act::Prepare(launch.clone()));
            }
        }
    }
}

fn is_executor_directory(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|name| name == "executors")
}
