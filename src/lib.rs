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
//! - [`cluster`]: nodes agreeing; the replicated registry. Owns openraft. Imports `base`, `store`.
//! - [`sim`]: the deterministic world around the cores. Imports `base`, `machine`, `mesos`, the cores of `master` and `agent`.

pub mod agent;
pub mod base;
/// The command line. (The verbs that start a node join, by `pub mod cli;`, when `node` is whole.)
pub mod cli {
    pub mod execute;
    pub mod resolve;

    use crate::base::error::{Code, Error};
    use std::process::ExitCode;

    /// Runs `mesos-execute` or `mesos-resolve`, by name or by first word.
    pub fn main(mut args: Vec<String>) -> ExitCode {
        let called = args.first().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
        if called == "mesolith" {
            args.remove(0);
        }
        match args.first().and_then(|name| name.rsplit('/').next()) {
            Some("execute" | "mesos-execute") => execute::main(args, |_| {
                let cause = "--local cannot be used: this program cannot start a node yet";
                Err(Error::new(Code::Invalid, cause).hint("name a master with --master=HOST:PORT"))
            }),
            Some("resolve" | "mesos-resolve") => resolve::main(args),
            _ => {
                eprintln!("mesolith execute … | mesolith resolve …");
                ExitCode::from(1)
            }
        }
    }
}
pub mod cluster;
pub mod config;
pub mod framework;
pub mod http;
pub mod machine;
pub mod master;
pub mod mesos;
pub mod security;
pub mod sim;
pub mod store;
pub mod telemetry;
