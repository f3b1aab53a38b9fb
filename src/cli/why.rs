//! `mesolith why`: why an app, a job or a framework waits, or how a task came to its state. Whoever knows the name answers:
//! Marathon first, then Chronos, then the master.

use super::app::{self, waiting};
use super::client::Client;
use super::job;
use super::output::{Format, list, number, print, print_json, text};
use super::reach::Reach;
use super::state::{Tasks, find};
use crate::base::error::{Code, Error, Result};
use clap::Args;
use serde_json::{Value, json};

/// What waits.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// App id, job name, task id, or framework (name or id); of tasks and frameworks the beginning of an id will do
    id: String,
}

/// Explains it.
///
/// # Errors
/// As [`Client::get`]; not found.
pub async fn run(reach: &Reach, format: Format, args: WhyArgs) -> Result<()> {
    let id = args.id.as_str();
    let (mut silent, mut named) = (Vec::new(), None);
    let app = of_app(&reach.marathon, format, id).await;
    let told = match passed_over(app, reach.marathon_named, &mut silent, &mut named) {
        Some(told) => Some(told),
        None => {
            let job = of_job(&reach.chronos, format, id).await;
            passed_over(job, reach.chronos_named, &mut silent, &mut named)
        }
    };
    if let Some(told) = told {
        return print(&told);
    }
    let Err(e) = of_master(&reach.master, format, id).await else { return Ok(()) };
    if e.code != Code::NotFound {
        return Err(e);
    }
    // It may be known to one who could not be asked: that counts where somebody has named him.
    Err(named.unwrap_or_else(|| nowhere(id, &silent)))
}

/// What a service told, if it knows the name. That it could not be asked is noted.
fn passed_over(
    told: Result<String>,
    was_named: bool,
    silent: &mut Vec<String>,
    named: &mut Option<Error>,
) -> Option<String> {
    match told {
        Ok(told) => return Some(told),
        Err(e) if matches!(e.code, Code::NotFound | Code::Invalid) => {}
        Err(e) => {
            silent.push(e.cause.clone());
            if was_named && named.is_none() {
                *named = Some(e);
            }
        }
    }
    None
}

fn nowhere(id: &str, silent: &[String]) -> Error {
    let mut cause = format!("there is no app, job, framework or task {id:?}");
    for note in silent {
        cause.push_str(&format!("\n({note})"));
    }
    Error::new(Code::NotFound, cause)
        .hint("list them with `mesolith app`, `job`, `framework` or `task`")
}

async fn of_app(marathon: &Client, format: Format, id: &str) -> Result<String> {
    let id = app::absolute(id)?;
    let app = app::find(marathon, &id).await?;
    // Whatever else listens there has no app of this name.
    if app["id"] != id.as_str() {
        return Err(Error::new(Code::NotFound, format!("there is no app {id}")));
    }
    let queue = marathon.get("/v2/queue", &waiting::EMBED).await?;
    let deployments = marathon.get("/v2/deployments", &[("embed", "waitsFor")]).await?;
    let deployments: Vec<&Value> = deployments
        .as_array()
        .into_iter()
        .flatten()
        .filter(|d| list(d, "affectedApps").iter().any(|a| *a == *id))
        .collect();
    let entry = waiting::entry_of(&queue, &id);
    Ok(match format {
        Format::Json => {
            format!("{:#}\n", json!({"app": app, "queue": entry, "deployments": deployments}))
        }
        Format::Table => app_story(&app, entry, &deployments),
    })
}

/// Why an app is as it is: what it waits for, what is done to it, what went wrong last.
fn app_story(app: &Value, entry: Option<&Value>, deployments: &[&Value]) -> String {
    let mut out = format!("app {}: {}\n", text(app, "id"), app::words(app));
    if let Some(entry) = entry {
        out.push_str(&waiting::explain(entry));
    }
    for deployment in deployments {
        out.push_str(&format!("{}\n", app::step(deployment)));
    }
    if entry.is_none() && deployments.is_empty() {
        out.push_str("it waits for nothing\n");
    }
    if let Some(failure) = app::last_failure(app) {
        out.push_str(&format!("{failure}\n"));
    }
    out
}

async fn of_job(chronos: &Client, format: Format, name: &str) -> Result<String> {
    let told = job::find(chronos, name).await?;
    if told["name"] != name {
        return Err(Error::new(Code::NotFound, format!("there is no job {name}")));
    }
    let answer = job::explain(chronos, name).await?;
    Ok(match format {
        Format::Json => format!("{answer:#}\n"),
        Format::Table => explanation(&answer, "nodes"),
    })
}

async fn of_master(master: &Client, format: Format, id: &str) -> Result<()> {
    let state = master.get("/state", &[]).await?;
    match find(list(&state, "frameworks"), "framework", id) {
        Ok(framework) => {
            let id = text(framework, "id");
            let query = [("framework_id", id.as_str())];
            let answer = master.get("/mesolith/v1/explain", &query).await?;
            match format {
                Format::Json => print_json(&answer),
                Format::Table => print(&explanation(&answer, "agents")),
            }
        }
        Err(e) if e.code == Code::Conflict => Err(e),
        Err(_) => {
            let tasks = Tasks::of(&state);
            let task = tasks.find(id)?;
            let (framework, id) = (text(task, "framework_id"), text(task, "id"));
            let query = [("framework_id", framework.as_str()), ("task_id", id.as_str())];
            // The master keeps the messages of statuses, which `/state` has no field for.
            let answer = master.get("/mesolith/v1/task", &query).await?;
            match format {
                Format::Json => print_json(&answer),
                Format::Table => print(&story(&answer)),
            }
        }
    }
}

/// An explanation in lines; `candidates` is what was looked at.
pub fn explanation(e: &Value, candidates: &str) -> String {
    let mut out = text(e, "subject");
    match number(e, "candidates") {
        // What waits for its time looks at none.
        0.0 if !list(e, "refusals").is_empty() => out.push('\n'),
        n => out.push_str(&format!(": {n} {candidates} looked at\n")),
    }
    if list(e, "refusals").is_empty() {
        out.push_str("  nothing refuses it\n");
    }
    for refusal in list(e, "refusals") {
        out.push_str(&format!(
            "  {:>5} × {:<22} {}\n",
            text(refusal, "count"),
            text(refusal, "rule"),
            text(refusal, "detail")
        ));
    }
    if let Some(hint) = e["hint"].as_str() {
        out.push_str(&format!("hint: {hint}\n"));
    }
    out
}

fn story(task: &Value) -> String {
    let id = text(&task["task_id"], "value");
    let mut out = format!("task {id} is {}\n", text(task, "state"));
    for status in list(task, "statuses") {
        out.push_str(&format!("  {}", text(status, "state")));
        for (key, lead) in [("source", " by "), ("reason", ", "), ("message", ": ")] {
            let value = text(status, key);
            if !value.is_empty() {
                let value = match key {
                    "source" => value.trim_start_matches("SOURCE_").to_lowercase(),
                    _ => value,
                };
                out.push_str(&format!("{lead}{value}"));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_that_waits_for_nothing_says_so() {
        let app = json!({"id": "/a", "instances": 1, "tasksRunning": 1});
        assert_eq!(app_story(&app, None, &[]), "app /a: 1/1 running\nit waits for nothing\n");
        let deployment = json!({"id": "d", "currentStep": 1, "totalSteps": 1,
            "currentActions": [{"action": "ScaleApplication", "app": "/a"}]});
        let told = app_story(&app, None, &[&deployment]);
        assert!(told.contains("deployment d: step 1 of 1") && !told.contains("nothing"), "{told}");
    }

    #[test]
    fn who_could_not_be_asked_is_told_and_counts_where_named() {
        let gone = || Err(Error::new(Code::Unavailable, "no Marathon answers"));
        let (mut silent, mut named) = (Vec::new(), None);
        assert_eq!(passed_over(gone(), false, &mut silent, &mut named), None);
        assert_eq!((silent.as_slice(), &named), (&["no Marathon answers".to_string()][..], &None));
        let error = nowhere("x", &silent);
        assert_eq!(error.code, Code::NotFound);
        assert!(error.cause.ends_with("\"x\"\n(no Marathon answers)"), "{error:?}");
        assert_eq!(passed_over(gone(), true, &mut silent, &mut named), None);
        assert_eq!(named.map(|e| e.code), Some(Code::Unavailable));
    }
}
