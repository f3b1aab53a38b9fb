//! `mesolith completion`: scripts that complete verbs and flags in a shell.

use super::output::print;
use crate::base::error::Result;
use clap::{Args, Command};
use clap_complete::Shell;

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// As [`print`].
pub fn run(args: CompletionArgs, mut command: Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "mesolith", &mut script);
    print(&String::from_utf8_lossy(&script))
}
