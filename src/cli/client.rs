//! The command line's view of a cluster: JSON over the HTTP ports of master, Marathon and Chronos. Knows addresses,
//! and how each of them refuses; not what is asked.

use super::events::Events;
use super::refused;
use crate::base::error::{Code, Error, Result};
pub use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one event stream may last; its reader has limits of its own.
const STREAM_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);
/// In which header Marathon names the deployment that a change has started.
const DEPLOYMENT_HEADER: &str = "marathon-deployment-id";
/// Asks a node that does not lead to pass the request on: a redirect to another host would lose the credentials.
const FORWARD_HEADER: &str = "x-mesolith-forward";

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The Mesos master.
    Master,
    /// Marathon: apps.
    Marathon,
    /// Chronos: jobs.
    Chronos,
}

impl Service {
    /// Its name in a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "the master",
            Self::Marathon => "Marathon",
            Self::Chronos => "Chronos",
        }
    }

    /// Where it listens when nobody says otherwise.
    pub const fn port(self) -> u16 {
        match self {
            Self::Master => 5050,
            Self::Marathon => 8080,
            Self::Chronos => 4400,
        }
    }

    fn nobody(self) -> &'static str {
        match self {
            Self::Master => "no master",
            Self::Marathon => "no Marathon",
            Self::Chronos => "no Chronos",
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            Self::Master => {
                "start a cluster with `mesolith up`, or name its master with --master HOST:PORT"
            }
            Self::Marathon => "start a cluster with `mesolith up`, or name --marathon HOST:PORT",
            Self::Chronos => "start a cluster with `mesolith up`, or name --chronos HOST:PORT",
        }
    }
}

/// What came back of a change.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status, 2xx.
    pub status: u16,
    /// The body.
    pub text: String,
    /// The deployment it started, if Marathon named one.
    pub deployment: Option<String>,
}

impl Answer {
    /// The body as JSON; null when it is empty or no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// A client of one service; follows its redirects to the leader.
#[derive(Clone)]
pub struct Client {
    service: Service,
    http: reqwest::Client,
    base: String,
    credentials: Option<(String, String)>,
}

impl Client {
    /// A client of the service at `host:port` (or a URL). `credentials` is `principal:secret`.
    ///
    /// # Errors
    /// [`Code::Internal`] when the HTTP library cannot start.
    pub fn new(service: Service, address: &str, credentials: Option<&str>) -> Result<Self> {
        // Another part of the program may have installed it: both are the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|e| Error::new(Code::Internal, format!("cannot start an HTTP client: {e}")))?;
        let base = base(address);
        let credentials = credentials.map(|c| match c.split_once(':') {
            Some((principal, secret)) => (principal.to_string(), secret.to_string()),
            None => (c.to_string(), String::new()),
        });
        Ok(Self { service, http, base, credentials })
    }

    /// The same service asked at another address, `host:port` or a URL, with the same credentials.
    pub fn at(&self, address: &str) -> Self {
        Self { base: base(address), ..self.clone() }
    }

    /// The base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GETs JSON.
    ///
    /// # Errors
    /// By status: 404 not found, 401 and 403 forbidden, 409 conflict; [`Code::Unavailable`] when nobody answers.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let url = self.url(path, query);
        let text = self.send(self.http.get(&url)).await?.text;
        serde_json::from_str(&text)
            .map_err(|e| Error::new(Code::Internal, format!("{url} answered no JSON: {e}")))
    }

    /// POSTs JSON; answers the body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<String> {
        Ok(self.change(Method::POST, path, &[], Some(body)).await?.text)
    }

    /// Asks for a change, with a JSON body or none.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn change(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, self.url(path, query));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.send(request).await
    }

    /// POSTs a form; answers the body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post_form(&self, path: &str, name: &str, value: &str) -> Result<String> {
        let request = self.http.post(self.url(path, &[])).body(format!("{name}={}", encode(value)));
        let kind = "application/x-www-form-urlencoded";
        Ok(self.send(request.header("content-type", kind)).await?.text)
    }

    /// Opens a stream of server-sent events.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn events(&self, path: &str, query: &[(&str, &str)]) -> Result<Events> {
        let request = self.http.get(self.url(path, query)).timeout(STREAM_TIMEOUT);
        let request = self.signed(request).header("accept", "text/event-stream");
        // The head of the answer comes at once, or there will be no stream.
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, request.send()).await;
        let answer = answer.map_err(|_| self.too_slow())?.map_err(|e| self.unreachable(&e))?;
        match answer.status().as_u16() {
            200..=299 => Ok(Events::new(answer)),
            status => {
                let text = answer.text().await.map_err(|e| self.unreachable(&e))?;
                Err(refused::refusal(self.service, status, &text))
            }
        }
    }

    /// POSTs a body that may go on for long, for an answer that does.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn stream(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: reqwest::Body,
    ) -> Result<reqwest::Response> {
        let mut request = self.http.post(self.url(path, &[])).timeout(STREAM_TIMEOUT).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.signed(request).send().await.map_err(|e| self.unreachable(&e))?;
        match answer.status().as_u16() {
            200..=299 => Ok(answer),
            status => {
                let text = answer.text().await.map_err(|e| self.unreachable(&e))?;
                Err(refused::refusal(self.service, status, &text))
            }
        }
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut url = format!("{}{path}", self.base);
        for (n, (name, value)) in query.iter().enumerate() {
            url.push(if n == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encode(value));
        }
        url
    }

    fn signed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let request = request.header(FORWARD_HEADER, "1");
        match &self.credentials {
            Some((principal, secret)) => request.basic_auth(principal, Some(secret)),
            None => request,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let answer = self.signed(request).send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status().as_u16();
        let deployment = answer.headers().get(DEPLOYMENT_HEADER);
        let deployment = deployment.and_then(|v| v.to_str().ok()).map(str::to_string);
        let text = answer.text().await.map_err(|e| self.unreachable(&e))?;
        match status {
            200..=299 => Ok(Answer { status, text, deployment }),
            _ => Err(refused::refusal(self.service, status, &text)),
        }
    }

    fn too_slow(&self) -> Error {
        let cause = format!("{} did not answer within {REQUEST_TIMEOUT:?}", self.base);
        Error::new(Code::Timeout, cause)
    }

    fn unreachable(&self, e: &reqwest::Error) -> Error {
        if e.is_timeout() && !e.is_connect() {
            return self.too_slow();
        }
        let cause = format!("{} answers at {}", self.service.nobody(), self.base);
        Error::new(Code::Unavailable, cause).hint(self.service.way_out())
    }
}

/// The base URL of an address.
fn base(address: &str) -> String {
    match address.contains("://") {
        true => address.trim_end_matches('/').to_string(),
        false => format!("http://{address}"),
    }
}

/// Percent-encodes a query or form value, or one segment of a path.
pub fn encode(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}
