//! One container in the supervisor's table.

use super::disk::{Dir, Keeper};
use super::networks::Leaving;
use super::terminals::Terminal;
use crate::agent::containerizer::isolators::Cgroup;
use crate::agent::containerizer::launch::posix;
use crate::agent::containerizer::launch::report::Reader;
use crate::agent::containerizer::logs::Log;
use crate::agent::containerizer::network::Namespace;
use crate::agent::containerizer::record::{ExitRecord, State};
use crate::agent::containerizer::spec::{Backend, Command, ContainerSpec};
use crate::base::error::Error;
use nix::sys::eventfd::EventFd;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The connection.
    pub peer: u64,
    /// Its request.
    pub seq: u64,
}

/// How far a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waits for its turn to be made.
    Queued,
    /// Is being made.
    Building,
    /// Parked.
    Created,
    /// Let go; its program was not yet seen to run.
    Starting,
    /// Its program runs.
    Running,
    /// It ended.
    Exited(ExitRecord),
    /// The supervisor before us died while making it.
    Gone,
}

/// A container.
pub struct Container {
    /// What was asked for.
    pub spec: ContainerSpec,
    /// What is on disk of it.
    pub dir: Dir,
    /// How far it is.
    pub phase: Phase,
    /// Its first process.
    pub keeper: Option<Keeper>,
    /// The task's process.
    pub task: Option<i32>,
    /// Its cgroup, until it is removed.
    pub cgroup: Option<Cgroup>,
    /// How it tells how far it is, until its program runs.
    pub report: Option<(Reader, OwnedFd, u64)>,
    /// What lets a posix container go.
    pub gate: Option<OwnedFd>,
    /// How the end of an adopted one is noticed.
    pub pidfd: Option<(OwnedFd, u64)>,
    /// How want of memory is noticed.
    pub oom: Option<(EventFd, u64)>,
    /// Its terminal.
    pub terminal: Option<Terminal>,
    /// Memory ran out in one nested in it, within its own limit.
    pub starved: bool,
    /// Rotated streams.
    pub logs: Vec<Log>,
    /// Whether it is to be destroyed as soon as that can be done.
    pub doomed: bool,
    /// Whether nothing but its record is left.
    pub clean: bool,
    /// Since when it is being cleaned up.
    pub cleaning: Option<Instant>,
    /// Whether its networks were left already when it was taken over.
    pub left: bool,
    /// Whether its networks have to be left.
    pub leaving: Leaving,
    /// The namespace of its networks, while they have to be left.
    pub namespace: Option<Namespace>,
    /// Who waits for it to be parked.
    pub on_create: Option<Asker>,
    /// Why it could not be made, told when nothing of it is left.
    pub failed: Option<Error>,
    /// Who waits for it to run.
    pub on_start: Option<Asker>,
    /// Who waits for it to be gone.
    pub on_clean: Vec<Asker>,
}

impl Container {
    /// One of which nothing exists but what is on disk.
    pub fn new(spec: ContainerSpec, dir: Dir, phase: Phase) -> Container {
        Container {
            spec,
            dir,
            phase,
            keeper: None,
            task: None,
            cgroup: None,
            report: None,
            gate: None,
            pidfd: None,
            oom: None,
            terminal: None,
            starved: false,
            logs: Vec::new(),
            doomed: false,
            clean: false,
            cleaning: None,
            left: false,
            leaving: Leaving::Done,
            namespace: None,
            on_create: None,
            failed: None,
            on_start: None,
            on_clean: Vec::new(),
        }
    }

    /// Whether a process of it may be there.
    pub fn live(&self) -> bool {
        !matches!(self.phase, Phase::Exited(_) | Phase::Gone)
    }

    /// What is told of it.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Queued | Phase::Building | Phase::Created => State::Created,
            Phase::Starting | Phase::Running => {
                State::Running { pid: self.task.or(self.pid()).unwrap_or(0) }
            }
            Phase::Exited(record) => State::Exited(record.clone()),
            Phase::Gone => State::Gone,
        }
    }

    /// Its first process.
    pub fn pid(&self) -> Option<i32> {
        self.keeper.as_ref().map(|k| k.pid)
    }

    /// All its processes, the keeper not included.
    pub fn tree(&self) -> Vec<i32> {
        let Some(keeper) = self.pid() else { return Vec::new() };
        match (&self.cgroup, self.spec.backend) {
            (Some(cgroup), Backend::Mesos) => {
                let cgroup = if self.spec.command == Command::Pause {
                    cgroup.seat()
                } else {
                    cgroup.clone()
                };
                cgroup.pids().into_iter().filter(|p| *p != keeper).collect()
            }
            _ => posix::descendants(keeper),
        }
    }

    /// Kills all of it, once; what forks meanwhile is met the next time.
    pub fn kill(&mut self) {
        self.gate = None;
        let among_others = self.spec.nested.as_ref().is_some_and(|nested| nested.share_pid);
        match self.spec.backend {
            // Nothing but its keeper knows what belongs to it.
            Backend::Mesos if self.cgroup.is_none() && among_others => self.kill_tree(),
            // With the first process of a pid namespace the kernel ends all of it.
            Backend::Mesos => {
                if let Some(pid) = self.pid().filter(|_| self.live()) {
                    send(pid, Signal::SIGKILL);
                }
                if let Some(cgroup) = &self.cgroup {
                    cgroup.kill();
                }
            }
            Backend::Posix => self.kill_tree(),
        }
    }

    /// Its keeper records how the task ended, collects what is left, and ends.
    fn kill_tree(&self) {
        for pid in self.tree() {
            send(pid, Signal::SIGKILL);
        }
    }

    /// When its logs are to be looked at.
    pub fn logs_due(&self) -> Option<Instant> {
        self.logs.iter().map(|l| l.due).min()
    }

    /// Follows its streams, if they are rotated.
    pub fn follow_logs(&mut self, now: Instant) {
        let streams = [("stdout", self.spec.stdout), ("stderr", self.spec.stderr)];
        self.logs = streams
            .into_iter()
            .filter_map(|(name, r)| Some(Log::new(&self.spec.sandbox, name, r?, now)))
            .collect();
    }

    /// How long to wait before the next try to clean up: soon at first.
    pub fn clean_wait(&self) -> Duration {
        let since = self.cleaning.map_or(Duration::ZERO, |t| t.elapsed());
        (since / 2).clamp(Duration::from_millis(2), Duration::from_secs(1))
    }
}

/// Sends a signal; a process that ended meanwhile needs none.
pub fn send(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}
