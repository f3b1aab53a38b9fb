//! `mesolith up`: a node in the foreground.

use super::flags::SettingFlags;
use crate::base::error::{Code, Error, Result};
use crate::config;
use crate::node::{self, Ended, Ready, settings};
use clap::Args;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// What to start.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Read settings from this TOML file instead of /etc/mesolith/config.toml
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Runs the node until it is told to stop.
///
/// # Errors
/// All that is wrong with the settings; whatever kept it from starting.
pub fn run(args: UpArgs) -> Result<ExitCode> {
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let sources = config::standard_sources(args.config.as_deref());
    let options = settings::read(&sources, &env, &args.settings.0)?;
    let quiet = options.quiet;
    node::memory::bound();
    let runtime = node::io_runtime()?;
    runtime.spawn(node::memory::give_back());
    let ended = runtime.block_on(node::run(options, |ready| {
        if !quiet {
            announce(ready);
        }
    }))?;
    // Workers that wait for a client must not hold the end up.
    runtime.shutdown_background();
    if !quiet {
        farewell(&ended);
    }
    Ok(ExitCode::SUCCESS)
}

/// The URLs, and what to try next: talk, so on stderr.
fn announce(ready: &Ready) {
    let mut text = format!(
        "mesolith {} is up\n\n  master  http://{}\n  agent   http://{}\n  data    {}\n",
        crate::base::version::MESOLITH_VERSION,
        ready.master,
        ready.agent,
        ready.data_dir.display(),
    );
    for note in &ready.notes {
        text.push_str(&format!("  note    {note}\n"));
    }
    if ready.tasks_found > 0 {
        let word = if ready.tasks_found == 1 { "task goes" } else { "tasks go" };
        text.push_str(&format!("  found   {} {word} on\n", ready.tasks_found));
    }
    let master = match ready.master.port() {
        5050 if ready.master.ip().is_loopback() => String::new(),
        _ => format!(" --master={}", ready.master),
    };
    text.push_str(&format!(
        "\nTry:  mesolith execute{master} --name=hello --command='echo hello from $(hostname)'\n\
         Stop: Ctrl-C\n"
    ));
    eprint!("{text}");
}

fn farewell(ended: &Ended) {
    match ended.tasks_left {
        0 => eprintln!("stopped"),
        1 => eprintln!(
            "stopped; 1 task goes on (`mesolith up` finds it again, `mesolith down --kill` ends it)"
        ),
        n => eprintln!(
            "stopped; {n} tasks go on (`mesolith up` finds them again, `mesolith down --kill` ends them)"
        ),
    }
}

/// Starts a node for one command and stops it again: what `execute --local` needs.
///
/// # Errors
/// As [`run`]; what `with` fails with.
pub fn with_local<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
    with: impl FnOnce(String) -> F + Send + 'static,
) -> Result<T> {
    let flags = [("ephemeral", "true"), ("master_port", "0"), ("agent_port", "0")];
    let flags = flags.map(|(name, text)| (name.to_string(), text.to_string())).into();
    let options = settings::read(&config::Sources::default(), &BTreeMap::new(), &flags)?;
    let runtime = node::io_runtime()?;
    let outcome = runtime.block_on(async move {
        let node = node::start(options).await?;
        let address = node.ready().master.to_string();
        let outcome = tokio::spawn(with(address)).await;
        node.stop(true).await?;
        outcome.map_err(|e| Error::new(Code::Internal, format!("the command has panicked: {e}")))?
    });
    runtime.shutdown_background();
    outcome
}
