//! `mesolith cluster`: which nodes there are, who of them votes and leads, and why; orders that override the policy.

mod order;
mod picture;
mod recover;
#[cfg(test)]
mod tests;

use super::exit::End;
use super::output::{Format, now_ms, print, print_json, terminal_width};
use super::roster::{Ask, fetch};
use super::watch::WatchArgs;
use crate::base::error::{Code, Error, Result};
use clap::{Args, Subcommand};
use order::Order;

/// What to do with the cluster.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    #[command(subcommand)]
    verb: Option<ClusterVerb>,
}

#[derive(Debug, Subcommand)]
enum ClusterVerb {
    /// Show the nodes: who is alive, who votes and leads, and why; and what the cluster waits for (the default)
    #[command(before_help = "  mesolith cluster status\n  \
                             mesolith cluster status -o json | jq '.nodes[] | select(.alive | not)'")]
    Status,
    /// Make a node a voter, whatever the policy says
    #[command(
        before_help = "  mesolith cluster promote n4\n  mesolith cluster promote 1f2e --timeout 1m"
    )]
    Promote {
        /// Node id, the beginning of one, or a host name
        node: String,
        #[command(flatten)]
        how: WatchArgs,
    },
    /// Make a node vote no more, whatever the policy says
    #[command(before_help = "  mesolith cluster demote n1")]
    Demote {
        /// Node id, the beginning of one, or a host name
        node: String,
        #[command(flatten)]
        how: WatchArgs,
    },
    /// Leave a node what it is: the policy neither promotes nor demotes it
    #[command(before_help = "  mesolith cluster pin n1")]
    Pin {
        /// Node id, the beginning of one, or a host name
        node: String,
    },
    /// When most voters are lost for good: show what a survivor holds, and let one go on alone
    #[command(before_help = "  mesolith cluster recover\n  \
                             mesolith cluster recover --data-dir /var/lib/mesolith --force")]
    Recover(recover::RecoverArgs),
    /// Leave a node to the policy again: takes back promote, demote and pin
    #[command(before_help = "  mesolith cluster unpin n1")]
    Unpin {
        /// Node id, the beginning of one, or a host name
        node: String,
    },
}

/// Runs the verb.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found.
pub async fn run(ask: &Ask<'_>, args: ClusterArgs) -> Result<End> {
    match args.verb {
        Some(ClusterVerb::Recover(args)) => {
            let format = ask.format;
            // It asks nobody: it works on files, and waits for them.
            let work = tokio::task::spawn_blocking(move || recover::run(&args, format));
            let ended = work.await.map_err(|e| Error::new(Code::Internal, e.to_string()))?;
            ended.map(End::from)
        }
        None | Some(ClusterVerb::Status) => status(ask).await.map(End::from),
        Some(ClusterVerb::Promote { node, how }) => {
            order::watched(ask, &node, Order::Promote, &how).await
        }
        Some(ClusterVerb::Demote { node, how }) => {
            order::watched(ask, &node, Order::Demote, &how).await
        }
        Some(ClusterVerb::Pin { node }) => {
            order::given(ask, &node, Order::Pin).await.map(End::from)
        }
        Some(ClusterVerb::Unpin { node }) => {
            order::given(ask, &node, Order::Unpin).await.map(End::from)
        }
    }
}

async fn status(ask: &Ask<'_>) -> Result<()> {
    let cluster = fetch(ask.master).await?;
    match ask.format {
        Format::Json => print_json(&cluster),
        Format::Table => print(&picture::of(&cluster, now_ms(), terminal_width())),
    }
}
