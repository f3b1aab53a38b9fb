//! Mesolith: Apache Mesos, Marathon and Chronos as one binary.
//!
//! The rooms, and who may import whom (kept by `tests/tidy.rs`; the reasons are in `ARCHITECTURE.md`):
//!
//! - [`base`]: vocabulary, pure. Imports nothing of ours.
//! - [`mesos`]: the wire contract, types and codecs. Imports `base`.
//! - [`machine`]: how a core is written and driven. Imports `base`.
//! - [`store`]: the two databases of a node. Owns redb. Imports `base`.
//! - [`cluster`]: nodes agreeing; the replicated registry. Owns openraft. Imports `base`, `store`.

pub mod base;
pub mod cluster;
pub mod machine;
pub mod mesos;
pub mod store;
