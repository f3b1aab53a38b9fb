//! `mesolith join`: `mesolith up --join …` in short.

use super::up::{self, UpArgs};
use crate::base::error::Result;
use clap::Args;
use std::process::ExitCode;

/// Whom to join, and all the settings of `up`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Any node of the cluster, as HOST or HOST:PORT of its cluster port (5052); several for when one is down
    #[arg(required = true, value_name = "HOST[:PORT]")]
    seeds: Vec<String>,
    #[command(flatten)]
    up: UpArgs,
}

/// Runs the node until it is told to stop.
///
/// # Errors
/// As [`up::run`].
pub fn run(args: JoinArgs, principal: Option<&str>) -> Result<ExitCode> {
    up::run(as_up(args), principal)
}

/// The same said to `up`.
pub(super) fn as_up(args: JoinArgs) -> UpArgs {
    let JoinArgs { seeds, mut up } = args;
    up.join(&seeds);
    up
}
