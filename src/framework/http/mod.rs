//! The HTTP client below the ports: several masters of which one leads, redirects, bounded answers, streams of records.
//!
//! Plain HTTP only. It knows who answered as leader last and asks there first; whoever redirects is believed once.
//! What a request means, and when to try again, is the ports' business.

mod records;

pub use records::Records;

use super::masters::{self, Named};
use super::server::Refusal;
use crate::base::error::{Code, Error, Result};
use crate::mesos::codec::Codec;
use base64::Engine as _;
use prost::Message;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long opening a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request that is no stream may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How many redirects one request follows.
pub const REDIRECTS_MAX: usize = 4;

/// The largest answer that is read whole, in bytes.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much of a refusal's text is kept, in bytes.
const REFUSAL_BYTES_MAX: usize = 4096;

/// Who the client says it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// A principal with its secret.
    Basic {
        /// The name.
        principal: String,
        /// The password; empty if there is none.
        secret: String,
    },
    /// A token, as executors get from their agent.
    Bearer(String),
}

impl Authorization {
    fn header(&self) -> String {
        match self {
            Self::Basic { principal, secret } => {
                let engine = base64::engine::general_purpose::STANDARD;
                format!("Basic {}", engine.encode(format!("{principal}:{secret}")))
            }
            Self::Bearer(token) => format!("Bearer {token}"),
        }
    }
}

impl std::fmt::Debug for Authorization {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { principal, .. } => write!(f, "Basic({principal})"),
            Self::Bearer(_) => f.write_str("Bearer"),
        }
    }
}

/// How to reach the servers.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// `host:port` of each, or any form that [`masters::parse`] takes but `file://`; not empty.
    pub masters: Vec<String>,
    /// How messages are written.
    pub codec: Codec,
    /// Sent with every request.
    pub authorization: Option<Authorization>,
}

impl HttpOptions {
    /// These masters, protobuf, nobody in particular.
    pub fn new(masters: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let masters = masters.into_iter().map(Into::into).collect();
        Self { masters, codec: Codec::Protobuf, authorization: None }
    }
}

/// Why a request brought no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server said no.
    Refused(Refusal),
    /// No connection, or it broke. The request may have been carried out.
    Broken(String),
    /// It took longer than allowed. The request may have been carried out.
    TimedOut,
}

impl Trouble {
    /// As this program's error.
    pub fn error(&self) -> Error {
        match self {
            Self::Refused(refusal) => refusal.error(),
            Self::Broken(why) => Error::new(Code::Unavailable, why.clone()),
            Self::TimedOut => {
                Error::new(Code::Timeout, format!("no answer within {} s", CALL_TIMEOUT.as_secs()))
            }
        }
    }
}

/// An answer read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status; also of refusals.
    pub status: u16,
    /// The `ETag` header.
    pub etag: Option<String>,
    /// The `Location` header.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// One request of [`Http::ask`].
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// GET, PUT, DELETE, POST.
    pub method: &'a str,
    /// From `/` on, with the query, already escaped.
    pub path: &'a str,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body; none if empty.
    pub body: Vec<u8>,
}

impl<'a> Ask<'a> {
    /// A GET without further headers.
    pub fn get(path: &'a str) -> Self {
        Self { method: "GET", path, headers: Vec::new(), body: Vec::new() }
    }
}

#[derive(Debug)]
struct Target {
    leader: Option<String>,
    next: usize,
}

/// The client. Clones share connections and what is known about the leader.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    codec: Codec,
    authorization: Option<String>,
    hosts: Arc<[String]>,
    target: Arc<Mutex<Target>>,
}

impl Http {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Code::Invalid`] when no master is named or a name is not one.
    pub fn new(options: HttpOptions) -> Result<Self> {
        let mut hosts = Vec::new();
        for text in &options.masters {
            match masters::parse(text)? {
                Named::Hosts(more) => hosts.extend(more),
                Named::File(path) => {
                    let cause = format!("file://{path} must be read before it is given to a port");
                    return Err(Error::new(Code::Invalid, cause));
                }
            }
        }
        if hosts.is_empty() {
            return Err(Error::new(Code::Invalid, "no master is named"));
        }
        // The TLS library wants a provider even where only plain HTTP is spoken. An error means there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .http1_only()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .map_err(|e| Error::new(Code::System, format!("cannot make an HTTP client: {e}")))?;
        Ok(Self {
            client,
            codec: options.codec,
            authorization: options.authorization.as_ref().map(Authorization::header),
            hosts: hosts.into(),
            target: Arc::new(Mutex::new(Target { leader: None, next: 0 })),
        })
    }

    /// Where to ask next: the leader if it is known, else the masters in turn.
    pub fn host(&self) -> String {
        let target = self.lock();
        // `hosts` is not empty, so the remainder is an index into it.
        target.leader.clone().unwrap_or_else(|| self.hosts[target.next % self.hosts.len()].clone())
    }

    /// Notes that `host` cannot be asked: forgets it as leader and goes on to the next master.
    pub fn failed(&self, host: &str) {
        let mut target = self.lock();
        if target.leader.as_deref() == Some(host) {
            target.leader = None;
        } else if target.leader.is_none() {
            target.next = (target.next + 1) % self.hosts.len();
        }
    }

    /// Follows a `Location`; returns the host it names.
    pub fn redirected(&self, location: &str) -> Option<String> {
        let rest = location.strip_prefix("http:").unwrap_or(location).strip_prefix("//")?;
        let host = rest.split(['/', '?']).next()?;
        match masters::parse(host) {
            Ok(Named::Hosts(hosts)) if hosts.len() == 1 => {
                self.lock().leader = hosts.first().cloned();
                hosts.into_iter().next()
            }
            _ => None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Target> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, method: reqwest::Method, host: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("http://{host}{path}"));
        match &self.authorization {
            Some(header) => request.header("Authorization", header),
            None => request,
        }
    }

    /// Posts a message and waits for the head of the answer.
    async fn post<M: Message + Serialize>(
        &self,
        host: &str,
        path: &str,
        stream_id: Option<&str>,
        message: &M,
    ) -> std::result::Result<reqwest::Response, Trouble> {
        let media = self.codec.media_type();
        let mut request = self
            .request(reqwest::Method::POST, host, path)
            .header("Content-Type", media)
            .header("Accept", media)
            .body(self.codec.encode(message));
        if let Some(id) = stream_id {
            request = request.header("Mesos-Stream-Id", id);
        }
        let sent = tokio::time::timeout(CALL_TIMEOUT, request.send()).await;
        let response = sent.map_err(|_| Trouble::TimedOut)?.map_err(|e| broken(host, &e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Trouble::Refused(refusal(response).await))
    }

    /// Sends a call that is answered without a stream; returns the status.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn call<M: Message + Serialize>(
        &self,
        host: &str,
        path: &str,
        stream_id: Option<&str>,
        message: &M,
    ) -> std::result::Result<u16, Trouble> {
        let response = self.post(host, path, stream_id, message).await?;
        let status = response.status().as_u16();
        // Reading the (empty) body gives the connection back for the next call.
        read_bounded(response, REFUSAL_BYTES_MAX).await?;
        Ok(status)
    }

    /// Opens a stream of events; returns its `Mesos-Stream-Id`, if it has one, too.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn subscribe<M, E>(
        &self,
        host: &str,
        path: &str,
        message: &M,
    ) -> std::result::Result<(Option<String>, Records<E>), Trouble>
    where
        M: Message + Serialize,
    {
        let response = self.post(host, path, None, message).await?;
        let stream_id = header(&response, "Mesos-Stream-Id");
        let media = header(&response, "Content-Type").unwrap_or_default();
        let codec = match media.split(';').next().map(str::trim) {
            Some(m) if m == Codec::Json.media_type() => Codec::Json,
            Some(m) if m == Codec::Protobuf.media_type() => Codec::Protobuf,
            _ => {
                let why = format!("{host} answered with '{media}', which is no stream of events");
                return Err(Trouble::Broken(why));
            }
        };
        Ok((stream_id, Records::new(response, codec)))
    }

    /// Asks the leader: follows redirects, and goes to the next master when a connection cannot be opened.
    /// Every answer that is no redirect is returned, refusals too.
    ///
    /// # Errors
    /// [`Trouble`]; after [`Trouble::Broken`] in the middle of an answer the request is not sent again.
    pub async fn ask(&self, ask: &Ask<'_>) -> std::result::Result<Answer, Trouble> {
        let mut tries = self.hosts.len() + REDIRECTS_MAX;
        loop {
            let host = self.host();
            tries -= 1;
            match tokio::time::timeout(CALL_TIMEOUT, self.ask_at(&host, ask)).await {
                Err(_) => return Err(Trouble::TimedOut),
                Ok(Ok(answer)) if answer.status == 307 && tries > 0 => {
                    let to = answer.location.as_deref().and_then(|l| self.redirected(l));
                    if to.is_none() {
                        let refusal = Refusal::new(503, "a redirect that names no master");
                        return Err(Trouble::Refused(refusal));
                    }
                }
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err((trouble, sent))) => {
                    self.failed(&host);
                    if sent || tries == 0 {
                        return Err(trouble);
                    }
                }
            }
        }
    }

    /// Asks this very server; the flag of the error tells whether the request may have been carried out.
    async fn ask_at(
        &self,
        host: &str,
        ask: &Ask<'_>,
    ) -> std::result::Result<Answer, (Trouble, bool)> {
        let method = reqwest::Method::from_bytes(ask.method.as_bytes())
            .map_err(|_| (Trouble::Broken(format!("bad method {}", ask.method)), true))?;
        let mut request = self.request(method, host, ask.path);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if !ask.body.is_empty() {
            request = request.body(ask.body.clone());
        }
        let response = request.send().await.map_err(|e| (broken(host, &e), !e.is_connect()))?;
        let status = response.status().as_u16();
        let (etag, location) = (header(&response, "ETag"), header(&response, "Location"));
        let body = read_bounded(response, ANSWER_BYTES_MAX).await.map_err(|e| (e, true))?;
        Ok(Answer { status, etag, location, body })
    }

    /// Asks one server and no other; no redirect is followed.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn ask_one(&self, host: &str, ask: &Ask<'_>) -> std::result::Result<Answer, Trouble> {
        let asked = tokio::time::timeout(CALL_TIMEOUT, self.ask_at(host, ask)).await;
        asked.map_err(|_| Trouble::TimedOut)?.map_err(|(trouble, _)| trouble)
    }

    /// All masters, in the order given.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }
}

fn header(response: &reqwest::Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_string)
}

async fn refusal(response: reqwest::Response) -> Refusal {
    let status = response.status().as_u16();
    let location = header(&response, "Location");
    // A body that cannot be read leaves the status to speak for itself.
    let body = read_bounded(response, REFUSAL_BYTES_MAX).await.unwrap_or_default();
    Refusal { status, text: String::from_utf8_lossy(&body).into_owned(), location }
}

/// Reads a body of at most `limit` bytes; a longer one is [`Trouble::Broken`].
async fn read_bounded(
    mut response: reqwest::Response,
    limit: usize,
) -> std::result::Result<Vec<u8>, Trouble> {
    let host = response.url().authority().to_string();
    let mut body = Vec::new();
    let read = async {
        while let Some(piece) = response.chunk().await.map_err(|e| broken(&host, &e))? {
            if body.len() + piece.len() > limit {
                return Err(Trouble::Broken(format!("the answer of {host} is over {limit} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(())
    };
    tokio::time::timeout(CALL_TIMEOUT, read).await.map_err(|_| Trouble::TimedOut)??;
    Ok(body)
}

/// The innermost cause says what happened; the outer ones repeat the URL.
fn broken(host: &str, error: &reqwest::Error) -> Trouble {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Trouble::Broken(format!("{host}: {cause}"))
}
