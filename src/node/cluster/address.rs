//! The address that a node tells others: looked up, nothing is sent.

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
