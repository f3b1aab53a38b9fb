//! Address translation of a bridge: one nftables table a bridge, with a map from ports of the host to containers. So a
//! mapping is one element, put in and taken out by its port, and costs the same with a thousand of them.
//!
//! Rules are spoken in nft's own language to the `nft` program: the kernel's netlink form of them is private to it and its
//! library, and differs between versions.

use super::addresses::Lease;
use super::command;
use crate::agent::containerizer::linux::{Bridge, PortMapping};
use std::fmt::Write as _;
use std::net::Ipv4Addr;

const PROGRAM: &str = "nft";

/// The table of a bridge.
fn table(device: &str) -> String {
    format!("mesolith_{device}")
}

/// Has the table, with everything that is leased.
///
/// # Errors
/// A text: there is no `nft`, or it refuses.
pub fn ensure(bridge: &Bridge, leases: &[(Ipv4Addr, Lease)]) -> Result<(), String> {
    let name = table(&bridge.device);
    if command::run(PROGRAM, &["list", "table", "ip", &name], "").is_ok() {
        return Ok(());
    }
    let mut text = script(bridge);
    for (address, lease) in leases {
        elements(&mut text, "add", &bridge.device, *address, &lease.ports);
    }
    apply(&text)
}

fn apply(text: &str) -> Result<(), String> {
    command::run(PROGRAM, &["-f", "-"], text).map(drop)
}

/// The table as it begins. What comes to an address of this machine is looked up; what containers send beyond their network
/// leaves with the machine's address; so does what comes back to the network it came from, or from loopback. Loopback is not
/// for containers, though the kernel is told to route it here.
fn script(bridge: &Bridge) -> String {
    let (table, device) = (table(&bridge.device), &bridge.device);
    let net = format!("{}/{}", bridge.subnet, bridge.prefix);
    format!(
        "table ip {table} {{
  map tcp_ports {{ type inet_service : ipv4_addr . inet_service; }}
  map udp_ports {{ type inet_service : ipv4_addr . inet_service; }}
  chain guard {{ type filter hook prerouting priority -300;
    iifname \"{device}\" ip daddr 127.0.0.0/8 drop
  }}
  chain ports {{
    dnat ip addr . port to tcp dport map @tcp_ports
    dnat ip addr . port to udp dport map @udp_ports
  }}
  chain incoming {{ type nat hook prerouting priority -100; fib daddr type local jump ports; }}
  chain own {{ type nat hook output priority -100; fib daddr type local jump ports; }}
  chain outgoing {{ type nat hook postrouting priority 100;
    ip saddr {net} ip daddr != {net} masquerade
    ip saddr {net} ip daddr {net} ct status dnat masquerade
    ip saddr 127.0.0.0/8 oifname \"{device}\" masquerade
  }}
}}
"
    )
}

fn elements(text: &mut String, verb: &str, device: &str, to: Ipv4Addr, ports: &[PortMapping]) {
    for port in ports {
        let map = if port.udp { "udp_ports" } else { "tcp_ports" };
        let (table, host, container) = (table(device), port.host, port.container);
        let value = match verb {
            "add" => format!(" : {to} . {container}"),
            _ => String::new(),
        };
        // Writing to a text does not fail.
        let _ = writeln!(text, "{verb} element ip {table} {map} {{ {host}{value} }}");
    }
}

/// Puts a container's ports in.
///
/// # Errors
/// A text: nft refuses.
pub fn open(device: &str, to: Ipv4Addr, ports: &[PortMapping]) -> Result<(), String> {
    if ports.is_empty() {
        return Ok(());
    }
    let mut text = String::new();
    elements(&mut text, "add", device, to, ports);
    apply(&text)
}

/// Takes them out, one by one: what is not there any more is no reason to leave others.
pub fn close(device: &str, to: Ipv4Addr, ports: &[PortMapping]) {
    for port in ports {
        let mut text = String::new();
        elements(&mut text, "delete", device, to, std::slice::from_ref(port));
        let _ = apply(&text);
    }
}

/// Removes the table.
pub fn remove(device: &str) {
    // One that is not there needs no removal.
    let _ = command::run(PROGRAM, &["delete", "table", "ip", &table(device)], "");
}

/// A docker engine has the kernel drop what is forwarded, but for what its chain for others lets through.
///
/// # Errors
/// A text: the chain is there, and iptables refuses.
pub fn pass_docker(device: &str) -> Result<(), String> {
    let Some(rules) = docker_rules(device) else { return Ok(()) };
    for rule in rules {
        if iptables("-C", &rule).is_err() {
            iptables("-I", &rule)?;
        }
    }
    Ok(())
}

/// Takes that back.
pub fn unpass_docker(device: &str) {
    for rule in docker_rules(device).into_iter().flatten() {
        // What is not there needs no removal.
        let _ = iptables("-D", &rule);
    }
}

const DOCKER_CHAIN: &str = "DOCKER-USER";

fn docker_rules(device: &str) -> Option<[Vec<&str>; 2]> {
    command::find("iptables")?;
    command::run("iptables", &["-w", "-n", "-L", DOCKER_CHAIN], "").ok()?;
    let answers = ["-m", "conntrack", "--ctstate", "DNAT,RELATED,ESTABLISHED"];
    let mut to = vec!["-o", device];
    to.extend(answers);
    Some([vec!["-i", device], to])
}

fn iptables(verb: &str, rule: &[&str]) -> Result<(), String> {
    let mut all = vec!["-w", verb, DOCKER_CHAIN];
    all.extend(rule);
    all.extend(["-j", "ACCEPT"]);
    command::run("iptables", &all, "").map(drop)
}
