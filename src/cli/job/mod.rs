//! `mesolith job`: what Chronos runs on time or after other jobs. Each verb is one or two calls of Chronos's own API, and of
//! what Mesolith's adds to it: history, planned times, explanations.

mod change;
mod definition;
mod list;
mod path;
mod run;
mod runs;
mod show;
mod watch;

pub use definition::{after_parents, upload_path};
pub use path::api_path;
pub use show::{explain, find};

use super::client::Client;
use super::exit::End;
use super::output::Format;
use super::watch::{Interrupt, WatchArgs};
use crate::base::error::Result;
use clap::{Args, Subcommand};

/// So many of the next planned times Chronos tells.
const NEXT_MAX: i64 = 10;

/// What to do with jobs.
#[derive(Debug, Args)]
pub struct JobArgs {
    #[command(subcommand)]
    verb: Option<JobVerb>,
}

#[derive(Debug, Subcommand)]
enum JobVerb {
    /// Register a job or change it; a job without schedule and parents runs once, at once, and is watched
    #[command(before_help = "  mesolith job run tick.json\n  \
                             mesolith job run --name tick --command date --schedule R//PT1M\n  \
                             mesolith job run --name report --command ./report --parents tick")]
    Run(Box<run::RunArgs>),
    /// List jobs (the default)
    Ls(list::LsArgs),
    /// Show one job: definition, next planned times, last runs, and why it waits
    Show {
        /// Job name
        name: String,
    },
    /// The next planned times of a job
    Next {
        /// Job name
        name: String,
        /// How many, up to 10
        #[arg(default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=NEXT_MAX))]
        count: u32,
    },
    /// The runs of a job with their outcomes, newest first
    Runs {
        /// Job name
        name: String,
        /// At most so many
        #[arg(short = 'n', long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Run a job now, beside its schedule, and wait for the end of the run
    Force {
        /// Job name
        name: String,
        /// Instead of the job's own arguments
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        arguments: Option<String>,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// End the running tasks of a job; its schedule stays
    Kill {
        /// Job name
        name: String,
    },
    /// Remove a job with its history, and end its tasks
    Rm {
        /// Job name
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Whom a verb asks and how it prints.
pub struct Ask<'a> {
    /// Chronos.
    pub chronos: &'a Client,
    /// How to print.
    pub format: Format,
    /// What Ctrl-C says.
    pub interrupt: &'a Interrupt,
}

/// Runs the verb.
///
/// # Errors
/// As [`Client::get`] and [`Client::change`].
pub async fn run(ask: &Ask<'_>, args: JobArgs) -> Result<End> {
    match args.verb {
        None => list::ls(ask, list::LsArgs::default()).await,
        Some(JobVerb::Ls(args)) => list::ls(ask, args).await,
        Some(JobVerb::Run(args)) => run::run(ask, *args).await,
        Some(JobVerb::Show { name }) => show::show(ask, &name).await,
        Some(JobVerb::Next { name, count }) => runs::next(ask, &name, count as usize).await,
        Some(JobVerb::Runs { name, limit }) => runs::ls(ask, &name, limit).await,
        Some(JobVerb::Force { name, arguments, watch }) => {
            change::force(ask, &name, arguments.as_deref(), &watch).await
        }
        Some(JobVerb::Kill { name }) => change::kill(ask, &name).await,
        Some(JobVerb::Rm { name, yes }) => change::rm(ask, &name, yes).await,
    }
}
