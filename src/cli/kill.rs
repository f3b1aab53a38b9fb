//! `mesolith kill`: ends tasks.

use super::client::Client;
use super::output::text;
use super::state::Tasks;
use crate::base::error::Result;
use clap::Args;
use serde_json::json;

/// Which tasks.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// Task ids, or beginnings of them
    #[arg(required = true)]
    tasks: Vec<String>,
    /// Seconds between TERM and KILL, instead of what the task asks for
    #[arg(long, value_name = "SECONDS")]
    grace: Option<f64>,
}

/// Asks the master to kill them; their framework may start others in their place.
///
/// # Errors
/// As [`Client::get`]; not found.
pub async fn run(client: &Client, args: KillArgs) -> Result<()> {
    let tasks = Tasks::fetch(client).await?;
    // All are found before any is killed.
    let chosen = args.tasks.iter().map(|t| tasks.find(t)).collect::<Result<Vec<_>>>()?;
    for task in chosen {
        let mut body = json!({"framework_id": task["framework_id"], "task_id": task["id"]});
        if let Some(grace) = args.grace {
            body["grace_seconds"] = json!(grace);
        }
        client.post("/mesolith/v1/kill", &body).await?;
        eprintln!("asked to kill {}", text(task, "id"));
    }
    Ok(())
}
