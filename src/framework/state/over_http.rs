//! The state port over HTTP, as [`super::wire`] describes it.

use super::{Change, Entry, Expect, Page, Version, wire};
use crate::base::error::{Code, Error, Result};
use crate::framework::http::{Answer, Ask, Http};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a path. A `/` does not: a key's empty parts would be lost on the way.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn path(namespace: &str, key: &str) -> String {
    format!("{}/{namespace}/{}", wire::STATE_PATH, utf8_percent_encode(key, PATH))
}

pub(super) async fn get(http: &Http, namespace: &str, key: &str) -> Result<Option<Entry>> {
    let answer = ask(http, &Ask::get(&path(namespace, key))).await;
    match answer {
        Ok(answer) => {
            let version = version_of(&answer)?;
            Ok(Some(Entry { key: key.to_string(), version, value: answer.body }))
        }
        Err(error) if error.code == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) async fn change(http: &Http, namespace: &str, change: Change) -> Result<Version> {
    let (method, key, body, expect) = match change {
        Change::Put { key, value, expect } => ("PUT", key, value, expect),
        Change::Delete { key, expect } => ("DELETE", key, Vec::new(), expect),
        Change::Check { .. } => {
            let cause = "a check alone changes nothing: it goes with a commit";
            return Err(Error::new(Code::Invalid, cause));
        }
    };
    let mut headers = match expect {
        Expect::Any => Vec::new(),
        Expect::Absent => vec![("If-None-Match", "*".to_string())],
        Expect::Version(version) => vec![("If-Match", wire::etag(version))],
    };
    if method == "PUT" {
        headers.push(("Content-Type", "application/octet-stream".to_string()));
    }
    let answer = ask(http, &Ask { method, path: &path(namespace, &key), headers, body }).await?;
    version_of(&answer)
}

pub(super) async fn commit(
    http: &Http,
    namespace: &str,
    changes: Vec<Change>,
) -> Result<Vec<Version>> {
    // Strings, numbers and enums: writing them to memory cannot fail.
    let body = serde_json::to_vec(&wire::Commit { changes }).unwrap_or_default();
    let headers = vec![("Content-Type", "application/json".to_string())];
    let path = format!("{}/{namespace}", wire::STATE_PATH);
    let answer = ask(http, &Ask { method: "POST", path: &path, headers, body }).await?;
    Ok(json::<wire::Committed>(&answer)?.versions)
}

pub(super) async fn list(
    http: &Http,
    namespace: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Page> {
    let prefix = utf8_percent_encode(prefix, NON_ALPHANUMERIC);
    let mut path = format!("{}/{namespace}?prefix={prefix}&limit={limit}", wire::STATE_PATH);
    if let Some(after) = after {
        path.push_str(&format!("&after={}", utf8_percent_encode(after, NON_ALPHANUMERIC)));
    }
    json(&ask(http, &Ask::get(&path)).await?)
}

async fn ask(http: &Http, ask: &Ask<'_>) -> Result<Answer> {
    let answer = http.ask(ask).await.map_err(|trouble| trouble.error())?;
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    Err(wire::error_of(answer.status, &answer.body))
}

fn version_of(answer: &Answer) -> Result<Version> {
    let tag = answer.etag.as_deref().and_then(wire::version);
    tag.ok_or_else(|| Error::new(Code::Internal, "the state server gave no version"))
}

fn json<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T> {
    serde_json::from_slice(&answer.body)
        .map_err(|e| Error::new(Code::Internal, format!("the state server's answer: {e}")))
}
