//! The command line: one file a verb. Parses, asks the cluster, prints; decides nothing.

mod ancestors;
mod app;
mod apply;
mod client;
mod cluster;
mod completion;
mod confirm;
mod doctor;
mod down;
mod events;
mod exec;
pub mod execute;
mod exit;
mod files;
mod flags;
mod framework;
mod job;
mod join;
mod kill;
mod leave;
mod logs;
mod node;
mod nodes;
mod output;
mod poll;
mod process;
mod reach;
mod refused;
pub mod resolve;
mod roster;
#[cfg(test)]
mod scripted;
mod state;
mod status;
mod task;
#[cfg(test)]
mod tests;
mod token;
mod up;
mod watch;
mod why;

use crate::base::error::{Code, Error, Result};
use crate::node::standalone::{ChronosProcess, MarathonProcess};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use exit::End;
use output::Format;
use reach::Reach;
use std::future::Future;
use std::process::ExitCode;
use watch::Interrupt;

/// Apache Mesos as one binary: a master and an agent with one command.
#[derive(Debug, Parser)]
#[command(
    name = "mesolith",
    version,
    arg_required_else_help = true,
    before_help = "  mesolith up                          start a cluster on this machine\n  \
                   mesolith app run --id hello --cmd 'sleep 60'     keep a service running on it\n  \
                   mesolith job run --name tick --command date --schedule R//PT1M\n  \
                   mesolith execute --name hi --command 'echo hi'   run a task on it"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb that asks a cluster understands.
#[derive(Clone, Debug, Args)]
struct Global {
    /// The master, as HOST:PORT or URL [default: 127.0.0.1:5050]
    #[arg(long, global = true, env = "MESOLITH_MASTER", hide_env_values = true)]
    master: Option<String>,
    /// Marathon, as HOST:PORT or URL [default: port 8080 on the master's host]
    #[arg(long, global = true, env = "MESOLITH_MARATHON", hide_env_values = true)]
    marathon: Option<String>,
    /// Chronos, as HOST:PORT or URL [default: port 4400 on the master's host]
    #[arg(long, global = true, env = "MESOLITH_CHRONOS", hide_env_values = true)]
    chronos: Option<String>,
    /// Who you are, as NAME:SECRET
    #[arg(long, global = true, env = "MESOLITH_PRINCIPAL", hide_env_values = true)]
    principal: Option<String>,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a cluster on this machine: master and agent
    Up(up::UpArgs),
    /// Start a node on this machine and join a cluster: `up --join` in short
    #[command(before_help = "  mesolith join 10.0.0.1 --token MESO1-…\n  \
                             mesolith join n1 n2:5052 --token MESO1-… --zone b")]
    Join(join::JoinArgs),
    /// Take the node whose master is asked out of its cluster
    #[command(before_help = "  mesolith leave                        this machine's node\n  \
                             mesolith leave --master n3:5050 --yes")]
    Leave(leave::LeaveArgs),
    /// Run Marathon as a process of its own, with masters elsewhere
    Marathon(process::ProcessArgs<flags::MarathonFlags>),
    /// Run Chronos as a process of its own, with masters elsewhere
    Chronos(process::ProcessArgs<flags::ChronosFlags>),
    /// What this machine can do for a node, and what to do about the rest
    #[command(
        before_help = "  mesolith doctor                       exit code 0: `up` would run\n  \
                             mesolith doctor --json --launcher=linux"
    )]
    Doctor(doctor::DoctorArgs),
    /// Stop the node that runs on a data folder, or what is left of it
    Down(down::DownArgs),
    /// Run one command as a task, show its output, exit with its code
    #[command(disable_help_flag = true)]
    Execute {
        /// The flags of mesos-execute
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print the address of the leading master, like mesos-resolve
    #[command(disable_help_flag = true)]
    Resolve {
        /// The flags of mesos-resolve
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Services: run, list, show, scale, restart, roll back, kill, remove
    App(app::AppArgs),
    /// Jobs: run, list, show, force, kill, remove; their runs and next times
    Job(job::JobArgs),
    /// Make it so as files say: apps, groups and jobs
    Apply(apply::ApplyArgs),
    /// The cluster on one screen
    Status,
    /// Who is a member, who votes and leads, and why; orders about that
    Cluster(cluster::ClusterArgs),
    /// Make, list, revoke and rotate the tokens that machines join with
    Token(token::TokenArgs),
    /// List and show tasks
    Task(task::TaskArgs),
    /// List, show, drain and remove nodes
    Node(node::NodeArgs),
    /// List, show and end frameworks
    Framework(framework::FrameworkArgs),
    /// What a task has written; of an app or a job, its newest task
    Logs(logs::LogsArgs),
    /// Run a command beside a task, in its container; exit with its code
    #[command(before_help = "  mesolith exec -it hello -- sh           a shell beside a task\n  \
                             mesolith exec hello -- ps aux\n  \
                             tar c . | mesolith exec -i hello -- tar x")]
    Exec(exec::ExecArgs),
    /// Show a task's terminal and type at it
    Attach(exec::AttachArgs),
    /// Why something waits, or how it came to its state
    Why(why::WhyArgs),
    /// End tasks
    Kill(kill::KillArgs),
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
}

/// Runs the command line: by the name it was called under, then by its first word.
pub fn main(args: Vec<String>) -> ExitCode {
    let name = args.first().map(String::as_str).unwrap_or_default();
    let called = std::path::Path::new(name).file_name().and_then(|n| n.to_str());
    match called {
        Some("mesos-execute") => return execute::main(args, up::with_local),
        Some("mesos-resolve") => return resolve::main(args),
        Some(name) => {
            if let Some(ancestor) = ancestors::Ancestor::named(name) {
                return ancestors::main(ancestor, args);
            }
        }
        None => {}
    }
    // Their flags are the originals', also where this program has flags of the same name.
    match args.get(1).map(String::as_str) {
        Some("execute") => return execute(args.into_iter().skip(2).collect(), None),
        Some("resolve") => {
            return resolve::main(named("mesos-resolve", args.into_iter().skip(2).collect()));
        }
        _ => {}
    }
    let parsed = with_exit_codes(Cli::command())
        .try_get_matches_from(&args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are no errors; wrong use has the exit code of wrong use.
            let code = if e.use_stderr() { 1 } else { 0 };
            let _ = e.print();
            return ExitCode::from(code);
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(e) => ExitCode::from(exit::complain(&e)),
    }
}

/// The table of exit codes below the help of every verb.
fn with_exit_codes(command: clap::Command) -> clap::Command {
    command.after_help(exit::EXIT_CODES).mut_subcommands(with_exit_codes)
}

fn run(cli: Cli) -> Result<ExitCode> {
    let Global { master, marathon, chronos, principal, output } = cli.global.clone();
    let reach = || {
        let [master, marathon, chronos, principal] =
            [&master, &marathon, &chronos, &principal].map(|text| text.as_deref());
        Reach::new(master, marathon, chronos, principal)
    };
    let end = match cli.verb {
        Verb::Up(args) => return up::run(args, principal.as_deref()),
        Verb::Join(args) => return join::run(args, principal.as_deref()),
        Verb::Marathon(args) => return process::run::<MarathonProcess, _>(args, master),
        Verb::Chronos(args) => return process::run::<ChronosProcess, _>(args, master),
        Verb::Down(args) => End::from(down::run(&args)?),
        Verb::Doctor(args) => doctor::run(args, output)?,
        // Reached with flags before the verb only.
        Verb::Execute { args } => return Ok(execute(args, Some(cli.global))),
        Verb::Resolve { args } => return Ok(resolve::main(named("mesos-resolve", args))),
        Verb::Completion(args) => End::from(completion::run(args, Cli::command())?),
        verb => {
            let reach = reach()?;
            let interrupt = Interrupt::default();
            ask(&interrupt, asked(verb, &reach, output, &interrupt))?
        }
    };
    Ok(ExitCode::from(end.code()))
}

/// A verb that asks a cluster.
async fn asked(verb: Verb, reach: &Reach, format: Format, interrupt: &Interrupt) -> Result<End> {
    let Reach { master, marathon, chronos, .. } = reach;
    let nodes = roster::Ask { master, format, interrupt };
    match verb {
        Verb::App(args) => app::run(&app::Ask { marathon, format, interrupt }, args).await,
        Verb::Job(args) => job::run(&job::Ask { chronos, format, interrupt }, args).await,
        Verb::Apply(args) => apply::run(marathon, chronos, format, interrupt, args).await,
        Verb::Status => status::run(reach, format).await.map(End::from),
        Verb::Task(args) => task::run(master, format, args).await.map(End::from),
        Verb::Cluster(args) => cluster::run(&nodes, args).await,
        Verb::Token(args) => token::run(&nodes, args).await.map(End::from),
        Verb::Leave(args) => leave::run(&nodes, args).await,
        Verb::Node(args) => node::run(&nodes, args).await,
        Verb::Framework(args) => framework::run(master, format, args).await.map(End::from),
        Verb::Logs(args) => logs::run(master, args).await.map(End::from),
        Verb::Why(args) => why::run(reach, format, args).await.map(End::from),
        Verb::Exec(args) => exec::exec(master, args).await,
        Verb::Attach(args) => exec::attach(master, args).await,
        Verb::Kill(args) => kill::run(master, args).await.map(End::from),
        Verb::Up(_)
        | Verb::Join(_)
        | Verb::Marathon(_)
        | Verb::Chronos(_)
        | Verb::Down(_)
        | Verb::Doctor(_)
        | Verb::Execute { .. }
        | Verb::Resolve { .. }
        | Verb::Completion(_) => Err(Error::new(Code::Internal, "this verb asks no cluster")),
    }
}

/// Runs `mesos-execute` as a verb. What was said before the verb, or by `MESOLITH_…`, stands where its own flags say
/// nothing.
fn execute(args: Vec<String>, global: Option<Global>) -> ExitCode {
    let says = |flag: &str| {
        args.iter()
            .any(|a| a.strip_prefix(flag).is_some_and(|r| r.is_empty() || r.starts_with('=')))
    };
    let mut given = Vec::new();
    let env = |name| std::env::var(name).ok();
    let (master, principal) = match global {
        Some(global) => (global.master, global.principal),
        None => (env("MESOLITH_MASTER"), env("MESOLITH_PRINCIPAL")),
    };
    if let Some(master) = master.filter(|_| !says("--master") && !says("--local")) {
        given.push(format!("--master={master}"));
    }
    if let Some(principal) = principal.filter(|_| !says("--principal")) {
        let (name, secret) = principal.split_once(':').unwrap_or((&principal, ""));
        given.push(format!("--principal={name}"));
        given.push(format!("--secret={secret}"));
    }
    let args = given.into_iter().chain(args).collect();
    execute::main(named("mesos-execute", args), up::with_local)
}

fn named(name: &str, args: Vec<String>) -> Vec<String> {
    std::iter::once(name.to_string()).chain(args).collect()
}

/// Runs a verb that asks a cluster, on a small runtime of its own. Ctrl-C ends it, and says what goes on without it.
fn ask(interrupt: &Interrupt, verb: impl Future<Output = Result<End>>) -> Result<End> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|e| Error::new(Code::System, format!("cannot start the I/O runtime: {e}")))?;
    let end = runtime.block_on(async {
        tokio::select! {
            end = verb => Some(end),
            _ = tokio::signal::ctrl_c() => None,
        }
    });
    // The verb is dropped by now, and its line of progress is gone from the terminal.
    end.unwrap_or_else(|| {
        if let Some(text) = interrupt.text() {
            eprintln!("{text}");
        }
        Ok(End::Interrupted)
    })
}
