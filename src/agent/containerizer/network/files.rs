//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container with a network or a host name of its own.

use super::cni;
use crate::agent::containerizer::record::Joined;
use crate::agent::containerizer::spec::{ContainerSpec, Network};
use serde_json::{Value, json};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

/// Where they are in a container's directory.
pub const HOME: &str = "etc";
const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];
/// The longest host name, in bytes.
const NAME_MAX: usize = 63;
/// Where a stub resolver of systemd keeps the servers it asks.
const SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";

/// Writes them and tells, in OCI's words, where they are mounted.
///
/// # Errors
/// A text: the path and the kernel's reason.
pub fn make(spec: &ContainerSpec, dir: &Path, joined: &[Joined]) -> Result<Vec<Value>, String> {
    let own = spec.network == Network::Own;
    if !own && spec.hostname.is_none() {
        return Ok(Vec::new());
    }
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let name = hostname(spec);
    let address = joined.first().and_then(|j| j.addresses.first()).copied();
    let hosts = match own {
        true => hosts("", name, address),
        false => hosts(&read("/etc/hosts"), name, None),
    };
    let mut files = vec![("hosts", hosts), ("hostname", format!("{name}\n"))];
    if own {
        let told = joined.iter().find_map(|j| cni::resolver(j.result.as_deref()?));
        let text = told.unwrap_or_else(|| {
            [read("/etc/resolv.conf"), read(SYSTEMD)]
                .into_iter()
                .map(|text| resolver(&text))
                .find(|text| text.contains("nameserver"))
                .unwrap_or_default()
        });
        files.push(("resolv.conf", text));
    }
    let home = dir.join(HOME);
    fs::create_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
    for (file, text) in files {
        let path = home.join(file);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(of(spec, dir))
}

/// Those of the container in `dir`, whose network and name `spec` has, too.
pub fn of(spec: &ContainerSpec, dir: &Path) -> Vec<Value> {
    let mut mounts = Vec::new();
    for file in FILES {
        let (source, target) = (dir.join(HOME).join(file), Path::new("/etc").join(file));
        // In the host's file system nothing is made for it.
        if source.exists() && (!spec.host_root || target.exists()) {
            mounts.push(json!({
                "destination": target,
                "type": "bind",
                "source": source,
                "options": ["bind", "rw", "nosuid", "nodev", "noexec"],
            }));
        }
    }
    mounts
}

/// The container's name for itself.
pub fn hostname(spec: &ContainerSpec) -> &str {
    // An id may be longer than a host's name may be.
    let id = spec.id.as_str();
    spec.hostname.as_deref().unwrap_or_else(|| id.get(..id.len().min(NAME_MAX)).unwrap_or("task"))
}

fn hosts(before: &str, name: &str, address: Option<IpAddr>) -> String {
    let mut text = match before.is_empty() {
        true => "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned(),
        false => format!("{}\n", before.trim_end()),
    };
    let address = address.map_or_else(|| "127.0.1.1".to_owned(), |a| a.to_string());
    text += &format!("{address}\t{name}\n");
    text
}

/// Without the servers that listen on the host's loopback device, which is not the container's.
fn resolver(text: &str) -> String {
    let kept = text.lines().filter(|line| {
        let mut words = line.split_whitespace();
        let server = words.next() == Some("nameserver");
        let address = words.next().and_then(|a| a.parse::<IpAddr>().ok());
        !server || address.is_some_and(|a| !a.is_loopback())
    });
    kept.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_loopback_are_left_out() {
        let text = "# made\nsearch a.b\nnameserver 127.0.0.53\nnameserver 10.0.0.2\n";
        assert_eq!(resolver(text), "# made\nsearch a.b\nnameserver 10.0.0.2\n");
        assert!(!resolver("nameserver ::1\n").contains("nameserver"));
    }

    #[test]
    fn a_container_finds_itself() {
        let address = "10.1.1.1".parse().ok();
        assert!(hosts("", "me", address).ends_with("10.1.1.1\tme\n"));
        assert_eq!(hosts("1.2.3.4 x", "me", None), "1.2.3.4 x\n127.0.1.1\tme\n");
    }
}
