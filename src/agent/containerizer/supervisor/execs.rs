//! Commands run in containers: their output kept within bounds, their time too.

use super::container::Asker;
use super::life::unblock;
use super::poll::{Source, Timer};
use super::reap::Role;
use super::{EXECS_MAX, Supervisor};
use crate::agent::containerizer::launch::{exec, report::Reader, report::Told};
use crate::agent::containerizer::record::ExecOutcome;
use crate::agent::containerizer::wire::Answer;
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Output kept of one command, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// The longest a command may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// A command under way.
pub struct Execution {
    asker: Asker,
    report: Reader,
    report_fd: OwnedFd,
    report_token: u64,
    output: File,
    output_token: u64,
    kept: Vec<u8>,
    truncated: bool,
    pid: Option<i32>,
    ended: Option<Option<i32>>,
    failed: Option<String>,
    timed_out: bool,
    reported: bool,
}

impl Execution {
    /// Whether its pid is known, or never will be.
    pub fn known(&self) -> bool {
        self.pid.is_some() || self.reported
    }
}

impl Supervisor {
    /// Begins a command.
    pub(super) fn exec(
        &mut self,
        asker: Asker,
        id: &ContainerId,
        argv: &[String],
        env: Vec<(String, String)>,
        cwd: Option<String>,
        timeout_ms: u64,
    ) -> Result<()> {
        if self.execs.len() >= EXECS_MAX {
            let cause = format!("{EXECS_MAX} commands run, the most there may be");
            return Err(Error::new(Code::Overloaded, cause));
        }
        if argv.first().is_none_or(|a| a.is_empty()) {
            return Err(Error::new(Code::Invalid, "the command is empty"));
        }
        let c = self.running_one(id)?;
        let mut all = c.spec.environment();
        all.retain(|(name, _)| !env.iter().any(|(n, _)| n == name));
        all.extend(env);
        let cwd = cwd.unwrap_or_else(|| c.spec.cwd().display().to_string());
        let (report, output) = exec::exec(&exec::Exec {
            spec: &c.spec,
            keeper: c.pid().unwrap_or(0),
            cgroup: c.cgroup.as_ref(),
            argv,
            env: &all,
            cwd: &cwd,
        })?;
        self.execs_made += 1;
        let n = self.execs_made;
        unblock(&report)?;
        unblock(&output)?;
        let report_fd =
            report.try_clone().map_err(|e| Error::new(Code::System, format!("dup: {e}")))?;
        let report_token = self.poll.add(&report_fd, Source::ExecReport(n))?;
        let output_token = self.poll.add(&output, Source::ExecOutput(n))?;
        let execution = Execution {
            asker,
            report: Reader::new(File::from(report)),
            report_fd,
            report_token,
            output: File::from(output),
            output_token,
            kept: Vec::new(),
            truncated: false,
            pid: None,
            ended: None,
            failed: None,
            timed_out: false,
            reported: false,
        };
        self.execs.insert(n, execution);
        let timeout = Duration::from_millis(timeout_ms).min(TIMEOUT_MAX);
        self.poll.after(timeout, Timer::ExecTimeout(n));
        Ok(())
    }

    pub(super) fn exec_reported(&mut self, n: u64) {
        let Some(e) = self.execs.get_mut(&n) else { return };
        let (told, end) = e.report.read();
        let mut pid = None;
        for one in told {
            match one {
                Told::Made(p) => pid = Some(p),
                Told::Failed(why) | Told::NotExecuted(why) => e.failed = Some(why),
            }
        }
        e.pid = e.pid.or(pid);
        if end && !e.reported {
            e.reported = true;
            self.poll.remove(&e.report_fd, e.report_token);
        }
        let (nobody, late) = (e.reported && e.pid.is_none(), e.timed_out);
        if let Some(pid) = pid {
            if late {
                exec::kill(pid);
            }
            if let Some(raw) = self.know(pid, Role::Exec(n)) {
                return self.exec_ended(n, Some(raw));
            }
        }
        if nobody {
            self.exec_ended(n, None);
        }
    }

    /// Takes its output; what is over the limit is dropped, so that the command never waits for us.
    pub(super) fn exec_said(&mut self, n: u64) {
        let Some(e) = self.execs.get_mut(&n) else { return };
        let mut chunk = [0; 16 * 1024];
        // A few chunks at a time: others want to be heard too.
        for _ in 0..16 {
            match e.output.read(&mut chunk) {
                Ok(0) => {
                    self.poll.remove(&e.output, e.output_token);
                    return;
                }
                Ok(got) => {
                    let room = OUTPUT_BYTES_MAX.saturating_sub(e.kept.len());
                    e.kept.extend_from_slice(chunk.get(..got.min(room)).unwrap_or_default());
                    e.truncated |= got > room;
                }
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    pub(super) fn exec_timed_out(&mut self, n: u64) {
        let Some(e) = self.execs.get_mut(&n) else { return };
        e.timed_out = true;
        if let Some(pid) = e.pid.filter(|_| e.ended.is_none()) {
            exec::kill(pid);
        }
    }

    /// It ended: tells how, with the output so far. What it left running keeps no one waiting.
    pub(super) fn exec_ended(&mut self, n: u64, raw: Option<i32>) {
        self.exec_said(n);
        if let Some(e) = self.execs.get_mut(&n) {
            e.ended = Some(raw);
            if !e.reported {
                let (told, _) = e.report.read();
                for one in told {
                    if let Told::NotExecuted(why) | Told::Failed(why) = one {
                        e.failed = Some(why);
                    }
                }
            }
        }
        let Some(e) = self.execs.remove(&n) else { return };
        self.poll.remove(&e.report_fd, e.report_token);
        self.poll.remove(&e.output, e.output_token);
        let result = match e.failed {
            Some(why) => Err(Error::new(Code::System, why)),
            None if raw.is_none() => {
                Err(Error::new(Code::System, "the command could not be started"))
            }
            None => Ok(Answer::Exec(ExecOutcome {
                status: raw.filter(|_| !e.timed_out),
                output: String::from_utf8_lossy(&e.kept).into_owned(),
                truncated: e.truncated,
            })),
        };
        self.answer(e.asker, result);
    }
}
