//! Containers made ahead of need. What a start costs is namespaces, mounts and, above all, cgroups that are joined; none of
//! that depends on what is run. So blank containers of the shapes asked for lately are kept parked before their last step; the
//! next container of such a shape is one of them: its cgroups get its name and its limits, and it is told its command,
//! environment, sandbox and streams by the socket it waits with.
//!
//! Made while nothing else is: a burst of launches is not held up by what comes after it. On v2 there are none: cgroups
//! cannot be renamed there, and a process is cloned into its own at no cost.

use super::Supervisor;
use super::container::{Asker, Container, Phase, send};
use super::disk::{Dir, Keeper};
use super::entry::PROCESS_NAME;
use super::life::{CLEAN_MAX, unblock};
use super::poll::{Source, Timer};
use super::reap::Role;
use crate::agent::containerizer::isolators::Cgroup;
use crate::agent::containerizer::launch::account::{self, Account};
use crate::agent::containerizer::launch::report::{Reader, Told};
use crate::agent::containerizer::launch::{self, later, posix, program};
use crate::agent::containerizer::record::CgroupVersion;
use crate::agent::containerizer::spec::{Backend, Command, ContainerSpec, Limits, Network};
use crate::base::error::{Code, Error, Result};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Blank containers kept at one time.
pub const PARKED_MAX: usize = EACH * SHAPES_MAX;
/// Of one shape.
const EACH: usize = 2;
/// Shapes that blank ones are kept of.
const SHAPES_MAX: usize = 2;
/// Shapes remembered, to know what is asked for again.
const SEEN_MAX: usize = 8;
/// How long nothing may have been asked for before blank ones are made.
const QUIET: Duration = Duration::from_millis(20);
/// Between two tries to remove what is left of one.
const AGAIN: Duration = Duration::from_millis(10);
/// The names of their cgroups begin so, and theirs alone.
const CGROUP_PREFIX: &str = "parked:";
/// Below the supervisor's directory.
const DIR: &str = "parked";

/// One that waits to become a container.
pub(super) struct Blank {
    shape: ContainerSpec,
    account: Account,
    dir: Dir,
    cgroup: Cgroup,
    builder: i32,
    /// By which it is told what it is.
    gate: Option<OwnedFd>,
    report: Option<(Reader, OwnedFd, u64)>,
    /// Its first process, once it is parked.
    keeper: Option<Keeper>,
    /// Since when it is being removed.
    leaving: Option<Instant>,
}

/// All of them, and what they should be.
#[derive(Default)]
pub(super) struct Parked {
    blanks: BTreeMap<u64, Blank>,
    made: u64,
    /// What was asked for, the last first.
    seen: VecDeque<ContainerSpec>,
    /// Of what blank ones are kept, the last first.
    shapes: VecDeque<ContainerSpec>,
    asked: Option<Instant>,
    waits: bool,
}

/// What a container is without what it can be told when it is let go; none for one that has more of its own than that.
fn shape(spec: &ContainerSpec) -> Option<ContainerSpec> {
    let plain = spec.backend == Backend::Mesos
        && spec.host_root
        && spec.network == Network::Host
        && spec.mounts.is_empty()
        && spec.nested.is_none()
        && spec.terminal.is_none()
        && spec.image.is_none()
        && spec.image_volumes.is_empty()
        && spec.command != Command::Pause
        && !spec.linux.leaves_something()
        && spec.linux.volumes.is_empty();
    plain.then(|| ContainerSpec {
        id: DIR.into(),
        sandbox: PathBuf::from("/"),
        command: Command::Later,
        env: Vec::new(),
        limits: Limits::default(),
        stdout: None,
        stderr: None,
        ..spec.clone()
    })
}

impl Parked {
    /// Notes what was asked for. Blank ones are kept of what is asked for again, and of the first thing at all.
    fn asked_for(&mut self, shape: &ContainerSpec) {
        self.asked = Some(Instant::now());
        let before = self.seen.iter().position(|seen| seen == shape);
        if let Some(at) = before {
            self.seen.remove(at);
        }
        self.seen.push_front(shape.clone());
        self.seen.truncate(SEEN_MAX);
        if before.is_some() || self.shapes.is_empty() {
            self.shapes.retain(|kept| kept != shape);
            self.shapes.push_front(shape.clone());
            self.shapes.truncate(SHAPES_MAX);
        }
    }

    /// The shape that there are too few of.
    fn lacks(&self) -> Option<ContainerSpec> {
        let stays = |b: &&Blank| b.leaving.is_none();
        let of = |shape: &ContainerSpec| {
            self.blanks.values().filter(stays).filter(|b| b.shape == *shape).count()
        };
        let room = self.blanks.len() < PARKED_MAX;
        self.shapes.iter().find(|shape| room && of(shape) < EACH).cloned()
    }

    /// One of that shape that is ready.
    fn ready(&self, shape: &ContainerSpec) -> Option<u64> {
        let ready = |b: &Blank| b.keeper.is_some() && b.leaving.is_none() && b.shape == *shape;
        self.blanks.iter().find(|(_, b)| ready(b)).map(|(n, _)| *n)
    }
}

/// Whether the supervisor of that blank container runs: others may have the same parent for their cgroups.
fn is_held(name: &str) -> bool {
    let Some(owner) = name.split('-').next().and_then(|pid| pid.parse().ok()) else { return false };
    let comm = std::fs::read_to_string(format!("/proc/{owner}/comm")).unwrap_or_default();
    let lives = posix::stat(owner).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'));
    lives && comm.trim_end() == PROCESS_NAME
}

/// Whether what it is to run can be found. What cannot is told by the usual way.
fn runs(spec: &ContainerSpec) -> bool {
    let (name, _) = spec.command.resolve();
    let relative = name.contains('/') && !Path::new(&name).is_absolute();
    !relative && program::find(&name, &spec.environment()).is_ok()
}

impl Supervisor {
    /// Makes a container out of a blank one, if there is one of its shape; else gives back what was asked for.
    pub(super) fn unpark(&mut self, asker: Asker, spec: ContainerSpec) -> Option<ContainerSpec> {
        let v1 = matches!(self.cgroups.version(), Ok(CgroupVersion::V1 { .. }));
        let Some(shape) = shape(&spec).filter(|_| v1) else { return Some(spec) };
        self.parked.asked_for(&shape);
        self.park_after(QUIET);
        let Some(n) = self.parked.ready(&shape).filter(|_| runs(&spec)) else { return Some(spec) };
        let told = match (later::message(&spec), account::of(&spec)) {
            (Ok(Some(message)), Ok(account)) => self.tell(n, &spec, &message, &account),
            (Ok(None), _) => return Some(spec),
            (Err(e), _) => Err(e),
            (_, Err(why)) => Err(Error::new(Code::System, why)),
        };
        if let Err(e) = told {
            self.log(&spec.id, &e);
            self.retire(n);
            return Some(spec);
        }
        self.become_container(n, asker, spec);
        None
    }

    /// Tells a blank container what it is, and gives its directory the container's name. It waits for the word to start as
    /// every parked one does.
    fn tell(
        &mut self,
        n: u64,
        spec: &ContainerSpec,
        message: &[u8],
        account: &Account,
    ) -> Result<()> {
        let home = self.dir_of(&spec.id);
        let gone = || Error::new(Code::Internal, "no such blank container");
        let blank = self.parked.blanks.get_mut(&n).ok_or_else(gone)?;
        if blank.account != *account {
            return Err(Error::new(Code::Conflict, "the user's ids have changed"));
        }
        let gate = blank.gate.as_ref().ok_or_else(gone)?;
        blank.dir.put_spec(spec)?;
        later::tell(gate.as_raw_fd(), message, &spec.sandbox, account, &blank.dir.0)?;
        blank.dir.become_dir(home)?;
        blank.gate = None;
        Ok(())
    }

    fn become_container(&mut self, n: u64, asker: Asker, spec: ContainerSpec) {
        let Some(blank) = self.parked.blanks.remove(&n) else { return };
        let id = spec.id.clone();
        let cgroup = self.cgroups.of(id.as_str());
        let limited = blank.cgroup.become_cgroup(&cgroup, &spec.limits);
        let mut c = Container::new(spec, blank.dir, Phase::Created);
        c.on_create = Some(asker);
        c.cgroup = Some(if limited.is_ok() { cgroup } else { blank.cgroup });
        c.keeper = blank.keeper;
        if let Some(pid) = c.pid() {
            self.children.insert(pid, Role::Keeper(id.clone()));
        }
        let mut watched = Ok(());
        if let Some((reader, fd, token)) = blank.report {
            self.poll.remove(&fd, token);
            watched = self.poll.add(&fd, Source::Report(id.clone())).map(|token| {
                c.report = Some((reader, fd, token));
            });
        }
        self.table.insert(id.clone(), c);
        match limited.and(watched) {
            Ok(()) => self.parked_now(&id, Ok(())),
            Err(e) => self.not_made(&id, e),
        }
    }

    /// When blank ones are made, if nothing is asked for until then.
    fn park_after(&mut self, wait: Duration) {
        if !self.parked.waits {
            self.parked.waits = true;
            self.poll.after(wait, Timer::Park);
        }
    }

    /// Makes what is lacking, one after the other, while nothing else is being made.
    pub(super) fn park_due(&mut self) {
        self.parked.waits = false;
        self.park_next();
    }

    fn park_next(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let quiet = self.parked.asked.map_or(QUIET, |asked| asked.elapsed());
        if quiet < QUIET || self.building > 0 || !self.queue.is_empty() {
            return self.park_after(QUIET.saturating_sub(quiet).max(QUIET / 4));
        }
        let shapes = &self.parked.shapes;
        let stale = self.parked.blanks.iter().filter(|(_, b)| !shapes.contains(&b.shape));
        let stale: Vec<_> = stale.map(|(n, _)| *n).collect();
        stale.into_iter().for_each(|n| self.retire(n));
        let Some(shape) = self.parked.lacks() else { return };
        if let Err(e) = self.park(shape.clone()) {
            self.not_parked(&shape, &e.cause);
        }
    }

    /// Not tried again until it is asked for twice more: containers of that shape tell their failures themselves.
    fn not_parked(&mut self, shape: &ContainerSpec, why: &str) {
        eprintln!("a container cannot be made ahead: {why}");
        self.parked.shapes.retain(|kept| kept != shape);
        self.parked.seen.retain(|seen| seen != shape);
    }

    fn park(&mut self, shape: ContainerSpec) -> Result<()> {
        let account = account::of(&shape).map_err(|why| Error::new(Code::System, why))?;
        self.parked.made += 1;
        let n = self.parked.made;
        let home = self.options.dir.join(DIR);
        if !home.is_dir() {
            launch::private_dir(&home)?;
        }
        // An earlier supervisor's may not be gone yet.
        let name = format!("{}-{n}", std::process::id());
        let cgroup = self.cgroups.of(&format!("{CGROUP_PREFIX}{name}"));
        let dir = Dir::make_blank(home.join(name))?;
        let launched = cgroup.make(&shape.limits).and_then(|()| {
            let launched = launch::launch(&shape, &dir.0, Some(&cgroup), None)?;
            unblock(&launched.report)?;
            let keep = launched.report.try_clone();
            let keep = keep.map_err(|e| Error::new(Code::System, format!("dup: {e}")))?;
            Ok((launched, keep))
        });
        let (launched, keep) = launched.inspect_err(|_| {
            cgroup.kill();
            // What is left goes with the next supervisor.
            let _ = cgroup.remove();
            let _ = dir.remove();
        })?;
        let token = self.poll.add(&keep, Source::Parked(n))?;
        self.children.insert(launched.child, Role::ParkedBuilder(n));
        self.building += 1;
        let report = Some((Reader::new(File::from(launched.report)), keep, token));
        let blank = Blank {
            shape,
            account,
            dir,
            cgroup,
            builder: launched.child,
            gate: launched.gate,
            report,
            keeper: None,
            leaving: None,
        };
        self.parked.blanks.insert(n, blank);
        Ok(())
    }

    /// Reads what a blank container in the making told.
    pub(super) fn parked_reported(&mut self, n: u64) {
        let Some(blank) = self.parked.blanks.get_mut(&n) else { return };
        let Some((reader, ..)) = &mut blank.report else { return };
        let (told, _) = reader.read();
        for one in told {
            match one {
                Told::Made(pid) => self.parked_made(n, pid),
                Told::Failed(why) | Told::NotExecuted(why) => self.parked_failed(n, &why),
            }
        }
    }

    fn parked_made(&mut self, n: u64, pid: i32) {
        let boot_id = self.boot_id.clone();
        let Some(blank) = self.parked.blanks.get_mut(&n) else { return };
        let start_time = posix::stat(pid).map_or(0, |s| s.start_time);
        let keeper = Keeper { pid, start_time, boot_id };
        let noted = blank.dir.put_keeper(&keeper);
        blank.keeper = Some(keeper);
        self.building = self.building.saturating_sub(1);
        let died = self.know(pid, Role::Parked(n)).is_some();
        match noted {
            Err(e) => self.parked_failed(n, &e.cause),
            Ok(()) if died => self.retire(n),
            Ok(()) => self.park_next(),
        }
    }

    fn parked_failed(&mut self, n: u64, why: &str) {
        let Some(blank) = self.parked.blanks.get(&n) else { return };
        let shape = blank.shape.clone();
        self.not_parked(&shape, why);
        self.retire(n);
    }

    /// Whoever made a blank container is gone.
    pub(super) fn parked_builder_ended(&mut self, n: u64, raw: i32) {
        self.parked_reported(n);
        let silent = |b: &Blank| b.keeper.is_none() && b.leaving.is_none();
        if self.parked.blanks.get(&n).is_some_and(silent) {
            self.parked_failed(n, &format!("its builder ended early (wait status {raw:#x})"));
        }
    }

    /// A blank container ended, which it does not by itself.
    pub(super) fn parked_ended(&mut self, n: u64) {
        self.retire(n);
        self.park_after(QUIET);
    }

    /// Removes a blank container.
    pub(super) fn retire(&mut self, n: u64) {
        let Some(blank) = self.parked.blanks.get_mut(&n) else { return };
        if blank.leaving.is_none() && blank.keeper.is_none() {
            self.building = self.building.saturating_sub(1);
        }
        let since = *blank.leaving.get_or_insert_with(Instant::now);
        blank.gate = None;
        if let Some((_, fd, token)) = blank.report.take() {
            self.poll.remove(&fd, token);
        }
        let unknown = blank.keeper.is_none() && self.children.contains_key(&blank.builder);
        match &blank.keeper {
            Some(keeper) if self.children.contains_key(&keeper.pid) => {
                send(keeper.pid, Signal::SIGKILL);
            }
            None if unknown => send(blank.builder, Signal::SIGKILL),
            _ => {}
        }
        blank.cgroup.kill();
        match blank.cgroup.remove() {
            Ok(true) => {
                if let Err(e) = blank.dir.remove() {
                    eprintln!("a blank container's directory stays: {e}");
                }
                self.parked.blanks.remove(&n);
            }
            Ok(false) if since.elapsed() < CLEAN_MAX => {
                self.poll.after(AGAIN, Timer::Retire(n));
            }
            left => {
                let why = left.err().map_or("its processes do not end".into(), |e| e.cause);
                eprintln!("a blank container stays: {why}");
                self.parked.blanks.remove(&n);
            }
        }
    }

    /// Removes all of them: the supervisor ends.
    pub(super) fn retire_all(&mut self) {
        let until = Instant::now() + CLEAN_MAX;
        loop {
            let all: Vec<_> = self.parked.blanks.keys().copied().collect();
            all.into_iter().for_each(|n| self.retire(n));
            self.reap();
            // Nor does anything of an earlier one stay: there may be no later one.
            let earlier = self.earlier_stay();
            if (self.parked.blanks.is_empty() && !earlier) || Instant::now() >= until {
                break;
            }
            std::thread::sleep(AGAIN / 5);
        }
        // Gone, if it was ever made.
        let _ = std::fs::remove_dir(self.options.dir.join(DIR));
    }

    /// Removes those of a supervisor before this one, as far as their processes have ended; the rest soon after.
    pub(super) fn end_parked(&mut self) {
        if self.earlier_stay() {
            self.poll.after(AGAIN, Timer::EndParked);
        }
    }

    /// Removes what it can of an earlier supervisor's; whether something of them stays.
    fn earlier_stay(&self) -> bool {
        let own = format!("{}-", std::process::id());
        let home = self.options.dir.join(DIR);
        for entry in std::fs::read_dir(&home).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&own) {
                continue;
            }
            let dir = Dir(entry.path());
            let keeper = dir.known().ok().and_then(|known| known.keeper);
            if let Some(keeper) = keeper.filter(|keeper| self.is_alive(keeper)) {
                send(keeper.pid, Signal::SIGKILL);
            }
            if let Err(e) = dir.remove() {
                eprintln!("a blank container's directory stays: {e}");
            }
        }
        let names = self.cgroups.of("").below();
        let old = names.iter().filter_map(|name| name.strip_prefix(CGROUP_PREFIX));
        let mut left = false;
        for name in old.filter(|name| !is_held(name)) {
            let cgroup = self.cgroups.of(&format!("{CGROUP_PREFIX}{name}"));
            cgroup.kill();
            left |= !matches!(cgroup.remove(), Ok(true));
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::containerizer::linux::Linux;

    fn spec(id: &str, rlimit: u64) -> ContainerSpec {
        let limit = crate::agent::containerizer::spec::Rlimit {
            name: "RLIMIT_NOFILE".into(),
            soft: Some(rlimit),
            hard: Some(rlimit),
        };
        ContainerSpec {
            id: id.into(),
            backend: Backend::Mesos,
            sandbox: format!("/sandboxes/{id}").into(),
            command: Command::Shell(format!("echo {id}")),
            env: vec![("ID".into(), id.into())],
            user: None,
            limits: Limits { cpus: 0.5, ..Limits::default() },
            rlimits: vec![limit],
            network: Network::Host,
            hostname: None,
            capabilities: Default::default(),
            no_new_privs: true,
            stdout: None,
            stderr: None,
            host_root: true,
            mounts: Vec::new(),
            nested: None,
            terminal: None,
            image: None,
            image_volumes: Vec::new(),
            linux: Linux::default(),
        }
    }

    #[test]
    fn what_differs_in_more_than_can_be_told_is_another_shape() {
        assert_eq!(shape(&spec("a", 1)), shape(&spec("b", 1)));
        assert_ne!(shape(&spec("a", 1)), shape(&spec("a", 2)));
        let user = ContainerSpec { user: Some("nobody".into()), ..spec("a", 1) };
        assert_ne!(shape(&user), shape(&spec("a", 1)));
        let linux = Linux { share_pid: true, ..Linux::default() };
        let shares = ContainerSpec { linux, ..spec("a", 1) };
        assert!(shape(&shares).is_some() && shape(&shares) != shape(&spec("a", 1)));
        for none in [
            ContainerSpec { network: Network::Own, ..spec("a", 1) },
            ContainerSpec { command: Command::Pause, ..spec("a", 1) },
            ContainerSpec { backend: Backend::Posix, ..spec("a", 1) },
        ] {
            assert_eq!(shape(&none), None, "{none:?}");
        }
    }

    #[test]
    fn what_is_asked_for_again_is_kept_and_what_was_once_is_not() {
        let mut parked = Parked::default();
        let of = |n| shape(&spec("a", n)).unwrap();
        let kept = |parked: &Parked| parked.shapes.iter().cloned().collect::<Vec<_>>();
        parked.asked_for(&of(1));
        assert_eq!(kept(&parked), [of(1)], "the first at all");
        for n in 2..5 {
            parked.asked_for(&of(n));
        }
        assert_eq!(kept(&parked), [of(1)], "each of these but once");
        parked.asked_for(&of(3));
        assert_eq!(kept(&parked), [of(3), of(1)]);
        parked.asked_for(&of(2));
        assert_eq!(kept(&parked), [of(2), of(3)], "two shapes and no more");
        for n in 10..30 {
            parked.asked_for(&of(n));
        }
        assert_eq!(parked.seen.len(), SEEN_MAX);
        assert_eq!(parked.lacks(), Some(of(2)));
    }
}
