//! Containers in containers: what they have of their parent, and that they go with it.

use super::Supervisor;
use super::container::send;
use crate::agent::containerizer::isolators::{Cgroup, Cgroups};
use crate::agent::containerizer::launch::Joined;
use crate::agent::containerizer::spec::{Backend, ContainerSpec, Limits, Nested, Network};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::time::Duration;

/// How often cgroups that nobody knows are tried to be removed; what is left goes with the container that it is in.
const STRANGERS_TRIES: u32 = 50;
/// Between two tries.
const STRANGERS_PAUSE: Duration = Duration::from_millis(2);

/// The cgroup of a container: below its parent's, if it has one. None: there are no cgroups to be had.
pub fn cgroup(all: &Cgroups, spec: &ContainerSpec) -> Option<Cgroup> {
    all.version().ok()?;
    Some(match spec.nested {
        Some(_) => all.of(&spec.id.as_str().replace('.', "/")),
        None => all.of(spec.id.as_str()),
    })
}

/// Makes the cgroup of a nested container, with what limits it can have.
///
/// # Errors
/// The kernel's reason; `Unavailable` when limits of its own are wanted where there can be none.
pub fn make(cgroup: &Cgroup, nested: &Nested, limits: &Limits) -> Result<()> {
    cgroup.above().count_below()?;
    match (cgroup.above().limits_below(), nested.own_limits) {
        (true, _) => cgroup.make(limits),
        (false, false) => cgroup.make_bare(),
        (false, true) => {
            let cause = format!("containers in {} cannot have limits of their own", nested.parent);
            Err(Error::new(Code::Unavailable, cause))
        }
    }
}

impl Supervisor {
    /// Whether its parent, if it is to have one, can take it.
    pub(super) fn check_parent(&mut self, spec: &ContainerSpec) -> Result<()> {
        let Some(nested) = &spec.nested else { return Ok(()) };
        let parent = self.running_one(&nested.parent)?;
        if parent.doomed {
            let cause = format!("container {} is being destroyed", nested.parent);
            return Err(Error::new(Code::Conflict, cause));
        }
        if parent.spec.backend != spec.backend {
            let cause = "a container is made as the one that it is nested in";
            return Err(Error::new(Code::Invalid, cause));
        }
        Ok(())
    }

    /// What a container joins.
    pub(super) fn joined(&mut self, id: &ContainerId) -> Result<Option<Joined>> {
        let Some(c) = self.table.get(id) else { return Ok(None) };
        let (nested, backend) = (c.spec.nested.clone(), c.spec.backend);
        let Some(nested) = nested.filter(|_| backend == Backend::Mesos) else { return Ok(None) };
        // The parent may have ended while this one waited for its turn.
        let Some((network, outermost)) = self.outermost(&nested.parent) else { return Ok(None) };
        let parent = self.running_one(&nested.parent)?;
        let ended = || Error::new(Code::Conflict, format!("container {} ended", nested.parent));
        let keeper = parent.pid().ok_or_else(ended)?;
        Ok(Some(Joined { keeper, network, outermost }))
    }

    /// Of the container that one is in and that is in none: whether it has a network of its own, and its directory.
    fn outermost(&self, id: &ContainerId) -> Option<(bool, PathBuf)> {
        let c = self.table.get(id)?;
        match &c.spec.nested {
            Some(nested) => self.outermost(&nested.parent),
            None => Some((c.spec.network != Network::Host, c.dir.0.clone())),
        }
    }

    fn nested_in(&self, id: &ContainerId) -> Vec<ContainerId> {
        let inside = self.table.iter().filter(|(_, c)| {
            !c.clean && c.spec.nested.as_ref().is_some_and(|nested| nested.parent == *id)
        });
        inside.map(|(id, _)| id.clone()).collect()
    }

    /// Has those in a container removed; whether there still are any.
    pub(super) fn end_nested(&mut self, id: &ContainerId) -> bool {
        for inside in self.nested_in(id) {
            if self.table.get(&inside).is_some_and(|c| c.cleaning.is_none() || !c.doomed) {
                self.doom(&inside);
            }
        }
        !self.nested_in(id).is_empty()
    }

    /// Cgroups in a container's that are of none known: what is in them ends.
    fn end_strangers(&self) {
        for (id, c) in self.table.iter().filter(|(_, c)| c.live()) {
            let Some(cgroup) = &c.cgroup else { continue };
            let known = |name: &str| {
                self.table.contains_key(&ContainerId::from(format!("{id}.{name}").as_str()))
            };
            for _ in 0..STRANGERS_TRIES {
                if !cgroup.clear_but(&known) {
                    break;
                }
                // The killed take a moment.
                std::thread::sleep(STRANGERS_PAUSE);
            }
        }
    }

    /// After an earlier supervisor: those whose parent is not there any more, and what nobody knows of.
    pub(super) fn end_orphans(&mut self) {
        self.end_strangers();
        let live = |id: &ContainerId| self.table.get(id).is_some_and(|c| c.live() && !c.doomed);
        let orphans: Vec<_> = self
            .table
            .iter()
            .filter(|(_, c)| c.spec.nested.as_ref().is_some_and(|nested| !live(&nested.parent)))
            .map(|(id, _)| id.clone())
            .collect();
        for id in orphans {
            self.doom(&id);
        }
    }

    /// Whether the kernel killed in a container in that one that has no limit of its own.
    pub(super) fn starved_below(&self, id: &ContainerId) -> bool {
        self.table.iter().any(|(inside, c)| {
            c.spec.nested.as_ref().is_some_and(|nested| nested.parent == *id)
                && c.spec.limits.mem_bytes.is_none()
                && (c.cgroup.as_ref().is_some_and(|cgroup| cgroup.oom_kills() > 0)
                    || self.starved_below(inside))
        })
    }

    /// The kernel killed in a nested container for want of memory within its parent's limit: all of the parent ends.
    pub(super) fn starved_above(&mut self, id: &ContainerId) {
        let Some(c) = self.table.get(id) else { return };
        let killed = c.cgroup.as_ref().is_some_and(|cgroup| cgroup.oom_kills() > 0);
        let limited = c.spec.limits.mem_bytes.is_some();
        let Some(nested) = c.spec.nested.clone().filter(|_| killed && !limited) else { return };
        if let Some(parent) = self.table.get_mut(&nested.parent) {
            parent.starved = true;
            if let Some(pid) = parent.pid().filter(|_| parent.live()) {
                send(pid, Signal::SIGKILL);
            }
        }
    }
}
