//! Paths before routing: percent sequences, doubled and trailing slashes, process prefixes,
//! `.json`, and the longest endpoint that a path begins with.

use super::reply::Refusal;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeSet;

/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 16 * 1024;

/// What a segment keeps as it is when it is written again.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A path taken apart: its segments, decoded once, empty ones dropped.
///
/// # Errors
/// 400 for a broken percent sequence, one that is no UTF-8 or NUL, and for an overlong path.
pub(super) fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    if path.len() > PATH_BYTES_MAX {
        return Err(Refusal::new(
            axum::http::StatusCode::URI_TOO_LONG,
            "414 URI Too Long. The path is over the limit of 16384 bytes.",
        ));
    }
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

fn decode(segment: &str) -> Result<String, Refusal> {
    let refuse = || Refusal::bad_request("Failed to decode the percent sequences of the path.\n");
    let mut rest = segment;
    while let Some(at) = rest.find('%') {
        let digits = rest.as_bytes().get(at + 1..at + 3).ok_or_else(refuse)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(refuse());
        }
        rest = rest.get(at + 3..).ok_or_else(refuse)?;
    }
    let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| refuse())?;
    if decoded.contains('\0') { Err(refuse()) } else { Ok(decoded.into_owned()) }
}

/// Segments as a path again, in one spelling.
pub(super) fn join(segments: &[String]) -> String {
    if segments.is_empty() {
        return "/".to_owned();
    }
    let mut out = String::new();
    for segment in segments {
        out.push('/');
        out.extend(utf8_percent_encode(segment, SEGMENT));
    }
    out
}

/// The endpoints of a face, and the names its process answers to.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    pub(super) endpoints: BTreeSet<Vec<String>>,
    pub(super) aliases: BTreeSet<String>,
}

impl Routes {
    /// Drops a process prefix (`/master`, `/slave(1)`).
    pub(super) fn strip<'a>(&self, segments: &'a [String]) -> &'a [String] {
        match segments.split_first() {
            Some((first, rest)) if self.aliases.contains(first) => rest,
            _ => segments,
        }
    }

    /// How many segments name an endpoint, and whether the last of them ends in `.json` beside the
    /// name. The longest endpoint wins; a path that begins with none is left to the router.
    pub(super) fn endpoint(&self, segments: &[String]) -> Option<(usize, Vec<String>)> {
        for length in (1..=segments.len()).rev() {
            let (head, _) = segments.split_at(length);
            if self.endpoints.contains(head) {
                return Some((length, head.to_vec()));
            }
            let mut bare = head.to_vec();
            let last = bare.last_mut()?;
            if let Some(name) = last.strip_suffix(".json") {
                *last = name.to_owned();
                if self.endpoints.contains(&bare) {
                    return Some((length, bare));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let endpoints = ["/state", "/api/v1", "/api/v1/executor", "/metrics/snapshot", "/metrics"];
        Routes {
            endpoints: endpoints.iter().map(|e| segments(e).unwrap()).collect(),
            aliases: ["master", "slave(1)", "slave"].map(str::to_owned).into(),
        }
    }

    fn routed(path: &str) -> String {
        let (routes, all) = (routes(), segments(path).unwrap());
        match routes.endpoint(routes.strip(&all)) {
            Some((_, endpoint)) => join(&endpoint),
            None => format!("? {}", join(routes.strip(&all))),
        }
    }

    #[test]
    fn every_spelling_reaches_its_endpoint() {
        for (path, endpoint) in [
            ("/state", "/state"),
            ("/state/", "/state"),
            ("//state", "/state"),
            ("/master/state", "/state"),
            ("/master//state.json", "/state"),
            ("/slave%281%29/state", "/state"),
            ("/slave(1)/state.json", "/state"),
            ("/slave/state/", "/state"),
            ("/%73tate", "/state"),
            ("/api/v1/operator", "/api/v1"),
            ("/api/v1/scheduler/", "/api/v1"),
            ("/api/v1/executor", "/api/v1/executor"),
            ("/api/v1/executor/x", "/api/v1/executor"),
            ("/metrics/snapshot.json", "/metrics/snapshot"),
            ("/metrics/other", "/metrics"),
            ("/master", "? /"),
            ("/", "? /"),
            ("", "? /"),
            ("/statex", "? /statex"),
            ("/v2/apps//a%2Fb", "? /v2/apps/a%2Fb"),
            ("/a%20b/é", "? /a%20b/%C3%A9"),
        ] {
            assert_eq!(routed(path), endpoint, "{path}");
        }
    }

    #[test]
    fn broken_percent_sequences_are_refused() {
        for path in ["/%", "/%z", "/%zz", "/a%2", "/%00", "/%ff", "/state%", "/%é"] {
            assert_eq!(segments(path).unwrap_err().status(), 400, "{path}");
        }
        assert_eq!(segments(&"/a".repeat(10_000)).unwrap_err().status(), 414);
    }
}
