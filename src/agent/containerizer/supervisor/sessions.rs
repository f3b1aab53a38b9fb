//! Commands run in containers with their streams in the agent's hands: each on a connection of its own, with which it
//! ends, in a cgroup of its own below the container's, so that nothing it started outlives it.

use super::container::Asker;
use super::life::unblock;
use super::poll::{Source, Timer};
use super::reap::Role;
use super::{SESSIONS_MAX, Supervisor};
use crate::agent::containerizer::isolators::Cgroup;
use crate::agent::containerizer::launch::report::{Reader, Told};
use crate::agent::containerizer::launch::{exec, streams};
use crate::agent::containerizer::wire::{Answer, Message, SessionCall, VERSION};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::{self, ContainerId};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// What begins the name of a session's cgroup: no container's name does.
pub const CGROUP_PREFIX: &str = "session.";

/// A session.
pub struct Session {
    asker: Asker,
    container: ContainerId,
    cgroup: Option<Cgroup>,
    report: Reader,
    report_fd: OwnedFd,
    report_token: u64,
    /// By which its streams come.
    handed: OwnedFd,
    pid: Option<i32>,
    failed: Option<String>,
    /// Nothing more will be reported.
    reported: bool,
    /// Its end is known, with its wait status.
    ended: Option<(Instant, Option<i32>)>,
}

impl Session {
    /// Whether its pid is known, or never will be.
    pub fn known(&self) -> bool {
        self.pid.is_some() || self.reported
    }

    fn kill(&self) {
        if let Some(pid) = self.pid.filter(|_| self.ended.is_none()) {
            exec::kill(pid);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
    }
}

impl Supervisor {
    /// Begins a session on the connection that asks for it.
    pub(super) fn open_session(
        &mut self,
        asker: Asker,
        version: u32,
        call: SessionCall,
    ) -> Result<()> {
        if version != VERSION {
            let cause = format!("this supervisor speaks version {VERSION}, not {version}");
            return Err(Error::new(Code::Invalid, cause));
        }
        if self.peers.greeted(asker.peer) || self.session_of(asker.peer).is_some() {
            return Err(Error::new(Code::Invalid, "a session needs a connection of its own"));
        }
        if self.sessions.len() >= SESSIONS_MAX {
            let cause = format!("{SESSIONS_MAX} sessions are open, the most there may be");
            return Err(Error::new(Code::Overloaded, cause));
        }
        if call.argv.first().is_none_or(String::is_empty) {
            return Err(Error::new(Code::Invalid, "the command is empty"));
        }
        ids::check(&call.name).map_err(|e| Error::new(Code::Invalid, e))?;
        let c = self.running_one(&call.id)?;
        let cgroup = c.cgroup.as_ref().map(|g| g.child(&format!("{CGROUP_PREFIX}{}", call.name)));
        if let Some(cgroup) = &cgroup {
            cgroup.make_bare()?;
        }
        let begun = self.begin(asker, &call, cgroup.clone());
        if begun.is_err()
            && let Some(cgroup) = cgroup
        {
            // Nothing is in it yet.
            let _ = cgroup.remove();
        }
        begun
    }

    fn begin(&mut self, asker: Asker, call: &SessionCall, cgroup: Option<Cgroup>) -> Result<()> {
        let c = self.running_one(&call.id)?;
        let mut env = c.spec.environment();
        env.retain(|(name, _)| !call.env.iter().any(|(n, _)| n == name));
        env.extend(call.env.iter().cloned());
        let own = c.spec.cwd().display().to_string();
        let (report, handed) = exec::exec(&exec::Exec {
            spec: &c.spec,
            keeper: c.pid().unwrap_or(0),
            cgroup: cgroup.as_ref(),
            argv: &call.argv,
            env: &env,
            cwd: call.cwd.as_deref().unwrap_or(&own),
            user: call.user.as_deref(),
            streams: match call.terminal {
                Some(window) => exec::Streams::Terminal(window),
                None => exec::Streams::Piped,
            },
        })?;
        unblock(&report)?;
        let report_fd =
            report.try_clone().map_err(|e| Error::new(Code::System, format!("dup: {e}")))?;
        self.sessions_made += 1;
        let n = self.sessions_made;
        let report_token = self.poll.add(&report_fd, Source::SessionReport(n))?;
        let session = Session {
            asker,
            container: call.id.clone(),
            cgroup,
            report: Reader::new(File::from(report)),
            report_fd,
            report_token,
            handed,
            pid: None,
            failed: None,
            reported: false,
            ended: None,
        };
        self.sessions.insert(n, session);
        Ok(())
    }

    fn session_of(&self, peer: u64) -> Option<u64> {
        self.sessions.iter().find(|(_, s)| s.asker.peer == peer).map(|(n, _)| *n)
    }

    /// Signals the command of that connection.
    pub(super) fn signal_session(&mut self, peer: u64, signal: i32) -> Result<Answer> {
        let none = || Error::new(Code::NotFound, "this connection has no session");
        let n = self.session_of(peer).ok_or_else(none)?;
        let signal = Signal::try_from(signal)
            .map_err(|_| Error::new(Code::Invalid, format!("{signal} is no signal")))?;
        let session = self.sessions.get(&n).ok_or_else(none)?;
        match (session.pid, session.ended) {
            (Some(pid), None) => {
                // Its group and itself: it may not have made the group yet.
                let pid = Pid::from_raw(pid);
                let _ = killpg(pid, signal);
                let _ = nix::sys::signal::kill(pid, signal);
                Ok(Answer::Done)
            }
            _ => Err(Error::new(Code::Conflict, "the command does not run")),
        }
    }

    /// Who asked is gone: so is the session.
    pub(super) fn peer_gone(&mut self, peer: u64) {
        if let Some(session) = self.session_of(peer).and_then(|n| self.sessions.get(&n)) {
            session.kill();
        }
    }

    /// Ends what was run in a container that is being removed.
    pub(super) fn end_sessions(&mut self, container: &ContainerId) {
        self.sessions.values().filter(|s| s.container == *container).for_each(Session::kill);
    }

    pub(super) fn session_reported(&mut self, n: u64) {
        let Some(s) = self.sessions.get_mut(&n) else { return };
        let (told, end) = s.report.read();
        let mut pid = None;
        for one in told {
            match one {
                Told::Made(p) => pid = Some(p),
                Told::Failed(why) | Told::NotExecuted(why) => s.failed = Some(why),
            }
        }
        s.pid = s.pid.or(pid);
        let over = end && !s.reported;
        if over {
            s.reported = true;
            self.poll.remove(&s.report_fd, s.report_token);
        }
        let (asker, runs) = (s.asker, s.pid.is_some() && s.failed.is_none());
        if let Some(pid) = pid {
            if !self.peers.has(asker.peer) {
                exec::kill(pid);
            }
            if let Some(raw) = self.know(pid, Role::Session(n)) {
                return self.session_ended(n, Some(raw));
            }
        }
        if over && runs {
            self.session_runs(n);
        } else if over && self.sessions.get(&n).is_some_and(|s| s.pid.is_none()) {
            self.session_ended(n, None);
        }
    }

    /// Its program runs: its streams go to whoever asked.
    fn session_runs(&mut self, n: u64) {
        let Some(s) = self.sessions.get(&n) else { return };
        let Some(pid) = s.pid else { return };
        let mut text = [0; 1];
        match streams::receive(s.handed.as_raw_fd(), &mut text) {
            Ok((_, fds)) if !fds.is_empty() => {
                let message =
                    Message::Answer { seq: s.asker.seq, result: Ok(Answer::Session(pid)) };
                self.peers.send_with(s.asker.peer, &message, &fds, &mut self.poll);
            }
            other => {
                let asker = s.asker;
                let cause = format!("the command's streams did not come: {:?}", other.err());
                s.kill();
                self.answer(asker, Err(Error::new(Code::System, cause)));
            }
        }
    }

    pub(super) fn session_ended(&mut self, n: u64, raw: Option<i32>) {
        let Some(s) = self.sessions.get_mut(&n) else { return };
        if s.ended.is_some() {
            return;
        }
        // What was told before its end, and was not read yet.
        if !s.reported {
            let (told, _) = s.report.read();
            for one in told {
                if let Told::NotExecuted(why) | Told::Failed(why) = one {
                    s.failed = Some(why);
                }
            }
            s.reported = true;
            self.poll.remove(&s.report_fd, s.report_token);
            if s.failed.is_none() && raw.is_some() {
                self.session_runs(n);
            }
        }
        let Some(s) = self.sessions.get_mut(&n) else { return };
        s.ended = Some((Instant::now(), raw));
        let (asker, failed) = (s.asker, s.failed.take());
        if let Some(pid) = s.pid {
            // What it left running in its group goes with it; all else that it left is in its cgroup.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match (failed, raw) {
            (Some(why), _) => self.answer(asker, Err(Error::new(Code::System, why))),
            (None, None) => {
                let cause = "the command could not be started";
                self.answer(asker, Err(Error::new(Code::System, cause)));
            }
            (None, Some(_)) => {
                let message = Message::SessionEnded { status: raw };
                self.peers.send(asker.peer, &message, &mut self.poll);
            }
        }
        self.clean_session(n);
    }

    /// Removes what is left of it, or kills on and comes back.
    pub(super) fn clean_session(&mut self, n: u64) {
        let Some(s) = self.sessions.get(&n) else { return };
        let Some((since, _)) = s.ended else { return };
        if let Some(cgroup) = &s.cgroup {
            cgroup.kill();
            if !matches!(cgroup.remove(), Ok(true)) {
                let wait = since.elapsed() / 2;
                let wait = wait.clamp(Duration::from_millis(2), Duration::from_secs(1));
                return self.poll.after(wait, Timer::CleanSession(n));
            }
        }
        self.sessions.remove(&n);
    }
}
