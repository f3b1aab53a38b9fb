//! Tables of events and effects, with scripted agents and schedulers in virtual time.

mod agents;
mod binding;
mod calls;
mod changes;
mod chaos;
mod failover;
mod launch;
mod life;
mod offers;
mod pictures;
mod reconciling;
mod sessions;
mod statuses;
mod world;
