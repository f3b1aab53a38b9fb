//! Old sandboxes: kept while there is room, removed by age, sooner the fuller the disk is.

use super::io::Act;
use super::options::Options;
use super::tables::ExecutorKey;
use super::{AgentCore, Step, Timer, records};
use crate::base::ids::{ContainerId, ExecutorId};
use crate::base::kv::Op;
use crate::base::time::Wall;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sandboxes kept at the most; the oldest go first, whatever their age.
pub const SANDBOXES_MAX: usize = 16 * 1024;
/// Removals under way at the same time.
pub const REMOVALS_MAX: usize = 4;
/// A removal that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(3600);

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
    old: BTreeMap<SandboxKey, (PathBuf, Wall)>,
    /// Those that wait for their age, by when they ended.
    waiting: BTreeSet<(Wall, SandboxKey)>,
    /// Those whose removal failed, by when to try again; the wait is the same for all.
    failed_before: VecDeque<(Wall, SandboxKey)>,
    removing: BTreeMap<PathBuf, Removal>,
    used: f64,
    pub removed: u64,
    pub failed: u64,
}

impl Sandboxes {
    /// A container has ended; its sandbox is kept for a while.
    pub fn add(&mut self, key: &ExecutorKey, container: ContainerId, path: PathBuf, ended: Wall) {
        let key = (key.clone(), container);
        self.waiting.insert((ended, key.clone()));
        self.old.insert(key, (path, ended));
    }

    /// All that are kept, those that ended first before the others.
    pub fn kept(&self) -> impl Iterator<Item = (&ExecutorKey, &ContainerId, &PathBuf)> {
        let all = self.waiting.iter().filter_map(|(_, key)| self.old.get_key_value(key));
        all.map(|((executor, container), (path, _))| (executor, container, path))
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

    /// Takes the next one that is to go now; else says when to look again.
    fn next(
        &mut self,
        now: Wall,
        allowed: Duration,
    ) -> Result<(SandboxKey, PathBuf), Option<Wall>> {
        while let Some((at, _)) = self.failed_before.front()
            && *at <= now
            && let Some((_, key)) = self.failed_before.pop_front()
            && let Some((_, ended)) = self.old.get(&key)
        {
            self.waiting.insert((*ended, key));
        }
        let retry = self.failed_before.front().map(|(at, _)| *at);
        let Some((ended, key)) = self.waiting.first() else { return Err(retry) };
        let due = *ended + allowed;
        if due > now && self.old.len() <= SANDBOXES_MAX {
            return Err(Some(retry.map_or(due, |r| r.min(due))));
        }
        let key = key.clone();
        self.waiting.pop_first();
        let path = self.old.get(&key).map(|(path, _)| path.clone()).unwrap_or_default();
        Ok((key, path))
    }

    /// Whether a sandbox of the executor, or of its whole framework, is kept.
    fn keeps(&self, key: &ExecutorKey, whole: bool) -> bool {
        let executor = if whole { ExecutorId::from("") } else { key.1.clone() };
        let from = ((key.0.clone(), executor), ContainerId::from(""));
        let next = self.old.range(from..).next();
        next.is_some_and(|(((f, e), _), _)| *f == key.0 && (whole || *e == key.1))
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
        let allowed = self.sandboxes.allowed_age(&self.options);
        self.timers.cancel(&Timer::Collect);
        // The end of a removal comes back here.
        while self.sandboxes.removing.len() < REMOVALS_MAX {
            match self.sandboxes.next(s.wall, allowed) {
                Ok((key, path)) => {
                    self.sandboxes.removing.insert(path.clone(), Removal::Run(key));
                    s.act(Act::RemoveSandbox { path });
                }
                Err(Some(at)) => {
                    self.timers.set(Timer::Collect, s.now + (at - s.wall));
                    return;
                }
                Err(None) => return,
            }
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
                self.remove_parent(s, key.0, path.ancestors().nth(2), false);
            }
            (Removal::Run(key), Err(_)) => {
                self.sandboxes.failed += 1;
                self.sandboxes.failed_before.push_back((s.wall + RETRY, key));
            }
            (Removal::Parent(key), result) => {
                self.prepare_held(s);
                match result {
                    // …/frameworks/<framework>/executors/<executor>
                    Ok(()) if is_executor_directory(path) => {
                        self.remove_parent(s, key, path.ancestors().nth(2), true);
                    }
                    Ok(()) => {}
                    Err(_) => self.sandboxes.failed += 1,
                }
            }
        }
        self.collect(s);
    }

    /// Removes an executor's (or its whole framework's) directory once nothing in it is used or
    /// kept.
    fn remove_parent(
        &mut self,
        s: &mut Step<'_>,
        key: ExecutorKey,
        path: Option<&Path>,
        whole: bool,
    ) {
        let Some(path) = path.filter(|p| p.starts_with(&self.options.work_dir)) else { return };
        let live = match whole {
            true => !self.tables.executors_of(&key.0).is_empty(),
            false => self.tables.executors.contains_key(&key),
        };
        if !live && !self.sandboxes.keeps(&key, whole) {
            self.sandboxes.removing.insert(path.into(), Removal::Parent(key));
            s.act(Act::RemoveSandbox { path: path.into() });
        }
    }
}

fn is_executor_directory(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|name| name == "executors")
}
