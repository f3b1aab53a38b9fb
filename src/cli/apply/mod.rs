//! `mesolith apply`: definitions in files are made so. All files are read and checked before anything is sent; then each is
//! sent, apps before jobs, what depends on others after them; then all deployments are watched together.

mod read;
mod send;

use super::app::watch::Watch;
use super::client::Client;
use super::exit::{self, End};
use super::output::{Format, print, print_json};
use super::watch::{Interrupt, WatchArgs};
use crate::base::error::Result;
use clap::Args;
use serde_json::{Value, json};

/// Which files.
#[derive(Debug, Args)]
#[command(before_help = "  mesolith apply app.json job.json\n  mesolith apply deploy/")]
pub struct ApplyArgs {
    /// JSON files, folders of them, or - for stdin: Marathon apps and groups, Chronos jobs, lists of these
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<String>,
    /// Cancel deployments that are in the way
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    watch: WatchArgs,
}

/// Applies them.
///
/// # Errors
/// [`crate::base::error::Code::Invalid`] when a file cannot be read as what it should be: then nothing was sent. What is
/// refused later is told, the rest goes on, and the worst of all is the end.
pub async fn run(
    marathon: &Client,
    chronos: &Client,
    format: Format,
    interrupt: &Interrupt,
    args: ApplyArgs,
) -> Result<End> {
    let items = read::read(&args.paths)?;
    let mut watch = match args.watch.detach || !items.iter().any(read::Item::deploys) {
        true => None,
        false => Some(Watch::begin(marathon).await),
    };
    let (mut end, mut told, mut watching) = (End::Done, Vec::new(), false);
    for item in &items {
        let (file, what) = (&item.file, item.name());
        let sent = send::send(marathon, chronos, item, args.force).await;
        let mut line = json!({"file": file, "kind": item.kind.name(), "id": item.id});
        match sent {
            Ok(sent) => {
                line["did"] = Value::from(sent.did);
                let mut text = format!("{file}: {what} {}", sent.did);
                if let Some((deployment, version)) = sent.deployment {
                    text.push_str(&format!(", deployment {deployment}"));
                    line["deploymentId"] = Value::from(deployment.as_str());
                    if let Some(watch) = &mut watch {
                        watch.add(deployment, version, &item.apps());
                        watching = true;
                    }
                }
                if format == Format::Table {
                    print(&format!("{text}\n"))?;
                }
            }
            Err(e) => {
                line["did"] = Value::from("failed");
                line["error"] = Value::from(e.cause.as_str());
                end =
                    end.worse(End::Refused(exit::complain(&e.context(format!("{file}: {what}")))));
            }
        }
        told.push(line);
    }
    if format == Format::Json {
        print_json(&Value::from(told))?;
    }
    match &mut watch {
        Some(watch) if watching => Ok(end.worse(watch.run(interrupt, args.watch.timeout).await?)),
        _ => Ok(end),
    }
}
