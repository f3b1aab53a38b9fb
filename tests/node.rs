//! The real binary as people use it: nodes that start, stop, are killed and come back; tasks that outlive them; the verbs.
//! With root, tasks are real containers; without, plain processes, and that is said.

#[path = "node/change.rs"]
mod change;
#[path = "node/cluster.rs"]
mod cluster;
#[path = "node/doctor.rs"]
mod doctor;
// Other tests need more of it.
#[allow(dead_code)]
#[path = "containers/engine.rs"]
mod engine;
#[path = "node/exec.rs"]
mod exec;
#[path = "node/execute.rs"]
mod execute;
#[path = "node/files.rs"]
mod files;
#[path = "node/gpus.rs"]
mod gpus;
#[path = "node/isolation.rs"]
mod isolation;
#[path = "node/life.rs"]
mod life;
#[path = "node/recovery.rs"]
mod recovery;
#[path = "node/refused.rs"]
mod refused;
#[path = "node/roles.rs"]
mod roles;
#[path = "node/rounds.rs"]
mod rounds;
#[path = "node/scheduler.rs"]
mod scheduler;
#[path = "node/verbs.rs"]
mod verbs;
#[path = "node/versions.rs"]
mod versions;
#[path = "node/world.rs"]
mod world;
