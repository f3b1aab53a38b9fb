//! The command line's view of a cluster: JSON over the master's HTTP port. Knows addresses and errors, not meanings.

use crate::base::error::{Code, Error, Result};
use serde_json::Value;
use std::time::Duration;

/// Where the master is asked when nobody says otherwise.
pub const DEFAULT_MASTER: &str = "127.0.0.1:5050";

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one master; follows its redirects to the leader.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    credentials: Option<(String, String)>,
}

impl Client {
    /// A client of the master at `host:port` (or a URL). `credentials` is `principal:secret`.
    ///
    /// # Errors
    /// [`Code::Internal`] when the HTTP library cannot start.
    pub fn new(master: &str, credentials: Option<&str>) -> Result<Self> {
        // Another part of the program may have installed it: both are the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|e| Error::new(Code::Internal, format!("cannot start an HTTP client: {e}")))?;
        let base = if master.contains("://") {
            master.trim_end_matches('/').to_string()
        } else {
            format!("http://{master}")
        };
        let credentials = credentials.map(|c| match c.split_once(':') {
            Some((principal, secret)) => (principal.to_string(), secret.to_string()),
            None => (c.to_string(), String::new()),
        });
        Ok(Self { http, base, credentials })
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
        let text = self.send(self.http.get(&url)).await?;
        serde_json::from_str(&text)
            .map_err(|e| Error::new(Code::Internal, format!("{url} answered no JSON: {e}")))
    }

    /// POSTs JSON; answers the body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<String> {
        let request = self.http.post(self.url(path, &[]));
        let request = request.header("content-type", "application/json").body(body.to_string());
        self.send(request).await
    }

    /// POSTs a form; answers the body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post_form(&self, path: &str, name: &str, value: &str) -> Result<String> {
        let request = self.http.post(self.url(path, &[])).body(format!("{name}={}", encode(value)));
        let kind = "application/x-www-form-urlencoded";
        self.send(request.header("content-type", kind)).await
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

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<String> {
        if let Some((principal, secret)) = &self.credentials {
            request = request.basic_auth(principal, Some(secret));
        }
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|e| self.unreachable(&e))?;
        match status {
            200..=299 => Ok(text),
            401 => Err(Error::new(Code::Forbidden, "the master wants to know who you are")
                .hint("give --principal NAME:SECRET, or set MESOLITH_PRINCIPAL")),
            _ => {
                let code = match status {
                    400 | 405 | 413 | 415 => Code::Invalid,
                    403 => Code::Forbidden,
                    404 => Code::NotFound,
                    409 => Code::Conflict,
                    503 => Code::Unavailable,
                    _ => Code::Internal,
                };
                Err(Error::new(code, format!("the master answered {status}: {}", text.trim())))
            }
        }
    }

    fn unreachable(&self, e: &reqwest::Error) -> Error {
        if e.is_timeout() && !e.is_connect() {
            let cause = format!("{} did not answer within {REQUEST_TIMEOUT:?}", self.base);
            return Error::new(Code::Timeout, cause);
        }
        Error::new(Code::Unavailable, format!("no master answers at {}", self.base))
            .hint("start a cluster with `mesolith up`, or name its master with --master HOST:PORT")
    }
}

/// Percent-encodes a query or form value.
fn encode(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}
