//! Tables of events and effects, with scripted agents and schedulers in virtual time.

mod life;
mod world;
