//! `mesolith node`: the machines of the cluster, as members of it and as agents that run tasks.

mod change;
mod list;
mod service;
mod show;

use super::exit::End;
use super::output::list as listed;
use super::roster::{self, Ask};
use crate::base::error::{Code, Result};
use clap::{Args, Subcommand};
use serde_json::Value;

/// What to do with nodes.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(subcommand)]
    verb: Option<NodeVerb>,
}

#[derive(Debug, Subcommand)]
enum NodeVerb {
    /// List nodes (the default)
    Ls {
        /// Ids only, one a line
        #[arg(short, long)]
        quiet: bool,
    },
    /// Show one node: what it is, resources, attributes
    Show {
        /// Id of the node or its agent, the beginning of one, or a host name
        node: String,
    },
    /// End the tasks of a node and put no new ones there; wait until that is done
    #[command(before_help = "  mesolith node drain n3\n  mesolith node drain n3 --deadline 5m\n  \
                             mesolith node drain n3 --gone --yes")]
    Drain(service::DrainArgs),
    /// Put a node that was drained or deactivated into service again
    Activate {
        /// Node id, id of its agent, the beginning of one, or a host name
        node: String,
    },
    /// Put no new tasks on a node; those it has go on
    Deactivate {
        /// Node id, id of its agent, the beginning of one, or a host name
        node: String,
    },
    /// Declare the agent of a node gone for good, so that its tasks are replaced at once
    ///
    /// For a machine that will not come back. An agent that lives after all is ended, and is another one when it is started
    /// again. The node's vote and certificate are not touched: see `node rm`.
    #[command(before_help = "  mesolith node gone n3\n  mesolith node gone 1f2e --yes")]
    Gone {
        /// Node id, id of its agent, the beginning of one, or a host name
        node: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Remove a node from the cluster for good; its certificate is revoked
    ///
    /// A node that lives leaves by itself with `mesolith leave`; this is for one that is dead, or must not be trusted.
    #[command(before_help = "  mesolith node rm n3\n  mesolith node rm 1f2e --force --yes")]
    Rm {
        /// Node id, the beginning of one, or a host name
        node: String,
        /// Also while it is alive and votes
        #[arg(short, long)]
        force: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Runs the verb.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found, not confirmed.
pub async fn run(ask: &Ask<'_>, args: NodeArgs) -> Result<End> {
    match args.verb {
        None => list::run(ask, false).await.map(End::from),
        Some(NodeVerb::Ls { quiet }) => list::run(ask, quiet).await.map(End::from),
        Some(NodeVerb::Show { node }) => show::run(ask, &node).await.map(End::from),
        Some(NodeVerb::Drain(args)) => service::drain(ask, args).await,
        Some(NodeVerb::Activate { node }) => service::activate(ask, &node).await.map(End::from),
        Some(NodeVerb::Deactivate { node }) => service::deactivate(ask, &node).await.map(End::from),
        Some(NodeVerb::Gone { node, yes }) => service::gone(ask, &node, yes).await.map(End::from),
        Some(NodeVerb::Rm { node, force, yes }) => {
            change::rm(ask, &node, force, yes).await.map(End::from)
        }
    }
}

/// The machines as the leading master sees them, and as the cluster does.
struct Machines {
    /// Of `/slaves`.
    agents: Value,
    /// Of the cluster; null where the master belongs to none, as a Mesos master or an older one.
    cluster: Value,
    /// Unreachable and gone agents; nothing where the master does not tell.
    away: Value,
}

impl Machines {
    async fn fetch(ask: &Ask<'_>) -> Result<Self> {
        let agents = ask.master.get("/slaves", &[]).await?;
        let cluster = match roster::fetch(ask.master).await {
            Ok(cluster) => cluster,
            Err(e) if e.code == Code::NotFound => Value::Null,
            Err(e) => return Err(e),
        };
        let away = Self::away(ask).await?;
        Ok(Self { agents, cluster, away })
    }

    /// Agents that are not there. Mesos, and older masters, tell only how many.
    async fn away(ask: &Ask<'_>) -> Result<Value> {
        match ask.master.get("/mesolith/v1/agents", &[]).await {
            Err(e) if e.code == Code::NotFound => Ok(Value::Null),
            told => told,
        }
    }

    /// Why the agent with this id is not there, if the master told.
    fn why_away(&self, id: &Value) -> Option<&'static str> {
        let is_among = |key| listed(&self.away, key).iter().any(|a| a["id"] == *id);
        ["unreachable", "gone"].into_iter().find(|key| is_among(key))
    }

    /// The agent of a node, when it is registered.
    fn agent_of(&self, node: &Value) -> Option<&Value> {
        let id = node["agent_id"].as_str()?;
        listed(&self.agents, "slaves").iter().find(|a| a["id"] == id)
    }
}

/// What an agent is doing, in a word.
fn condition(agent: &Value) -> &'static str {
    match agent["drain_info"]["state"].as_str() {
        Some("DRAINING") => return "draining",
        Some("DRAINED") => return "drained",
        _ => {}
    }
    match (agent["active"].as_bool(), agent["deactivated"].as_bool()) {
        (_, Some(true)) => "deactivated",
        (Some(true), _) => "active",
        _ => "disconnected",
    }
}

fn of_total(agent: &Value, name: &str, show: fn(f64) -> String) -> String {
    let used = super::output::number(&agent["used_resources"], name);
    format!("{}/{}", show(used), show(super::output::number(&agent["resources"], name)))
}
