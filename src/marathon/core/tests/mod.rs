//! The whole core against a scripted master, in virtual time.

mod apps;
mod crashes;
mod deploying;
mod failing;
mod killing;
mod offers;
mod reading;
mod world;
mod yielding;
