//! The core driven directly, in virtual time, by a scripted master, containerizer and executors.

mod commands;
mod crashes;
mod world;
