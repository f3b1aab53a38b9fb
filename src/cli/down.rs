//! `mesolith down`: stops the node of a data folder; with `--kill` its tasks too, also when no node runs any more.

use super::nodes;
use crate::base::error::Result;
use crate::node::{self, settings};
use clap::Args;
use std::path::PathBuf;

/// Which node.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// The node's data folder (default: where `up` keeps its data)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// End its tasks too
    #[arg(long)]
    kill: bool,
}

/// Stops it and waits until it has ended.
///
/// # Errors
/// When there is none, or it does not end.
pub fn run(args: &DownArgs) -> Result<()> {
    let env = std::env::vars().collect();
    let dir = args.data_dir.clone().unwrap_or_else(|| settings::default_data_dir(&env));
    let stopped = match nodes::down(&dir, args.kill) {
        Some(several) => several?,
        None => node::down::run(&dir, args.kill)?,
    };
    eprintln!("{stopped}");
    Ok(())
}
