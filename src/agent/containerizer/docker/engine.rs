//! The docker engine behind its unix socket: connected on demand, asked with a limit of time, its faults told in our terms.
//!
//! Most calls go through the client library. What it cannot give (an answer's own bytes, a stream that is no line of JSON)
//! is asked over a connection of its own.

use crate::base::error::{Code, Error, Result};
use bollard::Docker as Client;
use bollard::errors::Error as Fault;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

/// How long the engine may take to say which version it is.
const HELLO_MAX: Duration = Duration::from_secs(5);
/// How long it may take for what is done at once.
pub(super) const QUICK_MAX: Duration = Duration::from_secs(20);
/// How long it may take to make, start or remove a container.
pub(super) const SLOW_MAX: Duration = Duration::from_secs(90);
/// Calls under way at one time; others wait for their turn.
const CALLS_MAX: usize = 32;
/// The longest answer that is read whole, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The engine.
pub(super) struct Engine {
    socket: PathBuf,
    client: Mutex<Option<Client>>,
    turns: Semaphore,
}

impl Engine {
    /// Not connected yet.
    pub fn new(socket: PathBuf) -> Arc<Self> {
        Arc::new(Self { socket, client: Mutex::new(None), turns: Semaphore::new(CALLS_MAX) })
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The client, which knows the version that both speak.
    ///
    /// # Errors
    /// `Unavailable` when nobody answers, `Timeout` when nobody answers in time.
    pub async fn client(&self) -> Result<Client> {
        let known = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(client) = known {
            return Ok(client);
        }
        let client = tokio::time::timeout(HELLO_MAX, self.connect());
        let client = client.await.map_err(|_| self.silent(HELLO_MAX))??;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        Ok(client)
    }

    async fn connect(&self) -> Result<Client> {
        let path = self.socket.to_string_lossy();
        // The library's own limit is never the first to be reached: every call has one of ours.
        let limit = 24 * 3600;
        let client = Client::connect_with_unix(&path, limit, bollard::API_DEFAULT_VERSION)
            .map_err(|e| self.fault(e))?;
        client.negotiate_version().await.map_err(|e| self.fault(e))
    }

    /// Asks; what took too long has an unknown outcome.
    pub async fn call<T, F>(&self, limit: Duration, ask: impl FnOnce(Client) -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, Fault>>,
    {
        // The semaphore is never closed. Who waits for a turn has not asked the engine yet.
        let _turn = self.turns.acquire().await;
        let work = async {
            let client = self.client().await?;
            ask(client).await.map_err(|e| self.fault(e))
        };
        match tokio::time::timeout(limit, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.silent(limit)),
        }
    }

    fn silent(&self, limit: Duration) -> Error {
        // Another version may be there when it comes back.
        self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        Error::new(
            Code::Timeout,
            format!(
                "the docker engine at {} does not answer within {} s",
                self.socket.display(),
                limit.as_secs()
            ),
        )
    }

    /// A fault of the library in our terms.
    pub fn fault(&self, fault: Fault) -> Error {
        match fault {
            Fault::DockerResponseServerError { status_code, message } => {
                answered(status_code, &message)
            }
            Fault::DockerStreamError { error } => {
                Error::new(Code::System, format!("the docker engine says: {}", error.trim()))
            }
            Fault::JsonDataError { message, .. } => {
                let cause = format!("the docker engine's answer cannot be read: {message}");
                Error::new(Code::Corrupt, cause)
            }
            other => self.unreachable(&deepest(&other)),
        }
    }

    fn unreachable(&self, why: &str) -> Error {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        let at = self.socket.display();
        Error::new(Code::Unavailable, format!("the docker engine at {at} cannot be reached: {why}"))
    }

    /// GETs a path below the API's version, for the answer as it comes.
    ///
    /// # Errors
    /// As all calls; `NotFound` for what is not there.
    pub async fn open(&self, path: &str) -> Result<Incoming> {
        let version = self.client().await?.client_version();
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|e| self.unreachable(&e.to_string()))?;
        let lost = |e: hyper::Error| self.unreachable(&deepest(&e));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // Ends with the answer's body.
        tokio::spawn(connection);
        let request = Request::get(format!("/v{version}{path}"))
            .header("host", "docker")
            .body(Empty::<Bytes>::new())
            .map_err(|e| Error::new(Code::Internal, format!("no request: {e}")))?;
        let answer = sender.send_request(request).await.map_err(lost)?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer.into_body());
        }
        let text = whole(answer.into_body()).await.unwrap_or_default();
        let told: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
        let message = told.as_ref().and_then(|t| t.get("message")?.as_str()).unwrap_or_default();
        Err(answered(status.as_u16(), message))
    }

    /// The same, read whole.
    ///
    /// # Errors
    /// As all calls.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let _turn = self.turns.acquire().await;
        let work =
            async { whole(self.open(path).await?).await.map_err(|why| self.unreachable(&why)) };
        match tokio::time::timeout(QUICK_MAX, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.silent(QUICK_MAX)),
        }
    }
}

async fn whole(body: Incoming) -> std::result::Result<Vec<u8>, String> {
    let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX);
    Ok(body.collect().await.map_err(|e| e.to_string())?.to_bytes().to_vec())
}

/// What the engine refused.
fn answered(status: u16, message: &str) -> Error {
    let code = match status {
        404 => Code::NotFound,
        409 => Code::Conflict,
        400 => Code::Invalid,
        _ => Code::System,
    };
    Error::new(code, format!("the docker engine answers HTTP {status}: {}", message.trim()))
}

/// The innermost reason of an error, which says most.
fn deepest(e: &dyn std::error::Error) -> String {
    let mut e = e;
    while let Some(source) = e.source() {
        e = source;
    }
    e.to_string()
}
