//! Mesolith: Apache Mesos, Marathon and Chronos as one binary.
//!
//! The rooms, and who may import whom (kept by `tests/tidy.rs`; the reasons are in `ARCHITECTURE.md`):
//!
//! - [`base`]: vocabulary, pure. Imports nothing of ours.
//! - [`mesos`]: the wire contract, types and codecs. Imports `base`.
//! - [`machine`]: how a core is written and driven. Imports `base`.
//! - [`telemetry`]: logging and metrics. Imports `base`.
//! - [`security`]: who is asking, and whether to listen at all. Imports `base`.
//! - [`http`]: what every HTTP face shares. Imports `base`, `mesos`, `security`, `telemetry`.
//! - [`agent`]: runs tasks in containers on one machine.
//! - [`store`]: the two databases of a node. Owns redb. Imports `base`.
//! - [`cluster`]: nodes knowing, reaching and agreeing with each other; the replicated registry. Owns openraft, rcgen.
//! - [`marathon`], [`chronos`]: ordinary frameworks: services that are kept running, jobs that run on time.
//! - [`console`]: the pages on the three ports: assets, and how they are served. Imports `base`, `http`.
//! - [`sim`]: the deterministic world around the cores. Imports `base`, `machine`, `mesos`, and every room with a core.

pub mod agent;
pub mod base;
pub mod chronos;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod console;
pub mod framework;
pub mod http;
pub mod machine;
pub mod marathon;
pub mod master;
pub mod mesos;
pub mod node;
pub mod security;
pub mod sim;
pub mod store;
pub mod telemetry;
