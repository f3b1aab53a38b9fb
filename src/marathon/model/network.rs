//! Networks and ports of an app.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What kind of network tasks are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The agent's own.
    #[serde(rename = "host")]
    Host,
    /// The agent's bridge; ports are mapped.
    #[serde(rename = "container/bridge")]
    Bridge,
    /// A named network; every task has an address of its own.
    #[serde(rename = "container")]
    Container,
}

/// One network that tasks join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Of which kind.
    pub mode: NetworkMode,
    /// Its name; always there for [`NetworkMode::Container`], never otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Told to the network's driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Network {
    /// The host's network.
    pub fn host() -> Self {
        Self { mode: NetworkMode::Host, name: None, labels: BTreeMap::new() }
    }
}

/// The protocol of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    #[default]
    #[serde(rename = "tcp")]
    Tcp,
    /// UDP.
    #[serde(rename = "udp")]
    Udp,
    /// One number for both.
    #[serde(rename = "udp,tcp")]
    UdpTcp,
}

impl Protocol {
    /// The single protocols, for one discovery port each.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["tcp"],
            Self::Udp => &["udp"],
            Self::UdpTcp => &["udp", "tcp"],
        }
    }
}

/// A port of an app on the host's network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDefinition {
    /// For discovery and load balancers, e.g. `VIP_0`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Unique within the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The service port, unique in the cluster; 0 until one is assigned. Also the host port with
    /// `requirePorts`.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

/// A port of an app on a bridge or a network of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// The port inside the container; 0 for the same number as on the host.
    pub container_port: u16,
    /// The port on the host: 0 for any, none for no port there (never on a bridge).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// For discovery and load balancers.
    pub labels: BTreeMap<String, String>,
    /// Unique within the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its protocol.
    pub protocol: Protocol,
    /// The service port, unique in the cluster; 0 until one is assigned.
    pub service_port: u16,
    /// On which of the app's networks; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_names: Vec<String>,
}
