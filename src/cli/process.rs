//! `mesolith marathon`, `mesolith chronos`: a framework as a process of its own, in the foreground.

use crate::base::error::Result;
use crate::config::{self, Flags};
use crate::node;
use crate::node::standalone::{self, Process};
use clap::Args;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Where it is started from.
#[derive(Debug, Args)]
pub struct ProcessArgs<F: Args> {
    /// Read settings from this TOML file's section instead of /etc/mesolith/config.toml's
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    #[command(flatten)]
    settings: F,
}

/// Runs the process until it is told to stop. `master` is what was said with the flag of every verb.
///
/// # Errors
/// All that is wrong with the settings; whatever kept it from starting or made it end.
pub fn run<P: Process, F: Args + Into<Flags>>(
    args: ProcessArgs<F>,
    master: Option<String>,
) -> Result<ExitCode> {
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let sources = config::standard_sources(args.config.as_deref());
    let mut flags: Flags = args.settings.into();
    if let Some(master) = master {
        flags.entry("master".to_string()).or_insert(master);
    }
    let options = standalone::read::<P>(&sources, &env, &flags)?;
    let quiet = options.quiet;
    let masters = options.masters.clone();
    let runtime = node::io_runtime()?;
    let outcome = runtime.block_on(standalone::run(options, |address| {
        if !quiet {
            let (version, name) = (crate::base::version::MESOLITH_VERSION, P::NAME);
            eprintln!(
                "mesolith {version}: {name} is up\n\n  {name:<8}  http://{address}\n  masters   {masters}\n\nStop: Ctrl-C; tasks go on"
            );
        }
    }));
    // Workers that wait for a client must not hold the end up.
    runtime.shutdown_background();
    outcome?;
    if !quiet {
        eprintln!("stopped; tasks go on");
    }
    Ok(ExitCode::SUCCESS)
}
