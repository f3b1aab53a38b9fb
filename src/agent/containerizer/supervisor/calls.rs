//! What the agent asks for.

use super::container::{Asker, Container, Phase, send};
use super::{Supervisor, reap::Role};
use crate::agent::containerizer::launch::posix;
use crate::agent::containerizer::record::{Found, Place, Places, Scope, Usage};
use crate::agent::containerizer::spec::{ContainerSpec, Limits};
use crate::agent::containerizer::wire::{Answer, Call, Message, PLACES_MAX, VERSION};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use nix::sys::signal::Signal;

/// How many may wait for one container to be gone.
const ASKERS_MAX: usize = 64;

impl Supervisor {
    /// Carries out a request. What takes time is answered when it is done.
    pub(super) fn call(&mut self, asker: Asker, call: Call) {
        let result = match call {
            Call::Hello { version } => return self.hello(asker, version),
            Call::Session { version, session } => {
                self.open_session(asker, version, *session).map(|()| None)
            }
            Call::Attach { version, id } => self.attach(asker, version, &id).map(|()| None),
            Call::SignalSession(signal) => self.signal_session(asker.peer, signal).map(Some),
            _ if !self.peers.greeted(asker.peer) => {
                Err(Error::new(Code::Invalid, "the first request must be a hello"))
            }
            Call::List => Ok(Some(Answer::List(self.list()))),
            Call::Create(_) if self.ending.is_some() => {
                Err(Error::new(Code::Unavailable, "the supervisor is ending"))
            }
            Call::Create(spec) => self.create(asker, *spec).map(|()| None),
            Call::Start(id) => self.start(asker, &id).map(|()| None),
            Call::Signal { id, signal, scope } => {
                self.signal(&id, signal, scope).map(|()| Some(Answer::Done))
            }
            Call::Destroy(id) => self.destroy(asker, &id),
            Call::Resize { id, limits } => self.resize(&id, limits).map(|()| Some(Answer::Done)),
            Call::Usage(id) => self.usage(&id).map(|u| Some(Answer::Usage(u))),
            Call::Places(ids) => self.places(&ids).map(|all| Some(Answer::Places(all))),
            Call::Exec { id, argv, env, cwd, timeout_ms } => {
                self.exec(asker, &id, &argv, env, cwd, timeout_ms).map(|()| None)
            }
            Call::Forget(id) => self.forget(&id).map(|()| Some(Answer::Done)),
            Call::Down { kill } => self.down(asker, kill).map(|()| None),
        };
        match result {
            Ok(None) => {}
            Ok(Some(answer)) => self.answer(asker, Ok(answer)),
            Err(e) => self.answer(asker, Err(e)),
        }
    }

    /// Greets, and tells of every end that was not yet forgotten.
    fn hello(&mut self, asker: Asker, version: u32) {
        if version != VERSION {
            let cause = format!("this supervisor speaks version {VERSION}, not {version}");
            return self.answer(asker, Err(Error::new(Code::Invalid, cause)));
        }
        let capabilities = self.capabilities.clone();
        let pid = std::process::id();
        let hello = Answer::Hello { version: VERSION, pid, capabilities, places: true };
        self.answer(asker, Ok(hello));
        self.peers.greet(asker.peer);
        for (id, c) in &self.table {
            if let Phase::Exited(record) = &c.phase {
                let message = Message::Exited { id: id.clone(), record: record.clone() };
                self.peers.send(asker.peer, &message, &mut self.poll);
            }
        }
    }

    fn list(&self) -> Vec<Found> {
        let found = |(id, c): (&ContainerId, &Container)| Found {
            id: id.clone(),
            state: c.state(),
            network: c.own_network(),
        };
        self.table.iter().map(found).collect()
    }

    pub(super) fn container(&mut self, id: &ContainerId) -> Result<&mut Container> {
        let unknown = || Error::new(Code::NotFound, format!("container {id} is not known"));
        self.table.get_mut(id).ok_or_else(unknown)
    }

    /// A container whose task runs.
    pub(super) fn running_one(&mut self, id: &ContainerId) -> Result<&mut Container> {
        let c = self.container(id)?;
        match c.phase {
            Phase::Starting | Phase::Running => Ok(c),
            _ => Err(Error::new(Code::Conflict, format!("container {id} is not running"))),
        }
    }

    fn signal(&mut self, id: &ContainerId, signal: i32, scope: Scope) -> Result<()> {
        let signal = Signal::try_from(signal)
            .map_err(|_| Error::new(Code::Invalid, format!("{signal} is no signal")))?;
        let c = self.running_one(id)?;
        match scope {
            Scope::Tree if signal == Signal::SIGKILL => c.kill(),
            Scope::Tree => c.tree().into_iter().for_each(|pid| send(pid, signal)),
            Scope::Init => {
                let keeper = c.pid();
                c.task = c.task.or_else(|| posix::children(keeper?).first().copied());
                match c.task {
                    // The keeper waits for it, so the number is its own as long as the keeper lives.
                    Some(pid) => send(pid, signal),
                    None => {
                        let cause = format!("container {id} has no process yet");
                        return Err(Error::new(Code::Conflict, cause));
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends a container and removes all but its record. One that is not known is gone already.
    fn destroy(&mut self, asker: Asker, id: &ContainerId) -> Result<Option<Answer>> {
        let Some(c) = self.table.get_mut(id) else { return Ok(Some(Answer::Done)) };
        if c.clean {
            return Ok(Some(Answer::Done));
        }
        if c.on_clean.len() >= ASKERS_MAX {
            let cause = format!("{ASKERS_MAX} already wait for container {id} to be destroyed");
            return Err(Error::new(Code::Overloaded, cause));
        }
        c.on_clean.push(asker);
        self.doom(id);
        Ok(None)
    }

    /// From now on it is being removed.
    pub(super) fn doom(&mut self, id: &ContainerId) {
        let Some(c) = self.table.get_mut(id) else { return };
        c.doomed = true;
        let making = c.phase == Phase::Building;
        if making {
            // Whoever makes it is killed; what was made goes with the cgroup, or with the report.
            let builders: Vec<_> = self
                .children
                .iter()
                .filter(|(_, r)| matches!(r, Role::Builder(b) if b == id))
                .map(|(pid, _)| *pid)
                .collect();
            builders.into_iter().for_each(|pid| send(pid, Signal::SIGKILL));
        } else if c.phase != Phase::Queued {
            self.clean(id);
        }
    }

    /// What is stored of the container is what it was made with: the agent sets limits again when it comes back.
    fn resize(&mut self, id: &ContainerId, limits: Limits) -> Result<()> {
        let c = self.running_one(id)?;
        let wanted = ContainerSpec { limits, ..c.spec.clone() };
        wanted.validate()?;
        if let Some(cgroup) = &c.cgroup {
            cgroup.resize(&wanted.limits)?;
        }
        c.spec.limits = wanted.limits;
        Ok(())
    }

    fn usage(&mut self, id: &ContainerId) -> Result<Usage> {
        let c = self.container(id)?;
        let keeper = c.pid().filter(|_| c.live());
        let usage = match (&c.cgroup, keeper) {
            (Some(cgroup), Some(_)) => cgroup.usage(c.spec.limits.quota_us().is_some()),
            (None, Some(keeper)) => Some(posix::usage(keeper)),
            _ => None,
        };
        let ended = || Error::new(Code::Conflict, format!("container {id} is not running"));
        usage.ok_or_else(ended)
    }

    /// Reading takes time, and there is one thread here: whoever asks for many reads by itself.
    fn places(&self, ids: &[ContainerId]) -> Result<Places> {
        if ids.len() > PLACES_MAX {
            let cause = format!("{} containers asked for, over {PLACES_MAX}", ids.len());
            return Err(Error::new(Code::Invalid, cause));
        }
        let root = self.cgroups.root();
        let place = |id: &ContainerId| {
            let c = self.table.get(id).filter(|c| c.live())?;
            c.pid()?;
            let path = c.cgroup.as_ref()?.below_of(&root)?.to_str()?.to_owned();
            Some(Place { path, quota: c.spec.limits.quota_us().is_some() })
        };
        let all = ids.iter().map(place).collect();
        Ok(Places { root, all })
    }

    fn forget(&mut self, id: &ContainerId) -> Result<()> {
        let Some(c) = self.table.get(id) else { return Ok(()) };
        if c.live() || !c.clean {
            return Err(Error::new(Code::Conflict, format!("container {id} is still there")));
        }
        c.dir.remove()?;
        self.table.remove(id);
        Ok(())
    }

    fn down(&mut self, asker: Asker, kill: bool) -> Result<()> {
        if !kill && self.any_live() {
            return Err(Error::new(Code::Conflict, "there are containers")
                .hint("destroy them, or ask for them to be destroyed"));
        }
        self.ending = Some(asker);
        let all: Vec<_> = self.table.keys().cloned().collect();
        for id in all {
            let Some(c) = self.table.get_mut(&id) else { continue };
            c.doomed = true;
            if !matches!(c.phase, Phase::Queued | Phase::Building) {
                self.clean(&id);
            }
        }
        Ok(())
    }
}
