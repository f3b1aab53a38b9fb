//! The door for frameworks: the scheduler port and the state port, each in-process and over HTTP with the same
//! messages and the same validation; and the executor's twin.
//!
//! - [`server`]: what a master (or an agent) offers to ports; its HTTP face and the in-process port both go through it.
//! - [`queue`]: the byte-bounded queue of events between a server and one subscriber.
//! - [`scheduler`]: the scheduler port: subscribe, stay subscribed, call.
//! - [`state`]: the state port: a framework's own namespace of the replicated key-value space.
//! - [`copy`]: a framework's rows on a node where it does not run, for reads that may be old.
//! - [`host`]: runs a framework of our own over both ports: its core built from its state, driven, kept subscribed.
//! - [`executor`]: the executor port: the same for custom executors on an agent.
//! - [`http`]: the HTTP client below the ports: several masters, redirects, streams of records.
//! - [`masters`]: the text forms in which masters are named.
//! - [`backoff`]: how long to wait before the next try.
//!
//! This room decides nothing about offers or tasks and serves no HTTP: the faces are in `master/api` and `agent/api`.

pub mod backoff;
pub mod copy;
pub mod executor;
pub mod host;
pub mod http;
pub mod masters;
pub mod queue;
pub mod scheduler;
pub mod server;
pub mod state;
