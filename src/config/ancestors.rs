//! What the settings of a Mesos cluster with ZooKeeper come to here: the hosts of its `zk://` address are whom a node
//! joins, its quorum is compared with theirs. Reads no files and resolves no names.

use std::net::IpAddr;

/// The hosts of an address in the manner of `/etc/mesos/zk`, as a node sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ensemble {
    /// Whom to join: `host:port` of their cluster ports, in the order of the list, each once, without this machine.
    pub seeds: Vec<String>,
    /// How many different hosts the address names.
    pub hosts: usize,
    /// Which of them is this machine, counted from 0 in the order of the list; none if it is not among them.
    pub position: Option<usize>,
}

/// Reads the hosts that an address names, as `host:port`: the ports are ZooKeeper's or masters' and are replaced by
/// `cluster_port`. `own` are the addresses and names of this machine.
///
/// `runs_master` says that the node is one of the masters that the address is about: then it does not join itself, and
/// a loopback host is this machine. An agent alone joins whoever is named, its own machine too: another process has the
/// master there.
pub fn ensemble(
    masters: &[String],
    own: &[String],
    runs_master: bool,
    cluster_port: u16,
) -> Ensemble {
    let mut names: Vec<String> = Vec::new();
    for master in masters {
        let name = host(master);
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    let own: Vec<String> = own.iter().map(|name| plain(name)).collect();
    let is_own = |name: &String| runs_master && (own.contains(name) || is_loopback(name));
    Ensemble {
        seeds: names.iter().filter(|n| !is_own(n)).map(|n| at(n, cluster_port)).collect(),
        hosts: names.len(),
        position: names.iter().position(is_own),
    }
}

/// What is to be told of a quorum that was set for Mesos, where `hosts` masters are named; none when it is the majority
/// of them, or when none are named: then Mesos uses no quorum either. Voters and their majority are found by the
/// cluster itself, whatever it says.
pub fn quorum_note(quorum: &str, hosts: usize) -> Option<String> {
    if hosts == 0 {
        return None;
    }
    let (quorum, majority) = (quorum.trim(), hosts / 2 + 1);
    let of = if hosts == 1 {
        "of the one master named".into()
    } else {
        format!("of the {hosts} masters named")
    };
    let wrong = match quorum.parse::<usize>() {
        Ok(n) if n == majority => return None,
        Ok(n) => format!("quorum={n} is not used: the majority {of} is {majority}"),
        Err(_) => {
            format!("quorum={quorum:?} is not used and no number; the majority {of} is {majority}")
        }
    };
    Some(format!("{wrong}, and the cluster counts its voters itself"))
}

/// The host of `host:port` or `[v6]:port`.
fn host(text: &str) -> String {
    let text = text.trim();
    match text.rsplit_once(':') {
        // A colon within brackets, or one of several, belongs to the address.
        Some((host, port))
            if !port.contains(']') && (host.ends_with(']') || !host.contains(':')) =>
        {
            plain(host)
        }
        _ => plain(text),
    }
}

/// A name or address as it is compared: without brackets, in small letters, an address in its one form.
fn plain(host: &str) -> String {
    let host = host.trim();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => bare.trim_end_matches('.').to_ascii_lowercase(),
    }
}

fn at(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn hosts_become_seeds_without_this_machine() {
        let three = &["h1:5050", "h2:5050", "h3:5050"][..];
        let addresses = &["10.0.0.1:5050", "10.0.0.2:5050"][..];
        for (masters, own, master, seeds, hosts, position) in [
            (three, &[][..], true, &["h1:5052", "h2:5052", "h3:5052"][..], 3, None),
            (three, &["h2", "10.0.0.2"], true, &["h1:5052", "h3:5052"], 3, Some(1)),
            (three, &["H1."], true, &["h2:5052", "h3:5052"], 3, Some(0)),
            // An agent alone joins the master on its own machine.
            (three, &["h2"], false, &["h1:5052", "h2:5052", "h3:5052"], 3, None),
            (addresses, &["10.0.0.1"], true, &["10.0.0.2:5052"], 2, Some(0)),
            // What the packages ship.
            (&["localhost:5050"], &[], true, &[], 1, Some(0)),
            (&["127.0.0.1:5050"], &["h1"], true, &[], 1, Some(0)),
            (&["localhost:5050"], &[], false, &["localhost:5052"], 1, None),
            (&["[fe80::1]:5050", "h2"], &["FE80:0::1"], true, &["h2:5052"], 2, Some(0)),
            (&["[::1]:5050"], &[], false, &["[::1]:5052"], 1, None),
            (&["h1:2181", "H1:2182", "h2"], &[], true, &["h1:5052", "h2:5052"], 2, None),
            (&[], &["h1"], true, &[], 0, None),
        ] {
            let expected = Ensemble { seeds: texts(seeds), hosts, position };
            assert_eq!(
                ensemble(&texts(masters), &texts(own), master, 5052),
                expected,
                "{masters:?}"
            );
        }
        assert_eq!(ensemble(&texts(&["h1"]), &[], true, 7000).seeds, ["h1:7000"]);
    }

    #[test]
    fn a_quorum_that_is_no_majority_is_told() {
        for (quorum, hosts, told) in [
            ("2", 3, None),
            ("2\n", 3, None),
            ("1", 1, None),
            ("3", 4, None),
            ("3", 5, None),
            ("7", 0, None),
            ("1", 3, Some("quorum=1 is not used: the majority of the 3 masters named is 2")),
            ("2", 1, Some("quorum=2 is not used: the majority of the one master named is 1")),
            ("2", 5, Some("quorum=2 is not used: the majority of the 5 masters named is 3")),
            ("two", 3, Some("quorum=\"two\" is not used and no number; the majority of the 3")),
            ("", 3, Some("quorum=\"\" is not used and no number")),
        ] {
            let note = quorum_note(quorum, hosts);
            match told {
                None => assert_eq!(note, None, "{quorum} of {hosts}"),
                Some(words) => {
                    assert!(note.as_ref().is_some_and(|n| n.starts_with(words)), "{note:?}")
                }
            }
        }
    }
}
