//! Reading what clients send: every wrong field is told with its path, `null` is "not given", unknown fields
//! are ignored, enums are read in any case — as Marathon does.

mod app;
mod container;
mod cursor;
mod group;
mod health;
mod network;

use super::body::AppBody;
use super::failures::{Failures, Rejection};
use super::group::GroupUpdate;
use super::path::PathId;
use cursor::{At, Sink};
use serde_json::Value;

/// A body that was read, with the rules it breaks by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Read<T> {
    /// What was read.
    pub body: T,
    /// Fields that have the right form and cannot be accepted.
    pub refused: Failures,
}

/// Runs a reader over a value.
fn run<T>(value: &Value, read: impl Fn(&At<'_>) -> Option<T>) -> Result<Read<T>, Rejection> {
    let sink = Sink::default();
    let body = read(&At::root(value, &sink));
    let (form, refused) = sink.into_parts();
    match body {
        Some(body) if form.is_empty() => Ok(Read { body, refused }),
        _ => Err(Rejection::Form(form)),
    }
}

/// Reads an app's definition, or a part of it; a relative id is taken from `base`, dependencies from the
/// app's own group.
///
/// # Errors
/// All that has not the right form.
pub fn app(value: &Value, base: &PathId) -> Result<Read<AppBody>, Rejection> {
    run(value, |at| app::read(at, base, None))
}

/// The same for an app whose id is known already; the body's must be an id, and does not count.
///
/// # Errors
/// All that has not the right form.
pub fn app_of(value: &Value, id: &PathId) -> Result<Read<AppBody>, Rejection> {
    run(value, |at| app::read(at, &id.parent(), Some(id)))
}

/// Reads a list of parts of definitions, each with its id.
///
/// # Errors
/// All that has not the right form.
pub fn apps(value: &Value) -> Result<Read<Vec<AppBody>>, Rejection> {
    run(value, |at| at.list(|at| app::read_named(at, &PathId::root())))
}

/// Reads a change of a group; relative ids are taken from it. The body's own id is taken from `base`; without
/// one, it is about `base`.
///
/// # Errors
/// All that has not the right form.
pub fn group(value: &Value, base: &PathId) -> Result<Read<GroupUpdate>, Rejection> {
    run(value, |at| group::read(at, base, false))
}

/// Reads the body of a partial change of a group: only `enforceRole`.
///
/// # Errors
/// All that has not the right form.
pub fn enforce_role(value: &Value) -> Result<Read<Option<bool>>, Rejection> {
    run(value, |at| Some(at.object()?.get("enforceRole").and_then(|at| at.boolean())))
}

/// Reads `{"ids": ["…"]}`.
///
/// # Errors
/// All that has not the right form.
pub fn task_ids(value: &Value) -> Result<Read<Vec<String>>, Rejection> {
    run(value, |at| at.object()?.required("ids")?.list(|at| at.string()))
}
