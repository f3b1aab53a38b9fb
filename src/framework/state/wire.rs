//! The state port on the wire: what the master's endpoint takes and answers. Types and text forms only.
//!
//! The base is `/mesolith/v1/state/<namespace>`; `<key>` is percent-encoded; its `/` may stay as they
//! are where no part between them is empty. A node that does not lead
//! answers 307 with a `Location`, one without a leader 503, as on every master endpoint.
//!
//! | request | answer |
//! |---|---|
//! | `GET …/<key>` | 200, the value as `application/octet-stream`, `ETag: "<version>"`; 404 |
//! | `PUT …/<key>`, the value as body | 204 and the new `ETag` |
//! | `DELETE …/<key>` | 204 and the `ETag` of the deletion |
//! | `GET …?prefix=&after=&limit=` | 200, [`super::Page`] as JSON, values in base64 |
//! | `POST …`, [`Commit`] as JSON | 200, [`Committed`] as JSON |
//!
//! PUT and DELETE take `If-Match: "<version>"` (the entry has this version) or `If-None-Match: *` (there is no entry).
//! Refusals carry [`Refused`] as JSON; the status is [`status_of`] its code: 412 when an expectation fails, 507 when
//! the namespace is full, 403 for a namespace of others, 400 for what [`super::check_changes`] refuses.

use super::{Change, Expect, Version};
use crate::base::error::{Code, Error, Retry};
use serde::{Deserialize, Serialize};

/// Where the endpoint begins.
pub const STATE_PATH: &str = "/mesolith/v1/state";

/// The body of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// All or none.
    pub changes: Vec<Change>,
}

/// The answer to a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The new version of each key, in order.
    pub versions: Vec<Version>,
}

/// The body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// [`Error::cause`].
    pub message: String,
    /// [`Error::hint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// [`Error::retry`]: `never`, `later`, `other_node`, `unknown`.
    pub retry: String,
}

/// The HTTP status of an error.
pub fn status_of(error: &Error) -> u16 {
    match error.code {
        Code::Invalid => 400,
        Code::Forbidden => 403,
        Code::NotFound => 404,
        Code::Conflict => 412,
        Code::Overloaded => 507,
        Code::Unavailable => 503,
        Code::Timeout => 504,
        Code::Corrupt | Code::System | Code::Internal => 500,
    }
}

impl From<&Error> for Refused {
    fn from(error: &Error) -> Self {
        let retry = match error.retry {
            Retry::Never => "never",
            Retry::Later => "later",
            Retry::OtherNode => "other_node",
            Retry::Unknown => "unknown",
        };
        Self { message: error.cause.clone(), hint: error.hint.clone(), retry: retry.to_string() }
    }
}

/// The error that a refusal stands for; a body that is none of ours is kept as the cause.
pub fn error_of(status: u16, body: &[u8]) -> Error {
    let code = match status {
        401 | 403 => Code::Forbidden,
        404 => Code::NotFound,
        409 | 412 => Code::Conflict,
        429 | 507 => Code::Overloaded,
        503 => Code::Unavailable,
        504 => Code::Timeout,
        400..=499 => Code::Invalid,
        _ => Code::Internal,
    };
    let Ok(refused) = serde_json::from_slice::<Refused>(body) else {
        let text: String = String::from_utf8_lossy(body).trim().chars().take(500).collect();
        let cause = if text.is_empty() { format!("the answer was {status}") } else { text };
        return Error::new(code, cause);
    };
    let mut error = Error::new(code, refused.message);
    error.hint = refused.hint;
    error.retry = match refused.retry.as_str() {
        "later" => Retry::Later,
        "other_node" => Retry::OtherNode,
        "unknown" => Retry::Unknown,
        _ => Retry::Never,
    };
    error
}

/// The `ETag` of a version.
pub fn etag(version: Version) -> String {
    format!("\"{version}\"")
}

/// The version that an `ETag` or `If-Match` names; `None` for anything else.
pub fn version(etag: &str) -> Option<Version> {
    etag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// What the two headers of a PUT or DELETE demand.
///
/// # Errors
/// [`Code::Invalid`] for both at once and for forms other than the two above.
pub fn expectation(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Expect, Error> {
    let bad = |text: &str| Error::new(Code::Invalid, text);
    match (if_match, if_none_match.map(str::trim)) {
        (None, None) => Ok(Expect::Any),
        (None, Some("*")) => Ok(Expect::Absent),
        (None, Some(_)) => Err(bad("If-None-Match takes '*' alone")),
        (Some(tag), None) => version(tag)
            .map(Expect::Version)
            .ok_or_else(|| bad("If-Match takes one version, as an ETag gave it")),
        (Some(_), Some(_)) => Err(bad("If-Match and If-None-Match exclude each other")),
    }
}

/// Values in JSON: base64.
pub(super) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in super::super) fn serialize<S: Serializer>(v: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(v))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_the_headers() {
        assert_eq!(expectation(None, None).unwrap(), Expect::Any);
        assert_eq!(expectation(None, Some("*")).unwrap(), Expect::Absent);
        assert_eq!(expectation(Some("\"7\""), None).unwrap(), Expect::Version(7));
        for (a, b) in [
            (Some("7"), None),
            (Some("*"), None),
            (None, Some("\"7\"")),
            (Some("\"7\""), Some("*")),
        ] {
            assert_eq!(expectation(a, b).unwrap_err().code, Code::Invalid, "{a:?} {b:?}");
        }
        assert_eq!(version(&etag(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn errors_keep_code_hint_and_retry() {
        for code in [
            Code::Invalid,
            Code::Forbidden,
            Code::NotFound,
            Code::Conflict,
            Code::Overloaded,
            Code::Unavailable,
            Code::Timeout,
            Code::Internal,
        ] {
            let error = Error::new(code, "why").hint("do");
            let body = serde_json::to_vec(&Refused::from(&error)).unwrap();
            assert_eq!(error_of(status_of(&error), &body), error);
        }
        assert_eq!(error_of(404, b"nothing here").cause, "nothing here");
    }

    #[test]
    fn a_change_reads_as_it_is_written() {
        let text = r#"{"changes":[{"put":{"key":"a","value":"AAE=","expect":{"version":3}}},
            {"delete":{"key":"b"}}]}"#;
        let commit: Commit = serde_json::from_str(text).unwrap();
        let put = Change::Put { key: "a".into(), value: vec![0, 1], expect: Expect::Version(3) };
        let delete = Change::Delete { key: "b".into(), expect: Expect::Any };
        assert_eq!(commit.changes, [put, delete]);
        let again = serde_json::to_vec(&commit).unwrap();
        assert_eq!(serde_json::from_slice::<Commit>(&again).unwrap(), commit);
    }
}
