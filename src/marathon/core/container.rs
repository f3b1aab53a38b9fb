//! The container of a task, as Mesos is told to make it. Pure; what an agent cannot do it refuses itself.

use super::host_ports::Port;
use super::options::Options;
use crate::marathon::model::{
    App, Container, Docker, Engine, HostVolume, IpcMode, LinuxInfo, Network, NetworkMode, Protocol,
    ReadMode,
};
use crate::mesos::v1::{self, container_info};

/// The container; none for a plain command on the host's network.
pub(super) fn build(
    app: &App,
    task: &str,
    ports: &[Port],
    options: &Options,
) -> Option<v1::ContainerInfo> {
    let mesos = Container { engine: Engine::Mesos, ..Container::default() };
    let container = match &app.container {
        Some(container) => container,
        None if app.on_host_network() && app.tty != Some(true) => return None,
        None => &mesos,
    };
    let mut info = v1::ContainerInfo {
        volumes: container.volumes.iter().map(volume).collect(),
        tty_info: (app.tty == Some(true)).then(v1::TtyInfo::default),
        ..Default::default()
    };
    match container.engine {
        Engine::Docker => {
            info.r#type = container_info::Type::Docker as i32;
            let docker = container.docker.clone().unwrap_or_default();
            info.docker = Some(docker_info(app, &docker, task, ports));
            info.network_infos = networks(app, &[], options);
        }
        Engine::Mesos => {
            info.r#type = container_info::Type::Mesos as i32;
            info.mesos =
                Some(container_info::MesosInfo { image: container.docker.as_ref().map(image) });
            info.network_infos = networks(app, ports, options);
            info.linux_info = container.linux_info.as_ref().map(linux);
        }
    }
    Some(info)
}

fn volume(volume: &HostVolume) -> v1::Volume {
    let mode = match volume.mode {
        ReadMode::Ro => v1::volume::Mode::Ro,
        ReadMode::Rw => v1::volume::Mode::Rw,
    };
    v1::Volume {
        mode: mode as i32,
        container_path: volume.container_path.clone(),
        host_path: Some(volume.host_path.clone()),
        ..Default::default()
    }
}

fn image(docker: &Docker) -> v1::Image {
    v1::Image {
        r#type: v1::image::Type::Docker as i32,
        docker: Some(v1::image::Docker { name: docker.image.clone(), ..Default::default() }),
        cached: Some(!docker.force_pull_image),
        ..Default::default()
    }
}

fn docker_info(
    app: &App,
    docker: &Docker,
    task: &str,
    ports: &[Port],
) -> container_info::DockerInfo {
    use container_info::docker_info::{Network, PortMapping};
    let mode = app.networks.first().map_or(NetworkMode::Host, |n| n.mode);
    let network = match mode {
        NetworkMode::Host => Network::Host,
        NetworkMode::Bridge => Network::Bridge,
        NetworkMode::Container => Network::User,
    };
    let mut port_mappings = Vec::new();
    for (mapping, port) in app.port_mappings().iter().zip(ports) {
        let Some(host) = port.host else { continue };
        for protocol in mapping.protocol.words() {
            port_mappings.push(PortMapping {
                host_port: host.into(),
                container_port: port.container.into(),
                protocol: Some((*protocol).to_string()),
            });
        }
    }
    let parameter = |key: &str, value: &str| v1::Parameter { key: key.into(), value: value.into() };
    let mut parameters: Vec<_> =
        docker.parameters.iter().map(|p| parameter(&p.key, &p.value)).collect();
    // So that who looks at the Docker daemon finds the task.
    parameters.push(parameter("label", &format!("MESOS_TASK_ID={task}")));
    container_info::DockerInfo {
        image: docker.image.clone(),
        network: Some(network as i32),
        port_mappings,
        privileged: Some(docker.privileged),
        parameters,
        force_pull_image: Some(docker.force_pull_image),
        ..Default::default()
    }
}

/// The networks a container joins. Of one made by Mesos the ports are mapped there; Docker maps them itself.
fn networks(app: &App, ports: &[Port], options: &Options) -> Vec<v1::NetworkInfo> {
    let joined = app.networks.iter().filter(|n| n.mode != NetworkMode::Host);
    joined
        .enumerate()
        .map(|(at, network)| v1::NetworkInfo {
            ip_addresses: vec![v1::network_info::IpAddress::default()],
            name: name(network, options),
            labels: super::task::labels(&network.labels),
            port_mappings: mappings(app, network, at, ports),
            ..Default::default()
        })
        .collect()
}

fn name(network: &Network, options: &Options) -> Option<String> {
    match network.mode {
        NetworkMode::Container => network.name.clone(),
        _ => Some(options.mesos_bridge_name.clone()),
    }
}

fn mappings(
    app: &App,
    network: &Network,
    at: usize,
    ports: &[Port],
) -> Vec<v1::network_info::PortMapping> {
    let mut all = Vec::new();
    for (mapping, port) in app.port_mappings().iter().zip(ports) {
        let named = mapping.network_names.iter().any(|n| Some(n) == network.name.as_ref());
        // Without a name it is of the only network there is.
        let here = named || (mapping.network_names.is_empty() && at == 0);
        let Some(host) = port.host.filter(|_| here) else { continue };
        for protocol in protocols(mapping.protocol) {
            all.push(v1::network_info::PortMapping {
                host_port: host.into(),
                container_port: port.container.into(),
                protocol: Some((*protocol).to_string()),
            });
        }
    }
    all
}

fn protocols(protocol: Protocol) -> &'static [&'static str] {
    protocol.words()
}

fn linux(info: &LinuxInfo) -> v1::LinuxInfo {
    let mut linux = v1::LinuxInfo::default();
    if let Some(seccomp) = &info.seccomp {
        linux.seccomp = Some(v1::SeccompInfo {
            profile_name: seccomp.profile_name.clone(),
            unconfined: Some(seccomp.unconfined),
        });
    }
    if let Some(ipc) = &info.ipc_info {
        let mode = match ipc.mode {
            IpcMode::Private => v1::linux_info::IpcMode::Private,
            IpcMode::ShareParent => v1::linux_info::IpcMode::ShareParent,
        };
        linux.ipc_mode = Some(mode as i32);
        linux.shm_size = ipc.shm_size;
    }
    linux
}
