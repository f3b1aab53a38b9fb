//! `mesolith app`: the services that Marathon keeps running. Each verb is one or two calls of Marathon's own API.

mod change;
mod definition;
mod kill;
mod list;
mod path;
mod picture;
mod run;
mod show;
mod versions;
pub mod waiting;
pub mod watch;

pub use change::deployment_of;
pub use definition::{present_instances, strip_read_only};
pub use path::{absolute, api_path};
pub use show::{find, last_failure, step};

use super::client::Client;
use super::exit::End;
use super::output::Format;
use super::watch::{Interrupt, WatchArgs};
use crate::base::error::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

/// What to do with apps.
#[derive(Debug, Args)]
pub struct AppArgs {
    #[command(subcommand)]
    verb: Option<AppVerb>,
}

#[derive(Debug, Subcommand)]
enum AppVerb {
    /// Create an app or change it, and wait until it runs so
    ///
    /// With a file the app becomes what the file says (what it leaves out is the default; the number of instances
    /// stays if the file has none). Without a file only what the flags say changes.
    #[command(before_help = "  mesolith app run hello.json\n  \
                             mesolith app run --id hello --cmd 'echo hi; sleep 60' --cpus 0.1 --port 0")]
    Run(Box<run::RunArgs>),
    /// List apps (the default)
    Ls(list::LsArgs),
    /// Show one app: definition, instances, deployments, the last failure, and why it waits
    Show {
        /// App id
        id: String,
    },
    /// Change the number of instances
    Scale {
        /// App id
        id: String,
        /// How many
        instances: u32,
        #[command(flatten)]
        how: ChangeArgs,
    },
    /// Replace all instances, as the app's upgrade strategy says
    Restart {
        /// App id
        id: String,
        #[command(flatten)]
        how: ChangeArgs,
    },
    /// List the versions of an app, newest first
    Versions {
        /// App id
        id: String,
    },
    /// Go back to an earlier version
    Rollback {
        /// App id
        id: String,
        /// Which version, or the beginning of one [default: the one before]
        version: Option<String>,
        #[command(flatten)]
        how: ChangeArgs,
    },
    /// End tasks; others take their place, unless --scale
    Kill(kill::KillArgs),
    /// Remove an app and its instances
    Rm {
        /// App id
        id: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        how: ChangeArgs,
    },
}

/// How a change is made.
#[derive(Clone, Debug, Default, Args)]
pub struct ChangeArgs {
    /// Cancel deployments that are in the way
    #[arg(short, long)]
    pub force: bool,
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Whom a verb asks and how it prints.
pub struct Ask<'a> {
    /// Marathon.
    pub marathon: &'a Client,
    /// How to print.
    pub format: Format,
    /// What Ctrl-C says.
    pub interrupt: &'a Interrupt,
}

/// Runs the verb.
///
/// # Errors
/// As [`Client::get`] and [`Client::change`].
pub async fn run(ask: &Ask<'_>, args: AppArgs) -> Result<End> {
    match args.verb {
        None => list::ls(ask, list::LsArgs::default()).await,
        Some(AppVerb::Ls(args)) => list::ls(ask, args).await,
        Some(AppVerb::Run(args)) => run::run(ask, *args).await,
        Some(AppVerb::Show { id }) => show::show(ask, &id).await,
        Some(AppVerb::Scale { id, instances, how }) => {
            change::scale(ask, &id, instances, &how).await
        }
        Some(AppVerb::Restart { id, how }) => change::restart(ask, &id, &how).await,
        Some(AppVerb::Versions { id }) => versions::ls(ask, &id).await,
        Some(AppVerb::Rollback { id, version, how }) => {
            versions::rollback(ask, &id, version.as_deref(), &how).await
        }
        Some(AppVerb::Kill(args)) => kill::run(ask, args).await,
        Some(AppVerb::Rm { id, yes, how }) => change::rm(ask, &id, yes, &how).await,
    }
}

/// How many instances of an app run, in words.
pub fn words(app: &Value) -> String {
    picture::Counts::of(app).words()
}
