//! Headers of what is passed on, and of what comes back: which end at each hop, and what a hop adds.

use super::decide::Asked;
use super::{LedFace, OwnFace};
use axum::http::HeaderMap;
use axum::http::header::{
    CONNECTION, EXPECT, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use std::net::IpAddr;

const MARATHON_VIA: HeaderName = HeaderName::from_static("x-marathon-via");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What concerns one connection and not the request (RFC 9110, 7.6.1), and `Expect`, which is met here.
const OF_THE_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// How a request goes on.
#[derive(Debug, PartialEq)]
pub(super) struct Onward {
    /// Its headers.
    pub headers: HeaderMap,
    /// What this hop adds to the answer.
    pub via: (HeaderName, HeaderValue),
}

/// The headers with which a request is passed on, or nothing if it has come through here already.
pub(super) fn onward(own: &OwnFace, asked: &Asked<'_>) -> Option<Onward> {
    if came_through(asked.headers, &via_name(own), &own.pseudonym()) {
        return None;
    }
    hop(own, asked.headers, asked.peer)
}

fn via_name(own: &OwnFace) -> HeaderName {
    match own.face {
        LedFace::Marathon => MARATHON_VIA,
        LedFace::Master | LedFace::Chronos => VIA,
    }
}

/// The headers with which a request of `peer` is passed on.
pub(super) fn hop(own: &OwnFace, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<Onward> {
    let name = via_name(own);
    let mut headers = headers.clone();
    drop_hop(&mut headers);
    let this = HeaderValue::try_from(format!("1.1 {}", own.pseudonym())).ok()?;
    headers.append(name.clone(), this.clone());
    if let Some(peer) = peer {
        let peer = peer.to_canonical().to_string();
        let before = lines(&headers, &FORWARDED_FOR).filter(|line| !line.is_empty());
        let all: Vec<&str> = before.chain([peer.as_str()]).collect();
        if let Ok(all) = HeaderValue::try_from(all.join(", ")) {
            headers.insert(FORWARDED_FOR, all);
        }
    }
    Some(Onward { headers, via: (name, this) })
}

/// Makes the leader's headers this node's.
pub(super) fn back(headers: &mut HeaderMap, (name, via): &(HeaderName, HeaderValue)) {
    drop_hop(headers);
    headers.append(name, via.clone());
}

/// The user for whom another node asks: that node has put it last.
pub(in crate::http) fn client(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

fn drop_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = lines(headers, &CONNECTION)
        .flat_map(|line| line.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named.iter().chain(&OF_THE_HOP) {
        headers.remove(name);
    }
}

fn came_through(headers: &HeaderMap, name: &HeaderName, pseudonym: &str) -> bool {
    let hops = lines(headers, name).flat_map(|line| line.split(','));
    // A hop is a version, a name and perhaps a comment.
    let mut names = hops.filter_map(|hop| hop.split_whitespace().nth(1));
    names.any(|name| name.eq_ignore_ascii_case(pseudonym))
}

fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}
