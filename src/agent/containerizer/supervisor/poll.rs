//! What the supervisor waits for: descriptors by epoll, and points in time.

use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Events taken at one time.
const BATCH_MAX: usize = 256;

/// Whose descriptor is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Signals of ours.
    Signals,
    /// A new peer.
    Listener,
    /// A peer said something, or can hear again.
    Peer(u64),
    /// A container in the making reports.
    Report(ContainerId),
    /// An adopted container's first process ended.
    Ended(ContainerId),
    /// A blank container reports.
    Parked(u64),
    /// A container is short of memory.
    Oom(ContainerId),
    /// A command's helper reports.
    ExecReport(u64),
    /// A command's output.
    ExecOutput(u64),
    /// A container's terminal was written to.
    Terminal(ContainerId),
    /// A session's helper reports.
    SessionReport(u64),
}

/// What is to be done at a point in time. Whoever is told looks whether it still applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Look at the size of a container's logs.
    Logs(ContainerId),
    /// Try again to kill and remove what is left of a container.
    Clean(ContainerId),
    /// Look whether the kernel killed for want of memory.
    Oom(ContainerId, u32),
    /// A command's time is over.
    ExecTimeout(u64),
    /// Try again to kill and remove what is left of a session.
    CleanSession(u64),
    /// Make containers ahead of need.
    Park,
    /// Try again to remove a blank container.
    Retire(u64),
    /// Try again to remove those of an earlier supervisor.
    EndParked,
    /// Nobody may have needed us for a while.
    Idle,
}

/// The two together.
pub struct Poll {
    epoll: Epoll,
    sources: BTreeMap<u64, Source>,
    timers: BTreeMap<(Instant, u64), Timer>,
    next: u64,
}

fn failed(e: nix::Error) -> Error {
    Error::new(Code::System, format!("epoll: {e}"))
}

impl Poll {
    /// Nothing to wait for yet.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn new() -> Result<Poll> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        Ok(Poll { epoll, sources: BTreeMap::new(), timers: BTreeMap::new(), next: 0 })
    }

    /// Waits for that descriptor to be readable; the number is needed to stop.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn add(&mut self, fd: impl AsFd, source: Source) -> Result<u64> {
        self.next += 1;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, self.next);
        self.epoll.add(fd, event).map_err(failed)?;
        self.sources.insert(self.next, source);
        Ok(self.next)
    }

    /// Waits for that descriptor to be writable too, or not any more.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn writable(&mut self, fd: impl AsFd, token: u64, too: bool) -> Result<()> {
        let flags =
            if too { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
        self.epoll.modify(fd, &mut EpollEvent::new(flags, token)).map_err(failed)
    }

    /// Waits for it no more. To be called before it is closed.
    pub fn remove(&mut self, fd: impl AsFd, token: u64) {
        self.sources.remove(&token);
        // It was added, so this cannot fail but by being closed already.
        let _ = self.epoll.delete(fd);
    }

    /// Tells that at the earliest then.
    pub fn at(&mut self, when: Instant, timer: Timer) {
        self.next += 1;
        self.timers.insert((when, self.next), timer);
    }

    /// Tells that after a while.
    pub fn after(&mut self, wait: Duration, timer: Timer) {
        self.at(Instant::now() + wait, timer);
    }

    /// Waits; who is ready, and which times have come.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn wait(&mut self) -> Result<(Vec<Source>, Vec<Timer>)> {
        let now = Instant::now();
        let wait = self.timers.keys().next().map(|(at, _)| at.saturating_duration_since(now));
        let timeout = match wait {
            None => EpollTimeout::NONE,
            // Rounded up, so as not to wake up just before it.
            Some(w) => u16::try_from(w.as_millis() + 1).unwrap_or(u16::MAX).into(),
        };
        let mut events = [EpollEvent::empty(); BATCH_MAX];
        let n = match self.epoll.wait(&mut events, timeout) {
            Ok(n) => n,
            Err(nix::Error::EINTR) => 0,
            Err(e) => return Err(failed(e)),
        };
        let ready = events.iter().take(n).filter_map(|e| self.sources.get(&e.data()).cloned());
        let ready = ready.collect();
        let later = self.timers.split_off(&(Instant::now(), u64::MAX));
        let due = std::mem::replace(&mut self.timers, later).into_values().collect();
        Ok((ready, due))
    }
}
