//! The address that a node tells others, and the name of its host: looked up, nothing is sent.

use crate::base::error::{Code, Error, Result};
use crate::node::settings::Options;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};

/// The address that others reach this machine at: what was told, the user ports', the one that leads towards a seed, or the
/// machine's first.
pub(super) fn own_ip(cluster: IpAddr, user: IpAddr, seed: Option<&String>) -> IpAddr {
    let is_usable = |ip: &IpAddr| !ip.is_unspecified();
    if is_usable(&cluster) {
        return cluster;
    }
    if is_usable(&user) && !user.is_loopback() {
        return user;
    }
    let towards = |to: SocketAddr| {
        // Connecting a datagram socket sends nothing: it looks up the way.
        let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|at| at.ip()).filter(is_usable)
    };
    let seed = seed.and_then(|seed| seed.to_socket_addrs().ok()?.find_map(towards));
    // An address of documentation: whatever goes by the default way.
    let outside = || towards(SocketAddr::from(([192, 0, 2, 1], 9)));
    seed.or_else(outside).or_else(first_ip).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn first_ip() -> Option<IpAddr> {
    let all = nix::ifaddrs::getifaddrs().ok()?;
    let addresses = all.filter_map(|interface| {
        let ip = interface.address?.as_sockaddr_in()?.ip();
        (!ip.is_loopback()).then_some(IpAddr::V4(ip))
    });
    addresses.into_iter().next()
}

/// File of the data folder with the name that a node was given when it joined.
const NAME_FILE: &str = "hostname";

/// The name of the host: what was said; else where the user ports are. Where those are on loopback every machine would be
/// called the same: a node that joins goes by the address that leads to the others, and keeps it.
///
/// # Errors
/// [`Code::System`] when it cannot be kept.
pub fn hostname(options: &Options) -> Result<String> {
    if options.hostname_named || !options.ip.is_loopback() {
        return Ok(options.hostname.clone());
    }
    let file = options.data_dir.join(NAME_FILE);
    match std::fs::read_to_string(&file) {
        Ok(kept) if !kept.trim().is_empty() => return Ok(kept.trim().to_string()),
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            let cause = format!("cannot read {}: {e}", file.display());
            return Err(
                Error::new(Code::System, cause).hint("repair it, or name the host with --hostname")
            );
        }
        _ => {}
    }
    let Some(seed) = options.join.iter().chain(&options.ensemble.seeds).next() else {
        return Ok(options.hostname.clone());
    };
    let name = own_ip(options.cluster_ip, options.ip, Some(seed)).to_string();
    std::fs::write(&file, format!("{name}\n"))
        .map_err(|e| Error::new(Code::System, format!("cannot write {}: {e}", file.display())))?;
    Ok(name)
}
