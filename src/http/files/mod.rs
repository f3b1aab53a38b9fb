//! The virtual files of a master or agent: logs and sandboxes under names of their own, browsed,
//! read and downloaded.
//!
//! Only what is attached can be reached, and nothing outside it: not by `..`, not by links, not by
//! a link that is put in place between the check and the opening. All file access is off the
//! threads that serve requests.

mod browse;
mod download;
mod mime;
mod open;
mod read;
mod table;

#[cfg(test)]
mod tests;

pub use table::{ATTACHED_MAX, FileTable};

use super::auth::Realm;
use super::reply::{self, Refusal};
use super::{Face, Query};
use crate::security::Principal;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use table::Found;

/// What is asked of a virtual path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOperation {
    /// `/files/browse`: what is in a directory.
    Browse,
    /// `/files/read`: a piece of a file, as JSON.
    Read,
    /// `/files/download`: a file.
    Download,
}

/// A request for a path that is not attached here.
#[derive(Clone, Debug)]
pub struct FileRequest {
    /// What to do.
    pub operation: FileOperation,
    /// The virtual path, decoded.
    pub path: String,
    /// All parameters, `path` among them.
    pub query: Query,
    /// Who asks, if anybody was asked who they are.
    pub principal: Option<Principal>,
    /// The request's headers (`Range`).
    pub headers: HeaderMap,
}

/// What [`FileSource::serve`] will answer.
pub type Served<'a> = Pin<Box<dyn Future<Output = Option<Response>> + Send + 'a>>;

/// Where else files may be: the master asks the agent that has the sandbox.
pub trait FileSource: Send + Sync + fmt::Debug {
    /// Answers, or nothing if the path is not there either.
    fn serve(&self, request: FileRequest) -> Served<'_>;
}

#[derive(Clone, Debug)]
struct Files {
    table: FileTable,
    elsewhere: Option<Arc<dyn FileSource>>,
}

/// `/files/{browse,read,download,debug}` of a table, in a realm. A path that is not attached is
/// asked of `elsewhere`.
pub fn routes(table: FileTable, elsewhere: Option<Arc<dyn FileSource>>, realm: &Realm) -> Face {
    let files = Files { table, elsewhere };
    let operation = |operation: FileOperation| -> MethodRouter {
        let handler = move |State(files): State<Files>, query: Query, request: Request| {
            serve(files, operation, query, request)
        };
        realm.protect(any(handler).with_state(files.clone()))
    };
    let debug = move |State(files): State<Files>, query: Query| async move {
        reply::json(&files.table.all(), &query)
    };
    Face::new()
        .endpoint("/files/browse", operation(FileOperation::Browse))
        .endpoint("/files/read", operation(FileOperation::Read))
        .endpoint("/files/download", operation(FileOperation::Download))
        .endpoint("/files/debug", realm.protect(any(debug).with_state(files)))
}

async fn serve(
    files: Files,
    operation: FileOperation,
    query: Query,
    request: Request,
) -> Result<Response, Refusal> {
    let Some(path) = query.get("path").filter(|path| !path.is_empty()).map(str::to_owned) else {
        return Err(Refusal::bad_request("Expecting 'path=value' in query.\n"));
    };
    let headers = request.headers().clone();
    let principal = request.extensions().get::<Principal>().cloned();
    if !files.table.is_attached(&path)
        && let Some(elsewhere) = files.elsewhere
    {
        let request = FileRequest { operation, path, query, principal, headers };
        return elsewhere.serve(request).await.ok_or_else(not_found);
    }
    let request = FileRequest { operation, path, query, principal, headers };
    answer(files.table, request).await
}

/// Answers from this table alone: how one face serves the files of another part of the program.
///
/// # Errors
/// 404 when the path is not there, 400 for what cannot be done with it.
pub async fn answer(table: FileTable, request: FileRequest) -> Result<Response, Refusal> {
    let FileRequest { operation, path, query, headers, .. } = request;
    let done = tokio::task::spawn_blocking(move || match operation {
        FileOperation::Browse => browse::browse(&table, &path, &query),
        FileOperation::Read => read::read(&table, &path, &query),
        FileOperation::Download => download::download(&table, &path, &headers),
    });
    done.await.unwrap_or_else(|_| Err(Refusal::of(StatusCode::INTERNAL_SERVER_ERROR)))
}

fn not_found() -> Refusal {
    Refusal::of(StatusCode::NOT_FOUND)
}

/// Finds and opens a virtual path, or says why not.
fn open(table: &FileTable, path: &str) -> Result<Found, Refusal> {
    table.open(path)?.ok_or_else(not_found)
}
