//! What our own pages and command line ask beyond the original: what happens, a job with all that is known of it, all runs
//! that are not over, why a job does not run.

use super::ask::Ask;
use super::{Api, answer, events};
use crate::chronos::core::row::{Row, Summary};
use crate::chronos::core::run::Run;
use crate::chronos::core::view::JobDetail;
use crate::chronos::model::{Shown, show};
use crate::chronos::schedule;
use crate::http::Refusal;
use axum::response::Response;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many of the next planned times are told.
const NEXT_SHOWN: usize = 10;

pub(super) async fn serve(api: &Api, ask: &Ask, path: &[&str]) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    match path {
        ["events"] => events::serve(api),
        ["runs"] => {
            let runs = api.door().await?.runs().await.map_err(answer::failed)?;
            answer::ok(&runs.iter().map(|run| Live::of(run)).collect::<Vec<_>>())
        }
        ["jobs", name] => job(api, name).await,
        ["why", name] => {
            let found = api.door().await?.why((*name).to_string()).await.map_err(answer::failed)?;
            answer::ok(&found.ok_or_else(|| answer::unknown(name))?)
        }
        _ => Err(answer::nowhere()),
    }
}

/// A job with all that is known of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Known<'a> {
    job: Shown<'a>,
    state: String,
    status: &'static str,
    registered: String,
    /// The next planned times; empty for a job that depends on others or is disabled.
    next: Vec<String>,
    /// Of its parents, those that have succeeded since it was last triggered.
    ready: &'a BTreeSet<String>,
    /// Runs that are not over.
    runs: Vec<Live<'a>>,
    /// Runs that are over, newest first.
    history: Vec<&'a Arc<Row>>,
    /// What has no row of its own.
    earlier: &'a Summary,
}

/// A run that is not over.
#[derive(Serialize)]
struct Live<'a> {
    state: &'static str,
    #[serde(flatten)]
    run: &'a Run,
}

impl<'a> Live<'a> {
    fn of(run: &'a Run) -> Self {
        Self { state: run.state(), run }
    }
}

async fn job(api: &Api, name: &str) -> Result<Response, Refusal> {
    let JobDetail { job, runs } = api.job(name).await?;
    let entry = &job.entry;
    let mut next = Vec::new();
    let mut from = job.next;
    while let Some(at) = from.filter(|_| next.len() < NEXT_SHOWN) {
        next.push(schedule::print(at));
        from = entry.job.schedule().and_then(|schedule| schedule.next(at));
    }
    answer::ok(&Known {
        job: show(&entry.job, &entry.state.counters, entry.through()),
        state: job.state(false),
        status: entry.state.counters.last(),
        registered: schedule::print(entry.state.registered),
        next,
        ready: &entry.state.ready,
        runs: runs.iter().map(|run| Live::of(run)).collect(),
        history: entry.history.iter().rev().collect(),
        earlier: &entry.state.earlier,
    })
}
