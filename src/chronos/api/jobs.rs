//! Jobs: upload, list, search, one, force, delete.

use super::ask::Ask;
use super::{Api, answer};
use crate::chronos::core::io::{Answer, Command};
use crate::chronos::core::view::JobView;
use crate::chronos::model::{Era, Problem, Shown, When, read_text, show};
use crate::chronos::schedule;
use crate::http::Refusal;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;

/// POST (and, as 2.x has it, PUT) of a job.
pub(super) async fn upload(
    api: &Api,
    ask: &Ask,
    era: Era,
    dependent: bool,
) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["POST", "PUT"])?;
    let (job, counters) = read_text(ask.json()?, &api.rules, api.clock.wall())
        .map_err(|wrong| answer::problem(&wrong))?;
    match (&job.when, dependent) {
        (When::Dependent { .. }, false) => {
            let text = "a job with 'parents' goes to the path .../dependency";
            return Err(answer::problem(&Problem::of("parents", text)));
        }
        (When::Scheduled { .. }, true) => {
            let text = "requirement failed: Error, parent does not exist: 'parents' names no job; \
                        a job with a schedule goes to the path .../iso8601";
            return Err(answer::problem(&Problem::of("parents", text)));
        }
        _ => {}
    }
    let command = Command::Upload { job: Box::new(job), counters, era };
    answer::done(&api.request(command).await?)
}

fn shown(job: &JobView) -> Shown<'_> {
    show(&job.entry.job, &job.entry.state.counters, job.entry.through())
}

pub(super) async fn list(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let view = api.view().await?;
    let all: Vec<Shown<'_>> =
        view.jobs.iter().map(|job| shown(job).with_both_downloads()).collect();
    answer::ok(&all)
}

/// `name` and `command` narrow, `any` only widens: so it is in the original.
pub(super) async fn search(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let number = |key: &str, default: usize| match ask.query.get(key) {
        None | Some("") => Ok(default),
        Some(text) => text.parse().map_err(|_| {
            let text = format!("'{key}' is no whole number: {text}");
            answer::message(StatusCode::NOT_FOUND, &text)
        }),
    };
    let (limit, offset) = (number("limit", 10)?, number("offset", 0)?);
    let wanted = |key: &str| ask.query.get(key).unwrap_or_default().to_lowercase();
    let (name, command, any) = (wanted("name"), wanted("command"), wanted("any"));
    let view = api.view().await?;
    let found = view.jobs.iter().filter(|job| {
        let (of, runs) = (job.entry.job.name.to_lowercase(), job.entry.job.command.to_lowercase());
        (of.contains(&name) && runs.contains(&command))
            || (!any.is_empty() && (of.contains(&any) || runs.contains(&any)))
    });
    let page: Vec<Shown<'_>> = found.skip(offset).take(limit).map(shown).collect();
    answer::ok(&page)
}

#[derive(Serialize)]
struct Summary<'a> {
    jobs: Vec<Line<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    name: &'a str,
    status: &'static str,
    state: String,
    schedule: String,
    parents: Vec<&'a String>,
    disabled: bool,
    /// When it runs next by its schedule; not in the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_run: Option<String>,
}

pub(super) async fn summary(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let view = api.view().await?;
    let jobs = view.jobs.iter().map(line).collect();
    answer::ok(&Summary { jobs })
}

fn line(job: &JobView) -> Line<'_> {
    let of = &job.entry.job;
    Line {
        name: &of.name,
        status: job.entry.state.counters.last(),
        state: job.state(false),
        schedule: of.schedule().map(|s| s.shown(job.entry.through())).unwrap_or_default(),
        parents: of.parents().collect(),
        disabled: of.disabled,
        next_run: job.next.map(schedule::print),
    }
}

pub(super) async fn one(api: &Api, ask: &Ask, name: &str) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET", "PUT", "DELETE"])?;
    match ask.method {
        Method::PUT => {
            let arguments = ask.query.get("arguments").map(arguments);
            let command = Command::Force { name: name.into(), arguments };
            answer::done(&api.request(command).await?)
        }
        Method::DELETE => answer::done(&api.request(Command::Delete { name: name.into() }).await?),
        _ => answer::ok(&shown(&api.job(name).await?.job)),
    }
}

/// Instead of the job's own; every `;` goes, so that nothing can be put behind the command.
fn arguments(text: &str) -> Vec<String> {
    let clean = text.replace([';', '\0'], "");
    match clean.is_empty() {
        true => Vec::new(),
        false => clean.split(' ').map(String::from).collect(),
    }
}

pub(super) async fn mark_success(api: &Api, ask: &Ask, name: &str) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["PUT"])?;
    match api.request(Command::MarkSuccess { name: name.into() }).await? {
        Answer::Marked(there) => {
            Ok(answer::text(format!("marked job {name} as successful: {there}")))
        }
        other => answer::done(&other),
    }
}
