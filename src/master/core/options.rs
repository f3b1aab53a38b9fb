//! What the master may be told to do differently. Names and defaults are those of the original's
//! flags.

use crate::base::ids::Role;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many agents may be registered; further ones are refused.
pub const AGENTS_MAX: usize = 100_000;
/// How many frameworks may be registered, connected or not; further ones are refused.
pub const FRAMEWORKS_MAX: usize = 10_000;
/// How many offers one framework may hold; the rest waits.
pub const OFFERS_PER_FRAMEWORK_MAX: usize = 100_000;
/// How many live tasks one framework may have; further ones are refused with TASK_ERROR.
pub const TASKS_PER_FRAMEWORK_MAX: usize = 1_000_000;
/// How many ids of ended frameworks the registry keeps, so that they are refused for ever after.
pub const REMOVED_FRAMEWORKS_MAX: usize = 1000;
/// How much an agent's dynamic reservations and persistent volumes may take when they are written down, in bytes: they go
/// to the agent in one message.
pub const CHECKPOINTED_BYTES_MAX: usize = 1024 * 1024;
/// How many operators' streams may be allowed.
pub const OPERATOR_STREAMS_MAX: usize = 100_000;
/// How many tasks one RECONCILE call may name.
pub const RECONCILE_TASKS_MAX: usize = 1_000_000;

/// The shortest time a framework without a session gets to come back after a change of master,
/// since it could not subscribe while there was none.
pub const RECOVERED_FRAMEWORK_GRACE: Duration = Duration::from_secs(60);

/// Options of the master's core.
#[derive(Clone, Debug)]
pub struct Options {
    /// Between two HEARTBEAT events of a session, or of an operator's stream.
    pub heartbeat_interval: Duration,
    /// `agent_ping_timeout`: between two pings of an agent.
    pub agent_ping_timeout: Duration,
    /// `max_agent_ping_timeouts`: so many unanswered pings in a row make an agent unreachable.
    pub max_agent_ping_timeouts: u32,
    /// `agent_reregister_timeout`: an agent without a link, or one that the registry knows and that
    /// has not come since this master leads, is unreachable after that.
    pub agent_reregister_timeout: Duration,
    /// `agent_loss_timeout`: an agent that is silent for so long is unreachable, with a link, without
    /// one, or since this master leads; in place of the three above. See [`Options::lost_after`].
    pub agent_loss_timeout: Option<Duration>,
    /// `agent_unreachable_rate_limit`: from one agent that is marked unreachable to the next, if not
    /// at once.
    pub agent_unreachable_interval: Option<Duration>,
    /// `agent_removal_rate_limit`: from one unreachable agent whose tasks are told lost to frameworks
    /// that know no partitions to the next, if not at once.
    pub agent_removal_interval: Option<Duration>,
    /// `offer_timeout`: unanswered offers are rescinded after that.
    pub offer_timeout: Option<Duration>,
    /// `max_completed_frameworks`.
    pub max_completed_frameworks: usize,
    /// `max_completed_tasks_per_framework`.
    pub max_completed_tasks_per_framework: usize,
    /// `max_unreachable_tasks_per_framework`.
    pub max_unreachable_tasks_per_framework: usize,
    /// `roles`: the only ones allowed, when given.
    pub roles: Option<BTreeSet<Role>>,
    /// `root_submissions`: whether frameworks may run as root.
    pub root_submissions: bool,
    /// `max_operator_event_stream_subscribers`: beyond that the oldest stream ends for a new one.
    pub max_operator_streams: usize,
    /// `registry_max_agent_age`: how long an unreachable or gone agent is remembered.
    pub registry_max_agent_age: Duration,
    /// `registry_max_agent_count`: how many of each are remembered.
    pub registry_max_agent_count: usize,
    /// `registry_gc_interval`: how often they are trimmed.
    pub registry_gc_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(15),
            agent_ping_timeout: Duration::from_secs(15),
            max_agent_ping_timeouts: 5,
            agent_reregister_timeout: Duration::from_secs(600),
            agent_loss_timeout: None,
            agent_unreachable_interval: None,
            agent_removal_interval: None,
            offer_timeout: None,
            max_completed_frameworks: 50,
            max_completed_tasks_per_framework: 1000,
            max_unreachable_tasks_per_framework: 1000,
            roles: None,
            root_submissions: true,
            max_operator_streams: 1000,
            registry_max_agent_age: Duration::from_secs(14 * 24 * 3600),
            registry_max_agent_count: 102_400,
            registry_gc_interval: Duration::from_secs(15 * 60),
        }
    }
}

impl Options {
    /// The same with one time for silence. Pings come four times within it; the last one answered
    /// begins the first of four intervals, and the last three of them end with a ping missed.
    #[must_use]
    pub fn lost_after(self, silence: Duration) -> Self {
        Self {
            agent_loss_timeout: Some(silence),
            agent_ping_timeout: silence / 4,
            max_agent_ping_timeouts: 3,
            ..self
        }
    }

    /// How long an agent may hear no ping before it looks for a master again.
    pub fn total_ping_timeout(&self) -> Duration {
        let pings = self.agent_ping_timeout.saturating_mul(self.max_agent_ping_timeouts);
        self.agent_loss_timeout.unwrap_or(pings)
    }

    /// How long an agent that the registry knows may take to come to a new master.
    pub fn absence(&self) -> Duration {
        self.agent_loss_timeout.unwrap_or(self.agent_reregister_timeout)
    }
}
