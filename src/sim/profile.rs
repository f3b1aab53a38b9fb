//! How a world is: how large, how lossy, and what is broken in it on purpose.

use crate::base::rng::Rng;
use std::time::Duration;

/// A defect put into the world, to see that it is caught. None of them touches a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Containers whose end was told run on.
    RunOn,
    /// The supervisor starts a command twice.
    StartTwice,
    /// The agent's disk loses updates that it said were synced.
    ForgetSynced,
    /// A framework is told an ended task is staging.
    GoBack,
    /// An update goes to another framework.
    Misdeliver,
    /// The log says that a batch was committed and forgets it.
    ForgetCommitted,
    /// One agent finds no master any more.
    NeverHeal,
    /// Messages of an old leader carry the newest epoch.
    OldEpoch,
    /// An update that is sent again has another uuid.
    NewUuid,
    /// Marathon's store forgets launches of instances that were launched before.
    ForgetLaunch,
    /// Marathon is told that tasks run that are only starting.
    TellRunning,
    /// Marathon is told that tasks have ended that are only about to.
    TellKilled,
    /// Marathon gets no offers when everything should end well.
    NoOffers,
    /// Chronos's store forgets what became of runs.
    ForgetRow,
    /// Chronos's store forgets that a run was launched.
    ForgetRun,
    /// Chronos is told that tasks have failed that run.
    TellFailed,
    /// Chronos is told that tasks have finished that run.
    TellFinished,
    /// Followers obey leaders of older terms, and leaders lead on without a majority.
    OldTerm,
    /// Voters vote for a log older than their own.
    VoteBlindly,
    /// The membership core is told that all nodes answer and have the whole log.
    HearAlways,
    /// Whoever votes goes on voting when the voters change.
    KeepVoters,
    /// No step of the membership core is carried out when everything should end well.
    NoSteps,
    /// A new leader's agents end a task that nobody asked to end.
    EndTasks,
}

/// How a world is.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Machines with an agent each.
    pub agents: usize,
    /// Scripted frameworks.
    pub frameworks: usize,
    /// Marathon, with its clients.
    pub marathon: bool,
    /// Chronos, with its clients.
    pub chronos: bool,
    /// The machines are nodes of one cluster, with a log of their own.
    pub cluster: bool,
    /// How long there are faults and new tasks.
    pub chaos: Duration,
    /// Mean time between two faults; zero is none at all.
    pub fault_every: Duration,
    /// The longest usual delay of a message.
    pub delay: Duration,
    /// The longest usual sync of an agent's disk, and the longest commit.
    pub sync: Duration,
    /// Of 1000 messages, so many come twice.
    pub duplicates: u64,
    /// Of 1000 operations on containers, so many fail.
    pub container_failures: u64,
    /// Of 1000 proposals, so many have an outcome nobody is told.
    pub unknown_outcomes: u64,
    /// How long an agent may be away before it is unreachable.
    pub agent_reregister_timeout: Duration,
    /// One time for an agent's silence instead.
    pub agent_loss_timeout: Option<Duration>,
    /// Agents are drained, taken out of service and put back.
    pub operator: bool,
    /// Put in on purpose.
    pub mutation: Option<Mutation>,
    /// How many of the last events a violation shows.
    pub trace: usize,
}

impl Profile {
    /// No faults, little delay.
    pub fn calm() -> Self {
        Self {
            agents: 2,
            frameworks: 2,
            marathon: false,
            chronos: false,
            cluster: false,
            chaos: Duration::from_secs(60),
            fault_every: Duration::ZERO,
            delay: Duration::from_millis(5),
            sync: Duration::from_millis(5),
            duplicates: 0,
            container_failures: 0,
            unknown_outcomes: 0,
            agent_reregister_timeout: Duration::from_secs(600),
            agent_loss_timeout: None,
            operator: false,
            mutation: None,
            trace: 0,
        }
    }

    /// What the seed says.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x70_72_6f_66_69_6c_65);
        let mut pick =
            |all: &[u64]| all.get(rng.below(all.len() as u64) as usize).map_or(0, |v| *v);
        Self {
            agents: pick(&[1, 2, 3, 4]) as usize,
            frameworks: pick(&[1, 2, 3]) as usize,
            marathon: false,
            chronos: false,
            cluster: false,
            chaos: Duration::from_secs(pick(&[30, 60, 120, 300])),
            fault_every: Duration::from_millis(pick(&[700, 2000, 5000, 15_000])),
            delay: Duration::from_millis(pick(&[2, 20, 200, 2000])),
            sync: Duration::from_millis(pick(&[1, 20, 200, 1000])),
            duplicates: pick(&[0, 5, 50]),
            container_failures: pick(&[0, 20, 200]),
            unknown_outcomes: pick(&[0, 20, 100]),
            agent_reregister_timeout: Duration::from_secs(pick(&[15, 60, 600])),
            agent_loss_timeout: None,
            operator: false,
            mutation: None,
            trace: 0,
        }
    }

    /// What the seed says, with an operator, and every other time with little patience for silent agents.
    pub fn with_operator(seed: u64) -> Self {
        let profile = match seed % 3 {
            0 => Self::of(seed),
            1 => Self::with_marathon(seed),
            _ => Self::with_chronos(seed),
        };
        let agent_loss_timeout = seed.is_multiple_of(2).then_some(Duration::from_secs(5));
        Self { agents: profile.agents.max(2), operator: true, agent_loss_timeout, ..profile }
    }

    /// What the seed says, with Marathon and fewer other frameworks.
    pub fn with_marathon(seed: u64) -> Self {
        let profile = Self::of(seed);
        let agents = profile.agents.max(2);
        Self { agents, frameworks: profile.frameworks - 1, marathon: true, ..profile }
    }

    /// What the seed says, with Chronos and fewer other frameworks.
    pub fn with_chronos(seed: u64) -> Self {
        let profile = Self::of(seed);
        let agents = profile.agents.max(2);
        Self { agents, frameworks: profile.frameworks - 1, chronos: true, ..profile }
    }

    /// What the seed says, on one to seven nodes of a cluster: with Marathon, with Chronos, or with neither.
    pub fn with_cluster(seed: u64) -> Self {
        let profile = match seed % 3 {
            0 => Self::with_marathon(seed),
            1 => Self::with_chronos(seed),
            _ => Self::of(seed),
        };
        let mut rng = Rng::new(seed ^ 0x63_6c_75_73_74_65_72);
        let agents = 1 + rng.below(7) as usize;
        // More would hold followers up for longer than elections wait.
        let (delay, sync) = (profile.delay, profile.sync.min(Duration::from_millis(200)));
        Self {
            agents,
            delay: delay.min(Duration::from_millis(200)),
            sync,
            cluster: true,
            ..profile
        }
    }
}
