//! The graph of jobs as text: comma-separated lines, and Graphviz's language.

use super::ask::Ask;
use super::{Api, answer};
use crate::chronos::core::view::View;
use crate::chronos::model::Era;
use crate::http::Refusal;
use axum::response::Response;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Parent and child, by the child's place.
fn edges(view: &View) -> impl Iterator<Item = (&str, &str)> {
    view.jobs.iter().flat_map(|job| {
        let child = &job.entry.job;
        child.parents().map(move |parent| (parent.as_str(), child.name.as_str()))
    })
}

pub(super) async fn csv(api: &Api, ask: &Ask, era: Era) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let view = api.view().await?;
    let mut out = String::new();
    // Writing into a String cannot fail. Names hold no commas.
    for job in &view.jobs {
        let (name, last) = (&job.entry.job.name, job.entry.state.counters.last());
        let _ = writeln!(out, "node,{name},{last},{}", job.state(era == Era::Two));
    }
    for (parent, child) in edges(&view) {
        let _ = writeln!(out, "link,{parent},{child}");
    }
    Ok(answer::text(out))
}

pub(super) async fn dot(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    answer::allow(&ask.method, &["GET"])?;
    let view = api.view().await?;
    let names = view.jobs.iter().map(|job| job.entry.job.name.as_str());
    let places: BTreeMap<&str, usize> = names.clone().zip(1..).collect();
    let mut out = String::from("digraph G {\n");
    for (name, place) in names.zip(1..) {
        let _ = writeln!(out, "  {place} [ label=\"{name}\" ];");
    }
    for (parent, child) in edges(&view) {
        if let (Some(parent), Some(child)) = (places.get(parent), places.get(child)) {
            let _ = writeln!(out, "  {parent} -> {child};");
        }
    }
    out.push_str("}\n");
    Ok(answer::text(out))
}
