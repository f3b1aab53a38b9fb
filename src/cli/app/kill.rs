//! `mesolith app kill`: tasks of apps are ended by Marathon, so that it knows why.

use super::watch::Watch;
use super::{Ask, ChangeArgs, absolute, api_path, change};
use crate::base::error::{Code, Error, Result};
use crate::cli::client::Method;
use crate::cli::exit::End;
use crate::cli::output::{Format, list, print, print_json, text};
use crate::cli::state::find;
use clap::Args;
use serde_json::{Value, json};

/// Which tasks, and what becomes of their app.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// Task ids, or beginnings of them
    #[arg(required_unless_present = "app", conflicts_with = "app")]
    tasks: Vec<String>,
    /// All tasks of this app
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// Of the app's tasks, only those on this node
    #[arg(long, value_name = "NODE", requires = "app")]
    host: Option<String>,
    /// Start no others in their place: the app gets so many instances fewer
    #[arg(long)]
    scale: bool,
    /// Remove what they keep on the node, too
    #[arg(long, conflicts_with = "scale")]
    wipe: bool,
    #[command(flatten)]
    how: ChangeArgs,
}

/// Asks Marathon to end them.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found.
pub async fn run(ask: &Ask<'_>, args: KillArgs) -> Result<End> {
    let tasks = ask.marathon.get("/v2/tasks", &[]).await?;
    let tasks = list(&tasks, "tasks");
    let mut query = change::force(&args.how);
    query.extend(args.scale.then_some(("scale", "true")));
    query.extend(args.wipe.then_some(("wipe", "true")));
    let mut watch = match args.scale && !args.how.watch.detach {
        true => Some(Watch::begin(ask.marathon).await),
        false => None,
    };
    let (answer, apps, ids) = match &args.app {
        Some(app) => {
            let id = absolute(app)?;
            let host = args.host.as_deref();
            let ids: Vec<String> = tasks
                .iter()
                .filter(|t| t["appId"] == id.as_str() && host.is_none_or(|h| t["host"] == h))
                .map(|t| text(t, "id"))
                .collect();
            let path = format!("{}/tasks", api_path(&id));
            query.extend(host.map(|host| ("host", host)));
            (ask.marathon.change(Method::DELETE, &path, &query, None).await?, vec![id], ids)
        }
        None => {
            let (apps, ids) = chosen(tasks, &args.tasks)?;
            let body = json!({ "ids": ids });
            let path = "/v2/tasks/delete";
            (ask.marathon.change(Method::POST, path, &query, Some(&body)).await?, apps, ids)
        }
    };
    for id in &ids {
        eprintln!("asked to kill {id}");
    }
    if ids.is_empty() {
        eprintln!("there was no task to kill");
    }
    if ask.format == Format::Json {
        print_json(&answer.json())?;
    }
    match (change::deployment_of(&answer), &mut watch) {
        (Some((deployment, version)), Some(watch)) => {
            watch.add(deployment, version, &apps);
            watch.run(ask.interrupt, args.how.watch.timeout).await
        }
        (Some((deployment, _)), None) if ask.format == Format::Table => {
            print(&format!("{deployment}\n"))?;
            Ok(End::Done)
        }
        _ => Ok(End::Done),
    }
}

/// The apps and full ids of the tasks that were named; all are found before any is killed.
fn chosen(tasks: &[Value], wanted: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    let (mut apps, mut ids) = (Vec::new(), Vec::new());
    for wanted in wanted {
        let task = find(tasks, "task", wanted).map_err(|e| match e.code {
            Code::NotFound => Error::new(Code::NotFound, format!("no app has a task {wanted:?}"))
                .hint("see the tasks of an app with `mesolith app show ID`"),
            _ => e,
        })?;
        let app = text(task, "appId");
        if !apps.contains(&app) {
            apps.push(app);
        }
        ids.push(text(task, "id"));
    }
    Ok((apps, ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_named_by_their_beginnings_and_all_must_be_there() {
        let tasks = [
            json!({"id": "a.instance-1._app.1", "appId": "/a"}),
            json!({"id": "a.instance-2._app.1", "appId": "/a"}),
            json!({"id": "b.instance-3._app.1", "appId": "/b"}),
        ];
        let chosen = |wanted: &[&str]| {
            chosen(&tasks, &wanted.iter().map(|w| w.to_string()).collect::<Vec<_>>())
        };
        let (apps, ids) = chosen(&["a.instance-2", "a.instance-1", "b."]).unwrap();
        assert_eq!(apps, ["/a", "/b"]);
        assert_eq!(ids.len(), 3);
        assert_eq!(chosen(&["a."]).unwrap_err().code, Code::Conflict);
        assert_eq!(chosen(&["b.", "c."]).unwrap_err().code, Code::NotFound);
    }
}
