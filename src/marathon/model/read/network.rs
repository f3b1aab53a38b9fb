//! Reading networks and ports.

use super::cursor::{At, NAME, NETWORK_NAME, PORT_NAME, Text};
use crate::marathon::model::body::IpAddressBody;
use crate::marathon::model::network::{
    Network, NetworkMode, PortDefinition, PortMapping, Protocol,
};

const MODES: [(&str, NetworkMode); 3] = [
    ("container", NetworkMode::Container),
    ("container/bridge", NetworkMode::Bridge),
    ("host", NetworkMode::Host),
];

const PROTOCOLS: [(&str, Protocol); 4] = [
    ("tcp", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("udp,tcp", Protocol::UdpTcp),
    // Written so by clients of the first releases.
    ("tcp,udp", Protocol::UdpTcp),
];

pub(super) fn network(at: &At<'_>) -> Option<Network> {
    let object = at.object()?;
    let mode = object.get("mode").map(|at| at.word(&MODES));
    let name = object.get("name").and_then(|at| at.text(NETWORK_NAME));
    let labels = object.get("labels").and_then(|at| at.labels()).unwrap_or_default();
    Some(Network { mode: mode.unwrap_or(Some(NetworkMode::Container))?, name, labels })
}

pub(super) fn definition(at: &At<'_>) -> Option<PortDefinition> {
    let object = at.object()?;
    Some(PortDefinition {
        labels: object.get("labels").and_then(|at| at.labels()).unwrap_or_default(),
        name: object.get("name").and_then(|at| at.text(PORT_NAME)),
        port: object.get("port").and_then(|at| at.port()).unwrap_or(0),
        protocol: object.get("protocol").and_then(|at| at.word(&PROTOCOLS)).unwrap_or_default(),
    })
}

pub(super) fn mapping(at: &At<'_>) -> Option<PortMapping> {
    let object = at.object()?;
    let port = |key| object.get(key).and_then(|at| at.port());
    let names = object.get("networkNames").and_then(|at| at.list(|at| at.text(NAME)));
    Some(PortMapping {
        container_port: port("containerPort").unwrap_or(0),
        host_port: port("hostPort"),
        labels: object.get("labels").and_then(|at| at.labels()).unwrap_or_default(),
        name: object.get("name").and_then(|at| at.text(PORT_NAME)),
        protocol: object.get("protocol").and_then(|at| at.word(&PROTOCOLS)).unwrap_or_default(),
        service_port: port("servicePort").unwrap_or(0),
        network_names: names.unwrap_or_default(),
    })
}

pub(super) fn ip_address(at: &At<'_>) -> Option<IpAddressBody> {
    let object = at.object()?;
    if let Some(groups) = object.get("groups") {
        let _ = groups.list(|at| at.string());
    }
    let discovery = object.get("discovery").and_then(|at| at.object());
    let ports = discovery.and_then(|d| d.get("ports")).and_then(|at| at.list(discovery_port));
    let filled = Text { filled: true, ..Text::default() };
    Some(IpAddressBody {
        labels: object.get("labels").and_then(|at| at.labels()).unwrap_or_default(),
        network_name: object.get("networkName").and_then(|at| at.text(filled)),
        discovery: ports.unwrap_or_default(),
    })
}

fn discovery_port(at: &At<'_>) -> Option<PortDefinition> {
    let object = at.object()?;
    Some(PortDefinition {
        labels: object.get("labels").and_then(|at| at.labels()).unwrap_or_default(),
        name: Some(object.required("name")?.text(PORT_NAME)?),
        port: object.get("number").and_then(|at| at.port()).unwrap_or(0),
        protocol: object.get("protocol").and_then(|at| at.word(&PROTOCOLS)).unwrap_or_default(),
    })
}
