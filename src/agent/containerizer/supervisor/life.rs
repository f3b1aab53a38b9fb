//! A container's way: made, parked, let go, ended, cleaned up.

use super::container::{Asker, Container, Phase, send};
use super::disk::{Dir, Keeper};
use super::nesting;
use super::poll::{Source, Timer};
use super::reap::Role;
use super::{BUILDERS_MAX, CONTAINERS_MAX, Supervisor, wall};
use crate::agent::containerizer::isolators::Cgroup;
use crate::agent::containerizer::launch::{self, posix, report::Reader, report::Told};
use crate::agent::containerizer::record::ExitRecord;
use crate::agent::containerizer::spec::{Backend, Command, ContainerSpec};
use crate::agent::containerizer::wire::{Answer, Message};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a container's cgroup may resist removal before whoever waits is told (Mesos: `cgroups_destroy_timeout`).
pub(super) const CLEAN_MAX: Duration = Duration::from_secs(60);
/// How often, 20 ms apart, the counter is looked at after memory ran short: the kernel tells before it kills.
const OOM_LOOKS_MAX: u32 = 50;

/// Reads of it do not block any more.
pub(super) fn unblock(fd: &OwnedFd) -> Result<()> {
    fcntl(fd.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map(drop)
        .map_err(|e| Error::new(Code::System, format!("fcntl: {e}")))
}

impl Supervisor {
    /// Takes a container in.
    pub(super) fn create(&mut self, asker: Asker, spec: ContainerSpec) -> Result<()> {
        spec.validate()?;
        let id = spec.id.clone();
        if self.table.contains_key(&id) {
            return Err(Error::new(Code::Conflict, format!("container {id} exists")));
        }
        if self.table.len() >= CONTAINERS_MAX {
            let cause = format!("{CONTAINERS_MAX} containers are known, the most there may be");
            return Err(Error::new(Code::Overloaded, cause));
        }
        if spec.backend == Backend::Mesos && !self.capabilities.mesos {
            let why: Vec<_> = self
                .capabilities
                .missing
                .iter()
                .map(|(what, why)| format!("{what}: {why}"))
                .collect();
            let cause = format!("the mesos containerizer does not work here: {}", why.join("; "));
            return Err(Error::new(Code::Unavailable, cause));
        }
        if !spec.sandbox.is_dir() {
            let cause = format!("sandbox '{}' is not a directory", spec.sandbox.display());
            return Err(Error::new(Code::Invalid, cause));
        }
        self.check_parent(&spec)?;
        let Some(spec) = self.unpark(asker, spec) else { return Ok(()) };
        let dir = Dir::make(self.dir_of(&id), &spec)?;
        let mut container = Container::new(spec, dir, Phase::Queued);
        container.on_create = Some(asker);
        self.table.insert(id.clone(), container);
        self.queue.push_back(id);
        Ok(())
    }

    /// The directory of a container.
    pub(super) fn dir_of(&self, id: &ContainerId) -> PathBuf {
        self.options.dir.join("containers").join(id.as_str())
    }

    /// Starts to make as many as may be made at one time.
    pub(super) fn build_next(&mut self) {
        while self.building < BUILDERS_MAX {
            let Some(id) = self.queue.pop_front() else { return };
            let Some(queued) = self.table.get(&id).map(|c| !c.doomed) else { continue };
            let begun = if queued {
                self.build(&id)
            } else {
                Err(Error::new(Code::Conflict, format!("container {id} was destroyed")))
            };
            if let Err(e) = begun {
                self.not_made(&id, e);
            }
        }
    }

    fn build(&mut self, id: &ContainerId) -> Result<()> {
        let Some(c) = self.table.get_mut(id) else { return Ok(()) };
        let mesos = c.spec.backend == Backend::Mesos;
        if let Some(cgroup) = nesting::cgroup(&self.cgroups, &c.spec).filter(|_| mesos) {
            match &c.spec.nested {
                Some(nested) => nesting::make(&cgroup, nested, &c.spec.limits)?,
                None if cgroup.make(&c.spec.limits).is_err() => {
                    // The parent may have been removed by another supervisor that shared it.
                    self.cgroups.make_parent()?;
                    cgroup.make(&c.spec.limits)?;
                }
                None => {}
            }
            c.cgroup = Some(cgroup.clone());
            if c.spec.command == Command::Pause {
                cgroup.make_seat()?;
            }
        }
        c.will_join();
        let joined = self.joined(id)?;
        let Some(c) = self.table.get_mut(id) else { return Ok(()) };
        let seat = c.cgroup.as_ref().map(|cgroup| match c.spec.command {
            Command::Pause => cgroup.seat(),
            _ => cgroup.clone(),
        });
        let launched = launch::launch(&c.spec, &c.dir.0, seat.as_ref(), joined.as_ref())?;
        c.phase = Phase::Building;
        c.gate = launched.gate;
        self.children.insert(launched.child, Role::Builder(id.clone()));
        self.building += 1;
        unblock(&launched.report)?;
        let keep = launched.report.try_clone();
        let keep = keep.map_err(|e| Error::new(Code::System, format!("dup: {e}")))?;
        let token = self.poll.add(&keep, Source::Report(id.clone()))?;
        c.report = Some((Reader::new(File::from(launched.report)), keep, token));
        Ok(())
    }

    /// It could not be made: nothing of it stays.
    pub(super) fn not_made(&mut self, id: &ContainerId, why: Error) {
        let Some(c) = self.table.get_mut(id) else { return };
        if c.phase == Phase::Building {
            self.building = self.building.saturating_sub(1);
        }
        c.phase = Phase::Gone;
        c.doomed = true;
        c.failed = Some(why);
        self.close_report(id);
        self.clean(id);
    }

    /// The builder is gone. If it said nothing, it will say nothing.
    pub(super) fn builder_ended(&mut self, id: &ContainerId, raw: i32) {
        self.reported(id);
        if self.table.get(id).is_some_and(|c| c.phase == Phase::Building) {
            let cause = format!("its builder ended early (wait status {raw:#x})");
            self.not_made(id, Error::new(Code::System, cause));
        } else if self.table.get(id).is_some_and(|c| c.spec.backend == Backend::Posix) {
            // Builder and keeper are one.
            self.ended(id, Some(raw));
        }
    }

    /// Reads what a container in the making told.
    pub(super) fn reported(&mut self, id: &ContainerId) {
        let Some(c) = self.table.get_mut(id) else { return };
        let Some((reader, ..)) = &mut c.report else { return };
        let (told, end) = reader.read();
        for one in told {
            match one {
                Told::Made(pid) => self.made(id, pid),
                Told::Failed(why) => self.not_made(id, Error::new(Code::System, why)),
                Told::NotExecuted(why) => self.not_executed(id, &why),
            }
        }
        if end {
            self.close_report(id);
            if self.table.get(id).is_some_and(|c| c.phase == Phase::Starting) {
                self.running(id);
            }
        }
    }

    fn close_report(&mut self, id: &ContainerId) {
        if let Some((_, fd, token)) = self.table.get_mut(id).and_then(|c| c.report.take()) {
            self.poll.remove(&fd, token);
        }
    }

    fn made(&mut self, id: &ContainerId, pid: i32) {
        let Some(c) = self.table.get_mut(id) else { return };
        if c.phase != Phase::Building {
            return;
        }
        self.building = self.building.saturating_sub(1);
        c.phase = Phase::Created;
        let posix = c.spec.backend == Backend::Posix;
        let start_time = posix::stat(pid).map_or(0, |s| s.start_time);
        let keeper = Keeper { pid, start_time, boot_id: self.boot_id.clone() };
        let noted = c.dir.put_keeper(&keeper);
        c.keeper = Some(keeper);
        self.parked_now(id, noted);
        // A posix keeper is known already, as the one that builds.
        if !posix && let Some(raw) = self.know(pid, Role::Keeper(id.clone())) {
            self.ended(id, Some(raw));
        }
    }

    /// Tells that it is parked, and notices from now on what happens to it.
    pub(super) fn parked_now(&mut self, id: &ContainerId, noted: Result<()>) {
        let Some(c) = self.table.get_mut(id) else { return };
        c.hold_network();
        let network = c.own_network();
        let asker = c.on_create.take();
        let doomed = c.doomed || noted.is_err();
        c.doomed = doomed;
        if let Some(asker) = asker {
            let destroyed = || Error::new(Code::Conflict, format!("container {id} was destroyed"));
            let result = noted.and_then(|()| if doomed { Err(destroyed()) } else { Ok(()) });
            let made = network.map_or(Answer::Done, Answer::Created);
            self.answer(asker, result.map(|()| made));
        }
        if let Err(e) = self.watch_memory(id) {
            self.log(id, &e);
        }
        if doomed && let Some(c) = self.table.get_mut(id) {
            c.kill();
        }
    }

    /// Lets a parked container go.
    pub(super) fn start(&mut self, asker: Asker, id: &ContainerId) -> Result<()> {
        let memory = self.memory;
        let c = self.container(id)?;
        if c.phase != Phase::Created || c.doomed {
            return Err(Error::new(Code::Conflict, format!("container {id} is not parked")));
        }
        c.dir.put_started()?;
        c.phase = Phase::Starting;
        c.on_start = Some(asker);
        c.follow_logs(Instant::now());
        let due = c.logs_due();
        let score = c.spec.limits.oom_score_adj(memory);
        if let Some((score, pid)) = score.filter(|_| c.cgroup.is_some()).zip(c.pid())
            && let Err(e) = std::fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string())
        {
            eprintln!("container {id}: its oom score is not adjusted: {e}");
        }
        let let_go = match c.spec.backend {
            Backend::Posix => match &c.gate {
                Some(gate) => nix::unistd::write(gate, b"g").map(drop).map_err(Into::into),
                None => Err(std::io::ErrorKind::BrokenPipe.into()),
            },
            Backend::Mesos => launch::gate::pass(&c.dir.0),
        };
        let adopted = c.report.is_none();
        if let Err(e) = let_go {
            c.on_start = None;
            c.kill();
            let cause = format!("container {id} cannot be let go: {e}");
            return Err(Error::new(Code::System, cause));
        }
        if let Some(due) = due {
            self.poll.at(due, Timer::Logs(id.clone()));
        }
        if adopted {
            self.running(id);
        }
        Ok(())
    }

    fn running(&mut self, id: &ContainerId) {
        let Some(c) = self.table.get_mut(id) else { return };
        c.phase = Phase::Running;
        c.task = c.pid().and_then(|keeper| posix::children(keeper).first().copied());
        let pid = c.task.or(c.pid()).unwrap_or(0);
        self.take_terminal(id);
        let Some(c) = self.table.get_mut(id) else { return };
        c.gate = None;
        if let Some(asker) = c.on_start.take() {
            self.answer(asker, Ok(Answer::Started(pid)));
        }
    }

    fn not_executed(&mut self, id: &ContainerId, why: &str) {
        let asker = self.table.get_mut(id).and_then(|c| c.on_start.take());
        if let Some(asker) = asker {
            self.answer(asker, Err(Error::new(Code::System, why)));
        }
    }

    /// Its first process ended.
    pub(super) fn ended(&mut self, id: &ContainerId, raw: Option<i32>) {
        self.reported(id);
        self.take_terminal(id);
        self.close_terminal(id);
        self.starved_above(id);
        let Some(c) = self.table.get_mut(id) else { return };
        if !c.live() {
            return;
        }
        let nested = c.spec.nested.is_some() && c.spec.limits.mem_bytes.is_none();
        let starved = c.starved;
        let evidence = |g: &Cgroup| if starved { Some(g.evidence()) } else { g.oom() };
        let oom = c.cgroup.as_ref().filter(|_| !nested).and_then(evidence);
        let pids = c.cgroup.as_ref().and_then(Cgroup::crowded);
        let told = c.dir.status();
        let ran = told.and(c.pid());
        let record = ExitRecord { status: told.or(raw), oom, pids, at: wall() };
        let noted = c.dir.put_exit(&record);
        self.unsynced.push(c.dir.clone());
        c.phase = Phase::Exited(record.clone());
        c.logs.clear();
        let asker = c.on_start.take();
        let watches = (c.pidfd.take(), c.oom.take());
        if let Some((fd, token)) = watches.0 {
            self.poll.remove(&fd, token);
        }
        if let Some((fd, token)) = watches.1 {
            self.poll.remove(&fd, token);
        }
        self.close_report(id);
        if let Err(e) = noted {
            self.log(id, &e);
        }
        if let Some(asker) = asker {
            // A builder slow to end keeps the report open: a quick task is over before that shows.
            let cause = format!("container {id} ended before its program ran");
            let result = ran.map(Answer::Started);
            self.answer(asker, result.ok_or_else(|| Error::new(Code::System, cause)));
        }
        self.peers.tell(&Message::Exited { id: id.clone(), record }, &mut self.poll);
        self.clean(id);
    }

    /// Removes what is left of an ended container, or kills on and comes back.
    pub(super) fn clean(&mut self, id: &ContainerId) {
        let Some(c) = self.table.get_mut(id) else { return };
        if c.clean {
            return;
        }
        let since = *c.cleaning.get_or_insert_with(Instant::now);
        self.end_sessions(id);
        if self.end_nested(id) {
            // Those in it first.
            let wait = self.table.get(id).map_or(Duration::ZERO, Container::clean_wait);
            return self.poll.after(wait, Timer::Clean(id.clone()));
        }
        let Some(c) = self.table.get_mut(id) else { return };
        if c.live() {
            c.kill();
            let wait = c.clean_wait();
            return self.poll.after(wait, Timer::Clean(id.clone()));
        }
        let removed = match &c.cgroup {
            Some(cgroup) => {
                cgroup.clear_but(&|_| false);
                cgroup.kill();
                cgroup.seat().kill();
                // One that is not there, or not empty yet, is seen with the whole.
                let _ = cgroup.seat().remove();
                cgroup.remove()
            }
            None => Ok(true),
        };
        if !matches!(removed, Ok(true)) {
            let wait = c.clean_wait();
            if since.elapsed() > CLEAN_MAX {
                let cause = match removed {
                    Err(e) => e.cause,
                    Ok(_) => format!("processes of container {id} do not end"),
                };
                let waiting = std::mem::take(&mut c.on_clean);
                for asker in waiting.into_iter().chain(c.on_create.take()) {
                    self.answer(asker, Err(Error::new(Code::Timeout, cause.clone())));
                }
            }
            return self.poll.after(wait, Timer::Clean(id.clone()));
        }
        c.cgroup = None;
        if !self.leave_networks(id) {
            return;
        }
        let Some(c) = self.table.get_mut(id) else { return };
        c.clean = true;
        c.dir.shrink();
        let askers = std::mem::take(&mut c.on_clean);
        if c.phase == Phase::Gone && c.doomed {
            let removed = c.dir.remove();
            let failed = c.on_create.take().zip(c.failed.take());
            self.table.remove(id);
            if let Err(e) = removed {
                self.log(id, &e);
            }
            if let Some((asker, why)) = failed {
                self.answer(asker, Err(why));
            }
        }
        for asker in askers {
            self.answer(asker, Ok(Answer::Done));
        }
    }

    /// Wants to know when a container runs out of memory.
    pub(super) fn watch_memory(&mut self, id: &ContainerId) -> Result<()> {
        let Some(c) = self.table.get_mut(id) else { return Ok(()) };
        let Some(cgroup) = c.cgroup.as_ref().filter(|_| c.spec.limits.mem_bytes.is_some()) else {
            return Ok(());
        };
        if let Some(fd) = cgroup.watch_oom()? {
            let token = self.poll.add(&fd, Source::Oom(id.clone()))?;
            c.oom = Some((fd, token));
        }
        Ok(())
    }

    /// It ran short; if the kernel killed in it, all of it ends, as Mesos does.
    pub(super) fn short_of_memory(&mut self, id: &ContainerId, tries: u32) {
        let Some(c) = self.table.get_mut(id) else { return };
        if let Some((fd, _)) = &c.oom {
            // Only to quieten it; the counter tells.
            let _ = fd.read();
        }
        if !c.live() {
            return;
        }
        let own = c.cgroup.as_ref().is_some_and(|g| g.oom_kills() > 0);
        // The kernel counts a kill where the process was.
        let below = !own && self.starved_below(id);
        let Some(c) = self.table.get_mut(id) else { return };
        c.starved |= below;
        if own || below {
            if let Some(pid) = c.pid() {
                send(pid, Signal::SIGKILL);
            }
        } else if tries < OOM_LOOKS_MAX {
            self.poll.after(Duration::from_millis(20), Timer::Oom(id.clone(), tries + 1));
        }
    }

    /// Rotates its streams if it is time.
    pub(super) fn look_at_logs(&mut self, id: &ContainerId) {
        let now = Instant::now();
        let Some(c) = self.table.get_mut(id) else { return };
        let looked: Vec<_> =
            c.logs.iter_mut().filter(|l| l.due <= now).map(|l| l.look(now)).collect();
        let due = c.logs_due();
        if let Some(due) = due {
            self.poll.at(due, Timer::Logs(id.clone()));
        }
        for why in looked.into_iter().filter_map(std::result::Result::err) {
            eprintln!("container {id}: {why}");
        }
    }
}
