//! Real containers, made by the real binary's supervisor. What this machine lacks is told by name.

#[path = "containers/backends.rs"]
mod backends;
#[path = "containers/confine.rs"]
mod confine;
#[path = "containers/docker.rs"]
mod docker;
#[path = "containers/docker_faults.rs"]
mod docker_faults;
#[path = "containers/ends.rs"]
mod ends;
#[path = "containers/engine.rs"]
mod engine;
#[path = "containers/images.rs"]
mod images;
#[path = "containers/isolation.rs"]
mod isolation;
#[path = "containers/limits.rs"]
mod limits;
#[path = "containers/made.rs"]
mod made;
#[path = "containers/nested.rs"]
mod nested;
#[path = "containers/networks.rs"]
mod networks;
#[path = "containers/parked.rs"]
mod parked;
#[path = "containers/probes.rs"]
mod probes;
#[path = "containers/rooted.rs"]
mod rooted;
#[path = "containers/rootless.rs"]
mod rootless;
#[path = "containers/sessions.rs"]
mod sessions;
#[path = "containers/speed.rs"]
mod speed;
#[path = "containers/survival.rs"]
mod survival;
#[path = "containers/usage.rs"]
mod usage;
#[path = "containers/volumes.rs"]
mod volumes;
#[path = "containers/world.rs"]
mod world;
