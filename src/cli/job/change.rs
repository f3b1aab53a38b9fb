//! Running a job now, ending its tasks, and removing it.

use super::watch::Watch;
use super::{Ask, api_path, find};
use crate::base::error::Result;
use crate::cli::client::{Method, encode};
use crate::cli::confirm::confirm;
use crate::cli::exit::End;
use crate::cli::watch::WatchArgs;

/// `job force`.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found.
pub async fn force(
    ask: &Ask<'_>,
    name: &str,
    arguments: Option<&str>,
    how: &WatchArgs,
) -> Result<End> {
    let mut watch = match how.detach {
        true => None,
        false => Some(Watch::begin(ask.chronos, name).await?),
    };
    let query: Vec<(&str, &str)> = arguments.map(|a| ("arguments", a)).into_iter().collect();
    ask.chronos.change(Method::PUT, &api_path(name), &query, None).await?;
    match &mut watch {
        None => {
            eprintln!("asked for a run of {name} (see `mesolith job runs {name}`)");
            Ok(End::Done)
        }
        Some(watch) => watch.run(ask.interrupt, how.timeout).await,
    }
}

/// `job kill`.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found.
pub async fn kill(ask: &Ask<'_>, name: &str) -> Result<End> {
    let path = format!("/v1/scheduler/task/kill/{}", encode(name));
    ask.chronos.change(Method::DELETE, &path, &[], None).await?;
    eprintln!("asked to kill the tasks of {name}");
    Ok(End::Done)
}

/// `job rm`.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found, not confirmed.
pub async fn rm(ask: &Ask<'_>, name: &str, yes: bool) -> Result<End> {
    find(ask.chronos, name).await?;
    confirm(yes, &format!("this removes job {name} with its history and ends its tasks"))?;
    ask.chronos.change(Method::DELETE, &api_path(name), &[], None).await?;
    eprintln!("removed job {name}");
    Ok(End::Done)
}
