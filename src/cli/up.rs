//! `mesolith up`: a node in the foreground.

use super::flags::{JOIN, SettingFlags};
use super::nodes::{self, NODES_MAX};
use crate::base::error::{Code, Error, Result};
use crate::config;
use crate::node::settings::{self, Options};
use crate::node::{self, Ended, Ready};
use clap::Args;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// How long the token is good for that is shown when a node has started.
const JOIN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What to start.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Read settings from this TOML file instead of /etc/mesolith/config.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Start so many nodes on this machine, on 127.0.0.1, .2, .3, …: a cluster to try things out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=i64::from(NODES_MAX)))]
    pub nodes: Option<u8>,
    #[command(flatten)]
    pub settings: SettingFlags,
}

impl UpArgs {
    /// Joins these, before those named with `--join`.
    pub fn join(&mut self, seeds: &[String]) {
        let named = self.settings.0.remove(JOIN);
        let all: Vec<&str> = seeds.iter().map(String::as_str).chain(named.as_deref()).collect();
        self.settings.0.insert(JOIN.to_string(), all.join(","));
    }
}

/// Runs the node until it is told to stop.
///
/// # Errors
/// All that is wrong with the settings; whatever kept it from starting.
pub fn run(args: UpArgs, principal: Option<&str>) -> Result<ExitCode> {
    if let Some(n) = args.nodes {
        return nodes::run(args, n, principal);
    }
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let sources = config::standard_sources(args.config.as_deref());
    let options = settings::read(&sources, &env, &args.settings.0)?;
    run_with(options)
}

/// Runs a node with these settings until it is told to stop.
///
/// # Errors
/// Whatever kept it from starting.
pub fn run_with(options: Options) -> Result<ExitCode> {
    let quiet = options.quiet;
    node::memory::bound();
    let runtime = node::io_runtime()?;
    runtime.spawn(node::memory::give_back());
    let say = |text: &str| {
        if !quiet {
            eprintln!("{text}");
        }
    };
    let ended = runtime.block_on(node::run(options, say, async |node| {
        if !quiet {
            // A token is a secret: it is shown to who sits there, and goes into no log.
            let line = match std::io::stderr().is_terminal() {
                true => node.join_line(JOIN_LIFE).await,
                false => None,
            };
            announce(node.ready(), line);
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
fn announce(ready: &Ready, join: Option<String>) {
    let mut text = format!("mesolith {} is up\n\n", crate::base::version::MESOLITH_VERSION);
    let at = ready.at;
    let faces = [
        ("master", at.master),
        ("agent", at.agent),
        ("marathon", at.marathon),
        ("chronos", at.chronos),
    ];
    for (name, address) in faces {
        if let Some(address) = address {
            text.push_str(&format!("  {name:<8}  http://{address}\n"));
        }
    }
    text.push_str(&format!("  cluster   {}\n", ready.cluster));
    text.push_str(&format!("  data      {}\n", ready.data_dir.display()));
    for note in &ready.notes {
        text.push_str(&format!("  note      {note}\n"));
    }
    if ready.tasks_found > 0 {
        let word = if ready.tasks_found == 1 { "task goes" } else { "tasks go" };
        text.push_str(&format!("  found     {} {word} on\n", ready.tasks_found));
    }
    let usual = |address: SocketAddr, port| address.port() == port && address.ip().is_loopback();
    let named = |flag: &str, address: SocketAddr, port| match usual(address, port) {
        true => String::new(),
        false => format!(" --{flag}={address}"),
    };
    text.push('\n');
    if let Some(address) = at.master {
        let master = named("master", address, 5050);
        text.push_str(&format!(
            "Try:  mesolith execute{master} --name=hello --command='echo hello from $(hostname)'\n"
        ));
    }
    if let Some(address) = at.marathon {
        let marathon = named("marathon", address, 8080);
        text.push_str(&format!(
            "      mesolith app run{marathon} --id=web --cpus=0.1 --cmd='python3 -m http.server $PORT0'\n"
        ));
    }
    match join {
        Some(line) => {
            text.push_str(&format!("More: {line}\n      (within a day, on another machine)\n"))
        }
        None => text.push_str("More: `mesolith token create` lets other machines join\n"),
    }
    text.push_str("Stop: Ctrl-C\n");
    eprint!("{text}");
}

fn farewell(ended: &Ended) {
    if ended.left {
        return eprintln!(
            "stopped: this node has left its cluster; its data directory is of no more use"
        );
    }
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
    let flags = [
        ("ephemeral", "true"),
        ("master_port", "0"),
        ("agent_port", "0"),
        ("cluster_port", "0"),
        ("node_roles", "master,agent"),
    ];
    let flags = flags.map(|(name, text)| (name.to_string(), text.to_string())).into();
    let options = settings::read(&config::Sources::default(), &BTreeMap::new(), &flags)?;
    let runtime = node::io_runtime()?;
    let outcome = runtime.block_on(async move {
        let node = node::start(options, &|_: &str| {}).await?;
        let none = || Error::new(Code::Internal, "the master's port is not served");
        let address = node.ready().at.master.ok_or_else(none)?.to_string();
        let outcome = tokio::spawn(with(address)).await;
        node.stop(true).await?;
        outcome.map_err(|e| Error::new(Code::Internal, format!("the command has panicked: {e}")))?
    });
    runtime.shutdown_background();
    outcome
}
