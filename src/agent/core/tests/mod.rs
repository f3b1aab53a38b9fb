//! The core driven directly, in virtual time, by a scripted master, containerizer and executors.

mod checking;
mod collecting;
mod commands;
mod crashes;
mod disk;
mod docker;
mod draining;
mod executors;
mod groups;
mod kills;
mod masters;
mod ports;
mod recovering;
mod volumes;
mod world;
