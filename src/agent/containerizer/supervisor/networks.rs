//! Containers' networks, from the supervisor's side: what a container has joined is told when it is made, and left by a
//! helper when it is gone. The same helper tells isolators outside this program.

use super::Supervisor;
use super::container::Container;
use super::poll::Timer;
use super::reap::Role;
use crate::agent::containerizer::isolators::external;
use crate::agent::containerizer::launch;
use crate::agent::containerizer::network::{self, Namespace};
use crate::agent::containerizer::record::OwnNetwork;
use crate::agent::containerizer::spec::Network;
use crate::base::ids::ContainerId;
use std::time::Duration;

/// How often it is tried to leave a container's networks.
const TRIES_MAX: u32 = 3;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// What is to be done about the networks of a container that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaving {
    /// It has none, or they were left.
    #[default]
    Done,
    /// They are to be left; so many tries have failed.
    Due(u32),
    /// A helper is at it; so many tries have failed before.
    Under(u32),
}

impl Container {
    /// Its network, if it has one of its own and a process in it.
    pub fn own_network(&self) -> Option<OwnNetwork> {
        let pid = self.pid().filter(|_| self.spec.network == Network::Own && self.live())?;
        Some(OwnNetwork { pid, joined: network::joined(&self.dir.0) })
    }

    /// From here on its networks have to be left.
    pub fn will_join(&mut self) {
        if self.spec.linux.leaves_something() && !self.left {
            self.leaving = Leaving::Due(0);
        }
    }

    /// Holds its network's namespace, so that plug-ins find it when the container is gone.
    pub fn hold_network(&mut self) {
        if self.leaving != Leaving::Done {
            self.namespace = self.pid().and_then(Namespace::of);
        }
    }
}

impl Supervisor {
    /// Frees what is left of bridges by containers that are gone.
    pub(super) fn sweep_networks(&mut self) {
        let helper = launch::aside(|| {
            network::bridge::sweep_all();
            Ok(())
        });
        // Whoever joins a bridge next sweeps it.
        if let Err(e) = helper {
            eprintln!("sweeping networks: {e}");
        }
    }

    /// Has the container's networks left; whether that is done already.
    pub(super) fn leave_networks(&mut self, id: &ContainerId) -> bool {
        let Some(c) = self.table.get_mut(id) else { return true };
        let tries = match c.leaving {
            Leaving::Done => return true,
            Leaving::Under(_) => return false,
            Leaving::Due(tries) => tries,
        };
        let helper = launch::aside(|| {
            let left = network::leave(&c.spec, &c.dir.0, c.namespace.as_ref());
            left.and(external::cleanup(&c.spec))
        });
        match helper {
            Ok(pid) => {
                c.leaving = Leaving::Under(tries);
                self.children.insert(pid, Role::Leaver(id.clone()));
            }
            Err(e) => {
                self.log(id, &e);
                self.poll.after(PAUSE, Timer::Clean(id.clone()));
            }
        }
        false
    }

    /// A helper has ended: on with the cleaning, or again in a while.
    pub(super) fn left_networks(&mut self, id: &ContainerId, raw: i32) {
        let Some(c) = self.table.get_mut(id) else { return };
        let Leaving::Under(tries) = c.leaving else { return };
        if raw != 0 && tries + 1 < TRIES_MAX {
            c.leaving = Leaving::Due(tries + 1);
            return self.poll.after(PAUSE, Timer::Clean(id.clone()));
        }
        if raw != 0 {
            eprintln!("container {id}: given up after {TRIES_MAX} tries, something of it is left");
        }
        c.leaving = Leaving::Done;
        c.namespace = None;
        if let Err(e) = c.dir.put_left() {
            self.log(id, &e);
        }
        self.clean(id);
    }
}
