//! What is done with a request: decided from who leads and what is asked. No I/O.

use super::headers::{self, Onward};
use super::refuse::Trouble;
use super::{FORWARD, LeaderPlace, Leading, LedFace, OwnFace, authority};
use crate::http::Query;
use axum::http::header::HeaderValue;
use axum::http::{HeaderMap, Method, StatusCode};
use std::net::IpAddr;

/// A request, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub method: &'a Method,
    /// The endpoint that was found: `/state`, `/v2`.
    pub endpoint: &'a str,
    /// What followed it in the path.
    pub rest: &'a [String],
    /// Path and query in the user's own spelling.
    pub target: &'a str,
    pub headers: &'a HeaderMap,
    /// The user's address.
    pub peer: Option<IpAddr>,
}

/// What is done.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Answered here.
    Pass,
    /// Answered here, from what this node has of the state.
    Copy,
    /// Told where to ask.
    Redirect { status: StatusCode, location: HeaderValue },
    /// Passed on, with these headers.
    Forward(Onward),
    /// Not served.
    Refuse(Trouble),
}

/// Decides.
pub(super) fn decide(own: &OwnFace, leading: &Leading, asked: &Asked<'_>) -> Verdict {
    if *leading == Leading::Here || is_everybodys(own.face, asked) {
        return Verdict::Pass;
    }
    if asked.reads() && asked.wants_stale() {
        let copied = own.copy && asked.is_copied(own.face);
        return if copied { Verdict::Copy } else { Verdict::Refuse(Trouble::Stale) };
    }
    match leading {
        Leading::Here => Verdict::Pass,
        // "There is no leader" is the answer itself.
        Leading::Nobody { .. } if own.face == LedFace::Marathon && asked.reads_leader() => {
            Verdict::Pass
        }
        Leading::Nobody { since, why } => {
            Verdict::Refuse(Trouble::Nobody { since: *since, why: why.clone() })
        }
        // It leads by name and does not do so yet: it is waited for here, never passed on to itself.
        Leading::At(place) if place.node == own.node => Verdict::Pass,
        Leading::At(place) => elsewhere(own, place, asked),
    }
}

/// What every node answers for itself.
fn is_everybodys(face: LedFace, asked: &Asked<'_>) -> bool {
    match face {
        // The original's standby asks the leader; but it is about this process.
        LedFace::Chronos => asked.endpoint == "/ping",
        // There is nothing below it.
        LedFace::Master => asked.endpoint == "/redirect" && !asked.rest.is_empty(),
        LedFace::Marathon => false,
    }
}

fn elsewhere(own: &OwnFace, place: &LeaderPlace, asked: &Asked<'_>) -> Verdict {
    let redirect = match own.face {
        LedFace::Master => master(own, place, asked),
        LedFace::Marathon => events(place, asked),
        LedFace::Chronos => None,
    };
    if let Some((status, location)) = redirect
        && let Ok(location) = HeaderValue::try_from(location)
    {
        return Verdict::Redirect { status, location };
    }
    match headers::onward(own, asked) {
        Some(onward) => Verdict::Forward(onward),
        None => Verdict::Refuse(Trouble::Loop),
    }
}

/// The original redirects everything that only a leader knows. Own paths are passed on.
fn master(own: &OwnFace, place: &LeaderPlace, asked: &Asked<'_>) -> Option<(StatusCode, String)> {
    let leader = place.authority();
    let moved = |location| Some((StatusCode::TEMPORARY_REDIRECT, location));
    if asked.endpoint == "/redirect" {
        // A leader that users cannot reach is reached through this node.
        let at = leader.unwrap_or_else(|| authority(&own.host, own.port));
        return moved(format!("//{at}"));
    }
    if asked.endpoint.starts_with("/mesolith/") || asked.headers.contains_key(FORWARD) {
        return None;
    }
    moved(format!("//{}{}", leader?, asked.target))
}

/// Of all that Marathon has, only the stream of events is redirected.
fn events(place: &LeaderPlace, asked: &Asked<'_>) -> Option<(StatusCode, String)> {
    let is_events = asked.endpoint == "/v2" && asked.rest == ["events"];
    if !is_events || asked.headers.contains_key(FORWARD) {
        return None;
    }
    Some((StatusCode::FOUND, format!("http://{}{}", place.authority()?, asked.target)))
}

impl Asked<'_> {
    fn reads(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }

    /// Whether its answer must have all in it that was acknowledged before. Changes find out by themselves.
    pub(super) fn needs_word(&self, face: LedFace) -> bool {
        // One call of Mesos reads by POST.
        let by_post = face == LedFace::Master && self.endpoint == "/api/v1";
        (self.reads() || by_post) && !is_everybodys(face, self) && !self.wants_stale()
    }

    /// Whether the copies on other nodes have it: what is in memory only, the leader alone has, and nothing happens to a copy.
    fn is_copied(&self, face: LedFace) -> bool {
        let first = self.rest.first().map(String::as_str);
        match face {
            LedFace::Master => false,
            LedFace::Marathon => {
                let copied = ["apps", "groups", "tasks", "deployments", "info"];
                self.endpoint == "/v2" && first.is_some_and(|first| copied.contains(&first))
            }
            LedFace::Chronos => {
                self.endpoint.ends_with("/scheduler")
                    || self.endpoint == "/mesolith/v1" && first != Some("events")
            }
        }
    }

    fn reads_leader(&self) -> bool {
        self.reads() && self.endpoint == "/v2" && self.rest == ["leader"]
    }

    /// Whether an answer of this node is asked for, be it old.
    fn wants_stale(&self) -> bool {
        let Some((_, query)) = self.target.split_once('?') else { return false };
        query.contains("stale")
            && Query::parse(query)
                .get("stale")
                .is_some_and(|v| v.is_empty() || v.eq_ignore_ascii_case("true"))
    }
}
