//! Tables of events and effects, with scripted agents and schedulers in virtual time.

mod agents;
mod asking;
mod binding;
mod calls;
mod changes;
mod chaos;
mod draining;
mod failover;
mod gone;
mod groups;
mod inverse;
mod launch;
mod life;
mod maintenance;
mod offers;
mod pictures;
mod reconciling;
mod reserving;
mod sessions;
mod silence;
mod statuses;
mod streams;
mod world;
