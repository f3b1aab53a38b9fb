//! The virtual files of a master or agent: logs and sandboxes under names of their own, browsed,
//! read and downloaded.
//!
//! Only what is attached can be reached, and nothing outside it: not by `..`, not by links, not by
//! a link that is put in place between the check and the opening. All file access is off the
//! threads that serve requests.

mod browse;
mod calls;
mod download;
mod mime;
mod open;
mod read;
mod table;

#[cfg(test)]
mod tests;

pub use calls::{list, read};
pub use table::{ATTACHED_MAX, FileTable};

use super::auth::Realm;
use super::reply::{self, Refusal};
use super::{Face, Peer, Query};
use crate::security::Principal;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
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

impl FileOperation {
    /// Its endpoint.
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Browse => "/files/browse",
            Self::Read => "/files/read",
            Self::Download => "/files/download",
        }
    }
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
    /// Whether no more than the head of the answer is wanted.
    pub head: bool,
    /// The user's address.
    pub client: Option<SocketAddr>,
}

impl FileRequest {
    /// What a request to an endpoint of a face asks for.
    ///
    /// # Errors
    /// 400 when it names no path.
    pub fn of(operation: FileOperation, query: Query, request: &Request) -> Result<Self, Refusal> {
        let Some(path) = query.get("path").filter(|path| !path.is_empty()) else {
            return Err(Refusal::bad_request("Expecting 'path=value' in query.\n"));
        };
        Ok(Self {
            operation,
            path: path.to_owned(),
            principal: request.extensions().get::<Principal>().cloned(),
            headers: request.headers().clone(),
            head: *request.method() == Method::HEAD,
            client: request.extensions().get::<Peer>().map(|peer| peer.0),
            query,
        })
    }

    /// The same as a request to the endpoint of another face; with `more` for a parameter that counts before all of its name.
    pub fn to_pass_on(self, more: Option<(&str, &str)>) -> Request {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs = self.query.pairs().chain(more);
        let pairs: Vec<String> =
            pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let target = format!("{}?{}", self.operation.endpoint(), pairs.join("&"));
        let mut request = Request::new(Body::empty());
        *request.method_mut() = if self.head { Method::HEAD } else { Method::GET };
        // A path and a query in percent-encoding are a URI, unless they are longer than one may be; then nobody has it.
        *request.uri_mut() = target.parse().unwrap_or(Uri::from_static("/files/read"));
        *request.headers_mut() = self.headers;
        // The original asks for no method and takes what it gets; a body has no meaning here.
        request.headers_mut().remove(CONTENT_LENGTH);
        request.headers_mut().remove(CONTENT_TYPE);
        if let Some(client) = self.client {
            request.extensions_mut().insert(Peer(client));
        }
        request
    }
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
        .endpoint(FileOperation::Browse.endpoint(), operation(FileOperation::Browse))
        .endpoint(FileOperation::Read.endpoint(), operation(FileOperation::Read))
        .endpoint(FileOperation::Download.endpoint(), operation(FileOperation::Download))
        .endpoint("/files/debug", realm.protect(any(debug).with_state(files)))
}

async fn serve(
    files: Files,
    operation: FileOperation,
    query: Query,
    request: Request,
) -> Result<Response, Refusal> {
    let request = FileRequest::of(operation, query, &request)?;
    if !files.table.is_attached(&request.path)
        && let Some(elsewhere) = files.elsewhere
    {
        return elsewhere.serve(request).await.ok_or_else(not_found);
    }
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
