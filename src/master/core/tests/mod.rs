//! Tables of events and effects, with scripted agents and schedulers in virtual time.

mod calls;
mod life;
mod sessions;
mod world;
