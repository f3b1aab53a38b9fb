//! Kills under way: which are asked for, which wait for their turn, which are repeated.

use super::ids::InstanceId;
use std::collections::BTreeSet;

/// Instances whose task is to end.
#[derive(Clone, Debug, Default)]
pub(super) struct Kills {
    /// Not asked for yet, or to be asked for again.
    waiting: BTreeSet<InstanceId>,
    /// Asked for; nothing has come of it yet.
    asked: BTreeSet<InstanceId>,
}

impl Kills {
    /// To be killed.
    pub fn add(&mut self, id: &InstanceId) {
        if !self.asked.contains(id) {
            self.waiting.insert(id.clone());
        }
    }

    /// It has ended.
    pub fn remove(&mut self, id: &InstanceId) {
        self.waiting.remove(id);
        self.asked.remove(id);
    }

    /// Nothing came of it.
    pub fn again(&mut self, id: &InstanceId) {
        if self.asked.remove(id) {
            self.waiting.insert(id.clone());
        }
    }

    /// Nobody knows what has become of any.
    pub fn all_again(&mut self) {
        self.waiting.append(&mut self.asked);
    }

    /// Those whose turn it is, so that no more than `most` are under way.
    pub fn take(&mut self, most: usize) -> Vec<InstanceId> {
        let mut now = Vec::new();
        while self.asked.len() < most
            && let Some(id) = self.waiting.pop_first()
        {
            self.asked.insert(id.clone());
            now.push(id);
        }
        now
    }

    /// How many were asked for and have not ended.
    pub fn in_flight(&self) -> usize {
        self.asked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> InstanceId {
        InstanceId::parse(&format!("a.instance-{n}")).expect("an id")
    }

    // covers: MAR-0529, MAR-0530
    #[test]
    fn so_many_at_once_and_again_until_they_end() {
        let mut kills = Kills::default();
        (1..=3).for_each(|n| kills.add(&id(n)));
        assert_eq!(kills.take(2), [id(1), id(2)]);
        assert!(kills.take(2).is_empty());
        kills.remove(&id(1));
        assert_eq!(kills.take(2), [id(3)]);
        kills.add(&id(2));
        assert!(kills.take(9).is_empty());
        kills.again(&id(2));
        assert_eq!(kills.take(9), [id(2)]);
        kills.all_again();
        assert_eq!(kills.take(9), [id(2), id(3)]);
        assert_eq!(kills.in_flight(), 2);
    }
}
