//! When to elect another leader without waiting for a time-out: the kernel's word that the leader's process is gone is
//! enough to ask the others at once. Decides only when; whoever has not seen the same refuses.
//!
//! A voter refuses to elect another leader for as long as it may believe that the present one lives (its lease). One that
//! is told that the leader is gone gives this up for that leader and term, and then asks the others what they would say
//! (pre-vote), which changes nothing anywhere when they refuse. So no mark on a vote opens what the receiver itself has
//! not opened, and safety rests on terms and logs as ever.

use crate::base::rng::Rng;
use crate::base::time::Mono;
use std::collections::BTreeSet;
use std::time::Duration;

/// Voters ask one after the other, in the order of their ids: two that ask at once divide the votes.
const APART: Duration = Duration::from_millis(25);
/// What is added by chance.
const JITTER: Duration = Duration::from_millis(5);
/// The pauses before asking again: others may learn later, and those that asked at once may have divided the votes.
const AGAIN: [Duration; 7] = [
    Duration::from_millis(4),
    Duration::from_millis(8),
    Duration::from_millis(16),
    Duration::from_millis(30),
    Duration::from_millis(60),
    Duration::from_millis(120),
    Duration::from_millis(240),
];
/// How long an election that is under way is left alone: a round trip and two syncs.
const UNDER_WAY: Duration = Duration::from_millis(120);

/// What the kernel says of a node. Every change of it is to be told, the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// Nothing that counts.
    #[default]
    Nothing,
    /// Its process is gone: its connections were reset, or ended, and a fresh connect is refused.
    Gone(u64),
    /// It is connected.
    There(u64),
}

/// What this node knows of who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// This node.
    pub me: u64,
    /// The leader, unless none is known in this term.
    pub leader: Option<u64>,
    /// The term.
    pub term: u64,
    /// Who votes.
    pub voters: BTreeSet<u64>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Refuse no longer to elect another than this leader of this term.
    Release {
        /// The leader.
        leader: u64,
        /// Its term.
        term: u64,
    },
    /// Ask the others for their votes, carefully: first whether they would give them.
    Campaign,
}

/// A leader that is gone and not followed by another yet.
#[derive(Clone, Debug)]
struct Vacancy {
    leader: u64,
    term: u64,
    /// The newest term seen since.
    newest: u64,
    asked: usize,
    due: Mono,
}

/// Decides when to ask.
#[derive(Clone, Debug, Default)]
pub struct Hasten {
    vacancy: Option<Vacancy>,
}

impl Hasten {
    /// Takes what is known now; to be called at each change of it and when [`Hasten::wake_at`] says.
    pub fn step(&mut self, now: Mono, sight: &Sight, word: Word, rng: &mut Rng) -> Vec<Act> {
        let mut acts = Vec::new();
        let over = |vacancy: &Vacancy| {
            let other = sight.leader.is_some_and(|leader| leader != vacancy.leader);
            // A leader of a newer term is another one, though it may be on the same node.
            let newer = sight.leader.is_some() && sight.term != vacancy.term;
            other || newer || word == Word::There(vacancy.leader)
        };
        if self.vacancy.as_ref().is_some_and(over) || !sight.may_elect() {
            self.vacancy = None;
        }
        if self.vacancy.is_none()
            && let Some(leader) = sight.leader
            && leader != sight.me
            && word == Word::Gone(leader)
            && sight.may_elect()
        {
            acts.push(Act::Release { leader, term: sight.term });
            self.vacancy = Some(Vacancy {
                leader,
                term: sight.term,
                newest: sight.term,
                asked: 0,
                due: now + sight.turn(leader) + rng.up_to(JITTER),
            });
        }
        if let Some(vacancy) = &mut self.vacancy {
            vacancy.ask(now, sight, rng, &mut acts);
        }
        acts
    }

    /// When to look again, if nothing changes.
    pub fn wake_at(&self) -> Option<Mono> {
        let vacancy = self.vacancy.as_ref()?;
        (vacancy.asked <= AGAIN.len()).then_some(vacancy.due)
    }
}

impl Vacancy {
    fn ask(&mut self, now: Mono, sight: &Sight, rng: &mut Rng, acts: &mut Vec<Act>) {
        let turn = sight.turn(self.leader) + rng.up_to(JITTER);
        if sight.term > self.newest {
            // Somebody got so far as to ask for votes.
            self.newest = sight.term;
            self.due = self.due.max(now + UNDER_WAY + turn);
        }
        // After that, the time-out of the protocol decides.
        if now < self.due || self.asked > AGAIN.len() {
            return;
        }
        acts.push(Act::Campaign);
        let pause = AGAIN.get(self.asked).copied().unwrap_or_default();
        self.asked += 1;
        self.due = now + pause + turn;
    }
}

impl Sight {
    /// Whether this node votes, and has somebody to ask.
    fn may_elect(&self) -> bool {
        self.voters.contains(&self.me) && self.voters.len() > 1
    }

    /// How long this node lets others go first.
    fn turn(&self, gone: u64) -> Duration {
        let before = self.voters.iter().filter(|voter| **voter < self.me && **voter != gone);
        APART.saturating_mul(u32::try_from(before.count()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
