//! Who holds a port: from `/proc/net/tcp*` and `/proc/*/fd`, as far as this user may look.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How many processes are looked through.
const PROCESSES_MAX: usize = 32 * 1024;

/// The process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    /// The kernel's name of the command: arguments may hold secrets.
    pub(super) command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.command)
    }
}

/// The process that listens where `address` cannot be bound, if it can be seen.
pub(super) fn find(address: SocketAddr) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listeners(&table, address))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    for process in fs::read_dir("/proc").ok()?.flatten().take(PROCESSES_MAX) {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Another user's descriptors cannot be read; that process is then not the one we can name.
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors.flatten().any(|fd| {
            fs::read_link(fd.path())
                .is_ok_and(|to| to.to_str().is_some_and(|to| inodes.iter().any(|i| i == to)))
        });
        if holds {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Holder { pid, command: command.trim().to_owned() });
        }
    }
    None
}

/// The inodes of the sockets of a `/proc/net/tcp` table that listen where `address` would.
fn listeners(table: &str, address: SocketAddr) -> Vec<u64> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (ip, port) = fields.nth(1)?.split_once(':')?;
            let listening = fields.nth(1)? == "0A";
            let inode = fields.nth(5)?.parse().ok()?;
            let ip = parse_ip(ip)?;
            let clashes =
                ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
            let here = u16::from_str_radix(port, 16).ok()? == address.port();
            (listening && here && clashes).then_some(inode)
        })
        .collect()
}

/// An address as the kernel prints it: words of four bytes in the machine's order, in hexadecimal.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for at in (0..text.len()).step_by(8) {
        let word = u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(v4).into());
    }
    let v6 = Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?);
    Some(v6.to_canonical())
}
