//! Where a cluster must be once all is well: one leader, as many voters as the policy says, and one log on all members.

use super::{Cluster, Number};
use crate::base::time::Mono;

impl Cluster {
    /// Whether it has come to rest.
    ///
    /// # Errors
    /// What is not so, in a sentence.
    pub fn at_rest(&self, now: Mono) -> Result<(), String> {
        let mut leaders = (0..self.hosts.len()).filter(|n| self.leads(*n));
        let (Some(leader), None) = (leaders.next(), leaders.next()) else {
            return Err("there is not one leader".into());
        };
        let host = self.hosts.get(leader).filter(|_| self.runs(leader, now));
        let host = host.ok_or("the leader does not run")?;
        if host.tip != Some(self.committed) {
            return Err("something is not committed yet".into());
        }
        let config = self.config(leader).ok_or("the leader has no log")?;
        if config.joint.is_some() {
            return Err("a change of voters is under way".into());
        }
        let able = |n: &Number| {
            let host = self.hosts.get(*n);
            host.is_some_and(|h| h.master && !h.departed && !h.wish.leaving)
        };
        let healthy = (0..self.hosts.len()).filter(able).count();
        let (voters, due) = (config.voters.len(), self.policy.voters_of(healthy));
        if voters != due {
            return Err(format!("{healthy} nodes have {voters} voters, not {due}"));
        }
        if let Some(n) = config.voters.iter().find(|n| !able(n)) {
            return Err(format!("node {n} votes"));
        }
        let ends = |n: &Number| self.hosts.get(*n).and_then(|h| h.tip) == host.tip;
        if let Some(n) = config.members.keys().find(|n| !ends(n)) {
            return Err(format!("node {n} has not the whole log"));
        }
        for (n, host) in self.hosts.iter().enumerate() {
            match (host.departed, self.book.get(&n)) {
                (true, Some(_)) => return Err(format!("node {n} has left and stays listed")),
                (false, None) => return Err(format!("node {n} has not joined")),
                (false, Some(record)) if record.leaving => {
                    return Err(format!("node {n} has not left yet"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The leader's log, from its end.
    pub fn log(&self) -> Option<(Number, Vec<usize>)> {
        let leader = (0..self.hosts.len()).find(|n| self.leads(*n))?;
        let tip = self.hosts.get(leader)?.tip?;
        Some((leader, self.tree.branch(tip)))
    }
}
