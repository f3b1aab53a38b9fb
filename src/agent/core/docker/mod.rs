//! Which containerizer takes a task, and what a container of the docker engine is to be: from a ContainerInfo of type DOCKER
//! and its command to plain data. Pure; the engine is asked elsewhere.

mod parameters;
#[cfg(test)]
mod tests;
mod volumes;

use super::io::PersistentVolume;
use super::options::{Containerizer, Options};
use crate::base::ids::ContainerId;
use crate::base::resources::Ranges;
use crate::mesos::internal::{ExecutorRecord, executor_record};
use crate::mesos::v1::container_info::{self, DockerInfo, docker_info};
use crate::mesos::v1::{self, ContainerInfo};
use std::path::Path;

pub use parameters::{PARAMETERS_MAX, Settings};
pub use volumes::{From as VolumeFrom, Volume};

/// The longest name of an image, in bytes.
const IMAGE_LENGTH_MAX: usize = 512;

/// What goes before a container's id in its name.
const NAME_PREFIX: &str = "mesos-";

/// A port of the host that leads to one of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// On the host, among the task's resources.
    pub host: u16,
    /// In the container.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// A container of the docker engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// As it was given: name with tag or digest, or without.
    pub image: String,
    /// Whether it is pulled even if it is there.
    pub force_pull: bool,
    /// Instead of the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments instead of the image's own.
    pub arguments: Option<Vec<String>>,
    /// `host`, `bridge`, `none`, or the name of a network.
    pub network: String,
    /// Ports that are opened on the host.
    pub ports: Vec<PortMapping>,
    /// With all powers of the host.
    pub privileged: bool,
    /// What it sees of the host, the sandbox first.
    pub volumes: Vec<Volume>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Its host name, if it is not the engine's choice.
    pub hostname: Option<String>,
    /// What `parameters` come to.
    pub settings: Settings,
}

/// What the engine says of a container that was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// The engine's own account: a JSON list with one object.
    pub json: Vec<u8>,
    /// The addresses it has, each of a network of its own.
    pub addresses: Vec<String>,
    /// The network, where it has a name of its own.
    pub network: Option<String>,
}

/// The name of a container.
pub fn name(container: &ContainerId) -> String {
    format!("{NAME_PREFIX}{container}")
}

/// Whether it is one of the docker engine.
pub fn is_docker(container: Option<&ContainerInfo>) -> bool {
    container.is_some_and(|c| c.r#type() == container_info::Type::Docker)
}

/// Whether an agent's records tell of containers that the docker engine may still have.
pub fn has_containers(records: &[(String, Vec<u8>)]) -> bool {
    let executors = records.iter().filter(|(key, _)| key.starts_with("executors/"));
    let mut read = executors.filter_map(|(key, value)| {
        // What cannot be read is told by whoever takes the records up.
        crate::mesos::stored::decode::<ExecutorRecord>(key, value).ok()
    });
    read.any(|record| {
        is_docker(record.executor_info.container.as_ref())
            && record.phase() != executor_record::Phase::Gone
    })
}

/// The first containerizer that takes such a container.
///
/// # Errors
/// Why none does, as the original says it.
pub(super) fn containerizer(
    options: &Options,
    container: Option<&ContainerInfo>,
) -> Result<Containerizer, String> {
    let wanted = if is_docker(container) { Containerizer::Docker } else { Containerizer::Mesos };
    if options.containerizers.contains(&wanted) {
        return Ok(wanted);
    }
    let enabled: Vec<&str> = options.containerizers.iter().map(|c| c.name()).collect();
    Err(format!(
        "None of the enabled containerizers ({}) could create a container for the provided \
         TaskInfo/ExecutorInfo message",
        enabled.join(",")
    ))
}

/// What a container is made from.
pub(super) struct Of<'a> {
    pub options: &'a Options,
    pub container: &'a ContainerInfo,
    pub command: &'a v1::CommandInfo,
    /// Of the task and of the executor: where host ports must be.
    pub resources: Vec<&'a [v1::Resource]>,
    /// Persistent ones.
    pub volumes: &'a [PersistentVolume],
    pub sandbox: &'a Path,
    /// It has to reach the agent.
    pub executor: bool,
}

/// What the container is to be.
///
/// # Errors
/// The text for the status of the task.
pub(super) fn run(of: &Of<'_>) -> Result<Run, String> {
    options_of(of).map_err(|why| format!("Failed to create docker run options: {why}"))
}

fn options_of(of: &Of<'_>) -> Result<Run, String> {
    let Some(docker) = &of.container.docker else {
        return Err("DockerInfo 'docker' is not set for DOCKER typed ContainerInfo".into());
    };
    if !is_image(&docker.image) {
        return Err(format!("'{}' is not the name of an image", docker.image));
    }
    let allowed = of.options.docker_allow_privileged;
    if docker.privileged() && !allowed {
        return Err(
            "privileged containers are not allowed on this agent (--docker_allow_privileged)"
                .into(),
        );
    }
    let settings = parameters::read(&docker.parameters, allowed)?;
    let network = match settings.network() {
        Some(network) => network.to_string(),
        None => network(docker, of.container)?,
    };
    let hostname = of.container.hostname.clone().filter(|name| !name.is_empty());
    if network == "host" && (hostname.is_some() || settings.has_hostname()) {
        return Err("Unable to set hostname with host network mode".into());
    }
    if of.executor && network != "host" && is_loopback(&of.options.ip) {
        return Err(format!(
            "an executor on the network '{network}' cannot reach this agent, which listens on {}: \
             use the network HOST",
            of.options.ip
        ));
    }
    let (entrypoint, arguments) = command(of.command, settings.entrypoint())?;
    Ok(Run {
        image: docker.image.clone(),
        force_pull: docker.force_pull_image(),
        entrypoint,
        arguments,
        ports: ports(docker, &network, &of.resources)?,
        network,
        privileged: docker.privileged(),
        volumes: volumes::all(of, docker)?,
        tty: of.container.tty_info.is_some(),
        hostname,
        settings,
    })
}

/// Whether a text may be an image's name: it becomes part of paths and of what registries are asked.
fn is_image(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@+".contains(c);
    !name.is_empty()
        && name.len() <= IMAGE_LENGTH_MAX
        && name.chars().all(plain)
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn is_loopback(ip: &str) -> bool {
    ip.starts_with("127.") || ip == "::1"
}

#[allow(clippy::type_complexity)]
fn command(
    command: &v1::CommandInfo,
    entrypoint: Option<&str>,
) -> Result<(Option<Vec<String>>, Option<Vec<String>>), String> {
    let given = entrypoint.map(|program| vec![program.to_string()]);
    if command.shell() {
        let Some(value) = &command.value else {
            return Err("Shell specified but no command value provided".into());
        };
        // A shell takes the place of the image's own entry point, which would get the command as its argument.
        let shell = given.unwrap_or_else(|| vec!["/bin/sh".into()]);
        return Ok((Some(shell), Some(vec!["-c".into(), value.clone()])));
    }
    let words: Vec<String> = command.value.iter().chain(&command.arguments).cloned().collect();
    Ok((given, (!words.is_empty()).then_some(words)))
}

fn network(docker: &DockerInfo, container: &ContainerInfo) -> Result<String, String> {
    use docker_info::Network;
    match docker.network() {
        Network::Host => Ok("host".into()),
        Network::Bridge => Ok("bridge".into()),
        Network::None => Ok("none".into()),
        Network::User => match container.network_infos.as_slice() {
            [] => Err("No network info found in container info".into()),
            [info] => match info.name.as_deref() {
                Some(name) if !name.is_empty() => Ok(name.to_string()),
                _ => Err("No network name found in network info".into()),
            },
            _ => Err("Only a single network can be defined in Docker run".into()),
        },
    }
}

fn ports(
    docker: &DockerInfo,
    network: &str,
    resources: &[&[v1::Resource]],
) -> Result<Vec<PortMapping>, String> {
    if docker.port_mappings.is_empty() {
        return Ok(Vec::new());
    }
    if matches!(network, "host" | "none") || network.starts_with("container:") {
        return Err("Port mappings are only supported for bridge and user-defined networks".into());
    }
    let own = resources.iter().flat_map(|list| list.iter()).filter(|r| r.name == "ports");
    let own = own.flat_map(|r| r.ranges.iter().flat_map(|all| &all.range));
    let own = Ranges::new(own.map(|r| (r.begin, r.end)));
    if own.count() == 0 {
        return Err("Port mappings require port resources".into());
    }
    let mapping = |mapping: &docker_info::PortMapping| {
        let (host, container) = (mapping.host_port, mapping.container_port);
        if !own.has(host.into()) {
            return Err(format!("Port [{host}] not included in resources"));
        }
        let number = |port: u32| match u16::try_from(port) {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("{port} is not a port")),
        };
        let protocol = mapping.protocol.as_deref().unwrap_or("tcp").to_ascii_lowercase();
        if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
            return Err(format!("'{protocol}' is not a protocol of port mappings"));
        }
        Ok(PortMapping { host: number(host)?, container: number(container)?, protocol })
    };
    docker.port_mappings.iter().map(mapping).collect()
}
