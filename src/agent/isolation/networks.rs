//! Networks of a container: none named is the host's; a name is that of a CNI network or of the built-in bridge.

use super::{BRIDGE_NAME, Policy};
use crate::agent::containerizer::linux::{By, Join, PortMapping};
use crate::agent::containerizer::network::config;
use crate::agent::containerizer::{ContainerSpec, Joined, Network};
use crate::mesos::v1;
use std::net::IpAddr;
use v1::network_info::Protocol;

impl Policy {
    pub(super) fn networks(
        &self,
        info: &v1::ContainerInfo,
        resources: &[&v1::Resource],
        spec: &mut ContainerSpec,
    ) -> Result<(), String> {
        for network in &info.network_infos {
            let Some(name) = network.name.as_deref() else {
                if !network.port_mappings.is_empty() {
                    return Err("port mappings need a network with a name: on the host's, ports \
                                are what they are"
                        .into());
                }
                continue;
            };
            if spec.linux.networks.iter().any(|join| join.name == name) {
                return Err(format!("Attempted to join CNI network '{name}' multiple times"));
            }
            let join = self.join(name, network, resources)?;
            spec.linux.networks.push(join);
            spec.network = Network::Own;
        }
        Ok(())
    }

    fn join(
        &self,
        name: &str,
        network: &v1::NetworkInfo,
        resources: &[&v1::Resource],
    ) -> Result<Join, String> {
        let configured = match &self.cni_config {
            Some(dir) => config::find(dir, name)?,
            None => None,
        };
        let by = match configured {
            Some(config) => By::Cni { config, plugins: self.cni_plugins.clone() },
            None if name == BRIDGE_NAME => {
                let asked = [
                    (!network.groups.is_empty(), "groups"),
                    (!network.ip_addresses.is_empty(), "ip_addresses"),
                ];
                if let Some((_, what)) = asked.iter().find(|(asked, _)| *asked) {
                    return Err(format!("the built-in bridge does not take '{what}'"));
                }
                By::Bridge(self.bridge.clone())
            }
            None => return Err(format!("Unknown CNI network '{name}'")),
        };
        let ports = ports(&network.port_mappings, resources)?;
        let info = serde_json::to_string(network).map_err(|e| format!("network '{name}': {e}"))?;
        Ok(Join { name: name.into(), by, ports, info: Some(info) })
    }
}

/// A network that a container has joined, as its status tells it.
pub fn status(joined: &Joined) -> v1::NetworkInfo {
    let address = |ip: &IpAddr| {
        let protocol = match ip {
            IpAddr::V4(_) => Protocol::IPv4,
            IpAddr::V6(_) => Protocol::IPv6,
        };
        v1::network_info::IpAddress {
            protocol: Some(protocol as i32),
            ip_address: Some(ip.to_string()),
        }
    };
    let port = |p: &PortMapping| v1::network_info::PortMapping {
        host_port: p.host.into(),
        container_port: p.container.into(),
        protocol: Some(if p.udp { "udp" } else { "tcp" }.into()),
    };
    v1::NetworkInfo {
        name: Some(joined.name.clone()),
        ip_addresses: joined.addresses.iter().map(address).collect(),
        port_mappings: joined.ports.iter().map(port).collect(),
        ..Default::default()
    }
}

fn ports(
    mappings: &[v1::network_info::PortMapping],
    resources: &[&v1::Resource],
) -> Result<Vec<PortMapping>, String> {
    let granted = |port: u32| {
        let ranges = resources.iter().filter(|r| r.name == "ports");
        ranges
            .filter_map(|r| r.ranges.as_ref())
            .flat_map(|r| &r.range)
            .any(|r| (r.begin..=r.end).contains(&u64::from(port)))
    };
    let number = |port: u32| match u16::try_from(port) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("Port [{port}] is not a port")),
    };
    mappings
        .iter()
        .map(|m| {
            if !granted(m.host_port) {
                return Err(format!("Port [{}] not included in resources", m.host_port));
            }
            let udp = match m.protocol.as_deref().unwrap_or("tcp").to_lowercase().as_str() {
                "tcp" => false,
                "udp" => true,
                other => return Err(format!("protocol '{other}' of a port mapping is not known")),
            };
            let (host, container) = (number(m.host_port)?, number(m.container_port)?);
            Ok(PortMapping { host, container, udp })
        })
        .collect()
}
