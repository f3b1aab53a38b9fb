//! Taking over what an earlier supervisor left: it may have been killed at any point.

use super::container::{Container, Phase};
use super::disk::{Dir, Keeper};
use super::poll::{Source, Timer};
use super::{Supervisor, nesting, terminals};
use crate::agent::containerizer::launch::{exec::pidfd, posix};
use crate::agent::containerizer::spec::Backend;
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use std::fs;
use std::time::Instant;

impl Supervisor {
    /// Takes over all that is on disk.
    pub(super) fn adopt(&mut self) {
        let entries = fs::read_dir(self.options.dir.join("containers"));
        for entry in entries.into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let id = ContainerId::from(name);
            if let Err(e) = self.adopt_one(&id, Dir(entry.path())) {
                self.log(&id, &e);
            }
        }
        self.end_orphans();
    }

    fn adopt_one(&mut self, id: &ContainerId, dir: Dir) -> Result<()> {
        let known = dir.known()?;
        // Not even asked for in full: there was nothing of it, or a crash of the machine ended it.
        let Some(spec) = known.spec else { return dir.remove() };
        if spec.id != *id {
            let cause = format!("the record is of container {}", spec.id);
            return Err(Error::new(Code::Corrupt, cause));
        }
        let mut c = Container::new(spec, dir, Phase::Gone);
        if c.spec.backend == Backend::Mesos {
            c.cgroup = nesting::cgroup(&self.cgroups, &c.spec);
        }
        let (keeper, started) = (known.keeper, known.started);
        c.left = known.left;
        if let Some(record) = known.exit {
            c.phase = Phase::Exited(record);
        }
        let known = c.phase != Phase::Gone;
        let alive = keeper.as_ref().is_some_and(|k| self.is_alive(k));
        let had_keeper = keeper.is_some();
        let pid = keeper.as_ref().map_or(0, |k| k.pid);
        c.keeper = keeper;
        let mut terminal = None;
        c.will_join();
        if alive {
            c.hold_network();
        }
        let watched = if !known && alive { pidfd(pid).ok() } else { None };
        if !known && had_keeper {
            c.phase = if started { Phase::Running } else { Phase::Created };
            if started {
                c.task = posix::children(pid).first().copied();
                c.follow_logs(Instant::now());
                if c.spec.terminal.is_some() && watched.is_some() {
                    terminal = watched.as_ref().and_then(terminals::of_keeper);
                }
            }
        }
        if let Some(fd) = watched {
            let token = self.poll.add(&fd, Source::Ended(id.clone()))?;
            c.pidfd = Some((fd, token));
        }
        let lost = !known && had_keeper && c.pidfd.is_none();
        let due = c.logs_due();
        let live = c.live();
        self.table.insert(id.clone(), c);
        if let Some(master) = terminal {
            self.hold_terminal(id, master);
        }
        if lost {
            self.ended(id, None);
        } else if live {
            if let Some(cgroup) = self.table.get(id).and_then(|c| c.cgroup.as_ref()) {
                // Sessions ended with the supervisor before us; what they left behind had nobody to end it.
                cgroup.clear_below(super::sessions::CGROUP_PREFIX);
            }
            if let Some(due) = due {
                self.poll.at(due, Timer::Logs(id.clone()));
            }
            self.watch_memory(id)?;
            self.short_of_memory(id, u32::MAX);
        } else {
            self.clean(id);
        }
        Ok(())
    }

    /// Whether that very process is still there, and not just waiting to be collected.
    pub(super) fn is_alive(&self, keeper: &Keeper) -> bool {
        keeper.boot_id == self.boot_id
            && posix::stat(keeper.pid)
                .is_some_and(|s| s.start_time == keeper.start_time && !matches!(s.state, 'Z' | 'X'))
    }
}
