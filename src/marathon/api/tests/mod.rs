//! Requests and answers over a real socket, before a core that only keeps definitions.

mod apps;
mod events;
mod groups;
mod others;
mod standby;
mod tasks;
mod world;
