//! The HTTP faces of a node under measurement, as a client sees them.

use crate::Result;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long what is waited for may take.
pub const WITHIN: Duration = Duration::from_secs(120);

/// A face under measurement: JSON in and out.
pub struct Face {
    http: reqwest::Client,
    base: String,
}

impl Face {
    /// The face there.
    pub fn new(at: SocketAddr) -> Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, base: format!("http://{at}") })
    }

    /// Asks; the answer is JSON.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(method, path, body).await?).unwrap_or_default())
    }

    /// As it came: what reading it costs the client is not the server's.
    pub async fn text(&self, method: &str, path: &str, body: &Value) -> Result<String> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{path}: {status} {text}").into());
        }
        Ok(text)
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, &Value::Null).await
    }

    /// Asks until it is so.
    pub async fn until(&self, path: &str, so: impl Fn(&Value) -> bool) -> Result<()> {
        let deadline = Instant::now() + WITHIN;
        loop {
            // A face that is just starting answers 503.
            let seen = self.get(path).await;
            match seen {
                Ok(seen) if so(&seen) => return Ok(()),
                seen if Instant::now() > deadline => {
                    return Err(format!("never: {path}: {seen:?}").into());
                }
                _ => tokio::time::sleep(Duration::from_millis(3)).await,
            }
        }
    }

    /// Asks Marathon until no deployment is under way.
    pub async fn deployed(&self) -> Result<()> {
        self.until("/v2/deployments", |seen| seen.as_array().is_some_and(Vec::is_empty)).await
    }
}
