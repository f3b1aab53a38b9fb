//! What a page of another site may make a browser do here: nothing that writes, and nothing at all
//! under a name that only pretends to be ours (DNS rebinding).

use super::reply::Refusal;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// Under which names this server may be asked, and which other sites' pages may write.
#[derive(Clone, Debug, Default)]
pub struct HostPolicy {
    names: BTreeSet<String>,
    origins: BTreeSet<String>,
    any_origin: bool,
}

impl HostPolicy {
    /// Addresses and `localhost` only; no foreign origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also answers to that host name.
    pub fn name(mut self, name: &str) -> Self {
        self.names.insert(name.trim_end_matches('.').to_ascii_lowercase());
        self
    }

    /// Lets pages of that origin (`https://mesos.example.com`) write; `*` lets all.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        if origin == "*" {
            self.any_origin = true;
        }
        self.origins.insert(origin.trim_end_matches('/').to_ascii_lowercase());
        self
    }

    /// Checks a request. `loopback` is whether the server listens on loopback only: only there can
    /// a name that resolves to us be told from ours.
    pub(super) fn check(
        &self,
        loopback: bool,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        let host = match uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => match headers.get(HOST) {
                None => None,
                Some(value) => Some(value.to_str().map_err(|_| bad_host())?),
            },
        };
        if headers.get_all(HOST).iter().count() > 1 {
            return Err(bad_host());
        }
        if let (true, Some(host)) = (loopback, host) {
            self.check_host(host)?;
        }
        if matches!(*method, Method::POST | Method::PUT | Method::DELETE | Method::PATCH) {
            self.check_origin(host, headers)?;
        }
        Ok(())
    }

    fn check_host(&self, host: &str) -> Result<(), Refusal> {
        let (name, _) = split(host).ok_or_else(bad_host)?;
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let local = name == "localhost" || name.ends_with(".localhost");
        if local || is_address(&name) || self.names.contains(&name) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!(
                "403 Forbidden. This server listens on loopback only and does not know the name \
                 '{name}'. Ask it by address or as localhost, or tell it that the name is its own."
            ),
        ))
    }

    fn check_origin(&self, host: Option<&str>, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or("null").to_ascii_lowercase();
        // A browser sets this one itself: the page came from the name it asks, whatever proxies
        // made of it.
        let same_site = headers.get("sec-fetch-site").is_some_and(|v| v == "same-origin");
        let known = self.any_origin || self.origins.contains(&origin);
        if same_site || known || host.is_some_and(|host| same_origin(&origin, host)) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("403 Forbidden. Pages of another origin ('{origin}') may not write here."),
        ))
    }
}

fn bad_host() -> Refusal {
    Refusal::bad_request("Failed to read the 'Host' header.\n")
}

/// Name and port of `name`, `name:port`, `[v6]:port`.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let port = |text: &str| match text.strip_prefix(':') {
        None if text.is_empty() => Some(None),
        Some(digits) => digits.parse().ok().map(Some),
        None => None,
    };
    if authority.starts_with('[') {
        let (name, rest) = authority.split_at_checked(authority.find(']')? + 1)?;
        return Some((name, port(rest)?));
    }
    let (name, rest) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
    (!name.is_empty() && !name.contains('@')).then_some(())?;
    Some((name, port(rest)?))
}

fn is_address(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<IpAddr>().is_ok(),
    }
}

fn same_origin(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let host = host.to_ascii_lowercase();
    match (split(authority), split(&host)) {
        (Some((a, a_port)), Some((b, b_port))) => {
            a == b && a_port.unwrap_or(default) == b_port.unwrap_or(default)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &HostPolicy, loopback: bool, method: Method, pairs: &[(&str, &str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        let checked = policy.check(loopback, &method, &Uri::from_static("/state"), &headers);
        checked.map_or_else(|refusal| refusal.status().as_u16(), |()| 200)
    }

    #[test]
    fn on_loopback_a_foreign_name_is_refused() {
        let policy = HostPolicy::new().name("Node1.example");
        let get = |host: &str| check(&policy, true, Method::GET, &[("host", host)]);
        for host in [
            "127.0.0.1",
            "127.0.0.1:5050",
            "10.0.0.1:1",
            "[::1]:5050",
            "localhost",
            "LOCALHOST:5050",
            "node1.example:5050",
            "node1.example.",
        ] {
            assert_eq!(get(host), 200, "{host}");
        }
        for host in ["evil.example", "evil.example:5050", "127.0.0.1.evil.example", "localhost.x"] {
            assert_eq!(get(host), 403, "{host}");
        }
        for host in ["", ":5050", "[::1", "a:b", "user@localhost"] {
            assert_eq!(get(host), 400, "{host}");
        }
        assert_eq!(check(&policy, true, Method::GET, &[]), 200, "no browser leaves it out");
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(check(&policy, true, Method::GET, &two), 400);
        assert_eq!(check(&policy, false, Method::GET, &[("host", "evil.example")]), 200);
    }

    #[test]
    fn writes_of_other_origins_are_refused_and_reads_are_not() {
        let policy = HostPolicy::new().allow_origin("https://ops.example/");
        let ask = |method: Method, origin: &str| {
            check(&policy, false, method, &[("host", "node1:5050"), ("origin", origin)])
        };
        assert_eq!(ask(Method::GET, "http://evil.example"), 200);
        assert_eq!(ask(Method::POST, "http://node1:5050"), 200);
        assert_eq!(ask(Method::POST, "https://OPS.example"), 200);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            for origin in ["http://evil.example", "null", "http://node1", "http://node1:8080"] {
                assert_eq!(ask(method.clone(), origin), 403, "{method} {origin}");
            }
        }
        let fetched = [("origin", "http://a"), ("host", "b"), ("sec-fetch-site", "same-origin")];
        assert_eq!(check(&policy, false, Method::POST, &fetched), 200);
        let defaults = [("origin", "http://a"), ("host", "a:80")];
        assert_eq!(check(&policy, false, Method::POST, &defaults), 200);
        assert_eq!(check(&policy, false, Method::POST, &[("host", "a")]), 200);
        let any = HostPolicy::new().allow_origin("*");
        assert_eq!(check(&any, false, Method::POST, &[("host", "a"), ("origin", "http://b")]), 200);
    }
}
