//! The supervisor: one process an agent, parent of all its containers, outliving it.
//!
//! Single-threaded, without an async runtime: it forks, and what runs after a fork must find a whole heap. It decides
//! nothing: the agent says what is to be made, started, signalled, destroyed and forgotten; the supervisor makes it so,
//! notices ends, and keeps their records until the agent has stored them.

mod adopt;
mod calls;
mod container;
mod disk;
pub mod entry;
mod execs;
mod life;
mod nesting;
mod networks;
mod parked;
mod peers;
mod poll;
mod reap;
mod seal;
mod sessions;
mod terminals;

use super::isolators::Cgroups;
use super::record::Capabilities;
use super::wire::{Answer, Fault, Message};
use crate::base::error::{Error, Result};
use crate::base::ids::ContainerId;
use crate::base::time::Wall;
use container::{Asker, Container};
use nix::sys::signalfd::SignalFd;
use peers::Peers;
use poll::{Poll, Source, Timer};
use reap::Role;
use std::collections::{BTreeMap, VecDeque};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Containers known at one time, ended ones that were not forgotten included.
pub const CONTAINERS_MAX: usize = 4096;
/// Containers being made at one time; further ones wait in line.
pub const BUILDERS_MAX: usize = 4;
/// Commands run in containers at one time.
pub const EXECS_MAX: usize = 256;

/// Commands run with their streams handed over at one time.
pub const SESSIONS_MAX: usize = 256;

/// How a supervisor is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// `<run dir>/v<version>`.
    pub dir: PathBuf,
    /// The parent of all containers' cgroups.
    pub cgroup_root: String,
    /// How long it stays without a container and without an agent.
    pub idle: Duration,
}

/// All it has.
pub struct Supervisor {
    options: Options,
    cgroups: Cgroups,
    capabilities: Capabilities,
    boot_id: String,
    /// The machine's, in bytes.
    memory: u64,
    listener: UnixListener,
    signals: SignalFd,
    poll: Poll,
    peers: Peers,
    table: BTreeMap<ContainerId, Container>,
    queue: VecDeque<ContainerId>,
    building: usize,
    parked: parked::Parked,
    execs: BTreeMap<u64, execs::Execution>,
    execs_made: u64,
    sessions: BTreeMap<u64, sessions::Session>,
    sessions_made: u64,
    children: BTreeMap<i32, Role>,
    strays: BTreeMap<i32, i32>,
    unsynced: Vec<disk::Dir>,
    syncing: bool,
    idle_since: Option<Instant>,
    ending: Option<Asker>,
    over: bool,
}

impl Supervisor {
    /// Runs until it is told to end, or nobody needs it.
    ///
    /// # Errors
    /// What cannot be gone on from: its own descriptors fail.
    pub fn run(mut self) -> Result<()> {
        self.adopt();
        self.end_parked();
        self.sweep_networks();
        self.rest();
        while !self.over {
            let (ready, due) = self.poll.wait()?;
            // Reports before deaths: whoever died told its pid before.
            let (deaths, others): (Vec<_>, Vec<_>) =
                ready.into_iter().partition(|s| *s == Source::Signals);
            for source in others {
                self.ready(source)?;
            }
            if !deaths.is_empty() {
                self.reap();
            }
            for timer in due {
                self.due(timer);
            }
            for peer in self.peers.take_gone() {
                self.peer_gone(peer);
            }
            self.build_next();
            self.sync_next();
            self.rest();
        }
        self.retire_all();
        Ok(())
    }

    fn ready(&mut self, source: Source) -> Result<()> {
        match source {
            Source::Signals => {}
            Source::Listener => self.peers.accept(&self.listener, &mut self.poll)?,
            Source::Peer(peer) => {
                self.peers.flush(peer, &mut self.poll);
                for request in self.peers.read(peer, &mut self.poll) {
                    self.call(Asker { peer, seq: request.seq }, request.call);
                }
            }
            Source::Report(id) => self.reported(&id),
            Source::Parked(n) => self.parked_reported(n),
            Source::Ended(id) => self.ended(&id, None),
            Source::Oom(id) => self.short_of_memory(&id, 0),
            Source::ExecReport(n) => self.exec_reported(n),
            Source::ExecOutput(n) => self.exec_said(n),
            Source::SessionReport(n) => self.session_reported(n),
            Source::Terminal(id) => self.terminal_said(&id),
        }
        Ok(())
    }

    fn due(&mut self, timer: Timer) {
        match timer {
            Timer::Logs(id) => self.look_at_logs(&id),
            Timer::Clean(id) => self.clean(&id),
            Timer::Oom(id, tries) => self.short_of_memory(&id, tries),
            Timer::ExecTimeout(n) => self.exec_timed_out(n),
            Timer::CleanSession(n) => self.clean_session(n),
            Timer::Park => self.park_due(),
            Timer::Retire(n) => self.retire(n),
            Timer::EndParked => self.end_parked(),
            Timer::Idle => {}
        }
    }

    fn any_live(&self) -> bool {
        self.table.values().any(|c| c.live() || !c.clean)
    }

    /// Ends when it was told to and nothing is left, or when nobody needs it.
    fn rest(&mut self) {
        let live = self.any_live() || self.syncing;
        if let Some(asker) = self.ending
            && !live
        {
            self.answer(asker, Ok(Answer::Done));
            self.over = true;
        }
        if live || self.peers.len() > 0 {
            self.idle_since = None;
            return;
        }
        let now = Instant::now();
        let since = *self.idle_since.get_or_insert_with(|| {
            self.poll.after(self.options.idle, Timer::Idle);
            now
        });
        self.over |= now.duration_since(since) >= self.options.idle;
    }

    fn answer(&mut self, to: Asker, result: Result<Answer>) {
        let message = Message::Answer { seq: to.seq, result: result.map_err(Fault::from) };
        self.peers.send(to.peer, &message, &mut self.poll);
    }

    /// A failure nobody asked about.
    fn log(&self, id: &ContainerId, error: &Error) {
        eprintln!("container {id}: {error}");
    }
}

/// Wall time now.
fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
