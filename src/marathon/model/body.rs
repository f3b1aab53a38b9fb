//! The body of a request about an app as clients of all times spell it, after reading: what `update` cannot
//! say yet, because it depends on the rest of the body or on the app there is.

use super::container::{Docker, Engine, HostVolume, LinuxInfo};
use super::network::{PortDefinition, PortMapping};
use super::update::AppUpdate;
use std::collections::BTreeMap;

/// A definition, or a part of one, as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppBody {
    /// The fields with the same spelling in all times. Its `container` is not set.
    pub update: AppUpdate,
    /// The container.
    pub container: Option<ContainerBody>,
    /// Old: `ipAddress`.
    pub ip_address: Option<IpAddressBody>,
    /// Old: `ports`.
    pub ports: Option<Vec<u16>>,
    /// Old: `uris`.
    pub uris: Option<Vec<String>>,
}

impl AppBody {
    /// Whether it asks for an earlier version.
    pub fn is_rollback(&self) -> bool {
        self.update.version.is_some()
    }

    /// Whether it has nothing but `id` and `version`.
    pub fn is_version_only(&self) -> bool {
        let rest = AppUpdate { id: None, version: None, ..self.update.clone() };
        rest == AppUpdate::default()
            && self.container.is_none()
            && self.ip_address.is_none()
            && self.ports.is_none()
            && self.uris.is_none()
    }
}

/// A container as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerBody {
    /// `type`.
    pub engine: Option<Engine>,
    /// The image, and old spellings of network and ports.
    pub docker: Option<DockerBody>,
    /// Volumes; only the kind that is supported.
    pub volumes: Vec<HostVolume>,
    /// Ports.
    pub port_mappings: Option<Vec<PortMapping>>,
    /// Isolation.
    pub linux_info: Option<LinuxInfo>,
}

/// `container.docker` as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DockerBody {
    /// The image.
    pub docker: Docker,
    /// Old: the network.
    pub network: Option<DockerNetwork>,
    /// Old: the ports.
    pub port_mappings: Option<Vec<PortMapping>>,
}

/// Old names of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DockerNetwork {
    Bridge,
    Host,
    None,
    User,
}

/// `ipAddress` as it was sent. Its groups never had an effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IpAddressBody {
    /// Told to the network's driver.
    pub labels: BTreeMap<String, String>,
    /// The network.
    pub network_name: Option<String>,
    /// `discovery.ports`; the number is in `port`.
    pub discovery: Vec<PortDefinition>,
}
