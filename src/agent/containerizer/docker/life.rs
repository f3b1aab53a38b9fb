//! A container's life: found again, started, signalled, removed; also while the engine is away.

use super::engine::{QUICK_MAX, SLOW_MAX};
use super::{Docker, Entry, Facts, LABEL_SANDBOX, wall};
use crate::agent::containerizer::record::{Found, State};
use crate::agent::core::docker::name;
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use bollard::query_parameters::{
    KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use std::sync::Arc;
use std::time::Duration;

/// The longest that is waited for the output of a container that ended while the agent was away.
const LAST_OUTPUT_MAX: Duration = Duration::from_secs(10);

impl Docker {
    /// Takes up the containers of an earlier run.
    pub(super) async fn take_up(&self) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for (id, _) in self.list().await? {
            let account = match self.account(&id).await {
                Ok(account) => account,
                Err(e) if e.code == Code::NotFound => continue,
                Err(e) => return Err(e),
            };
            let entry = Entry {
                sandbox: account.label(LABEL_SANDBOX).unwrap_or_default().into(),
                tty: account.tty(),
                memory: account.memory(),
                started: account.status() != "created",
                inspected: Some(Arc::new(account.inspected())),
                ..Entry::default()
            };
            let (started, pid, ended) = (entry.started, account.pid(), account.has_ended());
            let record = ended.then(|| account.exit(wall()));
            self.0.known().insert(id.clone(), Entry { facts: Some(Facts::of(&account)), ..entry });
            if started {
                self.follow(&id);
            }
            let state = match (started, record) {
                (false, _) => State::Created,
                (true, Some(record)) => {
                    self.last_output(&id).await;
                    let known = &mut *self.0.known();
                    if let Some(entry) = known.get_mut(&id) {
                        (entry.ending, entry.exit) = (true, Some(record.clone()));
                    }
                    State::Exited(record)
                }
                (true, None) => State::Running { pid: pid.unwrap_or(0) },
            };
            found.push(Found { id, state, network: None });
        }
        Ok(found)
    }

    /// Its container goes as soon as its end is told.
    async fn last_output(&self, id: &ContainerId) {
        let output = self.0.known().get(id).and_then(|entry| entry.output.clone());
        if let Some(mut output) = output {
            let _ = tokio::time::timeout(LAST_OUTPUT_MAX, output.wait_for(|done| *done)).await;
        }
    }

    /// What is remembered, for when the engine cannot be asked.
    pub(super) fn remembered(&self) -> Vec<Found> {
        let known = self.0.known();
        let state = |entry: &Entry| match &entry.exit {
            Some(record) => State::Exited(record.clone()),
            None if entry.started => {
                let pid = entry.facts.as_ref().and_then(|facts| facts.pid);
                State::Running { pid: pid.unwrap_or(0) }
            }
            None => State::Created,
        };
        known
            .iter()
            .map(|(id, entry)| Found { id: id.clone(), state: state(entry), network: None })
            .collect()
    }

    pub(super) async fn start_container(&self, id: &ContainerId) -> Result<i32> {
        let container = name(id);
        let call = |client: bollard::Docker| async move {
            client.start_container(&container, None::<StartContainerOptions>).await
        };
        self.0.engine.call(SLOW_MAX, call).await?;
        self.follow(id);
        if let Some(entry) = self.0.known().get_mut(id) {
            entry.started = true;
        }
        let account = self.account(id).await?;
        let pid = account.pid().unwrap_or(0);
        if let Some(entry) = self.0.known().get_mut(id) {
            entry.inspected = Some(Arc::new(account.inspected()));
            entry.facts = Some(Facts::of(&account));
        }
        if account.has_ended() {
            // Its event came before it was known to be started.
            self.end(id.clone(), None);
        }
        Ok(pid)
    }

    pub(super) async fn kill(&self, id: &ContainerId, signal: i32) -> Result<()> {
        let facts = self.0.known().get(id).and_then(|entry| entry.facts.clone());
        // A polite end is what the image says it is.
        let wanted = match (&facts, signal) {
            (Some(facts), libc::SIGTERM) => facts.stop_signal.clone(),
            (_, number) => number.to_string(),
        };
        let (container, options) =
            (name(id), KillContainerOptionsBuilder::new().signal(&wanted).build());
        let call = |client: bollard::Docker| async move {
            client.kill_container(&container, Some(options)).await
        };
        match self.0.engine.call(QUICK_MAX, call).await {
            Err(e) if is_away(&e) => signal_process(facts.as_ref(), signal).map_err(|()| e),
            outcome => outcome,
        }
    }

    pub(super) async fn remove(&self, id: &ContainerId) -> Result<()> {
        let facts = self.0.known().get(id).and_then(|entry| entry.facts.clone());
        let (container, options) =
            (name(id), RemoveContainerOptionsBuilder::new().force(true).v(true).build());
        let call = |client: bollard::Docker| async move {
            client.remove_container(&container, Some(options)).await
        };
        match self.0.engine.call(SLOW_MAX, call).await {
            Ok(()) => {}
            Err(e) if e.code == Code::NotFound => {}
            // Its processes go now; the rest when the engine is back and it is nobody's.
            Err(e) if is_away(&e) => {
                signal_process(facts.as_ref(), libc::SIGKILL).map_err(|()| e)?;
            }
            Err(e) => return Err(e),
        }
        self.0.known().remove(id);
        // What is not there needs no removal.
        let _ = std::fs::remove_file(self.position(id));
        Ok(())
    }
}

/// Signals a container's first process without the engine; good, too, if that has ended. An error: it is not known which it is.
fn signal_process(facts: Option<&Facts>, signal: i32) -> std::result::Result<(), ()> {
    let facts = facts.ok_or(())?;
    let Some(pid) = facts.pid else { return Ok(()) };
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
    // The number may have another process by now.
    if facts.id.is_empty() || !groups.is_ok_and(|text| text.contains(&facts.id)) {
        return Ok(());
    }
    let signal = nix::sys::signal::Signal::try_from(signal).map_err(drop)?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).map_err(drop)
}

/// Whether the engine, and not the container, is the trouble.
fn is_away(e: &Error) -> bool {
    matches!(e.code, Code::Unavailable | Code::Timeout)
}
