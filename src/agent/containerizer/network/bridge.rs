//! The built-in bridge: one device of the host, at which each container has one end of a pair of devices; the host is their
//! gateway. It is made for the first container and removed with the last.

use super::addresses::{Addresses, HOME, Lease};
use super::netlink::{Netlink, index};
use super::{Namespace, rules};
use crate::agent::containerizer::linux::{Bridge, Join};
use crate::agent::containerizer::record::Joined;
use nix::errno::Errno;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::Ipv4Addr;
use std::path::Path;

fn failed(what: &str) -> impl Fn(Errno) -> String + '_ {
    move |e| format!("{what}: {e}")
}

/// The host's end for a container; names of devices have at most 15 letters.
fn device_of(home: &Path) -> String {
    let mut hash = DefaultHasher::new();
    home.hash(&mut hash);
    format!("mv{:012x}", hash.finish() & 0xffff_ffff_ffff)
}

/// Connects the namespace of the container in `home`; its device there is called `device`.
///
/// # Errors
/// A text; nothing is left then.
pub fn join(
    bridge: &Bridge,
    join: &Join,
    home: &Path,
    host: &Namespace,
    own: &Namespace,
    device: &str,
) -> Result<Joined, String> {
    let addresses = Addresses::lock(Path::new(HOME), &bridge.device)?;
    sweep(&addresses, &bridge.device);
    let made = connect(bridge, join, home, (host, own), device, &addresses);
    if made.is_err() {
        release(addresses, &bridge.device, |lease| lease.home == home);
    }
    made
}

fn connect(
    bridge: &Bridge,
    join: &Join,
    home: &Path,
    (host, own): (&Namespace, &Namespace),
    device: &str,
    addresses: &Addresses,
) -> Result<Joined, String> {
    let mut netlink = Netlink::open().map_err(failed("netlink"))?;
    let master = device_up(bridge, &mut netlink)?;
    rules::ensure(bridge, &addresses.all())?;
    rules::pass_docker(&bridge.device)?;
    let lease = Lease { home: home.to_owned(), device: device_of(home), ports: join.ports.clone() };
    let address = addresses.take(bridge, &lease)?;
    let pair = netlink.add_pair(&lease.device, master, device, own.fd());
    pair.map_err(failed("a pair of devices"))?;
    let host_end = index(&lease.device).ok_or("the pair of devices is gone")?;
    netlink.up(host_end).map_err(failed("bringing the pair up"))?;
    own.enter()?;
    let inside = inside(bridge, device, address);
    host.enter()?;
    inside?;
    rules::open(&bridge.device, address, &join.ports)?;
    Ok(Joined {
        name: join.name.clone(),
        device: device.into(),
        addresses: vec![address.into()],
        ports: join.ports.clone(),
        result: None,
    })
}

fn inside(bridge: &Bridge, device: &str, address: Ipv4Addr) -> Result<(), String> {
    let mut netlink = Netlink::open().map_err(failed("netlink"))?;
    let end = index(device).ok_or("the container's device is gone")?;
    netlink.add_address(end, address, bridge.prefix).map_err(failed("the address"))?;
    netlink.up(end).map_err(failed("bringing the device up"))?;
    // With more than one network, the first has the way out.
    match netlink.add_default_route(bridge.gateway()) {
        Err(Errno::EEXIST) => Ok(()),
        other => other.map_err(failed("the default route")),
    }
}

/// Has the bridge's device, with its address, and a kernel that forwards.
fn device_up(bridge: &Bridge, netlink: &mut Netlink) -> Result<u32, String> {
    match netlink.add_bridge(&bridge.device) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(failed("making the bridge")(e)),
    }
    let device = index(&bridge.device).ok_or("the bridge is gone")?;
    match netlink.add_address(device, bridge.gateway(), bridge.prefix) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(failed("the bridge's address")(e)),
    }
    netlink.up(device).map_err(failed("bringing the bridge up"))?;
    let local = format!("net/ipv4/conf/{}/route_localnet", bridge.device);
    for setting in ["net/ipv4/ip_forward", &local] {
        let path = Path::new("/proc/sys").join(setting);
        let now = fs::read_to_string(&path).unwrap_or_default();
        if now.trim() != "1" {
            fs::write(&path, "1").map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    Ok(device)
}

/// Disconnects the container in `home`, and removes the bridge after the last one.
///
/// # Errors
/// A text.
pub fn leave(bridge: &Bridge, home: &Path) -> Result<(), String> {
    if let Some(addresses) = Addresses::lock_if_there(Path::new(HOME), &bridge.device)? {
        release(addresses, &bridge.device, |lease| lease.home == home);
    }
    Ok(())
}

/// Frees what belongs to containers that are gone: their agents' data folder was removed, or this machine lost both
/// supervisor and container in the wrong moment.
pub fn sweep_all() {
    for device in Addresses::devices(Path::new(HOME)) {
        if let Ok(Some(addresses)) = Addresses::lock_if_there(Path::new(HOME), &device) {
            release(addresses, &device, |lease| !lease.home.exists());
        }
    }
}

fn sweep(addresses: &Addresses, device: &str) {
    for (address, lease) in addresses.all() {
        if !lease.home.exists() {
            free(addresses, device, address, &lease);
        }
    }
}

fn free(addresses: &Addresses, device: &str, address: Ipv4Addr, lease: &Lease) {
    rules::close(device, address, &lease.ports);
    if let (Some(end), Ok(mut netlink)) = (index(&lease.device), Netlink::open()) {
        // It may have gone with the namespace of its other end.
        let _ = netlink.remove(end);
    }
    if let Err(why) = addresses.give_back(address) {
        eprintln!("the address {address} is not given back: {why}");
    }
}

fn release(addresses: Addresses, device: &str, whose: impl Fn(&Lease) -> bool) {
    for (address, lease) in addresses.all() {
        if whose(&lease) {
            free(&addresses, device, address, &lease);
        }
    }
    if !addresses.all().is_empty() {
        return;
    }
    rules::remove(device);
    rules::unpass_docker(device);
    if let (Some(bridge), Ok(mut netlink)) = (index(device), Netlink::open()) {
        // The next container makes it again, or finds it.
        let _ = netlink.remove(bridge);
    }
    addresses.close();
}
