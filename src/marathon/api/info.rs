//! `/v2/info`, `/v2/leader`, `/v2/plugins`, `/ping`: about the service itself.

use super::ask::Ask;
use super::{Api, answer, not_allowed, reads};
use crate::http::{Refusal, reply};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The release of Marathon whose API this is.
const MARATHON_VERSION: &str = "1.11.24";

/// How long after its answer a leader gives up.
const ABDICATION_DELAY: Duration = Duration::from_millis(500);

/// Who this Marathon is: fixed at start.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name or address that readers can resolve.
    pub hostname: String,
    /// The port it listens on.
    pub http_port: u16,
    /// Effective settings by Marathon's names, for `marathon_config`; without passwords.
    pub config: Map<String, Value>,
}

impl Identity {
    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.hostname, self.http_port)
    }

    /// `http://host:port`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.authority())
    }
}

pub(super) async fn info(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    if !reads(&ask.method) {
        return Err(not_allowed("GET, HEAD"));
    }
    let view = api.view().await?;
    let mut config = api.identity.config.clone();
    let set = |config: &mut Map<String, Value>, key: &str, value: Value| {
        config.entry(key).or_insert(value);
    };
    let features: Vec<_> = api.rules.features.iter().collect();
    set(&mut config, "features", json!(features));
    set(&mut config, "hostname", json!(api.identity.hostname));
    set(&mut config, "mesos_role", json!(api.rules.mesos_role));
    set(&mut config, "mesos_bridge_name", json!(api.rules.mesos_bridge_name));
    set(&mut config, "webui_url", json!(api.identity.url()));
    // Names of Marathon's own machinery that closed models of clients ask for.
    set(&mut config, "task_lost_expunge_initial_delay", json!(0));
    set(&mut config, "task_lost_expunge_interval", json!(0));
    if let Some(master) = &view.master {
        let host = master.hostname.clone().or_else(|| master.address.as_ref()?.ip.clone());
        let port = master.address.as_ref().map_or(5050, |a| a.port);
        if let Some(host) = host {
            let url = format!("http://{host}:{port}");
            set(&mut config, "mesos_leader_ui_url", json!(url));
        }
    }
    let mut body = json!({
        "name": "marathon",
        "version": MARATHON_VERSION,
        "buildref": "unknown",
        "elected": true,
        "leader": api.identity.authority(),
        "marathon_config": config,
        "zookeeper_config": {
            "zk": "",
            "zk_connection_timeout": 0,
            "zk_max_versions": 0,
            "zk_session_timeout": 0,
            "zk_timeout": 0,
        },
        "http_config": { "http_port": api.identity.http_port, "https_port": 0 },
    });
    if let (Some(id), Some(body)) = (&view.framework_id, body.as_object_mut()) {
        body.insert("frameworkId".into(), json!(id));
    }
    Ok(answer::ok(&body))
}

pub(super) async fn leader(api: &Api, ask: &Ask) -> Result<Response, Refusal> {
    match ask.method {
        ref method if reads(method) => {
            if api.leading.borrow().is_none() {
                return Err(answer::message(StatusCode::NOT_FOUND, "There is no leader"));
            }
            Ok(answer::ok(&json!({ "leader": api.identity.authority() })))
        }
        Method::DELETE => {
            for name in ["backup", "restore"] {
                if ask.query.get(name).is_some() {
                    let text = format!(
                        "{name} is not supported here; use the snapshots of the cluster's state"
                    );
                    return Err(answer::message(StatusCode::BAD_REQUEST, &text));
                }
            }
            let door = api.door().await?;
            tokio::spawn(async move {
                tokio::time::sleep(ABDICATION_DELAY).await;
                // Its only failure is that somebody was faster.
                let _ = Arc::clone(&door).abdicate().await;
            });
            Ok(answer::ok(&json!({ "message": "Leadership abdicated" })))
        }
        _ => Err(not_allowed("DELETE, GET, HEAD")),
    }
}

pub(super) fn plugins(ask: &Ask) -> Result<Response, Refusal> {
    if !reads(&ask.method) {
        return Err(not_allowed("GET, HEAD"));
    }
    Ok(answer::ok(&json!({ "plugins": [] })))
}

/// `pong`, as text unless the client takes JSON only.
pub(super) fn ping(ask: &Ask) -> Result<Response, Refusal> {
    if !reads(&ask.method) {
        return Err(not_allowed("GET, HEAD"));
    }
    let kinds = ask.accept().split(',').map(|k| k.split(';').next().unwrap_or_default().trim());
    for kind in kinds {
        match kind {
            "" | "*/*" | "text/*" | "text/plain" | "text/html" => {
                return Ok(reply::text(StatusCode::OK, "pong"));
            }
            "application/json" | "application/*" => return Ok(answer::ok(&"pong")),
            _ => {}
        }
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
