//! What a container of the mesos backend is asked to be beyond limits: namespaces it shares, devices, volumes, networks.
//! Pure data, a part of [`super::spec::ContainerSpec`]; stored by the supervisor with it.

use super::isolators::seccomp::Seccomp;
use crate::base::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// Volumes of one container, at most.
pub const VOLUMES_MAX: usize = 128;
/// Networks of one container, at most.
pub const NETWORKS_MAX: usize = 8;
/// Port mappings of one network, at most.
pub const PORTS_MAX: usize = 512;
/// Devices of one container beside the usual ones, at most.
pub const DEVICES_MAX: usize = 64;
/// All secrets of one container together, in bytes.
pub const SECRET_BYTES_MAX: usize = 128 * 1024;
/// Isolators outside this program, at most.
pub const ISOLATORS_MAX: usize = 16;
/// A network's configuration, in bytes.
pub const NETWORK_BYTES_MAX: usize = 128 * 1024;

/// All of it; the default is a container that shares nothing and has nothing of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Linux {
    /// It sees the agent's processes.
    pub share_pid: bool,
    /// It has the agent's System V IPC, message queues and `/dev/shm`; a nested container those of the one it is in.
    pub share_ipc: bool,
    /// Size of its own `/dev/shm`; none: half of the memory.
    pub shm_bytes: Option<u64>,
    /// Whether a user that is not root has the effective capabilities, too.
    pub ambient: bool,
    /// Which system calls it may make.
    pub seccomp: Seccomp,
    /// Devices beside the usual ones.
    pub devices: Vec<Device>,
    /// Volumes, mounted in their order.
    pub volumes: Vec<Volume>,
    /// Networks it joins; none: see [`super::spec::Network`].
    pub networks: Vec<Join>,
    /// Isolators outside this program, in their order.
    pub isolators: Vec<External>,
}

/// An isolator outside this program, see [`super::isolators::external`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// As the operator calls it.
    pub name: String,
    /// What is run.
    pub program: PathBuf,
    /// What it is told of the task's wishes: an object in JSON.
    pub wishes: String,
}

/// A device node of the host that the container has, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Below `/dev`, here and there.
    pub path: PathBuf,
    /// May be read by everybody.
    pub read: bool,
    /// May be written by everybody.
    pub write: bool,
    /// Major and minor number of a character device; none: as the host's file says when the container is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<(u64, u64)>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// What is shown.
    pub source: Source,
    /// Where.
    pub target: Target,
    /// Whether it may only be read.
    pub read_only: bool,
}

/// What a volume shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A directory or file of the host, absolute.
    Host {
        /// Where it is.
        path: PathBuf,
        /// Whether a missing one is made, as a directory.
        make: bool,
    },
    /// A directory below the sandbox, made when missing, the task's user's.
    Sandbox(PathBuf),
    /// The same of another container's sandbox.
    Other {
        /// That sandbox.
        sandbox: PathBuf,
        /// Below it.
        path: PathBuf,
    },
    /// A file with this content, in memory only, that the task's user may read.
    Secret(#[serde(with = "secret")] Vec<u8>),
}

/// Where a volume is seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// Below the sandbox.
    Sandbox(PathBuf),
    /// Below the container's root, absolute. In the host's file system it must be there.
    Root(PathBuf),
}

/// A network to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// As the task calls it.
    pub name: String,
    /// Who connects it.
    pub by: By,
    /// Ports of the host that lead into the container.
    pub ports: Vec<PortMapping>,
    /// The task's own wishes as JSON, passed on to plug-ins.
    pub info: Option<String>,
}

/// Who connects a container with a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// The built-in bridge.
    Bridge(Bridge),
    /// CNI plug-ins.
    Cni {
        /// The network's configuration or list of them, as the operator wrote it.
        config: String,
        /// Where plug-ins are.
        plugins: Vec<PathBuf>,
    },
}

/// The built-in bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Its device.
    pub device: String,
    /// The first address of its network; the host has the one after it.
    pub subnet: std::net::Ipv4Addr,
    /// How many bits of it are the network's.
    pub prefix: u8,
}

/// A port of the host that leads to one of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Of the host.
    pub host: u16,
    /// Of the container.
    pub container: u16,
    /// Over UDP instead of TCP.
    pub udp: bool,
}

fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(Code::Invalid, text))
}

/// Relative, not empty, without `.` and `..`.
pub fn inner_path(path: &Path) -> bool {
    path.components().next().is_some()
        && path.components().all(|c| matches!(c, Component::Normal(_)))
        && !path.to_string_lossy().contains('\0')
}

/// Absolute, not the root itself, without `..`.
pub fn outer_path(path: &Path) -> bool {
    path.is_absolute()
        && path.components().count() > 1
        && !path.components().any(|c| c == Component::ParentDir)
        && !path.to_string_lossy().contains('\0')
}

impl Linux {
    /// Whether there is something to be undone when the container is gone.
    pub fn leaves_something(&self) -> bool {
        !self.networks.is_empty() || !self.isolators.is_empty()
    }

    /// Whether it can be carried out as written, as far as that shows without looking at the machine.
    ///
    /// # Errors
    /// `Invalid`, with the field and the reason.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            (self.volumes.len(), VOLUMES_MAX, "volumes"),
            (self.networks.len(), NETWORKS_MAX, "networks"),
            (self.devices.len(), DEVICES_MAX, "devices"),
            (self.isolators.len(), ISOLATORS_MAX, "isolators"),
        ];
        if let Some((_, max, what)) = counts.iter().find(|(n, max, _)| n > max) {
            return invalid(format!("more than {max} {what}"));
        }
        if self.shm_bytes == Some(0) {
            return invalid("the size of /dev/shm is zero");
        }
        if self.share_ipc && self.shm_bytes.is_some() {
            return invalid("a shared /dev/shm cannot have a size of its own");
        }
        if let Some(d) = self.devices.iter().find(|d| {
            !outer_path(&d.path) || !d.path.starts_with("/dev") || d.path == Path::new("/dev")
        }) {
            return invalid(format!("device '{}' is not below /dev", d.path.display()));
        }
        self.validate_volumes()?;
        self.networks.iter().try_for_each(Join::validate)
    }

    fn validate_volumes(&self) -> Result<()> {
        let mut secrets = 0;
        for volume in &self.volumes {
            match &volume.source {
                Source::Host { path, .. } if !path.is_absolute() => {
                    return invalid(format!("host path '{}' is not absolute", path.display()));
                }
                Source::Sandbox(path) | Source::Other { path, .. } if !inner_path(path) => {
                    return invalid(format!("'{}' is no path below a sandbox", path.display()));
                }
                Source::Secret(data) => secrets += data.len(),
                _ => {}
            }
            let (path, good) = match &volume.target {
                Target::Sandbox(path) => (path, inner_path(path)),
                Target::Root(path) => (path, outer_path(path)),
            };
            if !good {
                return invalid(format!("'{}' cannot be a container path", path.display()));
            }
        }
        if secrets > SECRET_BYTES_MAX {
            return invalid(format!("more than {SECRET_BYTES_MAX} bytes of secrets"));
        }
        Ok(())
    }
}

impl Join {
    fn validate(&self) -> Result<()> {
        if self.name.is_empty() || self.name.len() > 128 || self.name.contains(['/', '\0']) {
            return invalid(format!("{:?} cannot be a network's name", self.name));
        }
        if self.ports.len() > PORTS_MAX {
            return invalid(format!("more than {PORTS_MAX} port mappings"));
        }
        if self.ports.iter().any(|p| p.host == 0 || p.container == 0) {
            return invalid("a port mapping with port 0");
        }
        let seen: std::collections::BTreeSet<_> =
            self.ports.iter().map(|p| (p.host, p.udp)).collect();
        if seen.len() < self.ports.len() {
            return invalid("a port of the host is mapped twice");
        }
        match &self.by {
            By::Bridge(bridge) => bridge.validate(),
            By::Cni { config, .. } if config.len() > NETWORK_BYTES_MAX => {
                invalid(format!("a network's configuration is over {NETWORK_BYTES_MAX} bytes"))
            }
            By::Cni { .. } => Ok(()),
        }
    }
}

impl Bridge {
    /// Whether it can be a network of containers.
    ///
    /// # Errors
    /// `Invalid` with the reason.
    pub fn validate(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = self.device.starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins || self.device.len() > 12 || !self.device.chars().all(plain) {
            return invalid(format!(
                "{:?} cannot be a bridge's name: a letter, and up to 11 letters, digits and '_'",
                self.device
            ));
        }
        if !(8..=29).contains(&self.prefix) {
            return invalid("a bridge's network must have 8 to 29 bits");
        }
        let host_bits = u32::MAX >> self.prefix;
        if u32::from(self.subnet) & host_bits != 0 {
            let (subnet, prefix) = (self.subnet, self.prefix);
            return invalid(format!("{subnet}/{prefix} has bits set beyond the network's"));
        }
        Ok(())
    }

    /// The host's address in it.
    pub fn gateway(&self) -> std::net::Ipv4Addr {
        (u32::from(self.subnet) + 1).into()
    }

    /// The address with this number in it, from 0; none: there are no more.
    pub fn address(&self, number: u32) -> Option<std::net::Ipv4Addr> {
        // The network's own, the host's, and the broadcast address are no container's.
        let usable = (u32::MAX >> self.prefix) - 2;
        (number < usable).then(|| (u32::from(self.subnet) + 2 + number).into())
    }
}

/// Secrets travel as base64.
mod secret {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(data: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&BASE64_STANDARD.encode(data))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(subnet: [u8; 4], prefix: u8) -> Bridge {
        Bridge { device: "m0".into(), subnet: subnet.into(), prefix }
    }

    #[test]
    fn addresses_of_a_bridge_are_within_its_network() {
        let b = bridge([10, 1, 2, 0], 29);
        assert!(b.validate().is_ok());
        assert_eq!(b.gateway().to_string(), "10.1.2.1");
        assert_eq!(b.address(0).unwrap().to_string(), "10.1.2.2");
        assert_eq!(b.address(4).unwrap().to_string(), "10.1.2.6");
        assert_eq!(b.address(5), None);
        assert!(bridge([10, 1, 2, 1], 29).validate().is_err());
        assert!(bridge([10, 1, 2, 0], 30).validate().is_err());
        assert!(Bridge { device: "a b".into(), ..b }.validate().is_err());
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for good in ["a", "a/b", "a.b"] {
            assert!(inner_path(Path::new(good)), "{good}");
        }
        for bad in ["", ".", "/a", "a/../b", "..", "./a"] {
            assert!(!inner_path(Path::new(bad)), "{bad}");
        }
        for bad in ["/", "a", "/a/../b"] {
            assert!(!outer_path(Path::new(bad)), "{bad}");
        }
        let volume =
            |target| Volume { source: Source::Secret(b"s".to_vec()), target, read_only: true };
        let of = |target| Linux { volumes: vec![volume(target)], ..Linux::default() };
        assert!(of(Target::Sandbox("a".into())).validate().is_ok());
        assert!(of(Target::Sandbox("../a".into())).validate().is_err());
        assert!(of(Target::Root("/".into())).validate().is_err());
    }

    #[test]
    fn what_an_earlier_program_stored_is_read() {
        let read: Linux = serde_json::from_str("{}").unwrap();
        assert_eq!(read, Linux::default());
        let secret = Volume {
            source: Source::Secret(vec![0, 255]),
            target: Target::Sandbox("s".into()),
            read_only: true,
        };
        let all = Linux { volumes: vec![secret], shm_bytes: Some(1), ..Linux::default() };
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Linux>(&text).unwrap(), all);
    }
}
