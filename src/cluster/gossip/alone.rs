//! A node that knows nobody does not gossip: until there is somebody to gossip with, the library is not started, nothing
//! ticks, and the members are this node alone.

use super::book::Seen;
use super::keeper::{Command, Keeper, stopped};
use super::socket::Arrived;
use tokio::time::Instant;

/// How being alone ended.
pub(super) enum Company {
    /// Addresses of others were named.
    Named,
    /// Another node has sent this.
    Heard(Arrived),
    /// Gossip is to end.
    Stopped,
}

impl Keeper {
    /// Waits for company.
    pub(super) async fn alone(&mut self, generation: u64) -> Company {
        let mut frames = self.sockets.listen();
        let stop = stopped(self.ends.stop.clone());
        tokio::pin!(stop);
        loop {
            self.see_itself(generation);
            let others = |seeds: &Vec<_>| seeds.iter().any(|at| *at != self.options.advertise);
            if others(&self.ends.seeds.borrow_and_update()) {
                return Company::Named;
            }
            tokio::select! {
                () = &mut stop => return Company::Stopped,
                changed = self.ends.facts.changed() => if changed.is_err() {
                    return Company::Stopped;
                },
                changed = self.ends.seeds.changed() => if changed.is_err() {
                    return Company::Stopped;
                },
                Some((from, frame)) = frames.recv() => {
                    // Garbage is nobody.
                    if self.sockets.read(from, &frame).is_some() {
                        return Company::Heard((from, frame));
                    }
                }
                Ok(()) = self.ends.refused.changed() => self.publish(),
                Some(command) = self.ends.commands.recv() => match command {
                    Command::Forget { answer, .. } => {
                        // Nobody is known; who asked may have gone.
                        let _ = answer.send(false);
                    }
                    #[cfg(test)]
                    Command::Kill => {}
                },
            }
        }
    }

    fn see_itself(&mut self, generation: u64) {
        let facts = self.ends.facts.borrow_and_update().clone();
        let seen = Seen {
            node: self.options.node,
            generation,
            address: self.options.advertise,
            heartbeat: 0,
            live: true,
            facts: Some(facts),
        };
        if self.book.observe(vec![seen], Instant::now()) {
            self.publish();
        }
    }
}
