//! The Mesos APIs of the real node, over the wire: calls in, events out, and what the endpoints show.
//! Every test starts a node of its own; as root its tasks run in real containers.

#[path = "api/agent_calls.rs"]
mod agent_calls;
#[path = "api/agent_http.rs"]
mod agent_http;
#[path = "api/calls.rs"]
mod calls;
#[path = "api/client.rs"]
mod client;
#[path = "api/docker.rs"]
mod docker;
#[path = "containers/engine.rs"]
mod engine;
#[path = "api/examples.rs"]
mod examples;
#[path = "api/executors.rs"]
mod executors;
#[path = "api/failover.rs"]
mod failover;
#[path = "api/files.rs"]
mod files;
#[path = "api/images.rs"]
mod images;
#[path = "api/limits.rs"]
mod limits;
#[path = "containers/made.rs"]
#[allow(dead_code, reason = "shared with the suite of containers")]
mod made;
#[path = "api/maintenance.rs"]
mod maintenance;
#[path = "api/master_http.rs"]
mod master_http;
#[path = "api/node.rs"]
mod node;
#[path = "api/offers.rs"]
mod offers;
#[path = "api/operator.rs"]
mod operator;
#[path = "api/pods.rs"]
mod pods;
#[path = "api/ports.rs"]
mod ports;
#[path = "api/reconcile.rs"]
mod reconcile;
#[path = "api/roles.rs"]
mod roles;
#[path = "api/streams.rs"]
mod streams;
#[path = "api/tasks.rs"]
mod tasks;
#[path = "api/validation.rs"]
mod validation;
#[path = "api/volumes.rs"]
mod volumes;
#[path = "api/wire.rs"]
mod wire;
