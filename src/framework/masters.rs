//! The text forms in which a master is named: `host:port`, an `http://` URL, a comma-separated list of these, the
//! `zk://` form of Mesos, `file://`.
//!
//! Nobody runs a ZooKeeper: a `zk://` address is read as a list of hosts on which masters run. Each knows who leads.

use crate::base::error::{Code, Error, Result};

/// The port of a master when none is named.
pub const MASTER_PORT: u16 = 5050;

/// How many masters one address may name.
pub const MASTERS_MAX: usize = 64;

/// What a master's address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Masters to ask, as `host:port` in the order given; one of them leads or knows who does.
    Hosts(Vec<String>),
    /// A file that holds another address.
    File(String),
}

/// Reads an address.
///
/// # Errors
/// [`Code::Invalid`], with what is wrong and the forms there are.
pub fn parse(text: &str) -> Result<Named> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("file://") {
        if !path.starts_with('/') {
            return Err(invalid(text, "the path of a file must be absolute"));
        }
        return Ok(Named::File(path.to_string()));
    }
    let hosts = match text.strip_prefix("zk://") {
        Some(rest) => zk_hosts(text, rest)?,
        None => {
            text.split(',').map(|part| host_port(text, part, false)).collect::<Result<Vec<_>>>()?
        }
    };
    if hosts.len() > MASTERS_MAX {
        return Err(invalid(text, &format!("it names more than {MASTERS_MAX} masters")));
    }
    Ok(Named::Hosts(hosts))
}

/// `[user:password@]host1:port1,host2:port2/path`: credentials, ports and path were ZooKeeper's and mean nothing here.
fn zk_hosts(text: &str, rest: &str) -> Result<Vec<String>> {
    let Some((hosts, _path)) = rest.split_once('/') else {
        return Err(invalid(text, "a zk:// address ends with a path, as in zk://host:2181/mesos"));
    };
    let hosts = hosts.rsplit_once('@').map_or(hosts, |(_credentials, hosts)| hosts);
    hosts.split(',').map(|part| host_port(text, part, true)).collect()
}

fn host_port(text: &str, part: &str, drop_port: bool) -> Result<String> {
    let part = part.trim();
    let part = part.strip_prefix("http://").unwrap_or(part);
    if part.starts_with("https://") {
        return Err(invalid(text, "masters are spoken to over http"));
    }
    // What a pid looks like: `master@10.0.0.1:5050`.
    let part = part.strip_prefix("master@").unwrap_or(part).trim_end_matches('/');
    let (host, port) = match part.rsplit_once(':') {
        Some((host, port))
            if !port.contains(']') && (part.contains(']') || !host.contains(':')) =>
        {
            let number = port.parse::<u16>().ok().filter(|n| *n > 0);
            (host, Some(number.ok_or_else(|| invalid(text, &format!("bad port '{port}'")))?))
        }
        _ => (part, None),
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if bare.is_empty() || !bare.chars().all(good) {
        return Err(invalid(text, &format!("bad host '{host}'")));
    }
    let port = port.filter(|_| !drop_port).unwrap_or(MASTER_PORT);
    Ok(if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") })
}

fn invalid(text: &str, why: &str) -> Error {
    Error::new(Code::Invalid, format!("'{text}' does not name a master: {why}")).hint(
        "one of `host:port`, `host1:port,host2:port`, `zk://host1,host2/mesos`, `file:///path`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Vec<String> {
        match parse(text).unwrap() {
            Named::Hosts(hosts) => hosts,
            Named::File(path) => panic!("{text} is the file {path}"),
        }
    }

    #[test]
    fn reads_every_form() {
        assert_eq!(hosts("10.0.0.1:5050"), ["10.0.0.1:5050"]);
        assert_eq!(hosts("node1"), ["node1:5050"]);
        assert_eq!(hosts("http://node1:99/"), ["node1:99"]);
        assert_eq!(hosts("master@10.0.0.1:5050"), ["10.0.0.1:5050"]);
        assert_eq!(hosts("a:1, b:2"), ["a:1", "b:2"]);
        assert_eq!(hosts("[::1]:5050"), ["[::1]:5050"]);
        assert_eq!(hosts("::1"), ["[::1]:5050"]);
        assert_eq!(hosts("zk://h1:2181,h2:2181/mesos"), ["h1:5050", "h2:5050"]);
        assert_eq!(hosts("zk://user:pw@h1:2181/mesos"), ["h1:5050"]);
        assert_eq!(parse("file:///etc/mesos/zk").unwrap(), Named::File("/etc/mesos/zk".into()));
    }

    #[test]
    fn refuses_the_rest_with_the_forms_there_are() {
        for bad in [
            "",
            "host:",
            "host:0",
            "host:x",
            "zk://h1:2181",
            "file://rel",
            "a b:1",
            "https://a:1",
            "a,,b",
        ] {
            let error = parse(bad).unwrap_err();
            assert_eq!(error.code, Code::Invalid, "{bad}");
            assert!(error.hint.is_some());
        }
        assert!(parse(&vec!["h:1"; MASTERS_MAX + 1].join(",")).is_err());
    }
}
