//! Whom the verbs ask: the addresses of master, Marathon and Chronos, from flags, environment, and each other.

use super::client::{Client, Service};
use crate::base::error::Result;

/// Clients of the three services.
pub struct Reach {
    /// The master.
    pub master: Client,
    /// Marathon.
    pub marathon: Client,
    /// Chronos.
    pub chronos: Client,
    /// Marathon's address was said, not guessed.
    pub marathon_named: bool,
    /// Chronos's address was said, not guessed.
    pub chronos_named: bool,
}

impl Reach {
    /// Clients for addresses as they were given. Where one is not, it is the default port on the master's host.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn new(
        master: Option<&str>,
        marathon: Option<&str>,
        chronos: Option<&str>,
        principal: Option<&str>,
    ) -> Result<Self> {
        let client = |service: Service, given: Option<&str>| {
            let address = match (given, master) {
                (Some(given), _) => given.to_string(),
                (None, Some(master)) => beside(master, service.port()),
                (None, None) => format!("127.0.0.1:{}", service.port()),
            };
            Client::new(service, &address, principal)
        };
        Ok(Self {
            master: client(Service::Master, master)?,
            marathon: client(Service::Marathon, marathon)?,
            chronos: client(Service::Chronos, chronos)?,
            marathon_named: marathon.is_some(),
            chronos_named: chronos.is_some(),
        })
    }
}

/// The same host under another port. `master` is `host:port`, `host`, `[v6]:port` or a URL of one of these.
fn beside(master: &str, port: u16) -> String {
    let (scheme, rest) = match master.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), master),
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    let host = match (authority.rfind(':'), authority.rfind(']')) {
        // A colon within brackets belongs to the address.
        (Some(colon), Some(bracket)) if colon < bracket => authority,
        (Some(colon), _) => &authority[..colon],
        (None, _) => authority,
    };
    format!("{scheme}{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_looked_for_beside_the_master() {
        for (master, expected) in [
            ("h:5050", "h:8080"),
            ("h", "h:8080"),
            ("10.0.0.1:7000", "10.0.0.1:8080"),
            ("https://h:5050/", "https://h:8080"),
            ("http://h/x", "http://h:8080"),
            ("[::1]:5050", "[::1]:8080"),
            ("[::1]", "[::1]:8080"),
        ] {
            assert_eq!(beside(master, 8080), expected, "{master}");
        }
    }

    #[test]
    fn what_is_named_stands_and_the_rest_follows_the_master() {
        let base = |m: Option<&str>, a: Option<&str>, c: Option<&str>| {
            let reach = Reach::new(m, a, c, None).unwrap();
            [reach.master, reach.marathon, reach.chronos].map(|c| c.base().to_string())
        };
        let local = ["http://127.0.0.1:5050", "http://127.0.0.1:8080", "http://127.0.0.1:4400"];
        assert_eq!(base(None, None, None), local);
        assert_eq!(base(Some("m:1"), None, None), ["http://m:1", "http://m:8080", "http://m:4400"]);
        assert_eq!(
            base(Some("m:1"), Some("a:2"), Some("c:3")),
            ["http://m:1", "http://a:2", "http://c:3"]
        );
    }
}
