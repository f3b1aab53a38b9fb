//! What breaks, at random.

use super::queue::What;
use super::world::World;
use crate::agent::core::io::Input;

impl World {
    pub(super) fn fault(&mut self) {
        if self.calm {
            return;
        }
        let mean = self.profile.fault_every;
        let pause = self.rng.up_to(mean * 2);
        self.after(pause, What::Fault);
        self.report.faults += 1;
        if self.profile.operator && self.rng.chance(1, 4) {
            return self.operate();
        }
        if self.cluster.is_some() && self.rng.chance(1, 2) {
            return self.trouble();
        }
        let node = self.rng.below(self.nodes.len() as u64) as usize;
        let scheduler = self.rng.below(self.schedulers.len() as u64) as usize;
        match self.rng.below(16) {
            0..=3 => {
                let at = self.rng.below(self.links.len() as u64) as usize;
                if let Some(link) = self.links.keys().nth(at).copied() {
                    self.cut_link(link);
                }
            }
            4 | 5 => {
                let at = self.rng.below(self.sessions.len() as u64) as usize;
                if let Some(session) = self.sessions.keys().nth(at).cloned() {
                    self.cut_session(&session);
                }
            }
            6..=8 => self.agent_crash(node),
            9 => self.reboot(node),
            10 => {
                self.stopping.insert(node);
                self.tell_agent(node, None, Input::Stop { kill_tasks: false });
            }
            11 | 12 => {
                let at = self.rng.below(self.masters.len() as u64) as usize;
                if let Some(proc) = self.masters.keys().nth(at).copied() {
                    self.end_master(proc);
                }
            }
            13 => self.elect(),
            _ if self.marathon.is_some() && self.rng.chance(1, 2) => self.marathon_crash(),
            _ if self.chronos.is_some() && self.rng.chance(1, 2) => self.chronos_crash(),
            _ => self.scheduler_crash(scheduler),
        }
    }
}
